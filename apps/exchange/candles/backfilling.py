"""Bars made anew from their trades over any span, for what an audit found or a crash left."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from apps.exchange.candles import writing
from apps.exchange.candles.digests import DIGEST
from apps.exchange.models import Market
from moonx.core import locks
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

# Of a market's trades, while it is held.
STEP, STEP_TRADES = timedelta(hours=1), 10_000
MINUTE = timedelta(minutes=1)

# The next moment at which there is something to look at.
NEXT = """
SELECT min(at) FROM (
  (SELECT executed_at AS at FROM exchange_trade
   WHERE market_id = %(market)s AND executed_at >= %(start)s ORDER BY executed_at, seq LIMIT 1)
  UNION ALL
  (SELECT min(c.open_time) FROM unnest(%(intervals)s::text[]) AS i(interval)
   CROSS JOIN LATERAL (
     SELECT open_time FROM exchange_candle c WHERE c.market_id = %(market)s
        AND c.interval = i.interval AND c.open_time >= %(start)s ORDER BY open_time LIMIT 1) c)
) n
"""
# Every minute with trades or a digest, and the start of every bar that is stored.
STARTS = """
SELECT date_bin('1 minute', executed_at, 'epoch') FROM exchange_trade
WHERE market_id = %(market)s AND executed_at >= %(start)s AND executed_at < %(end)s
UNION
SELECT open_time FROM exchange_candle
WHERE market_id = %(market)s AND interval = ANY(%(intervals)s) AND open_time >= %(start)s
  AND open_time < %(end)s
UNION
SELECT open_time FROM exchange_candledigest
WHERE market_id = %(market)s AND open_time >= %(start)s AND open_time < %(end)s
ORDER BY 1
"""
END_OF_STEP = """
SELECT (SELECT executed_at FROM exchange_trade
  WHERE market_id = %(market)s AND executed_at >= %(start)s AND executed_at < %(end)s
  ORDER BY executed_at, seq OFFSET %(trades)s LIMIT 1)
"""
# Minutes whose trades are no longer those that they closed with.
CHANGED = f"""
SELECT d.open_time FROM exchange_candledigest d CROSS JOIN LATERAL (
  SELECT {DIGEST} AS digest FROM exchange_trade t WHERE t.market_id = d.market_id
    AND t.executed_at >= d.open_time AND t.executed_at < d.open_time + interval '1 minute'
) x
WHERE d.market_id = %(market)s AND d.open_time >= %(start)s AND d.open_time < %(end)s
  AND d.digest IS DISTINCT FROM x.digest
"""  # noqa: S608 - constants only

OnStep = Callable[[datetime], None]


@dataclass(slots=True)
class Backfilled:
    """What became of a span: minutes looked at, bars made, replaced or removed by interval, and
    minutes left alone because their trades are not those that they closed with."""

    minutes: int = 0
    changed: dict[Interval, int] = field(default_factory=dict)
    left: list[datetime] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many bars changed."""
        return sum(self.changed.values())

    def add(self, refolded: writing.Refolded) -> None:
        """Counts what a refold changed."""
        for interval in Interval:
            if count := refolded.count(interval):
                self.changed[interval] = self.changed.get(interval, 0) + count


def backfill(
    market: Market,
    *,
    start: datetime,
    end: datetime,
    accepts_trades: bool = False,
    dry_run: bool = False,
    on_step: OnStep = lambda _: None,
) -> Backfilled:
    """Makes a market's bars of [start, end) anew from its trades, and the bars above them.

    In steps that are whole by themselves, the smallest interval first in each: a run that was ended
    is finished by the next one. Subscribers hear of closed bars that change. A minute whose trades
    differ from its digest stays as it is unless `accepts_trades`. Raises LockBusy.
    """
    done = Backfilled()
    moment = _next(market, Interval.M1.floor(start))
    while moment is not None and moment < end:
        begin = Interval.M1.floor(moment)
        stop = _end_of_step(market, begin, min(begin + STEP, Interval.M1.ceil(end)))
        with transaction.atomic():
            _step(market, begin, stop, done, accepts_trades=accepts_trades)
            if dry_run:
                transaction.set_rollback(True)
        on_step(stop)
        moment = _next(market, stop)
    return done


def _step(
    market: Market, start: datetime, end: datetime, done: Backfilled, *, accepts_trades: bool
) -> None:
    locks.hold(Lock.MARKET, market.pk)
    locks.hold(Lock.CANDLE_FOLD, shared=True)
    span: dict[str, Any] = {"market": market.pk, "start": start, "end": end}
    starts = _moments(STARTS, {**span, "intervals": list(Interval)})
    left = [] if accepts_trades else _moments(CHANGED, span)
    wanted = sorted(set(starts) - set(left))
    done.add(writing.refold_minutes(market, wanted))
    done.minutes += len(wanted)
    done.left += left


def _end_of_step(market: Market, start: datetime, end: datetime) -> datetime:
    """Up to which minute a step may go, at least one."""
    span = {"market": market.pk, "start": start, "end": end, "trades": STEP_TRADES}
    (moment,) = _moments(END_OF_STEP, span)
    return end if moment is None else max(Interval.M1.floor(moment), start + MINUTE)


def _next(market: Market, start: datetime) -> datetime | None:
    values = {"market": market.pk, "start": start, "intervals": list(Interval)}
    found: datetime | None = _moments(NEXT, values)[0]
    return found


def _moments(statement: str, values: dict[str, Any]) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [moment for (moment,) in cursor.fetchall()]
