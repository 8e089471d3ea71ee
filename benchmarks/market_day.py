"""A day of trading in many markets: millions of trades and all bars above them, made by SQL.

The trades span 26 hours. The last minutes lie ahead of the clock, where that is wanted: while a
benchmark runs they come into the window as live trades would.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.exchange import candles
from benchmarks.bare import bare
from benchmarks.harness import Bench
from benchmarks.world import as_owner
from moonx.core.intervals import Interval

SPAN = timedelta(hours=26)
AHEAD = timedelta(minutes=15)
HOT_SHARE = 0.18  # of all trades are the first market's
# The last markets are special: a recorded one, a halted one, one whose trades are all older than
# the window, and one that never traded.
SPECIAL = 4
LEAST = 10  # markets, so that some are not special

MARKETS = """
INSERT INTO exchange_asset (symbol, name, decimals) SELECT 'B' || i, 'Base ' || i, 18
FROM generate_series(1, %(markets)s) i;
INSERT INTO exchange_asset (symbol, name, decimals) VALUES ('QUOTE', 'Quote', 18);
INSERT INTO exchange_market (symbol, base_id, quote_id, status, tick_size, step_size, min_notional,
  max_quantity, max_market_quantity, price_up, price_down, collar_bps, max_open_orders, label,
  recorded_until, halted_at, halt_reason)
SELECT b.symbol || 'QUOTE', b.id, q.id,
  CASE i WHEN %(markets)s - 3 THEN 'BREAK' WHEN %(markets)s - 2 THEN 'HALT' ELSE 'TRADING' END,
  0.01, 0.001, 0, 9e9, 9e9, 5, 0.2, 500, 200, '',
  CASE i WHEN %(markets)s - 3 THEN %(end)s::timestamptz - interval '90 minutes' END,
  CASE i WHEN %(markets)s - 2 THEN %(end)s::timestamptz - interval '50 minutes 7 seconds' END, ''
FROM generate_series(1, %(markets)s) i JOIN exchange_asset b ON b.symbol = 'B' || i
JOIN exchange_asset q ON q.symbol = 'QUOTE' ORDER BY i;
"""

# How many trades each market has: a hot one, then a long tail.
PLAN = """
CREATE UNLOGGED TABLE bench_plan AS
WITH ranked AS (SELECT id, row_number() OVER (ORDER BY id) AS rank FROM exchange_market),
weighed AS (SELECT id, rank, rank ^ -0.7 AS weight FROM ranked WHERE rank > 1)
SELECT id AS market_id, 1 AS rank, greatest(1, %(trades)s * %(hot)s)::bigint AS trades,
  %(span)s::interval AS span FROM ranked WHERE rank = 1
UNION ALL
SELECT id, rank, CASE rank WHEN %(markets)s THEN 0 ELSE greatest(1,
    %(trades)s * (1 - %(hot)s) * weight / (SELECT sum(weight) FROM weighed)) END::bigint,
  CASE rank WHEN %(markets)s - 1 THEN interval '50 minutes' ELSE %(span)s::interval END
FROM weighed
"""

# Trade k of a market falls at a random moment of the k-th of its equal slots: seq order is time
# order. Every second trade is an aggregate of two fills.
TRADES = """
INSERT INTO exchange_trade (market_id, seq, first_id, last_id, price, quantity, quote_quantity,
  is_buyer_maker, executed_at, source)
SELECT market_id, k, k + (k - 1) / 2, k + k / 2, price, quantity, price * quantity,
  taker < 0.5, at, 'matched'
FROM (
  SELECT p.market_id, k, random() AS taker,
    %(start)s::timestamptz + p.span * ((k - 1 + random()) / p.trades) AS at,
    round((100 + p.rank %% 900 + 5 * sin(k * 0.001) + random())::numeric, 2) AS price,
    round((0.001 + 10 * random())::numeric, 3) AS quantity
  FROM bench_plan p CROSS JOIN LATERAL generate_series(
    1 + p.trades * %(part)s / 2, p.trades * (%(part)s + 1) / 2) k
) made ORDER BY at
"""

# In order of time, as bars come to be. First and last price by sequence are packed into one
# number each: price in hundredths below 10^8.
MINUTES = """
INSERT INTO exchange_candle (market_id, interval, open_time, open, high, low, close, base_volume,
  quote_volume, taker_base_volume, taker_quote_volume, trade_count, first_seq, last_seq, revision)
SELECT market_id, '1m', date_bin('1 minute', executed_at, 'epoch'),
  (min(seq * 100000000 + (price * 100)::bigint) %% 100000000)::numeric / 100, max(price),
  min(price), (max(seq * 100000000 + (price * 100)::bigint) %% 100000000)::numeric / 100,
  sum(quantity), sum(quote_quantity), coalesce(sum(quantity) FILTER (WHERE NOT is_buyer_maker), 0),
  coalesce(sum(quote_quantity) FILTER (WHERE NOT is_buyer_maker), 0),
  sum(last_id - first_id + 1), min(seq), max(seq), 0
FROM exchange_trade WHERE market_id %% 2 = %(part)s GROUP BY market_id, 3 ORDER BY 3, 1
"""

MARK = """
UPDATE exchange_candlewatermark SET closed_until = u.closed_until
FROM unnest(%s::text[], %s::timestamptz[]) AS u(interval, closed_until)
WHERE exchange_candlewatermark.interval = u.interval
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much to lay out."""

    markets: int
    trades: int

    @property
    def label(self) -> str:
        """As it ends the names of figures that show how things grow."""
        return f"{self.markets}_markets_{self.trades}_trades"

    def times(self, *, markets: float = 1, trades: float = 1) -> "Size":
        """A larger or smaller one; there is always room for the special markets."""
        return Size(
            markets=max(LEAST, round(self.markets * markets)), trades=round(self.trades * trades)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What was laid out."""

    markets: int
    trades: int
    start: datetime
    end: datetime

    @property
    def more(self) -> dict[str, float | int | str]:
        """Its size, as figures carry it."""
        return {"markets": self.markets, "trades": self.trades}

    def __str__(self) -> str:
        return f"{self.markets:,} markets, {self.trades:,} trades"


def lay_out(
    bench: Bench,
    *,
    trades: int,
    markets: int = 1000,
    span: timedelta = SPAN,
    ahead: timedelta = AHEAD,
) -> Day:
    """Fills an empty database: markets, about `trades` trades, every bar; returns what is there."""
    with as_owner() as owner:
        clock = owner.execute("SELECT clock_timestamp()").fetchone()
        assert clock
        end = datetime.fromisoformat(str(clock[0])) + ahead
        start = end - span
        owner.execute(_literal(MARKETS, {"markets": markets, "end": end.isoformat()}))
        owner.execute("DROP TABLE IF EXISTS bench_plan")
        plan = {"markets": markets, "trades": trades, "hot": HOT_SHARE}
        owner.execute(_literal(PLAN, plan | {"span": str(span)}))
    _make_trades(bench, start, trades)
    _make_bars(bench, start)
    with as_owner() as owner:
        bench.say("vacuuming and analysing")
        owner.execute("VACUUM (ANALYZE) exchange_trade, exchange_candle, exchange_market")
        owner.execute("DROP TABLE bench_plan")
        counted = owner.execute("SELECT count(*) FROM exchange_trade").fetchone()
    assert counted
    mark_closed()
    bench.say(f"laid out: {counted[0]:,} trades of {markets:,} markets")
    return Day(markets=markets, trades=int(str(counted[0])), start=start, end=end)


def clear() -> None:
    """Removes what was laid out, so that something else can be."""
    with as_owner() as owner:
        owner.execute(
            "TRUNCATE exchange_trade, exchange_candle, exchange_ticker, core_outbox "
            "RESTART IDENTITY"
        )
        owner.execute("DELETE FROM exchange_market")
        owner.execute("DELETE FROM exchange_asset")


def _make_trades(bench: Bench, start: datetime, trades: int) -> None:
    bench.say(f"laying out {trades:,} trades")
    with bare("exchange_trade"):
        _in_two_parts(TRADES, {"start": start.isoformat()})
        bench.say("indexing the trades")


def _make_bars(bench: Bench, start: datetime) -> None:
    bench.say("folding the 1m bars")
    with bare("exchange_candle"):
        _in_two_parts(MINUTES, {})
        bench.say("indexing the bars")
    for interval in Interval:
        if interval.child is not None:
            bench.say(f"folding the {interval} bars")
            fold_level(interval, start=interval.floor(start))


def fold_level(interval: Interval, *, start: datetime) -> None:
    """Stores all bars of an interval from `start` on, folded from its stored children."""
    with as_owner() as owner:
        owner.execute("SET work_mem = '1GB'")
        owner.execute(
            f"INSERT INTO exchange_candle {candles.COLUMNS} {candles.folded(interval)} "
            "WHERE k.interval = %(child)s AND k.open_time >= %(start)s "
            "GROUP BY k.market_id, 3 ORDER BY 3, 1",
            {"interval": interval.value, "child": interval.child, "start": start},
        )


def mark_closed() -> datetime:
    """Closes every interval up to the present, as beat's tasks do on time; returns the present."""
    with as_owner() as owner:
        row = owner.execute("SELECT clock_timestamp()").fetchone()
        assert row
        now = datetime.fromisoformat(str(row[0]))
        intervals = list(Interval)
        owner.execute(MARK, [[i.value for i in intervals], [i.floor(now) for i in intervals]])
    return now


def _in_two_parts(sql: str, params: dict[str, object]) -> None:
    def one(part: int) -> None:
        with as_owner() as owner:
            owner.execute("SET work_mem = '1GB'")
            owner.execute("SET synchronous_commit = off")
            owner.execute(_literal(sql, {**params, "part": part}))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, (0, 1)))


def _literal(sql: str, params: dict[str, object]) -> str:
    """The statement with its numbers and quoted strings put in: several statements take none."""
    return sql % {k: f"'{v}'" if isinstance(v, str) else v for k, v in params.items()}
