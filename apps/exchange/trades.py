"""Trades: the one way a live trade enters, and history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction

from apps.exchange import bars, candles, watch
from apps.exchange.bars import Tick
from apps.exchange.models import Market, TradeSource
from moonx.core import locks, logs, money, outbox
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """Where a market's trades end; zeros and None where it never traded."""

    now: datetime
    seq: int
    last_id: int
    executed_at: datetime | None

    @property
    def moment(self) -> datetime:
        """When the next trade happens: now, but never before the last one."""
        return max(self.now, self.executed_at) if self.executed_at else self.now


INSERT = """
INSERT INTO exchange_trade (market_id, seq, first_id, last_id, price, quantity, quote_quantity,
  is_buyer_maker, executed_at, source)
SELECT %s, u.*, %s FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::numeric[],
  %s::numeric[], %s::numeric[], %s::bool[], %s::timestamptz[]) AS u
"""

# Amounts in the market's digits. A matched trade speaks under its taker's correlation id.
FACTS = """
SELECT t.seq AS n, %(symbol)s AS symbol, t.seq AS id, t.first_id, t.last_id,
  round(t.price, %(price_places)s)::text AS price,
  round(t.quantity, %(quantity_places)s)::text AS quantity,
  round(t.quote_quantity, %(price_places)s + %(quantity_places)s)::text AS quote_quantity,
  t.is_buyer_maker, t.source, t.executed_at AS time,
  coalesce(o.correlation_id, %(correlation)s) AS correlation_id
FROM exchange_trade t
LEFT JOIN exchange_fill f ON f.market_id = t.market_id AND f.seq = t.seq AND NOT f.is_maker
LEFT JOIN exchange_order o ON o.id = f.order_id
WHERE t.market_id = %(market)s AND t.seq > %(after)s
"""

# The clock is read after the locks were taken, so no trade is older than one that stands. Numbers
# go on behind a trade that was busted, too.
TAIL = """
SELECT clock_timestamp(), greatest(t.seq, a.seq), greatest(t.last_id, a.last_id),
  greatest(t.executed_at, a.executed_at)
FROM exchange_market m LEFT JOIN LATERAL (
  SELECT seq, last_id, executed_at FROM exchange_trade WHERE market_id = m.id
  ORDER BY seq DESC LIMIT 1) t ON true
LEFT JOIN LATERAL (
  SELECT seq, last_id, executed_at FROM exchange_amendment WHERE market_id = m.id
  ORDER BY seq DESC LIMIT 1) a ON true
WHERE m.id = %s
"""


def record(market: Market, new: Sequence[NewTrade], *, source: TradeSource) -> list[Executed]:
    """Executes trades now: rows, 1m bars and events in one transaction, in the given order.

    The time is the database's, never before the market's last trade. After commit the bars in
    progress are pushed. Raises TradeRefused (permanent) or locks.LockBusy (transient).
    """
    _check(market, new)
    if not new:
        return []
    with transaction.atomic():
        hold_market(market)
        executed = _number(market, new)
        insert(market, executed, source=source)
        candles.merge_minutes(market, bars.of_ticks(trade.tick() for trade in executed))
        tell_trades(market, after=executed[0].seq - 1)
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
    tail = tail_of(market)
    seq, last_id = tail.seq, tail.last_id
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
                executed_at=tail.moment,
            )
        )
    return executed


def tail_of(market: Market) -> Tail:
    """Where the market's trades end; the caller holds the market, or none may be newer."""
    with connection.cursor() as cursor:
        cursor.execute(TAIL, [market.pk])
        now, seq, last_id, executed_at = cursor.fetchone()
    return Tail(now=now, seq=seq or 0, last_id=last_id or 0, executed_at=executed_at)


def tell_trades(market: Market, *, after: int) -> None:
    """One fact for each of the market's trades beyond `after`; the caller holds the market."""
    values = {
        "market": market.pk,
        "symbol": market.symbol,
        "after": after,
        "price_places": market.price_places,
        "quantity_places": market.quantity_places,
        "correlation": logs.correlation_id.get(),
    }
    outbox.emit_rows(TradeExecuted, FACTS, values)
