"""What is derived from trades: shown, never edited."""

from django.contrib import admin
from unfold.contrib.filters.admin import RangeDateTimeFilter

from apps.exchange import freshness
from apps.exchange.admin.cells import amount
from apps.exchange.models import Candle, CandleWatermark, Ticker
from moonx.core import clock
from moonx.core.intervals import Interval
from moonx.core.staff import ReadOnlyAdmin, column


@admin.register(Candle)
class CandleAdmin(ReadOnlyAdmin):
    """Stored bars, latest written first."""

    list_display = (
        *("open_time", "market", "interval", "open_", "high_", "low_", "close_"),
        *("volume", "trade_count", "revision"),
    )
    list_filter = ("market", "interval", ("open_time", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("market",)
    ordering = ("-id",)

    open_, high_, low_, close_ = (amount(name) for name in ("open", "high", "low", "close"))
    volume = amount("base_volume", title="volume")


@admin.register(Ticker)
class TickerAdmin(ReadOnlyAdmin):
    """The rolling 24 hours of each market."""

    list_display = ("market", "last_", "high_", "low_", "volume", "trade_count", "as_of", "version")
    list_select_related = ("market",)
    search_fields = ("market__symbol",)
    ordering = ("market__symbol",)

    last_, high_, low_ = (amount(name, ordering=name) for name in ("last", "high", "low"))
    volume = amount("base_volume", title="volume", ordering="base_volume")


@admin.register(CandleWatermark)
class CandleWatermarkAdmin(ReadOnlyAdmin):
    """Up to when each interval's bars are closed."""

    list_display = ("interval", "closed_until", "state")
    ordering = ("closed_until",)

    @column(label={"closed": "success", "behind": "danger"})
    def state(self, mark: CandleWatermark) -> str:
        late = freshness.unclosed(now=clock.db_now())
        return "behind" if Interval(mark.interval) in late else "closed"
