"""Bars are written with their trades; closed ones that a trade reaches are revised."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from apps.exchange import bars
from apps.exchange.bars import Bar
from apps.exchange.candles import digests
from apps.exchange.candles.emptying import REVISION, empty
from apps.exchange.candles.folding import OF_TRADES, REPLACE, refold
from apps.exchange.candles.reading import close_before
from apps.exchange.candles.rows import COLUMNS, columns_of, fact, select, watermarks
from apps.exchange.models import Market
from moonx.core import outbox
from moonx.core.events import CandleRevised
from moonx.core.intervals import Interval

# The delta of a batch of new trades, merged into the minute's bar.
MERGE_MINUTES = """
INSERT INTO exchange_candle AS c (market_id, interval, open_time, open, high, low, close,
  base_volume, quote_volume, taker_base_volume, taker_quote_volume, trade_count,
  first_seq, last_seq, revision)
SELECT %s, '1m', u.*, coalesce((SELECT e.revision + 1 FROM exchange_emptiedcandle e
  WHERE e.market_id = %s AND e.interval = '1m' AND e.open_time = u.start), 0)
FROM unnest(%s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[],
  %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[],
  %s::bigint[], %s::bigint[]) AS u(start, open, high, low, close, base, quote, taker_base,
  taker_quote, count, first_seq, last_seq)
ON CONFLICT (market_id, interval, open_time) DO UPDATE SET
  open = CASE WHEN excluded.first_seq < c.first_seq THEN excluded.open ELSE c.open END,
  high = greatest(c.high, excluded.high),
  low = least(c.low, excluded.low),
  close = CASE WHEN excluded.last_seq > c.last_seq THEN excluded.close ELSE c.close END,
  base_volume = c.base_volume + excluded.base_volume,
  quote_volume = c.quote_volume + excluded.quote_volume,
  taker_base_volume = c.taker_base_volume + excluded.taker_base_volume,
  taker_quote_volume = c.taker_quote_volume + excluded.taker_quote_volume,
  trade_count = c.trade_count + excluded.trade_count,
  first_seq = least(c.first_seq, excluded.first_seq),
  last_seq = greatest(c.last_seq, excluded.last_seq)
"""

REFOLD_MINUTES = f"""
INSERT INTO exchange_candle AS c {COLUMNS}
SELECT %(market)s, '1m', m.start, {OF_TRADES}, {REVISION.format(start="m.start")}
FROM unnest(%(starts)s::timestamptz[]) AS m(start)
JOIN exchange_trade t ON t.market_id = %(market)s
  AND t.executed_at >= m.start AND t.executed_at < m.start + interval '1 minute'
GROUP BY m.start
{REPLACE}
RETURNING c.open_time, c.revision
"""  # noqa: S608 - constants only


@dataclass(slots=True)
class Refolded:
    """What a refold changed, by interval: bars that were made or replaced, and those that went,
    each with its revision."""

    changed: dict[Interval, list[tuple[datetime, int]]] = field(default_factory=dict)
    emptied: dict[Interval, list[tuple[datetime, int]]] = field(default_factory=dict)

    def take(
        self,
        interval: Interval,
        changed: list[tuple[datetime, int]],
        emptied: list[tuple[datetime, int]],
    ) -> None:
        """Notes what became of one interval's bars."""
        self.changed[interval], self.emptied[interval] = changed, emptied

    def revised(self, interval: Interval) -> list[datetime]:
        """The bars that replaced another one."""
        return [start for start, revision in self.changed[interval] if revision > 0]

    def count(self, interval: Interval) -> int:
        """How many bars of an interval changed."""
        return len(self.changed.get(interval, ())) + len(self.emptied.get(interval, ()))


def merge_minutes(market: Market, deltas: Mapping[datetime, Bar]) -> None:
    """Adds new trades' bars to the stored minutes; closed bars they reach are revised.

    The caller holds the market's lock and the shared fold lock, and inserted the trades.
    """
    rows = list(deltas.values())
    with connection.cursor() as cursor:
        cursor.execute(MERGE_MINUTES, [market.pk, market.pk, *columns_of(rows)])
    closed = watermarks()
    late = [start for start in deltas if start < closed[Interval.M1]]
    if late:
        _revise(market, late, closed)


def refold_minutes(market: Market, starts: Sequence[datetime]) -> Refolded:
    """Builds the given 1m bars again from their trades, and the stored bars above them.

    A bar that lost its last trade goes, and is flat where bars are shown. Emits `candle.revised`
    for closed bars that stood before and changed. Returns which bars changed. Locks as for
    `merge_minutes`.
    """
    closed = watermarks()
    values: dict[str, Any] = {
        "market": market.pk,
        "interval": Interval.M1.value,
        "starts": list(starts),
    }
    with connection.cursor() as cursor:
        cursor.execute(REFOLD_MINUTES, values)
        changed: list[tuple[datetime, int]] = cursor.fetchall()
    done = Refolded()
    done.take(Interval.M1, changed, empty(market, Interval.M1, starts))
    past = [start for start in starts if start < closed[Interval.M1]]
    digests.retake(market, past)
    _tell(market, Interval.M1, done, (), closed)
    _refold_parents(market, starts, closed, announce=False, done=done)
    return done


def _revise(
    market: Market, starts: Sequence[datetime], closed: Mapping[Interval, datetime]
) -> None:
    """A late trade merged into announced minutes: they and their parents are new revisions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange_candle SET revision = revision + 1 WHERE market_id = %s "
            "AND interval = '1m' AND open_time = ANY(%s)",
            [market.pk, list(starts)],
        )
    digests.retake(market, starts)
    _announce(market, Interval.M1, starts)
    _refold_parents(market, starts, closed, announce=True, done=Refolded())


def _refold_parents(
    market: Market,
    starts: Sequence[datetime],
    closed: Mapping[Interval, datetime],
    *,
    announce: bool,
    done: Refolded,
) -> None:
    for interval in Interval:
        if interval is Interval.M1:
            continue
        buckets = sorted({interval.floor(start) for start in starts})
        stored = [bucket for bucket in buckets if bucket < closed[interval]]
        if stored:
            changed = refold(market, interval, stored)
            done.take(interval, changed, empty(market, interval, stored))
            _tell(market, interval, done, stored if announce else (), closed)


def _tell(
    market: Market,
    interval: Interval,
    done: Refolded,
    others: Iterable[datetime],
    closed: Mapping[Interval, datetime],
) -> None:
    """Announces the closed bars that were revised or emptied, and `others` that stand."""
    until = closed[interval]
    revised = {*done.revised(interval), *others}
    _announce(market, interval, sorted(start for start in revised if start < until))
    _announce_flat(market, interval, [one for one in done.emptied[interval] if one[0] < until])


def _announce(market: Market, interval: Interval, starts: Iterable[datetime]) -> None:
    wanted = list(starts)
    if not wanted:
        return
    found = select(
        "c.market_id = %s AND c.interval = %s AND c.open_time = ANY(%s)",
        [market.pk, interval.value, wanted],
    )
    outbox.emit_all(fact(CandleRevised, market, interval, bar) for _, bar in found)


def _announce_flat(
    market: Market, interval: Interval, emptied: Iterable[tuple[datetime, int]]
) -> None:
    """A bar before which nothing traded is no bar: there is no price at which it would be flat."""
    for start, revision in emptied:
        close = close_before(market, start)
        if close is not None:
            flat = bars.flat(open_time=start, price=close)._replace(revision=revision)
            outbox.emit(fact(CandleRevised, market, interval, flat))
