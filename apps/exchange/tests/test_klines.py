"""Bars for display: Binance's ranges, and a flat bar for every bucket without trades."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.exchange import klines
from apps.exchange.bars import Bar
from apps.exchange.klines import Wish
from apps.exchange.models import Market, MarketStatus
from apps.exchange.tests.factory import at, market, open_since, trade, traded
from moonx.core.intervals import Interval, from_ms, to_ms

NOON = at("2026-11-23 12:00")
NOW = at("2026-11-23 12:10") + timedelta(seconds=30)


@pytest.fixture
def where(db: None) -> Market:
    """A market that traded at 12:00, 12:03 and 12:05."""
    open_since(NOON)
    made = market()
    traded(
        made,
        trade(1, NOON, "10"),
        trade(2, NOON + timedelta(minutes=3), "12"),
        trade(3, NOON + timedelta(minutes=5), "11"),
    )
    return made


def minutes(found: list[Bar]) -> list[int]:
    return [(bar.open_time - NOON) // timedelta(minutes=1) for bar in found]


def read(where: Market, interval: Interval = Interval.M1, **wish: Any) -> list[Bar]:
    return klines.read(where, interval, Wish(**wish), now=NOW)


def ms(minute: int, extra_ms: int = 0) -> int:
    return to_ms(NOON) + minute * 60_000 + extra_ms


def test_a_trading_market_has_a_bar_for_every_minute_from_its_first_trade_to_now(
    where: Market,
) -> None:
    found = read(where)
    assert minutes(found) == list(range(11))
    assert [bar.close for bar in found] == [Decimal(p) for p in [10] * 3 + [12] * 2 + [11] * 6]
    assert [bar.trade_count for bar in found] == [1, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]


def test_without_a_start_the_newest_bars_are_shown(where: Market) -> None:
    assert minutes(read(where, limit=3)) == [8, 9, 10]
    assert minutes(read(where, limit=3, end_ms=ms(7))) == [5, 6, 7]


def test_with_a_start_the_oldest_bars_from_there_are_shown(where: Market) -> None:
    assert minutes(read(where, limit=3, start_ms=ms(2))) == [2, 3, 4]
    assert minutes(read(where, start_ms=ms(2, 1), end_ms=ms(4))) == [3, 4]


def test_a_start_and_an_end_include_the_bars_that_open_at_them(where: Market) -> None:
    assert minutes(read(where, start_ms=ms(3), end_ms=ms(5))) == [3, 4, 5]
    assert minutes(read(where, start_ms=ms(3), end_ms=ms(5, -1))) == [3, 4]


def test_a_window_that_opens_in_silence_is_flat_at_the_close_before_it(where: Market) -> None:
    assert [bar.open for bar in read(where, start_ms=ms(1), end_ms=ms(2))] == [10, 10]


@pytest.mark.parametrize(
    "wish",
    [
        {"start_ms": to_ms(NOW) + 1},
        {"end_ms": to_ms(NOON) - 1},
        {"start_ms": ms(5), "end_ms": ms(4)},
        {"start_ms": ms(3, 1), "end_ms": ms(3, 2)},
        {"start_ms": 10**19},
    ],
)
def test_a_range_that_holds_no_bar_is_empty(where: Market, wish: dict[str, Any]) -> None:
    assert read(where, **wish) == []


def test_the_whole_of_time_costs_no_more_than_its_bars(where: Market) -> None:
    assert minutes(read(where, start_ms=0, end_ms=10**19)) == list(range(11))
    for interval in Interval:
        assert len(read(where, interval, start_ms=0, end_ms=10**19)) >= 1


def test_a_market_that_stands_still_ends_with_its_last_trade(where: Market) -> None:
    where.status = MarketStatus.BREAK
    assert minutes(read(where)) == list(range(6))


@pytest.mark.parametrize("status", [MarketStatus.HALT, MarketStatus.BREAK])
def test_a_market_that_was_stopped_keeps_the_bars_shown_until_then(
    where: Market, status: MarketStatus
) -> None:
    shown = read(where)
    where.status, where.halted_at = status, NOW
    assert klines.read(where, Interval.M1, Wish(), now=NOW + timedelta(hours=1)) == shown
    where.halted_at = NOON + timedelta(minutes=8)
    assert minutes(read(where)) == list(range(9))
    where.halted_at = NOON  # of before a late trade
    assert minutes(read(where)) == list(range(6))


def test_a_market_that_takes_only_resting_orders_has_a_bar_for_every_minute_until_now(
    where: Market,
) -> None:
    where.status = MarketStatus.POST_ONLY
    assert minutes(read(where)) == list(range(11))


def test_a_recorded_market_ends_with_its_record(where: Market) -> None:
    where.status, where.recorded_until = MarketStatus.BREAK, NOON + timedelta(minutes=8)
    assert minutes(read(where)) == list(range(8))


def test_a_record_that_ends_within_a_bar_shows_that_bar(where: Market) -> None:
    where.status, where.recorded_until = MarketStatus.BREAK, NOON + timedelta(minutes=7, seconds=1)
    assert minutes(read(where)) == list(range(8))


@pytest.mark.usefixtures("db")
def test_a_market_that_never_traded_has_no_bars() -> None:
    assert read(market()) == []


MILLIS = st.none() | st.integers(0, 10**20)


@given(
    first=st.integers(631_152_000, 2_208_988_800),
    length=st.timedeltas(timedelta(0), timedelta(days=9000)),
    wish=st.builds(Wish, start_ms=MILLIS, end_ms=MILLIS, limit=st.integers(1, 1000)),
    interval=st.sampled_from(list(Interval)),
)
def test_what_is_chosen_lies_within_reach_and_within_the_wish(
    first: int, length: timedelta, wish: Wish, interval: Interval
) -> None:
    low = interval.floor(from_ms(first * 1000))
    high = interval.floor(low + length)
    chosen = klines.choose(wish, interval, (low, high))
    if chosen is None:
        return
    start, stop = chosen
    assert low <= start <= stop <= high
    assert interval.buckets_between(start, stop) < wish.limit
    assert wish.start_ms is None or to_ms(start) >= wish.start_ms
    assert wish.end_ms is None or to_ms(stop) <= wish.end_ms
