"""Trades that were taken back or corrected: what stood before, why, and on whose word."""

from typing import ClassVar

from django.db import models

from apps.exchange.models.data import TradeSource
from apps.exchange.models.fields import amount, optional_amount
from apps.exchange.models.markets import Market


class AmendmentKind(models.TextChoices):
    """What was done to a trade."""

    BUST = "bust"
    CORRECTION = "correction"


class Amendment(models.Model):
    """One change of a trade that stood, written once, for ever.

    It keeps the trade as it was before; the first one of a trade, how it was executed. After a bust
    there is no trade any more; after a correction its row has what begins with `new_`, and the
    sides of a matched trade have paid `taker_fee` and `maker_fee`.
    """

    market = models.ForeignKey(Market, models.PROTECT, db_index=False, related_name="amendments")
    seq = models.BigIntegerField()
    epoch = models.IntegerField(help_text="1 for the first change of a trade, and so on.")
    kind = models.TextField(choices=AmendmentKind.choices)
    first_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    price = amount()
    quantity = amount()
    quote_quantity = amount()
    is_buyer_maker = models.BooleanField()
    executed_at = models.DateTimeField()
    source = models.TextField(choices=TradeSource.choices)
    new_price = optional_amount()
    new_quantity = optional_amount()
    new_quote_quantity = optional_amount()
    taker_fee = optional_amount()
    maker_fee = optional_amount()
    reason = models.TextField()
    by = models.TextField(help_text="Who asked for it.")
    correlation_id = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["market", "seq", "epoch"], name="trade_is_amended_once_an_epoch"
            ),
            models.CheckConstraint(
                condition=models.Q(kind=AmendmentKind.BUST, new_price=None, new_quantity=None)
                | models.Q(kind=AmendmentKind.CORRECTION, new_price__gt=0, new_quantity__gt=0),
                name="amendment_says_what_stands",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of trade {self.seq}"
