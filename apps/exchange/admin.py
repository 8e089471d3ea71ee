"""Markets in the admin; what is derived from trades is shown and never edited."""

from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.exchange import freshness, markets
from apps.exchange.models import (
    Asset,
    Candle,
    CandleWatermark,
    Market,
    MarketStatus,
    Ticker,
    Trade,
)
from moonx.core import clock, money
from moonx.core.intervals import Interval
from moonx.core.staff import ReadOnlyAdmin, column

STATUS_COLOURS = {
    MarketStatus.TRADING: "success",
    MarketStatus.POST_ONLY: "info",
    MarketStatus.HALT: "danger",
    MarketStatus.BREAK: "warning",
}
ONE_LINE = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
INCREMENT_HELP = (
    "Price × quantity must be exact in the quote asset: the decimals of tick and step together may "
    "not exceed its decimals."
)


@admin.register(Asset)
class AssetAdmin(ModelAdmin):
    """What is traded and paid with."""

    formfield_overrides = ONE_LINE
    list_display = ("symbol", "name", "decimals")
    search_fields = ("symbol", "name")

    def get_readonly_fields(self, _request: HttpRequest, obj: Asset | None = None) -> Any:
        return ("symbol",) if obj else ()


class MarketForm(forms.ModelForm):  # type: ignore[type-arg]
    """A market's fields, amounts without trailing zeros."""

    AMOUNTS: ClassVar[tuple[str, ...]] = ("tick_size", "step_size", "min_notional")

    class Meta:
        model = Market
        fields = (
            "symbol",
            "base",
            "quote",
            "status",
            "label",
            "tick_size",
            "step_size",
            "min_notional",
            "recorded_until",
        )
        help_texts: ClassVar[dict[str, str]] = {
            "status": "TRADING accepts orders; HALT and BREAK keep the ticker of the last 24 hours "
            "before they began.",
            "tick_size": f"The smallest step of a price, such as 0.01. {INCREMENT_HELP}",
            "step_size": f"The smallest step of a quantity. {INCREMENT_HELP}",
            "min_notional": "The smallest price × quantity of an order, in the quote asset.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.AMOUNTS:
            if isinstance(self.initial.get(name), Decimal):
                self.initial[name] = money.plain(self.initial[name])


@admin.register(Market)
class MarketAdmin(ModelAdmin):
    """Pairs and their increments."""

    form = MarketForm
    formfield_overrides = ONE_LINE
    list_display = ("symbol", "state", "base", "quote", "last", "tick", "step", "label")
    list_filter = ("status",)
    list_select_related = ("base", "quote", "ticker")
    search_fields = ("symbol", "label")
    autocomplete_fields = ("base", "quote")
    fieldsets = (
        (None, {"fields": ("symbol", "base", "quote", "status", "label")}),
        ("Increments", {"fields": ("tick_size", "step_size", "min_notional")}),
        ("Record", {"fields": ("recorded_until",)}),
    )

    def get_readonly_fields(self, _request: HttpRequest, obj: Market | None = None) -> Any:
        return ("symbol", "base", "quote") if obj else ()

    def save_model(self, _request: HttpRequest, obj: Market, _form: Any, _change: bool) -> None:
        markets.save(obj, now=clock.db_now())

    @column(description="status", ordering="status", label=STATUS_COLOURS)
    def state(self, market: Market) -> str:
        return market.status

    @column(description="last price", ordering="ticker__last")
    def last(self, market: Market) -> str:
        ticker = getattr(market, "ticker", None)
        return _plain(ticker.last if ticker else None)

    @column(description="tick")
    def tick(self, market: Market) -> str:
        return money.plain(market.tick_size)

    @column(description="step")
    def step(self, market: Market) -> str:
        return money.plain(market.step_size)


@admin.register(Trade)
class TradeAdmin(ReadOnlyAdmin):
    """Trades, newest first."""

    list_display = ("seq", "market", "side", "price_", "quantity_", "executed_at", "source")
    list_filter = ("market", "source", ("executed_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("market",)
    search_fields = ("=seq",)
    search_help_text = "A trade's number within its market."
    ordering = ("-id",)

    @column(label={"buy": "success", "sell": "danger"})
    def side(self, trade: Trade) -> str:
        """The taker's side."""
        return "sell" if trade.is_buyer_maker else "buy"

    @column(description="price")
    def price_(self, trade: Trade) -> str:
        return money.plain(trade.price)

    @column(description="quantity")
    def quantity_(self, trade: Trade) -> str:
        return money.plain(trade.quantity)


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

    @column(description="open")
    def open_(self, candle: Candle) -> str:
        return money.plain(candle.open)

    @column(description="high")
    def high_(self, candle: Candle) -> str:
        return money.plain(candle.high)

    @column(description="low")
    def low_(self, candle: Candle) -> str:
        return money.plain(candle.low)

    @column(description="close")
    def close_(self, candle: Candle) -> str:
        return money.plain(candle.close)

    @column(description="volume")
    def volume(self, candle: Candle) -> str:
        return money.plain(candle.base_volume)


@admin.register(Ticker)
class TickerAdmin(ReadOnlyAdmin):
    """The rolling 24 hours of each market."""

    list_display = ("market", "last_", "high_", "low_", "volume", "trade_count", "as_of", "version")
    list_select_related = ("market",)
    search_fields = ("market__symbol",)
    ordering = ("market__symbol",)

    @column(description="last", ordering="last")
    def last_(self, ticker: Ticker) -> str:
        return _plain(ticker.last)

    @column(description="high")
    def high_(self, ticker: Ticker) -> str:
        return _plain(ticker.high)

    @column(description="low")
    def low_(self, ticker: Ticker) -> str:
        return _plain(ticker.low)

    @column(description="volume", ordering="base_volume")
    def volume(self, ticker: Ticker) -> str:
        return money.plain(ticker.base_volume)


@admin.register(CandleWatermark)
class CandleWatermarkAdmin(ReadOnlyAdmin):
    """Up to when each interval's bars are closed."""

    list_display = ("interval", "closed_until", "state")
    ordering = ("closed_until",)

    @column(label={"closed": "success", "behind": "danger"})
    def state(self, mark: CandleWatermark) -> str:
        late = freshness.unclosed(now=clock.db_now())
        return "behind" if Interval(mark.interval) in late else "closed"


def _plain(value: Decimal | None) -> str:
    return "—" if value is None else money.plain(value)
