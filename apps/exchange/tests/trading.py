"""Traders with money, and orders with valid defaults; a test states only what matters to it."""

import itertools
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User

from apps.exchange import ledger, orders
from apps.exchange.models import Account, Asset, Market, Order, OrderType, Side, TimeInForce
from apps.exchange.orders import NewOrder
from moonx.core import clock
from moonx.core.models import OutboxEvent

_numbers = itertools.count(1)

USDC, ETH = "USDC", "ETH"


def asset(symbol: str, *, decimals: int) -> Asset:
    found, _ = Asset.objects.get_or_create(
        symbol=symbol, defaults={"name": symbol.title(), "decimals": decimals}
    )
    return found


def market(symbol: str = "ETHUSDC", **changes: Any) -> Market:
    """A market of ETH (18 decimals) in USDC (6), tick 0.01, step 0.0001."""
    values: dict[str, Any] = {
        "base": asset(symbol[:-4], decimals=18),
        "quote": asset(symbol[-4:], decimals=6),
        "tick_size": Decimal("0.01"),
        "step_size": Decimal("0.0001"),
    }
    return Market.objects.create(symbol=symbol, **{**values, **changes})


def trader(**funds: str) -> int:
    """A user who has that much of each asset: trader(USDC="1000")."""
    number = next(_numbers)
    user = User.objects.create(username=f"trader-{number}")
    for symbol, amount in funds.items():
        found = Asset.objects.get(symbol=symbol)
        ledger.fund(user.pk, found, Decimal(amount), source=f"test:{user.pk}:{symbol}")
    return user.pk


def rich() -> int:
    """A user who can pay for anything a test does."""
    return trader(USDC="1000000", ETH="1000")


def new(side: str, price: str | None, quantity: str | None, **changes: Any) -> NewOrder:
    """A limit order, or a market order where there is no price."""
    kind = OrderType.LIMIT if price is not None else OrderType.MARKET
    values: dict[str, Any] = {
        "side": Side(side.upper()),
        "type": kind,
        "price": None if price is None else Decimal(price),
        "quantity": None if quantity is None else Decimal(quantity),
    }
    return NewOrder(**{**values, **changes})


def buy(where: Market, owner: int, price: str | None, quantity: str | None, **more: Any) -> Order:
    return orders.place(where, owner, new("buy", price, quantity, **more))


def sell(where: Market, owner: int, price: str | None, quantity: str | None, **more: Any) -> Order:
    return orders.place(where, owner, new("sell", price, quantity, **more))


def funds(owner: int, symbol: str) -> tuple[Decimal, Decimal]:
    """What the owner has of an asset, and how much of it is held."""
    row = Account.objects.filter(owner_id=owner, asset__symbol=symbol).first()
    return (row.balance or Decimal(0), row.held) if row else (Decimal(0), Decimal(0))


def events(*names: str) -> list[dict[str, Any]]:
    """What waits to be published under these names, oldest first."""
    rows = OutboxEvent.objects.order_by("id")
    return [row.payload for row in rows if row.name in names]


def names() -> list[str]:
    """The names of all that waits to be published, oldest first."""
    return list(OutboxEvent.objects.order_by("id").values_list("name", flat=True))


def gtd(**ahead: float) -> dict[str, Any]:
    """What makes an order end so far ahead: gtd(hours=1)."""
    moment = clock.db_now() + timedelta(**ahead)
    return {"time_in_force": TimeInForce.GTD, "expires_at": moment}


def expire(*gone: Order) -> None:
    """Lets their time be over."""
    past = clock.db_now() - timedelta(microseconds=1)
    Order.objects.filter(pk__in=[order.pk for order in gone]).update(expires_at=past)
