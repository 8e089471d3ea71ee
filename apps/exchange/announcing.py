"""What orders and accounts tell: facts made from rows, many at a time, in the rows' transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.exchange.models import Amendment, Fill, Market, Reason
from moonx.core import logs, money, outbox
from moonx.core.arrays import numbers
from moonx.core.events import (
    BalanceFact,
    OrderAccepted,
    OrderFact,
    OwnTradeBusted,
    OwnTradeExecuted,
    TradeBusted,
)

# An order speaks under the correlation id that it came with, whoever matches or ends it.
ORDERS = """
SELECT u.n, o.owner_id AS user_id, o.id AS order_id, o.client_order_id, m.symbol, o.side, o.type,
  o.time_in_force, {state}, o.price, o.stop_price, o.quantity, o.quote_order_quantity,
  b.symbol AS base_asset, q.symbol AS quote_asset, q.symbol AS fee_asset, o.self_trade,
  o.expires_at, o.created_at, o.updated_at, o.correlation_id
FROM unnest(%(ids)s::bigint[]) WITH ORDINALITY AS u(id, n)
JOIN exchange_order o ON o.id = u.id
JOIN exchange_market m ON m.id = o.market_id
JOIN exchange_asset b ON b.id = m.base_id
JOIN exchange_asset q ON q.id = m.quote_id
"""
AS_IT_STANDS = "o.status, o.filled_quantity, o.prevented_quantity, o.filled_quote, o.fee, o.reason"
# Accepted is told as it was then, although its fills are told by the same transaction.
AS_ACCEPTED = (
    "'NEW' AS status, 0::numeric AS filled_quantity, 0::numeric AS prevented_quantity, "
    "0::numeric AS filled_quote, 0::numeric AS fee, '' AS reason"
)

BALANCES = """
SELECT u.n, a.owner_id AS user_id, s.symbol AS asset, u.amount, a.balance, a.held,
  a.balance - a.held AS available, u.order_id,
  coalesce(nullif(%(reason)s, ''), o.reason, '') AS reason,
  clock_timestamp() AS time, coalesce(o.correlation_id, %(correlation)s) AS correlation_id
FROM unnest(%(accounts)s::bigint[], %(amounts)s::numeric[], %(orders)s::bigint[])
  WITH ORDINALITY AS u(account, amount, order_id, n)
JOIN exchange_account a ON a.id = u.account
JOIN exchange_asset s ON s.id = a.asset_id
LEFT JOIN exchange_order o ON o.id = u.order_id
"""

FILLS = """
SELECT f.id AS n, f.owner_id AS user_id, m.symbol, b.symbol AS base_asset, q.symbol AS quote_asset,
  f.seq AS trade_id, f.order_id, f.side, f.is_maker, f.price, f.quantity, f.quote_quantity, f.fee,
  q.symbol AS fee_asset, f.executed_at AS time, o.correlation_id
FROM exchange_fill f
JOIN exchange_order o ON o.id = f.order_id
JOIN exchange_market m ON m.id = f.market_id
JOIN exchange_asset b ON b.id = m.base_id
JOIN exchange_asset q ON q.id = m.quote_id
WHERE f.market_id = %(market)s AND f.seq > %(after)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What changed on a user's account, and for which order, if for one."""

    account: int
    amount: Decimal
    order: int | None = None


def tell_orders(event: type[OrderFact], ids: Sequence[int]) -> None:
    """One fact an order, in the given order; the caller holds the lock of their market."""
    if ids:
        state = AS_ACCEPTED if event is OrderAccepted else AS_IT_STANDS
        outbox.emit_rows(event, ORDERS.format(state=state), {"ids": numbers(ids)})


def tell_fills(market: Market, *, after: int) -> None:
    """One fact for each side of the market's trades beyond `after`, for its owner alone."""
    outbox.emit_rows(OwnTradeExecuted, FILLS, {"market": market.pk, "after": after})


def tell_amendment(market: Market, amendment: Amendment) -> None:
    """One fact for all: the trade as it was, and what it is now; the caller holds the market."""
    price, quantity = market.price_places, market.quantity_places
    quote = price + quantity
    outbox.emit(
        TradeBusted(
            symbol=market.symbol,
            id=amendment.seq,
            first_id=amendment.first_id,
            last_id=amendment.last_id,
            price=money.plain(amendment.price, places=price),
            quantity=money.plain(amendment.quantity, places=quantity),
            quote_quantity=money.plain(amendment.quote_quantity, places=quote),
            is_buyer_maker=amendment.is_buyer_maker,
            source=amendment.source,
            time=amendment.executed_at,
            busted_at=amendment.created_at,
            new_price=money.shown(amendment.new_price, places=price),
            new_quantity=money.shown(amendment.new_quantity, places=quantity),
            new_quote_quantity=money.shown(amendment.new_quote_quantity, places=quote),
        )
    )


def tell_owners(market: Market, amendment: Amendment, fills: Iterable[Fill]) -> None:
    """One fact for each side of an amended trade, for its owner alone; `fills` as they stood."""
    outbox.emit_all(
        OwnTradeBusted(
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
            busted_at=amendment.created_at,
            new_price=amendment.new_price,
            new_quote_quantity=amendment.new_quote_quantity,
            new_fee=amendment.maker_fee if fill.is_maker else amendment.taker_fee,
        )
        for fill in fills
    )


def tell_balances(
    event: type[BalanceFact], moves: Iterable[Move], *, reason: Reason | str = ""
) -> None:
    """One fact a move, with what the account has afterwards; the caller holds the accounts."""
    rows = list(moves)
    if rows:
        values = {
            "accounts": numbers(move.account for move in rows),
            "amounts": numbers(move.amount for move in rows),
            "orders": [move.order for move in rows],
            "reason": str(reason),
            "correlation": logs.correlation_id.get(),
        }
        outbox.emit_rows(event, BALANCES, values)
