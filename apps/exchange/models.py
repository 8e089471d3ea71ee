"""Markets, their trades, and what is derived from trades: bars and tickers."""

from decimal import Decimal
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models

from moonx.core import money
from moonx.core.intervals import Interval

SYMBOL = RegexValidator(r"^[A-Z0-9]{1,20}$", "Use 1 to 20 capital letters and digits.")


def amount(**options: Any) -> "models.DecimalField[Decimal, Decimal]":
    """A price, quantity or amount: NUMERIC(78, 18), exact."""
    return models.DecimalField(max_digits=money.MAX_DIGITS, decimal_places=money.SCALE, **options)


def optional_amount() -> "models.DecimalField[Decimal | None, Decimal | None]":
    """As `amount`, null where there is none."""
    return models.DecimalField(
        max_digits=money.MAX_DIGITS, decimal_places=money.SCALE, null=True, blank=True
    )


class MarketStatus(models.TextChoices):
    """What a market accepts."""

    TRADING = "TRADING"
    POST_ONLY = "POST_ONLY"
    HALT = "HALT"
    BREAK = "BREAK"


class TradeSource(models.TextChoices):
    """Where a trade comes from."""

    MATCHED = "matched"
    IMPORTED = "imported"
    REPLAYED = "replayed"


class Asset(models.Model):
    """Something that is traded or paid with; `decimals` is the finest part of it."""

    symbol = models.TextField(unique=True, validators=[SYMBOL])
    name = models.TextField()
    decimals = models.PositiveSmallIntegerField(default=8)

    class Meta:
        ordering: ClassVar[list[str]] = ["symbol"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(decimals__lte=money.SCALE), name="asset_decimals_fit_the_ledger"
            )
        ]

    def __str__(self) -> str:
        return self.symbol


class Market(models.Model):
    """A pair: the price of one `base` in `quote`."""

    symbol = models.TextField(unique=True, validators=[SYMBOL])
    base = models.ForeignKey(Asset, models.PROTECT, related_name="+")
    quote = models.ForeignKey(Asset, models.PROTECT, related_name="+")
    status = models.TextField(choices=MarketStatus.choices, default=MarketStatus.TRADING)
    tick_size = amount()
    step_size = amount()
    min_notional = amount(default=0)
    label = models.TextField(blank=True, help_text="Shown beside the symbol, e.g. “recorded”.")
    recorded_until = models.DateTimeField(
        null=True, blank=True, help_text="End of the record; the ticker stands at this moment."
    )
    halted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["symbol"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(
                condition=models.Q(tick_size__gt=0, step_size__gt=0, min_notional__gte=0),
                name="market_increments_are_positive",
            ),
            models.CheckConstraint(
                condition=~models.Q(base=models.F("quote")), name="market_has_two_assets"
            ),
        ]

    def __str__(self) -> str:
        return self.symbol

    def clean(self) -> None:
        """Refuses increments whose product the quote asset cannot hold exactly."""
        if not (self.base_id and self.quote_id):
            return
        needed = money.decimals(self.tick_size) + money.decimals(self.step_size)
        if needed > self.quote.decimals:
            raise ValidationError(
                f"Price × quantity needs {needed} decimals, {self.quote.symbol} has "
                f"{self.quote.decimals}: use a larger tick or step."
            )

        self._refuse_coarser_increments()

    def _refuse_coarser_increments(self) -> None:
        """Prices and quantities that stand must stay on the grid."""
        stored = Market.objects.filter(pk=self.pk, trades__isnull=False).first()
        if stored is None:
            return
        faults = {
            name: f"Trades stand on {money.plain(getattr(stored, name))}: only finer steps fit."
            for name in ("tick_size", "step_size")
            if not money.on_grid(getattr(stored, name), step=getattr(self, name))
        }
        if faults:
            raise ValidationError(faults)

    @property
    def price_places(self) -> int:
        """Decimals of a price."""
        return money.decimals(self.tick_size)

    @property
    def quantity_places(self) -> int:
        """Decimals of a quantity."""
        return money.decimals(self.step_size)


class Trade(models.Model):
    """A trade, or an aggregate of fills of one order at one price (then `last_id` > `first_id`)."""

    market = models.ForeignKey(Market, models.PROTECT, related_name="trades", db_index=False)
    seq = models.BigIntegerField()
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    price = amount()
    quantity = amount()
    quote_quantity = amount()
    is_buyer_maker = models.BooleanField()
    executed_at = models.DateTimeField()
    source = models.TextField(choices=TradeSource.choices)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["market", "seq"], name="trade_seq_is_unique"),
            models.CheckConstraint(
                condition=models.Q(price__gt=0, quantity__gt=0, quote_quantity__gt=0),
                name="trade_amounts_are_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(last_id__gte=models.F("first_id")), name="trade_ids_are_ordered"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["market", "executed_at", "seq"], name="trade_by_time")
        ]

    def __str__(self) -> str:
        return f"{self.market_id}/{self.seq}"


class Candle(models.Model):
    """A bar with trades. Bars above 1m are stored once their interval has closed."""

    market = models.ForeignKey(Market, models.PROTECT, related_name="candles", db_index=False)
    interval = models.TextField(choices=[(i.value, i.value) for i in Interval])
    open_time = models.DateTimeField()
    open = amount()
    high = amount()
    low = amount()
    close = amount()
    base_volume = amount()
    quote_volume = amount()
    taker_base_volume = amount()
    taker_quote_volume = amount()
    trade_count = models.BigIntegerField()
    first_seq = models.BigIntegerField()
    last_seq = models.BigIntegerField()
    revision = models.IntegerField(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["market", "interval", "open_time"], name="candle_is_unique"
            )
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["interval", "open_time"], name="candle_by_time")
        ]

    def __str__(self) -> str:
        return f"{self.market_id} {self.interval} {self.open_time:%Y-%m-%d %H:%M}"


class CandleWatermark(models.Model):
    """Up to when the bars of an interval are closed: announced, and stored above 1m."""

    interval = models.TextField(primary_key=True)
    closed_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.interval} closed until {self.closed_until}"


class Ticker(models.Model):
    """The rolling 24 hours (close_time − 24 h, close_time] of a market.

    Prices are null where the market never traded. `version` rises when a public field changes.
    """

    market = models.OneToOneField(Market, models.PROTECT, primary_key=True, related_name="ticker")
    open_time = models.DateTimeField()
    close_time = models.DateTimeField()
    open = optional_amount()
    high = optional_amount()
    low = optional_amount()
    last = optional_amount()
    last_quantity = optional_amount()
    previous_close = optional_amount()
    base_volume = amount(default=0)
    quote_volume = amount(default=0)
    trade_count = models.BigIntegerField(default=0)
    first_id = models.BigIntegerField(null=True)
    last_id = models.BigIntegerField(null=True)
    version = models.BigIntegerField(default=0)
    as_of = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.market)
