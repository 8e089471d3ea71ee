"""What was traded in a span of time, of any number of markets, exact to the microsecond."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.exchange.candles import spans
from apps.exchange.models import Market, Ticker
from moonx.core.intervals import Interval, buckets

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The trades of [start, stop], both included."""

    start: datetime
    stop: datetime


def rolling(market: Market, size: timedelta, *, now: datetime) -> Window:
    """The last `size` of the market; it starts with the minute that holds its first instant.

    Of a market that stands still every window ends where its record or its trading ended.
    """
    stop = _end(market) or now
    return Window(start=Interval.M1.floor(stop - size), stop=stop)


def just_before(market: Market, size: timedelta, *, now: datetime) -> Window:
    """The last `size` of the market to the microsecond: a trade exactly that old is outside."""
    stop = _end(market) or now
    return Window(start=stop - size + INSTANT, stop=stop)


def day_so_far(market: Market, *, ahead: timedelta, now: datetime) -> Window:
    """The market's day in the zone that is `ahead` of UTC, up to now.

    Of a market that stands still it is the day in which its record or its trading ended.
    """
    days, end = buckets(Interval.D1, ahead=ahead), _end(market)
    start = days.floor(end - INSTANT if end else now)
    return Window(start=start, stop=min(end or now, days.shift(start, 1) - INSTANT))


def _end(market: Market) -> datetime | None:
    return market.recorded_until or market.halted_at


# A window is made of the trades of the minutes that it cuts, and of bars between them; its first
# and last trade mostly are among the former. `OFFSET 0` keeps each range a look-up in an index.
READ = f"""
WITH marks AS MATERIALIZED (SELECT {spans.marks(spans.LEVELS)} FROM exchange_candlewatermark),
target AS MATERIALIZED (
  SELECT w.*, a.*, b.*
  FROM unnest(%(ids)s::bigint[], %(starts)s::timestamptz[], %(stops)s::timestamptz[])
    AS w(id, start, stop)
  CROSS JOIN marks CROSS JOIN LATERAL (SELECT {spans.starts(spans.LEVELS)}) a
  CROSS JOIN LATERAL (SELECT {spans.ends(spans.LEVELS)}) b
),
edge AS MATERIALIZED (
  SELECT t.id, x.seq, x.price, x.quantity, x.quote_quantity, x.first_id, x.last_id
  FROM target t
  CROSS JOIN LATERAL (VALUES (t.start, least(t.a0 - interval '1 microsecond', t.stop)),
    (t.b0, t.stop)) AS r(since, upto)
  CROSS JOIN LATERAL (
    SELECT * FROM exchange_trade x WHERE x.market_id = t.id
      AND x.executed_at >= r.since AND x.executed_at <= r.upto OFFSET 0
  ) x
),
part AS (
  SELECT t.id, c.high, c.low, c.base_volume AS base, c.quote_volume AS quote, c.trade_count AS n,
    c.first_seq, c.last_seq
  FROM target t
  CROSS JOIN LATERAL (VALUES {spans.ranges(spans.LEVELS)}) AS r(level, start, stop)
  CROSS JOIN LATERAL (
    SELECT * FROM exchange_candle c WHERE c.market_id = t.id
      AND c.interval = r.level AND c.open_time >= r.start AND c.open_time < r.stop OFFSET 0
  ) c
  WHERE r.start < r.stop
  UNION ALL
  SELECT id, price, price, quantity, quote_quantity, last_id - first_id + 1, seq, seq FROM edge
),
total AS (
  SELECT id, max(high) AS high, min(low) AS low, sum(base) AS base, sum(quote) AS quote,
    sum(n) AS n, min(first_seq) AS first_seq, max(last_seq) AS last_seq
  FROM part GROUP BY id
)
SELECT t.id, t.start, t.stop, coalesce(e.price, first.price, previous.price),
  coalesce(s.high, previous.price), coalesce(s.low, previous.price),
  coalesce(f.price, last.price, previous.price),
  coalesce(f.quantity, last.quantity, previous.quantity), previous.price,
  coalesce(s.base, 0), coalesce(s.quote, 0), coalesce(s.n, 0)::bigint,
  coalesce(e.first_id, first.first_id), coalesce(f.last_id, last.last_id)
FROM target t
LEFT JOIN total s ON s.id = t.id
LEFT JOIN edge e ON e.id = t.id AND e.seq = s.first_seq
LEFT JOIN edge f ON f.id = t.id AND f.seq = s.last_seq
LEFT JOIN exchange_trade first ON first.market_id = t.id
  AND first.seq = CASE WHEN e.id IS NULL THEN s.first_seq END
LEFT JOIN exchange_trade last ON last.market_id = t.id
  AND last.seq = CASE WHEN f.id IS NULL THEN s.last_seq END
LEFT JOIN LATERAL (
  SELECT p.price, p.quantity FROM exchange_trade p
  WHERE p.market_id = t.id AND p.executed_at < t.start
  ORDER BY p.executed_at DESC, p.seq DESC LIMIT 1
) previous ON true
"""  # noqa: S608 - constants only

FIELDS = (
    *("open_time", "close_time", "open", "high", "low", "last", "last_quantity", "previous_close"),
    *("base_volume", "quote_volume", "trade_count", "first_id", "last_id"),
)


def read(wanted: Sequence[tuple[Market, Window]]) -> list[Ticker]:
    """The tickers of windows of different markets, in that order, unsaved; from one statement.

    A window without trades stands flat at the price before it; prices are None without one.
    """
    values: dict[str, Any] = {
        "ids": [market.pk for market, _ in wanted],
        "starts": [window.start for _, window in wanted],
        "stops": [window.stop for _, window in wanted],
    }
    with connection.cursor() as cursor:
        cursor.execute(READ, values)
        found = {row[0]: dict(zip(FIELDS, row[1:], strict=True)) for row in cursor.fetchall()}
    return [Ticker(market=market, **found[market.pk]) for market, _ in wanted]
