"""500 bars of any interval with ten million trades behind, against folding them from the trades."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection

from apps.exchange import bars, candles, klines
from apps.exchange.bars import Bar
from apps.exchange.klines import Wish
from apps.exchange.models import Market
from benchmarks import market_day, zoned_reads
from benchmarks.harness import Bench, Figure, elapsed_ms, load, percentile
from benchmarks.market_day import Size
from moonx.core.intervals import Interval

FULL_N = 10_000_000
LIMIT = 500
READS = 40  # of each interval in each round

BUCKET = {
    interval: sql.replace("k.open_time", "t.executed_at")
    for interval, sql in candles.BUCKET.items()
}
BUCKET[Interval.M1] = "date_bin('1 minute', t.executed_at, 'epoch')"

FROM_TRADES = """
SELECT {bucket}, (array_agg(t.price ORDER BY t.seq))[1], max(t.price), min(t.price),
  (array_agg(t.price ORDER BY t.seq DESC))[1], sum(t.quantity), sum(t.quote_quantity),
  coalesce(sum(t.quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  coalesce(sum(t.quote_quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  sum(t.last_id - t.first_id + 1), min(t.seq), max(t.seq), 0
FROM exchange_trade t
WHERE t.market_id = %s AND t.executed_at >= %s AND t.executed_at < %s GROUP BY 1 ORDER BY 1
"""
LAST_BEFORE = """
SELECT price FROM exchange_trade WHERE market_id = %s AND executed_at < %s
ORDER BY executed_at DESC, seq DESC LIMIT 1
"""


def run(
    bench: Bench,
    *,
    n: int = FULL_N,
    markets: int = 1000,
    reads: int = READS,
    days: int = zoned_reads.FULL_DAYS,
) -> None:
    """Reads the newest 500 bars of each interval of the busiest market, by both ways.

    Then a thousand days of the dearest zone, and again with a tenth of the trades, and with fewer
    markets.
    """
    whole = Size(markets=markets, trades=n)
    measure(bench, whole, reads=reads, goal=100)
    zoned_reads.measure(bench, reads=reads, days=days)
    for share in (1, 0.1, 0.01):
        market_day.clear()
        measure(bench, whole.times(markets=share, trades=0.1), reads=reads, goal=None)


def measure(bench: Bench, size: Size, *, reads: int, goal: float | None) -> None:
    """One size's figure, and that every bar is right."""
    day = market_day.lay_out(bench, trades=size.trades, markets=size.markets, ahead=timedelta(0))
    market = Market.objects.order_by("id")[0]
    ratios: dict[Interval, list[float]] = {interval: [] for interval in Interval}
    ours_ms: list[float] = []
    peer_ms: list[float] = []
    for number in range(bench.rounds):
        now = market_day.mark_closed()
        words = []
        for interval in Interval:
            mine, theirs = one_round(market, interval, now=now, reads=reads)
            middle = percentile(mine, 0.5)
            ratios[interval].append(theirs / middle)
            ours_ms += mine
            peer_ms.append(theirs)
            words.append(f"{interval} {middle:.1f}/{theirs:,.0f}")
        bench.say(f"round {number + 1} of {bench.rounds}, ms ours/peer: {', '.join(words)}")
    by_interval = {interval: percentile(found, 0.5) for interval, found in ratios.items()}
    worst = min(by_interval, key=by_interval.__getitem__)
    ratio = by_interval[worst]
    bench.add(
        Figure(
            name=f"candle-reads.any{'' if goal else f'.{size.label}'}",
            ratio=round(ratio, 2),
            goal=goal,
            rounds=bench.rounds,
            peer="the same bars folded from the trades by one statement",
            ok=goal is None or ratio >= goal,
            ours_ms=round(percentile(ours_ms, 0.5), 3),
            peer_ms=round(percentile(peer_ms, 0.5), 3),
            note=f"the interval with the lowest ratio, {worst}, counts; newest {LIMIT} bars of the "
            f"busiest market; {day}; {reads} reads of each a round; load {load()}",
            more={"p99Ms": round(percentile(ours_ms, 0.99), 3), **day.more},
        )
    )
    check(bench, market)


def one_round(
    market: Market, interval: Interval, *, now: datetime, reads: int
) -> tuple[list[float], float]:
    """Times of our reads, and of one fold from the trades."""
    mine = [elapsed_ms(_reading(market, interval, now)) for _ in range(reads)]
    return mine, elapsed_ms(lambda: from_trades(market, interval, now=now))


def _reading(market: Market, interval: Interval, now: datetime) -> Callable[[], list[Bar]]:
    return lambda: klines.read(market, interval, Wish(limit=LIMIT), now=now)


def from_trades(market: Market, interval: Interval, *, now: datetime) -> list[Bar]:
    """The newest 500 buckets, from nothing but trades; empty ones filled as ours are."""
    end = interval.shift(interval.floor(now), 1)
    start = interval.shift(end, -LIMIT)
    with connection.cursor() as cursor:
        cursor.execute(
            FROM_TRADES.format(bucket=BUCKET[interval].replace("k.open_time", "t.executed_at")),
            [market.pk, start, end],
        )
        names = candles.FIELDS.split(", ")
        found = [Bar(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
        cursor.execute(LAST_BEFORE, [market.pk, start])
        before = cursor.fetchone()
    close = before[0] if before else None
    return list(bars.dense(found, interval, start=start, end=end, previous_close=close))


def check(bench: Bench, market: Market) -> None:
    """Every bar of every interval is the one that the trades make."""
    now = market_day.mark_closed()
    wrong, count = [], 0
    for interval in Interval:
        mine = _reading(market, interval, now)()
        count += len(mine)
        if mine != from_trades(market, interval, now=now):
            wrong.append(interval.value)
    bench.check(not wrong, f"{count:,} bars of nine intervals equal the fold from trades {wrong}")
