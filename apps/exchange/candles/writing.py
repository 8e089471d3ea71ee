"""Bars are written with their trades; closed ones that a trade reaches are revised."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db import connection

from apps.exchange.bars import Bar
from apps.exchange.candles.folding import REPLACE, refold
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
SELECT %s, '1m', u.*, 0 FROM unnest(%s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[],
  %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[],
  %s::bigint[], %s::bigint[]) AS u
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
SELECT %(market)s, '1m', m.start, (array_agg(t.price ORDER BY t.seq))[1], max(t.price),
  min(t.price), (array_agg(t.price ORDER BY t.seq DESC))[1], sum(t.quantity),
  sum(t.quote_quantity), coalesce(sum(t.quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  coalesce(sum(t.quote_quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  sum(t.last_id - t.first_id + 1), min(t.seq), max(t.seq), 0
FROM unnest(%(starts)s::timestamptz[]) AS m(start)
JOIN exchange_trade t ON t.market_id = %(market)s
  AND t.executed_at >= m.start AND t.executed_at < m.start + interval '1 minute'
GROUP BY m.start
{REPLACE}
RETURNING c.open_time, c.revision
"""  # noqa: S608 - constants only


def merge_minutes(market: Market, deltas: Mapping[datetime, Bar]) -> None:
    """Adds new trades' bars to the stored minutes; closed bars they reach are revised.

    The caller holds the market's lock and the shared fold lock, and inserted the trades.
    """
    rows = list(deltas.values())
    with connection.cursor() as cursor:
        cursor.execute(MERGE_MINUTES, [market.pk, *columns_of(rows)])
    closed = watermarks()
    late = [start for start in deltas if start < closed[Interval.M1]]
    if late:
        _revise(market, late, closed)


def refold_minutes(market: Market, starts: Sequence[datetime], *, announce: bool) -> int:
    """Builds the given 1m bars again from their trades, and the stored bars above them.

    Returns how many 1m bars changed. Emits `candle.revised` for closed bars that stood before and
    changed; with `announce` for the others too. Locks as for `merge_minutes`.
    """
    with connection.cursor() as cursor:
        cursor.execute(REFOLD_MINUTES, {"market": market.pk, "starts": list(starts)})
        changed: list[tuple[datetime, int]] = cursor.fetchall()
    closed = watermarks()
    told = starts if announce else _revised(changed)
    _announce(market, Interval.M1, [start for start in told if start < closed[Interval.M1]])
    _refold_parents(market, starts, closed, announce=announce)
    return len(changed)


def _revised(changed: Iterable[tuple[datetime, int]]) -> list[datetime]:
    """Those of the written bars that replaced another one."""
    return [start for start, revision in changed if revision > 0]


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
    _announce(market, Interval.M1, starts)
    _refold_parents(market, starts, closed, announce=True)


def _refold_parents(
    market: Market,
    starts: Sequence[datetime],
    closed: Mapping[Interval, datetime],
    *,
    announce: bool,
) -> None:
    for interval in Interval:
        if interval is Interval.M1:
            continue
        buckets = sorted({interval.floor(start) for start in starts})
        stored = [bucket for bucket in buckets if bucket < closed[interval]]
        if stored:
            changed = refold(market, interval, stored)
            _announce(market, interval, stored if announce else _revised(changed))


def _announce(market: Market, interval: Interval, starts: Iterable[datetime]) -> None:
    wanted = list(starts)
    if not wanted:
        return
    found = select(
        "c.market_id = %s AND c.interval = %s AND c.open_time = ANY(%s)",
        [market.pk, interval.value, wanted],
    )
    outbox.emit_all(fact(CandleRevised, market, interval, bar) for _, bar in found)
