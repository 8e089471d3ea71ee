"""What the product does, one function each, with arguments that JSON carries: for children."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.exchange import amending, candles, matching, orders
from apps.exchange import tasks as product_tasks
from apps.exchange.amending import Request, Values
from apps.exchange.models import OrderType, SelfTrade, Side, TimeInForce
from apps.exchange.orders import NewOrder
from chaos.floor import market_of

KINDS: Mapping[str, Any] = {
    "side": Side,
    "type": OrderType,
    "time_in_force": TimeInForce,
    "self_trade": SelfTrade,
    "price": Decimal,
    "stop_price": Decimal,
    "quantity": Decimal,
    "quote_order_quantity": Decimal,
    "expires_at": datetime.fromisoformat,
    "client_order_id": str,
}


def place(symbol: str, owner: int, fields: dict[str, str]) -> int:
    """Places an order."""
    new = NewOrder(**{name: KINDS[name](value) for name, value in fields.items()})
    return orders.place(market_of(symbol), owner, new).pk


def match(symbol: str) -> int:
    """Matches what has arrived."""
    return matching.match(market_of(symbol))


def cancel(symbol: str, owner: int, client_order_id: str) -> None:
    """Cancels one order."""
    orders.cancel(market_of(symbol), owner, client_order_id=client_order_id)


def cancel_all(symbol: str, owner: int) -> None:
    """Cancels all orders of an owner in a market."""
    orders.cancel_all(market_of(symbol), owner)


def bust(symbol: str, seq: int) -> None:
    """Takes a trade back."""
    amending.bust(market_of(symbol), seq, Request(reason="chaos", by="chaos"))


def correct(symbol: str, seq: int, price: str, quantity: str) -> None:
    """Gives a trade another price."""
    values = Values(price=Decimal(price), quantity=Decimal(quantity))
    amending.correct(market_of(symbol), seq, values, Request(reason="chaos", by="chaos"))


def backfill(symbol: str, start: str, end: str) -> None:
    """Makes bars anew."""
    begin, stop = datetime.fromisoformat(start), datetime.fromisoformat(end)
    candles.backfill(market_of(symbol), start=begin, end=stop)


def close() -> None:
    """The task that beat starts every minute, which also closes what longer intervals missed."""
    product_tasks.close_candles_1m()


def expire() -> None:
    """The task that beat starts every 10 seconds."""
    product_tasks.expire_orders()


def sweep() -> None:
    """The task that beat starts every second."""
    product_tasks.sweep_matching()
