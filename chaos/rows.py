"""What the rows must say, whatever happened: each query counts what breaks a promise."""

import psycopg

from apps.realtime.audit import Numbered
from chaos.verdict import Verdict
from moonx.core.intervals import Interval

Connection = psycopg.Connection[tuple[object, ...]]

# Every 1m bar, and every stored higher bar that is closed, folded from nothing but trades.
FOLDED = """
SELECT t.market_id, {bucket} AS open_time, (array_agg(t.price ORDER BY t.seq))[1] AS open,
  max(t.price) AS high, min(t.price) AS low,
  (array_agg(t.price ORDER BY t.seq DESC))[1] AS close, sum(t.quantity) AS base,
  sum(t.quote_quantity) AS quote,
  coalesce(sum(t.quantity) FILTER (WHERE NOT t.is_buyer_maker), 0) AS taker_base,
  coalesce(sum(t.quote_quantity) FILTER (WHERE NOT t.is_buyer_maker), 0) AS taker_quote,
  sum(t.last_id - t.first_id + 1) AS n, min(t.seq) AS first_seq, max(t.seq) AS last_seq
FROM exchange_trade t GROUP BY t.market_id, 2
"""
WRONG_BARS = f"""
WITH folded AS ({FOLDED}),
stored AS (SELECT * FROM exchange_candle WHERE interval = %(interval)s),
mark AS (SELECT closed_until FROM exchange_candlewatermark WHERE interval = %(interval)s)
SELECT count(*) FROM folded f FULL JOIN stored s USING (market_id, open_time) CROSS JOIN mark
WHERE (%(interval)s = '1m' OR open_time < mark.closed_until)
  AND (f.open, f.high, f.low, f.close, f.base, f.quote, f.taker_base, f.taker_quote, f.n,
    f.first_seq, f.last_seq) IS DISTINCT FROM (s.open, s.high, s.low, s.close, s.base_volume,
    s.quote_volume, s.taker_base_volume, s.taker_quote_volume, s.trade_count, s.first_seq,
    s.last_seq)
"""
BUCKETS = {
    Interval.W1: "date_bin('7 days', t.executed_at, '1970-01-05T00:00Z')",
    Interval.MONTH: "date_trunc('month', t.executed_at, 'UTC')",
}

# Every stored 1m bar, whatever is closed.
WRONG_BARS_1M = f"""
WITH folded AS ({FOLDED.format(bucket="date_bin('1 minute', t.executed_at, '1970-01-01T00:00Z')")}),
stored AS (SELECT * FROM exchange_candle WHERE interval = '1m')
SELECT count(*) FROM folded f FULL JOIN stored s USING (market_id, open_time)
WHERE (f.open, f.high, f.low, f.close, f.base, f.quote, f.taker_base, f.taker_quote, f.n,
  f.first_seq, f.last_seq) IS DISTINCT FROM (s.open, s.high, s.low, s.close, s.base_volume,
  s.quote_volume, s.taker_base_volume, s.taker_quote_volume, s.trade_count, s.first_seq, s.last_seq)
"""

# Facts that wait and facts that have a place: public ones, each owner has a copy of his own.
FACTS = """
WITH facts AS (
  SELECT id, name, key, topics, payload FROM core_event UNION ALL
  SELECT id, name, key, topics, payload FROM core_outbox
),
told AS (
  SELECT m.id AS market_id, (f.payload->>'id')::bigint AS seq, count(*) AS times
  FROM facts f JOIN exchange_market m ON f.key = 'market:' || m.symbol
  WHERE f.name = 'trade.executed' AND f.topics::jsonb ? ('trades:' || m.symbol) GROUP BY 1, 2
),
since AS (SELECT market_id, min(seq) AS seq FROM told GROUP BY 1)
"""
TRADES_NOT_TOLD = f"""{FACTS}
SELECT count(*) FROM exchange_trade t JOIN since s USING (market_id)
WHERE t.seq >= s.seq AND NOT EXISTS (
  SELECT FROM told WHERE told.market_id = t.market_id AND told.seq = t.seq)
"""
TRADES_TOLD_TWICE = f"{FACTS} SELECT coalesce(sum(times - 1), 0) FROM told"
TOLD_WITHOUT_TRADE = f"""{FACTS}
SELECT count(*) FROM told WHERE NOT EXISTS (
  SELECT FROM exchange_trade t WHERE t.market_id = told.market_id AND t.seq = told.seq)
"""
HOLES_IN_SEQ = """
SELECT coalesce(sum(last - first + 1 - n), 0)
FROM (SELECT max(seq) AS last, min(seq) AS first, count(*) AS n FROM exchange_trade
  WHERE source <> 'imported' GROUP BY market_id) per_market
"""
HOLES_IN_IDS = """
SELECT count(*) FROM (
  SELECT first_id, lag(last_id) OVER (PARTITION BY market_id ORDER BY seq) AS before
  FROM exchange_trade WHERE source <> 'imported') chain
WHERE before IS NOT NULL AND first_id <> before + 1
"""
# Positions begin at 1 and nobody has pruned anything yet.
HOLES_IN_POSITIONS = "SELECT coalesce(max(position), 0) - count(*) FROM core_event"
DOUBLE_POSITIONS = "SELECT count(*) - count(DISTINCT position) FROM core_event"
DOUBLE_EVENTS = "SELECT count(*) - count(DISTINCT id) FROM core_event"
CLOSED_TWICE = """
SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM core_event
  WHERE name = 'candle.closed' GROUP BY payload->>'symbol', payload->>'interval',
    payload->>'openTime') told
"""
INVERTED_KEYS = """
SELECT count(*) FROM (SELECT id, lag(id) OVER (PARTITION BY key ORDER BY position) AS before
  FROM core_event) ordered WHERE before > id
"""


def check(dsn: str, verdict: Verdict) -> None:
    """Adds to the verdict what the rows give away."""
    with psycopg.connect(dsn, autocommit=True) as pg:
        for interval in Interval:
            found = _count(pg, _wrong_bars(interval), {"interval": interval.value})
            verdict.hold(found, f"{interval} bars that differ from their trades")
        for sql, sentence, kind in (
            (TRADES_NOT_TOLD, "trades without their fact", "lost"),
            (TRADES_TOLD_TWICE, "facts of trades told twice", "doubled"),
            (TOLD_WITHOUT_TRADE, "facts without a trade", "violations"),
            (HOLES_IN_SEQ, "holes in the trades' sequence", "lost"),
            (HOLES_IN_IDS, "breaks in the trades' ids", "violations"),
            (HOLES_IN_POSITIONS, "holes in the positions", "lost"),
            (DOUBLE_POSITIONS, "positions given twice", "doubled"),
            (DOUBLE_EVENTS, "facts with two positions", "doubled"),
            (CLOSED_TWICE, "bars announced twice", "doubled"),
            (INVERTED_KEYS, "facts of one key out of order", "violations"),
        ):
            verdict.hold(_count(pg, sql), sentence, kind=kind)


def waiting(dsn: str) -> int:
    """How many facts the relay has not taken yet."""
    with psycopg.connect(dsn, autocommit=True) as pg:
        return _count(pg, "SELECT count(*) FROM core_outbox")


def position(dsn: str) -> int:
    """The last position given."""
    with psycopg.connect(dsn, autocommit=True) as pg:
        return _count(pg, "SELECT coalesce(max(position), 0) FROM core_event")


def live_trades(dsn: str) -> int:
    """How many trades were executed, history apart."""
    with psycopg.connect(dsn, autocommit=True) as pg:
        return _count(pg, f"{FACTS} SELECT count(*) FROM told")


def numbered(dsn: str) -> dict[int, Numbered]:
    """Every event by its position."""
    with psycopg.connect(dsn) as pg:
        rows = pg.execute("SELECT position, id, topics FROM core_event").fetchall()
    return {place: Numbered(event_id, topics) for place, event_id, topics in rows}


def _wrong_bars(interval: Interval) -> str:
    length = interval.length
    bucket = BUCKETS.get(interval) or f"date_bin('{length}', t.executed_at, '1970-01-01T00:00Z')"
    return WRONG_BARS.format(bucket=bucket)


def _count(pg: Connection, sql: str, params: dict[str, object] | None = None) -> int:
    row = pg.execute(sql.encode(), params).fetchone()
    assert row is not None
    return int(str(row[0]))
