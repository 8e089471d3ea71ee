"""Reading the bars of the dearest zone: its days start at a minute that no larger bar starts at."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection

from apps.exchange import candles, klines
from apps.exchange.bars import Bar
from apps.exchange.candles import spans
from apps.exchange.klines import Wish
from apps.exchange.models import Market
from benchmarks import market_day
from benchmarks.harness import Bench, Figure, elapsed_ms, load, percentile
from benchmarks.world import as_owner
from moonx.core.intervals import Interval, Zoned

FULL_DAYS = 1000  # as many bars as one request may ask for
DEAREST = Zoned(Interval.D1, timedelta(hours=13, minutes=59))

# A trade a minute. Their numbers are those of the minutes.
FILL = f"""
INSERT INTO exchange_candle {candles.COLUMNS}
SELECT %(market)s, %(interval)s, t, 1, 1, 1, 1, n, n, 0, 0, n, minute, minute + n - 1, 0
FROM generate_series(%(start)s::timestamptz, %(end)s::timestamptz - %(length)s::interval,
  %(length)s::interval) t
CROSS JOIN LATERAL (SELECT extract(epoch FROM %(length)s::interval)::bigint / 60 AS n,
  extract(epoch FROM t)::bigint / 60 AS minute) m
"""


def measure(bench: Bench, *, reads: int, days: int) -> None:
    """Reads `days` bars of a market that trades each minute, in the dearest zone and in UTC.

    They go to the last market laid out, which never traded; its bars are added to what is there.
    """
    market = Market.objects.order_by("-id")[0]
    now, wish = fill(bench, market, days=days), Wish(limit=days)
    ours_ms: list[float] = []
    peer_ms: list[float] = []
    for _ in range(bench.rounds * reads):
        ours_ms.append(elapsed_ms(lambda: klines.read(market, DEAREST, wish, now=now)))
        peer_ms.append(elapsed_ms(lambda: klines.read(market, Interval.D1, wish, now=now)))
    ours, peer = percentile(ours_ms, 0.5), percentile(peer_ms, 0.5)
    bench.add(
        Figure(
            name="candle-reads.zoned",
            ratio=round(peer / ours, 3),
            goal=None,
            rounds=bench.rounds,
            peer="as many days of UTC, which are stored",
            ok=True,
            ours_ms=round(ours, 3),
            peer_ms=round(peer, 3),
            note=f"newest {days:,} days at +13:59 of a market that trades each minute: the most "
            f"that one request costs; {reads} reads a round; load {load()}",
            more={"p99Ms": round(percentile(ours_ms, 0.99), 3), "days": days},
        )
    )
    check(bench, klines.read(market, DEAREST, wish, now=now), days=days)


def fill(bench: Bench, market: Market, *, days: int) -> datetime:
    """Every stored bar that a zone's bars are made of, from before the first day on; up to when."""
    now = market_day.mark_closed()
    start = Interval.D1.floor(now) - timedelta(days=days + 1)
    bench.say(f"laying out {days:,} days of bars")
    for level in spans.LEVELS:
        values = {
            "market": market.pk,
            "interval": level.value,
            "start": start,
            "end": level.floor(now),
            "length": str(level.length),
        }
        with connection.cursor() as cursor:
            cursor.execute(FILL, values)
    with as_owner() as owner:
        owner.execute("VACUUM (ANALYZE) exchange_candle")
    return now


def check(bench: Bench, found: Sequence[Bar], *, days: int) -> None:
    """Each whole day holds each of its minutes once."""
    whole = [(bar.trade_count, bar.last_seq) for bar in found[:-1]]
    minutes = [round(bar.open_time.timestamp()) // 60 for bar in found]
    right = [(1440, minute + 1439) for minute in minutes[:-1]]
    bench.check(
        len(found) == days and whole == right, f"{len(found):,} days at +13:59 hold their minutes"
    )
