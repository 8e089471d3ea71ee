"""Bars as values."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apps.exchange import bars
from apps.exchange.bars import Bar, Tick
from moonx.core.intervals import Interval

START = datetime(2026, 11, 23, tzinfo=UTC)


def tick(seq: int, second: float, price: str, quantity: str = "1") -> Tick:
    return Tick(
        seq=seq,
        time=START + timedelta(seconds=second),
        price=Decimal(price),
        quantity=Decimal(quantity),
        quote_quantity=Decimal(price) * Decimal(quantity),
        is_buyer_maker=seq % 2 == 0,
        count=1,
    )


ticks = st.lists(
    st.tuples(st.integers(0, 40 * 86_400), st.integers(1, 500), st.integers(1, 50), st.booleans()),
    min_size=1,
    max_size=60,
).map(
    lambda rows: [
        Tick(
            seq=seq,
            time=START + timedelta(seconds=second),
            price=Decimal(price) / 100,
            quantity=Decimal(quantity),
            quote_quantity=Decimal(price) / 100 * quantity,
            is_buyer_maker=maker,
            count=1,
        )
        for seq, (second, price, quantity, maker) in enumerate(sorted(rows), start=1)
    ]
)


def brute(rows: list[Tick], interval: Interval) -> dict[datetime, tuple[object, ...]]:
    """Bars straight from the trades, the slow and obvious way."""
    found: dict[datetime, tuple[object, ...]] = {}
    for start in {interval.floor(row.time) for row in rows}:
        own = sorted((r for r in rows if interval.floor(r.time) == start), key=lambda r: r.seq)
        prices = [row.price for row in own]
        found[start] = (
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(row.quantity for row in own),
            sum(row.quote_quantity for row in own),
            sum(row.quantity for row in own if not row.is_buyer_maker),
            len(own),
        )
    return found


def seen(bar: Bar) -> tuple[object, ...]:
    return (
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.base_volume,
        bar.quote_volume,
        bar.taker_base_volume,
        bar.trade_count,
    )


@given(rows=ticks, interval=st.sampled_from(Interval))
def test_bars_folded_over_any_path_equal_bars_from_trades(
    rows: list[Tick], interval: Interval
) -> None:
    direct = bars.fold(bars.of_ticks(rows).values(), interval)
    level, path = bars.fold(bars.of_ticks(rows).values(), Interval.M1), [interval]
    while path[0].child and path[0].child is not Interval.M1:
        path.insert(0, path[0].child)
    for step in path:
        level = bars.fold(level, step)
    assert level == direct
    assert {bar.open_time: seen(bar) for bar in direct} == brute(rows, interval)


@given(rows=ticks, order=st.randoms())
def test_the_order_of_arrival_does_not_matter(rows: list[Tick], order: object) -> None:
    shuffled = sorted(rows, key=lambda _: order.random())  # type: ignore[attr-defined]
    assert bars.of_ticks(shuffled) == bars.of_ticks(rows)


def test_a_trade_on_the_minute_belongs_to_the_minute_that_starts() -> None:
    found = bars.of_ticks([tick(1, 59.999999, "1"), tick(2, 60, "2")])
    assert [bar.close for bar in found.values()] == [Decimal(1), Decimal(2)]


def test_trades_of_one_instant_open_and_close_by_sequence() -> None:
    found = bars.of_ticks([tick(3, 5, "3"), tick(1, 5, "1"), tick(2, 5, "2")])
    assert (found[START].open, found[START].close) == (Decimal(1), Decimal(3))


def test_time_going_back_leaves_the_bucket_to_time_and_open_and_close_to_sequence() -> None:
    found = bars.of_ticks([tick(1, 50, "1"), tick(2, 10, "2"), tick(3, 61, "3")])
    assert (found[START].open, found[START].close) == (Decimal(1), Decimal(2))


def test_a_quiet_minute_never_reaches_the_high_of_its_hour() -> None:
    quiet = bars.flat(open_time=START, price=Decimal(100))
    busy = bars.of_ticks([tick(1, 60, "90"), tick(2, 70, "95")])
    hour = bars.fold([quiet, *busy.values()], Interval.H1)[0]
    assert (hour.open, hour.high, hour.low) == (Decimal(90), Decimal(95), Decimal(90))


def test_quiet_buckets_are_flat_at_the_previous_close_and_absent_before_the_first_trade() -> None:
    busy = list(bars.of_ticks([tick(1, 120, "7", "3")]).values())
    end = START + timedelta(minutes=5)
    shown = list(bars.dense(busy, Interval.M1, start=START, end=end, previous_close=None))
    assert [bar.trade_count for bar in shown] == [1, 0, 0]
    assert seen(shown[-1]) == (Decimal(7),) * 4 + (0, 0, 0, 0)
    known = list(bars.dense(busy, Interval.M1, start=START, end=end, previous_close=Decimal(5)))
    assert [bar.close for bar in known] == [5, 5, 7, 7, 7]


@given(marks=st.lists(st.integers(0, 40 * 1440), min_size=9, max_size=9), days=st.integers(1, 40))
def test_a_cover_is_without_gap_or_overlap_whatever_is_closed(marks: list[int], days: int) -> None:
    closed = {
        interval: interval.floor(START + timedelta(minutes=minute))
        for interval, minute in zip(Interval, marks, strict=True)
    }
    for interval in Interval:
        start = interval.floor(START)
        end = Interval.M1.floor(START + timedelta(days=days, minutes=17))
        ranges = sorted(
            bars.cover(interval, start=start, end=end, closed_until=closed), key=lambda r: r[1]
        )
        assert ranges[0][1] == start
        assert ranges[-1][2] == end
        assert all(left[2] == right[1] for left, right in pairwise(ranges))
        for level, first, _ in ranges:
            level.check_start(first)
