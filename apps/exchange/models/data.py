"""Trades, and what is derived from them: bars and tickers."""

from typing import ClassVar

from django.db import models

from apps.exchange.models.fields import amount, optional_amount
from apps.exchange.models.markets import Market
from moonx.core.intervals import Interval


class TradeSource(models.TextChoices):
    """Where a trade comes from."""

    MATCHED = "matched"
    IMPORTED = "imported"
    REPLAYED = "replayed"


class Trade(models.Model):
    """A trade, or an aggregate of fills of one order at one price (then `last_id` > `first_id`)."""

    # Written by statements that hold the market's lock; a look-up per row would cost more.
    market = models.ForeignKey(
        Market, models.PROTECT, related_name="trades", db_constraint=False, db_index=False
    )
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
            models.Index(fields=["market", "executed_at", "seq"], name="trade_by_time"),
            models.Index(fields=["executed_at"], name="trade_by_moment"),  # all markets at once
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


class EmptiedCandle(models.Model):
    """A closed bar that lost its last trade and is flat since; its revisions count on from here."""

    pk = models.CompositePrimaryKey("market_id", "interval", "open_time")
    market = models.ForeignKey(Market, models.PROTECT, db_index=False, related_name="+")
    interval = models.TextField()
    open_time = models.DateTimeField()
    revision = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.market_id} {self.interval} {self.open_time:%Y-%m-%d %H:%M}"


class CandleDigest(models.Model):
    """What a closed 1m bar was made of: SHA-256 over its trades' numbers, prices and quantities."""

    pk = models.CompositePrimaryKey("market_id", "open_time")
    # Written with the bars' closing, which has looked their markets up.
    market = models.ForeignKey(
        Market, models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    open_time = models.DateTimeField()
    digest = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.market_id} {self.open_time:%Y-%m-%d %H:%M}"


class CandleWatermark(models.Model):
    """Up to when the bars of an interval are closed: announced, and stored above 1m.

    `closed_at` says when they last were; null where nothing was closed yet.
    """

    interval = models.TextField(primary_key=True)
    closed_until = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

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
