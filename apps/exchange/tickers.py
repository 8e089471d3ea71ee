"""The 24h tickers of all markets, from one statement."""

from datetime import datetime

from django.db import connection

from apps.exchange import watch
from apps.exchange.models import Ticker

# The window (close − 24 h, close] of each market is made of its largest stored parts: trades of
# the two minutes that it cuts, and 1m, 5m and 1h bars between them. 5m bars are stored below u5
# and 1h bars below u60, which lies at or below u5: children close first.
#
# `clock` is read after the statement's snapshot was taken, so every trade it sees is older.
# A market that does not trade keeps the window that ended with its record or its halt.
# A ticker row is written only if a public field changed; else only its times move.
UPDATE = """
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS now),
marks AS MATERIALIZED (
  SELECT (SELECT closed_until FROM exchange_candlewatermark WHERE interval = '5m') AS w5,
         (SELECT closed_until FROM exchange_candlewatermark WHERE interval = '1h') AS w60
),
target AS MATERIALIZED (
  SELECT m.id, w.edge, w.stop, clock.now,
    d.m0, d.f0, d.h0, d.m1,
    greatest(d.f0, least(date_bin('5 minutes', w.stop, 'epoch'), marks.w5)) AS u5,
    greatest(d.h0, least(date_bin('1 hour', w.stop, 'epoch'), marks.w60)) AS u60
  FROM exchange_market m CROSS JOIN clock CROSS JOIN marks
  CROSS JOIN LATERAL (
    SELECT coalesce(m.recorded_until, m.halted_at, clock.now) AS stop
  ) s CROSS JOIN LATERAL (
    SELECT s.stop - interval '24 hours' AS edge, s.stop
  ) w CROSS JOIN LATERAL (
    SELECT date_bin('1 minute', w.edge, 'epoch') + interval '1 minute' AS m0,
      date_bin('5 minutes', w.edge, 'epoch') + interval '5 minutes' AS f0,
      date_bin('1 hour', w.edge, 'epoch') + interval '1 hour' AS h0,
      date_bin('1 minute', w.stop, 'epoch') AS m1
  ) d
),
part AS (
  SELECT t.id, c.high, c.low, c.base_volume AS base, c.quote_volume AS quote,
    c.trade_count AS n, c.first_seq, c.last_seq
  FROM target t
  CROSS JOIN LATERAL (VALUES
    ('1m', t.m0, t.f0), ('5m', t.f0, least(t.h0, t.u5)), ('1h', t.h0, t.u60),
    ('5m', t.u60, t.u5), ('1m', t.u5, t.m1)
  ) AS r(level, start, stop)
  JOIN exchange_candle c ON c.market_id = t.id AND c.interval = r.level
    AND c.open_time >= r.start AND c.open_time < r.stop
  UNION ALL
  SELECT t.id, x.price, x.price, x.quantity, x.quote_quantity, x.last_id - x.first_id + 1,
    x.seq, x.seq
  FROM target t
  CROSS JOIN LATERAL (VALUES (t.edge, t.m0 - interval '1 microsecond'),
    (t.m1 - interval '1 microsecond', t.stop)) AS r(after, upto)
  JOIN exchange_trade x ON x.market_id = t.id
    AND x.executed_at > r.after AND x.executed_at <= r.upto
),
total AS (
  SELECT id, max(high) AS high, min(low) AS low, sum(base) AS base, sum(quote) AS quote,
    sum(n) AS n, min(first_seq) AS first_seq, max(last_seq) AS last_seq
  FROM part GROUP BY id
),
fresh AS (
  SELECT t.id, t.edge, t.stop, t.now, previous.price AS previous,
    coalesce(first.price, previous.price) AS open, coalesce(s.high, previous.price) AS high,
    coalesce(s.low, previous.price) AS low, coalesce(last.price, previous.price) AS last,
    coalesce(last.quantity, previous.quantity) AS last_quantity,
    coalesce(s.base, 0) AS base, coalesce(s.quote, 0) AS quote, coalesce(s.n, 0) AS n,
    first.first_id, last.last_id
  FROM target t
  LEFT JOIN total s ON s.id = t.id
  LEFT JOIN exchange_trade first ON first.market_id = t.id AND first.seq = s.first_seq
  LEFT JOIN exchange_trade last ON last.market_id = t.id AND last.seq = s.last_seq
  LEFT JOIN LATERAL (
    SELECT p.price, p.quantity FROM exchange_trade p
    WHERE p.market_id = t.id AND p.executed_at <= t.edge
    ORDER BY p.executed_at DESC, p.seq DESC LIMIT 1
  ) previous ON true
)
INSERT INTO exchange_ticker AS k (market_id, open_time, close_time, open, high, low, last,
  last_quantity, previous_close, base_volume, quote_volume, trade_count, first_id, last_id,
  version, as_of)
SELECT id, edge, stop, open, high, low, last, last_quantity, previous, base, quote, n, first_id,
  last_id, 1, now
FROM fresh ORDER BY id
ON CONFLICT (market_id) DO UPDATE SET
  open_time = excluded.open_time, close_time = excluded.close_time, open = excluded.open,
  high = excluded.high, low = excluded.low, last = excluded.last,
  last_quantity = excluded.last_quantity, previous_close = excluded.previous_close,
  base_volume = excluded.base_volume, quote_volume = excluded.quote_volume,
  trade_count = excluded.trade_count, first_id = excluded.first_id, last_id = excluded.last_id,
  as_of = excluded.as_of,
  version = k.version + ((k.open, k.high, k.low, k.last, k.last_quantity, k.previous_close,
    k.base_volume, k.quote_volume, k.trade_count, k.first_id, k.last_id) IS DISTINCT FROM
    (excluded.open, excluded.high, excluded.low, excluded.last, excluded.last_quantity,
    excluded.previous_close, excluded.base_volume, excluded.quote_volume, excluded.trade_count,
    excluded.first_id, excluded.last_id))::int
"""


def update() -> int:
    """Brings every market's ticker up to the database's present; returns how many there are.

    The caller's lock keeps two runs apart.
    """
    with connection.cursor() as cursor:
        cursor.execute(UPDATE)
        return int(cursor.rowcount)


def push(*, now: datetime) -> int:
    """Pushes the tickers that subscribers do not have yet; returns how many."""
    rows = Ticker.objects.select_related("market__base", "market__quote")
    return watch.push_tickers(rows, now=now)
