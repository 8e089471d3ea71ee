"""The 24h tickers of all markets, from one statement."""

from datetime import datetime

from django.db import transaction

from apps.exchange import watch
from apps.exchange.candles import spans
from apps.exchange.models import Ticker
from moonx.core import clock, locks, prepared
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

RUN = locks.key_of("exchange.update_tickers")

# Bars of these make up a window, the largest possible: each level's buckets nest in the next one's.
LEVELS = (Interval.M1, Interval.M5, Interval.M15, Interval.M30, Interval.H1, Interval.H4)


# The window (close − 24 h, close] of each market is made of the trades of the two minutes that it
# cuts, and of bars between them. Markets that trade share one window: its trades and bars are read
# by time, all markets at once. A market that does not trade keeps the window that ended with its
# record or its halt, and is read by itself.
#
# `OFFSET 0` keeps each range a look-up in the index that ends in the time: without it the planner
# at times reads all bars of a market. First and last trade mostly are among the edges' already, and
# the last one before the window mostly falls into the minute in which it begins.
#
# `clock` is read after the statement's snapshot was taken, so every trade it sees is older. Where
# the clock was set back, neither is true any more, and the window stands still at the newest of
# what it showed and what was traded, as trades do, until the clock has come there again.
# A ticker's version rises only if a public field changed; else only its times move.
CUT = """(t.edge, t.a0 - interval '1 microsecond'), (t.b0 - interval '1 microsecond', t.stop)"""
TRADE = "x.seq, x.price, x.quantity, x.quote_quantity, x.first_id, x.last_id"
BAR = """c.high, c.low, c.base_volume AS base, c.quote_volume AS quote, c.trade_count AS n,
      c.first_seq, c.last_seq"""
UPDATE = f"""
WITH clock AS MATERIALIZED (
  SELECT CASE WHEN shown.as_of > read.now AND shown.as_of < read.now + interval '1 day'
    THEN greatest(shown.as_of, (SELECT max(executed_at) FROM exchange_trade))
    ELSE read.now END AS now
  FROM (SELECT clock_timestamp() AS now) read
  CROSS JOIN (SELECT max(as_of) AS as_of FROM exchange_ticker) shown
),
marks AS MATERIALIZED (SELECT {spans.marks(LEVELS)} FROM exchange_candlewatermark),
target AS MATERIALIZED (
  SELECT m.id, w.edge, w.stop, w.is_still, clock.now, a.*, b.*
  FROM exchange_market m CROSS JOIN clock CROSS JOIN marks
  CROSS JOIN LATERAL (SELECT coalesce(m.recorded_until, m.halted_at) AS until) s
  CROSS JOIN LATERAL (
    SELECT coalesce(s.until, clock.now) - interval '24 hours' AS edge,
      coalesce(s.until, clock.now) - interval '24 hours' + interval '1 microsecond' AS start,
      coalesce(s.until, clock.now) AS stop, s.until IS NOT NULL AS is_still
  ) w
  CROSS JOIN LATERAL (SELECT {spans.starts(LEVELS)}) a
  CROSS JOIN LATERAL (SELECT {spans.ends(LEVELS)}) b
),
still AS MATERIALIZED (SELECT * FROM target WHERE is_still),
live AS MATERIALIZED (SELECT * FROM target WHERE NOT is_still LIMIT 1),
edge AS MATERIALIZED (
  SELECT x.*
  FROM live t CROSS JOIN LATERAL (VALUES {CUT}) AS r(after, upto)
  CROSS JOIN LATERAL (
    SELECT x.market_id AS id, {TRADE} FROM exchange_trade x
    WHERE x.executed_at > r.after AND x.executed_at <= r.upto OFFSET 0
  ) x
  WHERE NOT EXISTS (SELECT FROM still WHERE still.id = x.id)
  UNION ALL
  SELECT t.id, x.*
  FROM still t CROSS JOIN LATERAL (VALUES {CUT}) AS r(after, upto)
  CROSS JOIN LATERAL (
    SELECT {TRADE} FROM exchange_trade x WHERE x.market_id = t.id
      AND x.executed_at > r.after AND x.executed_at <= r.upto OFFSET 0
  ) x
),
just_before AS MATERIALIZED (
  SELECT DISTINCT ON (x.id) x.id, x.price, x.quantity
  FROM live t CROSS JOIN LATERAL (
    SELECT x.market_id AS id, x.seq, x.executed_at, x.price, x.quantity FROM exchange_trade x
    WHERE x.executed_at >= t.a0 - interval '1 minute' AND x.executed_at <= t.edge OFFSET 0
  ) x
  WHERE NOT EXISTS (SELECT FROM still WHERE still.id = x.id)
  ORDER BY x.id, x.executed_at DESC, x.seq DESC
),
part AS (
  SELECT c.*
  FROM live t CROSS JOIN LATERAL (VALUES {spans.ranges(LEVELS)}) AS r(level, start, stop)
  CROSS JOIN LATERAL (
    SELECT c.market_id AS id, {BAR} FROM exchange_candle c
    WHERE c.interval = r.level AND c.open_time >= r.start AND c.open_time < r.stop OFFSET 0
  ) c
  WHERE NOT EXISTS (SELECT FROM still WHERE still.id = c.id)
  UNION ALL
  SELECT t.id, c.*
  FROM still t CROSS JOIN LATERAL (VALUES {spans.ranges(LEVELS)}) AS r(level, start, stop)
  CROSS JOIN LATERAL (
    SELECT {BAR} FROM exchange_candle c WHERE c.market_id = t.id
      AND c.interval = r.level AND c.open_time >= r.start AND c.open_time < r.stop OFFSET 0
  ) c
  UNION ALL
  SELECT id, price, price, quantity, quote_quantity, last_id - first_id + 1, seq, seq FROM edge
),
total AS (
  SELECT id, max(high) AS high, min(low) AS low, sum(base) AS base, sum(quote) AS quote,
    sum(n) AS n, min(first_seq) AS first_seq, max(last_seq) AS last_seq
  FROM part GROUP BY id
),
fresh AS (
  SELECT t.id, t.edge, t.stop, t.now, previous.price AS previous,
    coalesce(e.price, first.price, previous.price) AS open,
    coalesce(s.high, previous.price) AS high, coalesce(s.low, previous.price) AS low,
    coalesce(f.price, last.price, previous.price) AS last,
    coalesce(f.quantity, last.quantity, previous.quantity) AS last_quantity,
    coalesce(s.base, 0) AS base, coalesce(s.quote, 0) AS quote, coalesce(s.n, 0) AS n,
    coalesce(e.first_id, first.first_id) AS first_id,
    coalesce(f.last_id, last.last_id) AS last_id
  FROM target t
  LEFT JOIN total s ON s.id = t.id
  LEFT JOIN edge e ON e.id = t.id AND e.seq = s.first_seq
  LEFT JOIN edge f ON f.id = t.id AND f.seq = s.last_seq
  LEFT JOIN exchange_trade first ON first.market_id = t.id
    AND first.seq = CASE WHEN e.id IS NULL THEN s.first_seq END
  LEFT JOIN exchange_trade last ON last.market_id = t.id
    AND last.seq = CASE WHEN f.id IS NULL THEN s.last_seq END
  LEFT JOIN just_before j ON j.id = t.id
  LEFT JOIN LATERAL (
    SELECT j.price, j.quantity WHERE j.id IS NOT NULL
    UNION ALL
    (SELECT p.price, p.quantity FROM exchange_trade p
      WHERE j.id IS NULL AND p.market_id = t.id AND p.executed_at <= t.edge
      ORDER BY p.executed_at DESC, p.seq DESC LIMIT 1)
  ) previous ON true
)
INSERT INTO exchange_ticker AS k (market_id, open_time, close_time, open, high, low, last,
  last_quantity, previous_close, base_volume, quote_volume, trade_count, first_id, last_id,
  version, as_of, xid)
SELECT id, edge, stop, open, high, low, last, last_quantity, previous, base, quote, n, first_id,
  last_id, 1, now, pg_current_xact_id()
FROM fresh ORDER BY id
ON CONFLICT (market_id) DO UPDATE SET
  open_time = excluded.open_time, close_time = excluded.close_time, open = excluded.open,
  high = excluded.high, low = excluded.low, last = excluded.last,
  last_quantity = excluded.last_quantity, previous_close = excluded.previous_close,
  base_volume = excluded.base_volume, quote_volume = excluded.quote_volume,
  trade_count = excluded.trade_count, first_id = excluded.first_id, last_id = excluded.last_id,
  as_of = excluded.as_of, xid = excluded.xid,
  version = k.version + ((k.open, k.high, k.low, k.last, k.last_quantity, k.previous_close,
    k.base_volume, k.quote_volume, k.trade_count, k.first_id, k.last_id) IS DISTINCT FROM
    (excluded.open, excluded.high, excluded.low, excluded.last, excluded.last_quantity,
    excluded.previous_close, excluded.base_volume, excluded.quote_volume, excluded.trade_count,
    excluded.first_id, excluded.last_id))::int
"""  # noqa: S608 - constants only


def update() -> int:
    """Brings every market's ticker up to the database's present; returns how many there are.

    The caller's lock keeps two runs apart.
    """
    with prepared.cursor() as cursor:
        cursor.execute(UPDATE)
        return int(cursor.rowcount)


def refresh() -> None:
    """Shows a change of the past at once, unless a run is under way; the next one does then."""
    with transaction.atomic():
        if locks.try_hold(Lock.JOB, RUN):
            update()
    push(now=clock.db_now())


def push(*, now: datetime) -> int:
    """Pushes the tickers that subscribers do not have yet; returns how many."""
    rows = Ticker.objects.select_related("market__base", "market__quote")
    return watch.push_tickers(rows, now=now)
