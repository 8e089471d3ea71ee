"""Larger bars out of smaller ones, in one statement for any number of them."""

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from apps.exchange.candles.emptying import REVISION
from apps.exchange.candles.rows import COLUMNS
from apps.exchange.models import Market
from moonx.core.intervals import Interval

# A recomputed bar replaces the stored one, as a new revision, only where it differs.
REPLACE = """
ON CONFLICT (market_id, interval, open_time) DO UPDATE SET
  open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
  base_volume = excluded.base_volume, quote_volume = excluded.quote_volume,
  taker_base_volume = excluded.taker_base_volume, taker_quote_volume = excluded.taker_quote_volume,
  trade_count = excluded.trade_count, first_seq = excluded.first_seq, last_seq = excluded.last_seq,
  revision = c.revision + 1
WHERE (c.open, c.high, c.low, c.close, c.base_volume, c.quote_volume, c.taker_base_volume,
  c.taker_quote_volume, c.trade_count, c.first_seq, c.last_seq)
  IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close,
  excluded.base_volume, excluded.quote_volume, excluded.taker_base_volume,
  excluded.taker_quote_volume, excluded.trade_count, excluded.first_seq, excluded.last_seq)
"""

# What the trades `t` of a minute make of its bar, as the columns of rows.FIELDS.
OF_TRADES = """(array_agg(t.price ORDER BY t.seq))[1] AS open, max(t.price) AS high,
  min(t.price) AS low, (array_agg(t.price ORDER BY t.seq DESC))[1] AS close,
  sum(t.quantity) AS base_volume, sum(t.quote_quantity) AS quote_volume,
  coalesce(sum(t.quantity) FILTER (WHERE NOT t.is_buyer_maker), 0) AS taker_base_volume,
  coalesce(sum(t.quote_quantity) FILTER (WHERE NOT t.is_buyer_maker), 0) AS taker_quote_volume,
  sum(t.last_id - t.first_id + 1)::bigint AS trade_count, min(t.seq) AS first_seq,
  max(t.seq) AS last_seq"""

# The children of a bucket are read by time, its open and close by trade sequence.
FOLDED = """
SELECT k.market_id, %(interval)s, {bucket}, (array_agg(k.open ORDER BY k.first_seq))[1],
  max(k.high), min(k.low), (array_agg(k.close ORDER BY k.last_seq DESC))[1],
  sum(k.base_volume), sum(k.quote_volume), sum(k.taker_base_volume), sum(k.taker_quote_volume),
  sum(k.trade_count), min(k.first_seq), max(k.last_seq), {revision}
FROM exchange_candle k
"""

BUCKET = {
    Interval.M5: "date_bin('5 minutes', k.open_time, 'epoch')",
    Interval.M15: "date_bin('15 minutes', k.open_time, 'epoch')",
    Interval.M30: "date_bin('30 minutes', k.open_time, 'epoch')",
    Interval.H1: "date_bin('1 hour', k.open_time, 'epoch')",
    Interval.H4: "date_bin('4 hours', k.open_time, 'epoch')",
    Interval.D1: "date_bin('1 day', k.open_time, '1970-01-01T00:00Z')",
    Interval.W1: "date_bin('7 days', k.open_time, '1970-01-05T00:00Z')",
    Interval.MONTH: "date_trunc('month', k.open_time, 'UTC')",
}


def folded(interval: Interval, *, revision: str = "0") -> str:
    """The SELECT that makes bars of `interval` from their stored children."""
    return FOLDED.format(bucket=BUCKET[interval], revision=revision)


def refold(
    market: Market, interval: Interval, buckets: Sequence[datetime]
) -> list[tuple[datetime, int]]:
    """Builds stored bars again from their children; returns those it wrote, with revisions."""
    sql = (
        f"INSERT INTO exchange_candle AS c {COLUMNS} "
        f"{folded(interval, revision=REVISION.format(start='b.start'))} "
        "JOIN unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS b(start, stop) "
        "ON k.open_time >= b.start AND k.open_time < b.stop "
        "WHERE k.market_id = %(market)s AND k.interval = %(child)s "
        f"GROUP BY k.market_id, 3, b.start {REPLACE} RETURNING c.open_time, c.revision"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "interval": interval.value,
                "child": interval.child,
                "market": market.pk,
                "starts": list(buckets),
                "ends": [interval.shift(bucket, 1) for bucket in buckets],
            },
        )
        written: list[tuple[datetime, int]] = cursor.fetchall()
    return written


def fold_all(interval: Interval, *, start: datetime, end: datetime) -> None:
    sql = (
        f"INSERT INTO exchange_candle AS c {COLUMNS} "
        f"{folded(interval)} "
        "WHERE k.interval = %(child)s AND k.open_time >= %(start)s AND k.open_time < %(end)s "
        f"GROUP BY k.market_id, 3 {REPLACE}"
    )
    params = {"interval": interval.value, "child": interval.child, "start": start, "end": end}
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
