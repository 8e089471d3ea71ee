"""Bars that lost their last trade: gone from the table, flat wherever bars are shown."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from apps.exchange.models import Market
from moonx.core.intervals import Interval

_EMPTY = """
WITH gone AS (
  DELETE FROM exchange_candle c WHERE c.market_id = %(market)s AND c.interval = %(interval)s
    AND c.open_time = ANY(%(starts)s) AND NOT EXISTS ({parts})
  RETURNING c.open_time, c.revision
)
INSERT INTO exchange_emptiedcandle AS e (market_id, interval, open_time, revision)
SELECT %(market)s, %(interval)s, open_time, revision + 1 FROM gone
ON CONFLICT (market_id, interval, open_time) DO UPDATE
  SET revision = greatest(e.revision + 1, excluded.revision)
RETURNING e.open_time, e.revision
"""
EMPTY_MINUTES = _EMPTY.format(
    parts="SELECT FROM exchange_trade t WHERE t.market_id = c.market_id "
    "AND t.executed_at >= c.open_time AND t.executed_at < c.open_time + interval '1 minute'"
)
EMPTY_PARENTS = _EMPTY.format(
    parts="SELECT FROM unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) "
    "AS b(start, stop) JOIN exchange_candle k ON k.open_time >= b.start AND k.open_time < b.stop "
    "WHERE b.start = c.open_time AND k.market_id = c.market_id AND k.interval = %(child)s"
)

# What a bar that is made begins with: one that was emptied before counts on.
REVISION = """coalesce((SELECT e.revision + 1 FROM exchange_emptiedcandle e
  WHERE e.market_id = %(market)s AND e.interval = %(interval)s AND e.open_time = {start}), 0)"""


def empty(
    market: Market, interval: Interval, starts: Sequence[datetime]
) -> list[tuple[datetime, int]]:
    """Removes those of the bars that have no trades any more; returns them, each with the revision
    of the flat bar that stands in its place."""
    child = interval.child
    values = {
        "market": market.pk,
        "interval": interval.value,
        "child": child.value if child else None,
        "starts": list(starts),
        "ends": [interval.shift(start, 1) for start in starts],
    }
    with connection.cursor() as cursor:
        cursor.execute(EMPTY_PARENTS if child else EMPTY_MINUTES, values)
        gone: list[tuple[datetime, int]] = cursor.fetchall()
    return gone
