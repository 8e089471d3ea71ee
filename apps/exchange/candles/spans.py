"""Bars over any span of time, out of the largest stored ones that fit into it."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from apps.exchange.bars import Bar
from apps.exchange.candles.rows import bar_of
from apps.exchange.models import Market
from moonx.core.intervals import Interval, Zoned

# Bars of these make up a span, the largest possible: each level's buckets nest in the next one's.
LEVELS = (Interval.M1, Interval.M5, Interval.M30, Interval.H4, Interval.D1)


def starts(levels: Sequence[Interval]) -> str:
    """Columns a<n>: where the first bucket of each level starts at or after `w.start`."""
    return ", ".join(
        f"date_bin('{level.length}', w.start - interval '1 microsecond', 'epoch') "
        f"+ interval '{level.length}' AS a{n}"
        for n, level in enumerate(levels)
    )


def ends(levels: Sequence[Interval]) -> str:
    """Columns b<n>: up to where bars of each level are whole by `w.stop`, and stored.

    1m bars always are, others once closed. Children close first, so b<n> lies at or below b<n-1>.
    """
    whole = [f"date_bin('{level.length}', w.stop, 'epoch')" for level in levels]
    stored = [f"least({end}, marks.w{n})" for n, end in enumerate(whole)]
    return ", ".join(
        f"greatest(a.a{n}, {end}) AS b{n}" for n, end in enumerate([whole[0], *stored[1:]])
    )


def ranges(levels: Sequence[Interval]) -> str:
    """Which bars of which level, as rows (level, start, stop): up the levels, then down again."""
    top = len(levels) - 1
    up = [f"('{levels[n]}', t.a{n}, least(t.a{n + 1}, t.b{n}))" for n in range(top)]
    down = [f"('{levels[n]}', t.b{n + 1}, t.b{n})" for n in range(top)]
    return ", ".join([*up, f"('{levels[top]}', t.a{top}, t.b{top})", *down])


def marks(levels: Sequence[Interval]) -> str:
    """Columns w<n>: the watermark of each level."""
    return ", ".join(
        f"max(closed_until) FILTER (WHERE interval = '{level}') AS w{n}"
        for n, level in enumerate(levels)
    )


def _folding(levels: Sequence[Interval]) -> str:
    # `OFFSET 0` keeps each range a look-up in the index that ends in the time.
    return f"""
WITH marks AS MATERIALIZED (SELECT {marks(levels)} FROM exchange_candlewatermark),
bucket AS MATERIALIZED (
  SELECT w.start, a.*, b.*
  FROM unnest(%(starts)s::timestamptz[], %(stops)s::timestamptz[]) AS w(start, stop)
  CROSS JOIN marks
  CROSS JOIN LATERAL (SELECT {starts(levels)}) a CROSS JOIN LATERAL (SELECT {ends(levels)}) b
)
SELECT extract(epoch FROM t.start)::bigint, (array_agg(c.open ORDER BY c.first_seq))[1],
  max(c.high), min(c.low), (array_agg(c.close ORDER BY c.last_seq DESC))[1],
  sum(c.base_volume), sum(c.quote_volume), sum(c.taker_base_volume), sum(c.taker_quote_volume),
  sum(c.trade_count)::bigint, min(c.first_seq), max(c.last_seq), 0
FROM bucket t CROSS JOIN LATERAL (VALUES {ranges(levels)}) AS r(level, start, stop)
CROSS JOIN LATERAL (
  SELECT * FROM exchange_candle c WHERE c.market_id = %(market)s AND c.interval = r.level
    AND c.open_time >= r.start AND c.open_time < r.stop OFFSET 0
) c
WHERE r.start < r.stop
GROUP BY t.start ORDER BY t.start
"""  # noqa: S608 - constants only


def _smaller(interval: Interval) -> list[Interval]:
    everything = list(Interval)
    return [level for level in LEVELS if everything.index(level) < everything.index(interval)]


# A zone's minutes are those of UTC.
_SQL = {interval: _folding(_smaller(interval)) for interval in list(Interval)[1:]}


def folded_into(market: Market, zoned: Zoned, *, start: datetime, end: datetime) -> list[Bar]:
    """The bars with trades of a zone's buckets in [start, end), both bucket starts; one statement.

    A bucket costs a few dozen rows, however long it is.
    """
    edges = [start]
    while edges[-1] < end:
        edges.append(zoned.shift(edges[-1], 1))
    with connection.cursor() as cursor:
        cursor.execute(
            _SQL[zoned.interval], {"market": market.pk, "starts": edges[:-1], "stops": edges[1:]}
        )
        return [bar_of(row) for row in cursor.fetchall()]
