"""Trades: the one way a live trade enters, and history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from apps.exchange import bars, candles, watch
from apps.exchange.bars import Tick
from apps.exchange.models import Market, TradeSource
from moonx.core import locks, money, outbox
from moonx.core.events import TradeExecuted
from moonx.core.locks import Lock


class TradeRefused(ValueError):
    """A trade off the market's grid or without amount; none of its batch was stored. Permanent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrade:
    """A trade that happens now. `count` fills of one order at one price make one trade."""

    price: Decimal
    quantity: Decimal
    is_buyer_maker: bool
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """A stored trade."""

    seq: int
    first_id: int
    last_id: int
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    is_buyer_maker: bool
    executed_at: datetime

    def tick(self) -> Tick:
        """The trade as bars see it."""
        return Tick(
            seq=self.seq,
            time=self.executed_at,
            price=self.price,
            quantity=self.quantity,
            quote_quantity=self.quote_quantity,
            is_buyer_maker=self.is_buyer_maker,
            count=self.last_id - self.first_id + 1,
        )


INSERT = """
INSERT INTO exchange_trade (market_id, seq, first_id, last_id, price, quantity, quote_quantity,
  is_buyer_maker, executed_at, source)
SELECT %s, u.*, %s FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::numeric[],
  %s::numeric[], %s::numeric[], %s::bool[], %s::timestamptz[]) AS u
"""

# The clock is read after the locks were taken, so no trade is older than one that stands.
TAIL = """
SELECT clock_timestamp(), t.seq, t.last_id, t.executed_at
FROM (SELECT 1) one LEFT JOIN LATERAL (
  SELECT seq, last_id, executed_at FROM exchange_trade WHERE market_id = %s
  ORDER BY seq DESC LIMIT 1) t ON true
"""


def record(market: Market, new: Sequence[NewTrade], *, source: TradeSource) -> list[Executed]:
    """Executes trades now: rows, 1m bars and events in one transaction, in the given order.

    The time is the database's, never before the market's last trade. After commit the bars in
    progress are pushed. Raises TradeRefused (permanent) or locks.LockBusy (transient).
    """
    _check(market, new)
    with transaction.atomic():
        hold_market(market)
        executed = _number(market, new)
        insert(market, executed, source=source)
        candles.merge_minutes(market, bars.of_ticks(trade.tick() for trade in executed))
        outbox.emit_all(_fact(market, trade, source) for trade in executed)
        # Robust: the trades stand, whatever becomes of the push; the next ticker run repeats it.
        transaction.on_commit(lambda: watch.push_bars([market]), robust=True)
    return executed


def hold_market(market: Market) -> None:
    """Holds the market against other trades, and keeps its bars from closing meanwhile."""
    locks.hold(Lock.MARKET, market.pk)
    locks.hold(Lock.CANDLE_FOLD, shared=True)


def insert(market: Market, executed: Sequence[Executed], *, source: TradeSource) -> None:
    """Stores trades in one statement."""
    columns = [
        [getattr(trade, name) for trade in executed]
        for name in (
            "seq",
            "first_id",
            "last_id",
            "price",
            "quantity",
            "quote_quantity",
            "is_buyer_maker",
            "executed_at",
        )
    ]
    with connection.cursor() as cursor:
        # "SELECT %s, u.*, %s": the market and the source frame the unnested columns.
        cursor.execute(INSERT, [market.pk, source.value, *columns])


def _check(market: Market, new: Sequence[NewTrade]) -> None:
    for trade in new:
        if trade.price <= 0 or trade.quantity <= 0 or trade.count < 1:
            raise TradeRefused(f"{market}: price, quantity and count must be above zero")
        if not money.on_grid(trade.price, step=market.tick_size):
            raise TradeRefused(f"{market}: price {trade.price} is off the tick {market.tick_size}")
        if not money.on_grid(trade.quantity, step=market.step_size):
            raise TradeRefused(
                f"{market}: quantity {trade.quantity} is off the step {market.step_size}"
            )


def _number(market: Market, new: Sequence[NewTrade]) -> list[Executed]:
    with connection.cursor() as cursor:
        cursor.execute(TAIL, [market.pk])
        now, seq, last_id, last_time = cursor.fetchone()
    executed_at = max(now, last_time) if last_time else now
    seq, last_id = seq or 0, last_id or 0
    executed = []
    for trade in new:
        seq, first_id, last_id = seq + 1, last_id + 1, last_id + trade.count
        executed.append(
            Executed(
                seq=seq,
                first_id=first_id,
                last_id=last_id,
                price=trade.price,
                quantity=trade.quantity,
                quote_quantity=money.product(trade.price, trade.quantity),
                is_buyer_maker=trade.is_buyer_maker,
                executed_at=executed_at,
            )
        )
    return executed


def _fact(market: Market, trade: Executed, source: TradeSource) -> TradeExecuted:
    return TradeExecuted(symbol=market.symbol, **described(market, trade), source=source.value)


def described(market: Market, trade: Executed) -> dict[str, Any]:
    """The trade's public fields, amounts in the market's digits."""
    places = market.price_places + market.quantity_places
    return {
        "id": trade.seq,
        "first_id": trade.first_id,
        "last_id": trade.last_id,
        "price": money.plain(trade.price, places=market.price_places),
        "quantity": money.plain(trade.quantity, places=market.quantity_places),
        "quote_quantity": money.plain(trade.quote_quantity, places=places),
        "is_buyer_maker": trade.is_buyer_maker,
        "time": trade.executed_at,
    }
