"""Bars of other zones than UTC: buckets that start where clocks there say so, equal to trades."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from apps.exchange import candles, klines
from apps.exchange.bars import Bar
from apps.exchange.candles import spans
from apps.exchange.klines import Wish
from apps.exchange.models import Market, MarketStatus
from apps.exchange.tests.factory import at, market, open_since, trade, traded_all
from apps.exchange.trades import Executed
from moonx.core import locks
from moonx.core.intervals import Interval, Zoned, buckets
from moonx.core.locks import Lock

ZONES = [480, 330, -210, 345, -720, 840, 60, -7]  # minutes ahead of UTC
START = at("2026-09-28 03:17:05.000001")
DAYS = 95  # over month ends and a new year
NOW = START + timedelta(days=DAYS)


@pytest.fixture
def history(committed_db: None) -> tuple[Market, list[Executed]]:
    """A market of three months, its bars closed up to the last day but one of them."""
    open_since(START - timedelta(days=40))
    where = market(status=MarketStatus.TRADING)
    rng = random.Random(7)  # noqa: S311
    span_us = DAYS * 86_400_000_000
    micros = sorted({*(rng.randrange(span_us) for _ in range(400)), *_bursts(rng, span_us)})
    rows = traded_all(
        where,
        [
            trade(
                seq,
                START + timedelta(microseconds=micro),
                f"{rng.randrange(900, 1100)}.{rng.randrange(100):02}",
                str(rng.randrange(1, 9)),
                maker_buys=rng.random() < 0.5,
            )
            for seq, micro in enumerate(micros, start=1)
        ],
    )
    with transaction.atomic():
        locks.hold(Lock.CANDLE_FOLD)
        for interval in (Interval.H4, Interval.W1, Interval.MONTH):
            candles.close_until(interval, until=interval.floor(NOW - timedelta(days=1)))
    return where, rows


def _bursts(rng: random.Random, span_us: int) -> Iterable[int]:
    """Instants that stand close together, and at the very end."""
    for _ in range(20):
        begin = rng.randrange(span_us - 7_200_000_000)
        yield from (begin + rng.randrange(7_200_000_000) for _ in range(10))
    yield from (span_us - rng.randrange(1, 90_000_000_000) for _ in range(60))


def local_start(moment: datetime, interval: Interval, ahead: timedelta) -> datetime:
    """Where the bucket of a moment starts, by a calendar of the zone."""
    local = moment.astimezone(timezone(ahead))
    day = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if interval is Interval.MONTH:
        return day.replace(day=1).astimezone(UTC)
    if interval is Interval.W1:
        return (day - timedelta(days=day.weekday())).astimezone(UTC)
    assert interval.length
    return (day + (local - day) // interval.length * interval.length).astimezone(UTC)


def brute(rows: Iterable[Executed], interval: Interval, ahead: timedelta) -> dict[datetime, Bar]:
    groups: dict[datetime, list[Executed]] = {}
    for row in rows:
        groups.setdefault(local_start(row.executed_at, interval, ahead), []).append(row)
    return {
        start: Bar(
            open_time=start,
            open=inside[0].price,
            high=max(row.price for row in inside),
            low=min(row.price for row in inside),
            close=inside[-1].price,
            base_volume=Decimal(sum(row.quantity for row in inside)),
            quote_volume=Decimal(sum(row.quote_quantity for row in inside)),
            taker_base_volume=sum(
                (row.quantity for row in inside if not row.is_buyer_maker), Decimal(0)
            ),
            taker_quote_volume=sum(
                (row.quote_quantity for row in inside if not row.is_buyer_maker), Decimal(0)
            ),
            trade_count=len(inside),
            first_seq=inside[0].seq,
            last_seq=inside[-1].seq,
        )
        for start, inside in groups.items()
    }


def test_bars_of_every_interval_and_zone_equal_their_trades(
    history: tuple[Market, list[Executed]],
) -> None:
    where, rows = history
    for minutes in ZONES:
        ahead = timedelta(minutes=minutes)
        for interval in Interval:
            grid = buckets(interval, ahead=ahead)
            end = grid.shift(grid.floor(NOW), 1)
            told = candles.between(where, grid, start=grid.floor(START), end=end)
            found = {bar.open_time: bar for bar in told}
            assert found == brute(rows, interval, ahead), (minutes, interval)
            assert list(found) == sorted(found)


def test_a_zones_bars_are_dense_from_the_first_trade_to_the_one_in_progress(
    history: tuple[Market, list[Executed]],
) -> None:
    where, rows = history
    days = buckets(Interval.D1, ahead=timedelta(hours=8))
    told = klines.read(where, days, Wish(limit=1000), now=NOW)
    assert told[0].open_time == local_start(rows[0].executed_at, Interval.D1, timedelta(hours=8))
    assert told[-1].open_time == local_start(NOW, Interval.D1, timedelta(hours=8))
    steps = {right.open_time - left.open_time for left, right in pairwise(told)}
    assert steps == {timedelta(days=1)}
    assert all(bar.open_time.hour == 16 for bar in told)


def test_a_zones_window_that_opens_in_silence_is_flat_at_the_close_before_it(
    history: tuple[Market, list[Executed]],
) -> None:
    where, rows = history
    hours = buckets(Interval.H4, ahead=timedelta(hours=1))
    told = klines.read(where, hours, Wish(limit=100_000), now=NOW)
    silent = next(bar for bar in told if not bar.trade_count)
    wish = Wish(start_ms=int(silent.open_time.timestamp() * 1000), limit=1)
    assert klines.read(where, hours, wish, now=NOW) == [silent]
    assert silent.open == [row for row in rows if row.executed_at < silent.open_time][-1].price


FILL = """
INSERT INTO exchange_candle (market_id, interval, open_time, open, high, low, close, base_volume,
  quote_volume, taker_base_volume, taker_quote_volume, trade_count, first_seq, last_seq, revision)
SELECT %s, %s, t, 1, 1, 1, 1, 1, 1, 0, 0, extract(epoch FROM %s::interval) / 60, n, n, 0
FROM generate_series(%s::timestamptz, %s, %s::interval) WITH ORDINALITY AS s(t, n)
"""


@pytest.mark.usefixtures("committed_db")
def test_a_zones_bars_cost_one_statement_and_few_rows_however_long_they_are() -> None:
    where, weeks = market(), Zoned(Interval.W1, timedelta(minutes=345))
    start = weeks.floor(START)
    end = weeks.shift(start, 6)
    open_since(end)
    with connection.cursor() as cursor:  # a trade a minute
        for level in spans.LEVELS:
            length, first = str(level.length), level.floor(start)
            cursor.execute(FILL, [where.pk, level.value, length, first, level.floor(end), length])
    with CaptureQueriesContext(connection) as seen:
        found = candles.between(where, weeks, start=start, end=end)
    assert [bar.trade_count for bar in found] == [7 * 1440] * 6
    assert len(seen) == 1
    # From 18:15 on: 3 bars of 5m, 3 of 30m, 1 of 4h, 6 days, 4 of 4h, 4 of 30m, 3 of 5m.
    plan = explained(seen.captured_queries[0]["sql"])
    assert round(sum(_rows(plan))) == 6 * 24, plan


def explained(sql: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + sql)
        return [row[0] for row in cursor.fetchall()]


def _rows(plan: list[str]) -> Iterable[float]:
    """How many bars each look-up of the plan read."""
    for line in plan:
        if "on exchange_candle " in line:
            counts = line.split("actual rows=")[1].rstrip(")").split(" loops=")
            yield float(counts[0]) * int(counts[1])


ZONE = st.integers(-720, 840).map(lambda minutes: timedelta(minutes=minutes))
MOMENT = st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(moment=MOMENT, ahead=ZONE, interval=st.sampled_from(list(Interval)))
def test_a_bucket_holds_its_moments_and_starts_by_the_calendar_of_its_zone(
    moment: datetime, ahead: timedelta, interval: Interval
) -> None:
    grid = buckets(interval, ahead=ahead)
    start = grid.floor(moment)
    assert start == local_start(moment, interval, ahead)
    assert start <= moment < grid.shift(start, 1)
    assert grid.ceil(moment) == (start if start == moment else grid.shift(start, 1))
    assert grid.buckets_between(start, grid.shift(start, 17)) == 17
    assert grid.floor(grid.shift(start, 5)) == grid.shift(start, 5)
