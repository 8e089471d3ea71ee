"""What is derived from trades: shown, never edited."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateTimeFilter

from apps.exchange import freshness
from apps.exchange.admin.cells import amount, at, lasting
from apps.exchange.freshness import Lateness, State
from apps.exchange.models import Candle, CandleWatermark, Ticker
from moonx.core.staff import ReadOnlyAdmin, column

STATES = {
    State.ON_TIME: "success",
    State.LATE: "warning",
    State.BEHIND: "danger",
    State.SET_BACK: "danger",
}


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
    """The rolling 24 hours of each market, and how late they are."""

    list_display = (
        *("market", "last_", "high_", "low_", "volume", "trade_count", "as_of", "overdue", "state"),
        "version",
    )
    list_select_related = ("market",)
    search_fields = ("market__symbol",)
    ordering = ("market__symbol",)

    last_, high_, low_ = (amount(name, ordering=name) for name in ("last", "high", "low"))
    volume = amount("base_volume", title="volume", ordering="base_volume")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ticker]:
        """Each row with the moment at which it was read."""
        rows: QuerySet[Ticker] = super().get_queryset(request).annotate(read_at=Now())
        return rows

    @column(description="overdue")
    def overdue(self, ticker: Ticker) -> str:
        return lasting(_of_ticker(ticker).overdue)

    @column(label=STATES)
    def state(self, ticker: Ticker) -> str:
        return _of_ticker(ticker).state


@admin.register(CandleWatermark)
class CandleWatermarkAdmin(ReadOnlyAdmin):
    """Up to when each interval's bars are closed, and how late they were."""

    list_display = ("interval", "due", "done", "late", "overdue", "state")
    ordering = ("closed_until",)

    due = at("closed_until", title="due", ordering="closed_until")
    done = at("closed_at", title="done", ordering="closed_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[CandleWatermark]:
        """Each row with the moment at which it was read."""
        rows: QuerySet[CandleWatermark] = super().get_queryset(request).annotate(read_at=Now())
        return rows

    @column(description="late by")
    def late(self, mark: CandleWatermark) -> str:
        return lasting(_of_interval(mark).late)

    @column(description="next one overdue by")
    def overdue(self, mark: CandleWatermark) -> str:
        return lasting(_of_interval(mark).overdue)

    @column(label=STATES)
    def state(self, mark: CandleWatermark) -> str:
        return _of_interval(mark).state


def _of_ticker(ticker: Ticker) -> Lateness:
    return freshness.of_ticker(ticker.as_of, now=_read_at(ticker))


def _of_interval(mark: CandleWatermark) -> Lateness:
    return freshness.of_interval(mark, now=_read_at(mark))


def _read_at(row: Any) -> datetime:
    moment: datetime = row.read_at
    return moment
