"""Orders, their fills, and how often a market's book has changed."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps.exchange.models.fields import amount, fee_bps, optional_amount
from apps.exchange.models.ledger import Account
from apps.exchange.models.markets import Market
from apps.exchange.vocabulary import (
    OrderStatus,
    OrderType,
    Reason,
    SelfTrade,
    Side,
    Stage,
    TimeInForce,
    choices,
)

OPEN_STATUSES = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)
# By stage, not by status: a maker that is partly filled changes no indexed column.
OPEN = ~models.Q(stage=Stage.DONE)


class Order(models.Model):
    """An order as it stands.

    `price` of a MARKET order is its collar; null where the book was empty. `quantity` of one by
    quote amount is what it has filled. `held` is what is left of `hold`, on the quote account of a
    buy and the base account of a sell. Of `filled_quote`, `taken_quote` was filled as taker.
    """

    market = models.ForeignKey(Market, models.PROTECT, db_index=False, related_name="orders")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, db_index=False, related_name="orders"
    )
    base_account = models.ForeignKey(Account, models.PROTECT, db_index=False, related_name="+")
    quote_account = models.ForeignKey(Account, models.PROTECT, db_index=False, related_name="+")
    client_order_id = models.TextField()
    side = models.TextField(choices=choices(Side))
    type = models.TextField(choices=choices(OrderType))
    time_in_force = models.TextField(choices=choices(TimeInForce))
    self_trade = models.TextField(choices=choices(SelfTrade))
    price = optional_amount()
    stop_price = optional_amount()
    quantity = amount()
    quote_order_quantity = optional_amount()
    filled_quantity = amount(default=0)
    prevented_quantity = amount(default=0)
    filled_quote = amount(default=0)
    taken_quote = amount(default=0)
    fee = amount(default=0)
    maker_fee_bps = fee_bps()
    taker_fee_bps = fee_bps()
    hold = amount()
    held = amount()
    status = models.TextField(choices=choices(OrderStatus), default=OrderStatus.NEW)
    stage = models.TextField(choices=choices(Stage), default=Stage.ARRIVED)
    reason = models.TextField(choices=choices(Reason), default=Reason.NONE, blank=True)
    priority = models.BigIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    correlation_id = models.TextField(blank=True)
    created_at = models.DateTimeField()
    working_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["owner", "market", "client_order_id"], name="client_order_id_is_used_once"
            ),
            models.CheckConstraint(
                condition=models.Q(held__gte=0, held__lte=models.F("hold")),
                name="order_holds_what_it_may",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    quantity__gte=models.F("filled_quantity") + models.F("prevented_quantity"),
                    filled_quantity__gte=0,
                    prevented_quantity__gte=0,
                ),
                name="order_fills_at_most_its_quantity",
            ),
            models.CheckConstraint(
                condition=models.Q(OPEN, status__in=OPEN_STATUSES)
                | ~models.Q(OPEN) & ~models.Q(status__in=OPEN_STATUSES) & models.Q(held=0),
                name="order_that_is_done_holds_nothing",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(
                fields=["market", "side", "price", "priority"],
                condition=models.Q(stage=Stage.BOOK),
                name="order_book",
            ),
            models.Index(
                fields=["market", "id"],
                condition=models.Q(stage=Stage.ARRIVED),
                name="order_arrived",
            ),
            models.Index(
                fields=["market", "stop_price"],
                condition=models.Q(stage=Stage.STOPPED),
                name="order_stopped",
            ),
            models.Index(
                fields=["expires_at", "market"],
                condition=models.Q(OPEN, expires_at__isnull=False),
                name="order_expiring",
            ),
            models.Index(fields=["owner", "market"], condition=OPEN, name="order_open"),
            models.Index(fields=["owner", "market", "id"], name="order_by_owner"),
        ]

    def __str__(self) -> str:
        return f"order {self.id}"


class Fill(models.Model):
    """One side of a trade: what it gave an order's owner, and its fee in the quote asset."""

    # Written by the statement that settles the trade; a look-up per row would cost more.
    market = models.ForeignKey(
        Market, models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    seq = models.BigIntegerField(help_text="The trade's number within its market.")
    order = models.ForeignKey(
        Order, models.PROTECT, db_constraint=False, db_index=False, related_name="fills"
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    side = models.TextField(choices=choices(Side))
    is_maker = models.BooleanField()
    price = amount()
    quantity = amount()
    quote_quantity = amount()
    fee = amount()
    executed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["order", "seq"], name="order_fills_a_trade_once"),
            models.CheckConstraint(
                condition=models.Q(price__gt=0, quantity__gt=0, quote_quantity__gt=0, fee__gte=0),
                name="fill_amounts_make_sense",
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["owner", "market", "seq"], name="fill_by_owner"),
            models.Index(fields=["market", "seq"], name="fill_by_trade"),
        ]

    def __str__(self) -> str:
        return f"fill of order {self.order_id}"


class BookVersion(models.Model):
    """How often a market's book has changed: the version of the state that is pushed."""

    market = models.OneToOneField(Market, models.PROTECT, primary_key=True, related_name="+")
    version = models.BigIntegerField()
    changed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.market_id} at {self.version}"
