"""The facts of the ORM exchange, built from its rows."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.db.models import Func, Value
from django.utils import timezone

from apps.exchange.models import Account, Fill, Market, Order, OrderStatus, Trade
from moonx.core import money
from moonx.core.events import (
    BalanceCredited,
    BalanceDebited,
    BalanceFact,
    BalanceLocked,
    BalanceUnlocked,
    Event,
    OrderAccepted,
    OrderExpired,
    OrderFact,
    OrderFilled,
    OrderPartiallyFilled,
    OrderRejected,
    OwnTradeExecuted,
    TradeExecuted,
)
from moonx.core.models import OutboxEvent

NEXT_ID = Func(Value("core_event_id_seq"), function="nextval")

ENDINGS: dict[str, type[OrderFact]] = {
    OrderStatus.FILLED: OrderFilled,
    OrderStatus.PARTIALLY_FILLED: OrderPartiallyFilled,
    OrderStatus.EXPIRED: OrderExpired,
    OrderStatus.EXPIRED_IN_MATCH: OrderExpired,
    OrderStatus.REJECTED: OrderRejected,
}
AS_ACCEPTED = {
    "status": OrderStatus.NEW,
    "filled_quantity": Decimal(0),
    "prevented_quantity": Decimal(0),
    "filled_quote": Decimal(0),
    "fee": Decimal(0),
    "reason": "",
}
SAME = (
    *("client_order_id", "side", "type", "time_in_force", "status", "price", "stop_price"),
    *("quantity", "quote_order_quantity", "filled_quantity", "prevented_quantity", "filled_quote"),
    *("fee", "self_trade", "expires_at", "reason", "created_at", "updated_at"),
)


def order_fact(kind: type[OrderFact], order: Order, market: Market, **other: Any) -> OrderFact:
    """The order as it stands, apart from `other`."""
    fields = {name: getattr(order, name) for name in SAME} | other
    return kind(
        user_id=order.owner_id,
        order_id=order.pk,
        symbol=market.symbol,
        base_asset=market.base.symbol,
        quote_asset=market.quote.symbol,
        fee_asset=market.quote.symbol,
        **fields,
    )


def row(fact: Event, order: Order, *, others: Mapping[int, Order]) -> OutboxEvent:
    """The fact as a row of the outbox, under the correlation id of the order it is about.

    What is about none of `others` is about the order that was taken.
    """
    about = others.get(getattr(fact, "order_id", None) or 0, order)
    return OutboxEvent(
        id=NEXT_ID,
        name=fact.name,
        key=fact.key,
        topics=fact.topics,
        payload=fact.payload(),
        correlation_id=about.correlation_id,
        created_at=timezone.now(),
    )


def accepted(order: Order, market: Market) -> Iterator[Event]:
    """That the market took the order, if it did."""
    if order.status != OrderStatus.REJECTED:
        yield order_fact(OrderAccepted, order, market, **AS_ACCEPTED)


def endings(orders: Iterable[Order], market: Market) -> list[Event]:
    """What became of the orders that are not as new."""
    return [
        order_fact(ENDINGS[order.status], order, market)
        for order in orders
        if order.status != OrderStatus.NEW
    ]


def locked(order: Order, account: Account, market: Market) -> BalanceFact:
    """That an order holds a part of an account."""
    return balance_fact(BalanceLocked, account, order.hold, market, order=order)


def expired(order: Order, account: Account, freed: Decimal, market: Market) -> Iterator[Event]:
    """That an order's time is over, and what is free now."""
    yield order_fact(OrderExpired, order, market)
    yield unlocked(order, account, freed, market)


def unlocked(order: Order, account: Account, freed: Decimal, market: Market) -> BalanceFact:
    """That an order holds so much less, and why."""
    return balance_fact(BalanceUnlocked, account, freed, market, order=order, reason=order.reason)


def trade(row: Trade, market: Market) -> TradeExecuted:
    """The public trade, in the market's digits."""
    prices, quantities = market.price_places, market.quantity_places
    return TradeExecuted(
        symbol=market.symbol,
        id=row.seq,
        first_id=row.first_id,
        last_id=row.last_id,
        price=money.plain(row.price, places=prices),
        quantity=money.plain(row.quantity, places=quantities),
        quote_quantity=money.plain(row.quote_quantity, places=prices + quantities),
        is_buyer_maker=row.is_buyer_maker,
        source=row.source,
        time=row.executed_at,
    )


def own_trade(fill: Fill, market: Market) -> OwnTradeExecuted:
    """One side of a trade, for its owner."""
    return OwnTradeExecuted(
        user_id=fill.owner_id,
        symbol=market.symbol,
        base_asset=market.base.symbol,
        quote_asset=market.quote.symbol,
        trade_id=fill.seq,
        order_id=fill.order_id,
        side=fill.side,
        is_maker=fill.is_maker,
        price=fill.price,
        quantity=fill.quantity,
        quote_quantity=fill.quote_quantity,
        fee=fill.fee,
        fee_asset=market.quote.symbol,
        time=fill.executed_at,
    )


def balances(account: Account, balance: Decimal, market: Market) -> Iterator[BalanceFact]:
    """What a transaction did to an account: credited or debited."""
    if balance > 0:
        yield balance_fact(BalanceCredited, account, balance, market)
    elif balance < 0:
        yield balance_fact(BalanceDebited, account, balance.copy_negate(), market)


def balance_fact(
    kind: type[BalanceFact],
    account: Account,
    amount: Decimal,
    market: Market,
    *,
    order: Order | None = None,
    reason: str = "",
) -> BalanceFact:
    """A change of an account, and what it has afterwards."""
    assert account.balance is not None
    assert account.owner_id is not None
    asset = market.base if account.asset_id == market.base_id else market.quote
    return kind(
        user_id=account.owner_id,
        asset=asset.symbol,
        amount=amount,
        balance=account.balance,
        held=account.held,
        available=account.balance - account.held,
        order_id=order.pk if order else None,
        reason=reason,
        time=timezone.now(),
    )
