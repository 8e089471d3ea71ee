"""Buckets: UTC, Monday weeks, calendar months."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx.core.intervals import Interval, from_ms, to_ms

moments = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("interval", "moment", "start"),
    [
        (Interval.M1, "2026-11-23T12:01:00", "2026-11-23T12:01:00"),
        (Interval.M1, "2026-11-23T12:00:59.999999", "2026-11-23T12:00:00"),
        (Interval.M15, "2026-11-23T12:59:59", "2026-11-23T12:45:00"),
        (Interval.H4, "2026-11-23T23:00:00", "2026-11-23T20:00:00"),
        (Interval.D1, "2026-11-23T23:59:59", "2026-11-23T00:00:00"),
        (Interval.W1, "2026-11-22T23:59:59", "2026-11-16T00:00:00"),
        (Interval.W1, "2026-11-23T00:00:00", "2026-11-23T00:00:00"),
        (Interval.W1, "2027-01-01T12:00:00", "2026-12-28T00:00:00"),
        (Interval.MONTH, "2028-02-29T23:00:00", "2028-02-01T00:00:00"),
    ],
)
def test_a_moment_belongs_to_the_bucket_that_starts_at_or_before_it(
    interval: Interval, moment: str, start: str
) -> None:
    assert interval.floor(at(moment)) == at(start)


def test_a_moment_in_another_time_zone_is_bucketed_in_utc() -> None:
    tokyo = datetime.fromisoformat("2026-11-24T08:30:00+09:00")
    assert Interval.D1.floor(tokyo) == at("2026-11-23T00:00:00")


@pytest.mark.parametrize("days", [28, 29, 30, 31])
def test_months_have_their_calendar_length(days: int) -> None:
    start = {28: "2026-02-01", 29: "2028-02-01", 30: "2026-04-01", 31: "2026-12-01"}[days]
    begin = at(start + "T00:00:00")
    assert Interval.MONTH.shift(begin, 1) - begin == timedelta(days=days)


def test_a_bucket_is_shifted_by_its_length_where_the_clocks_of_its_zone_change() -> None:
    before = datetime(2026, 3, 29, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert Interval.H4.shift(before, 1) == before.astimezone(UTC) + timedelta(hours=4)


def test_shifting_beyond_the_calendar_overflows() -> None:
    for interval in (Interval.MONTH, Interval.D1):
        with pytest.raises(OverflowError):
            interval.shift(at("9999-12-01T00:00:00"), 400)


@given(moment=moments, interval=st.sampled_from(Interval))
def test_a_bucket_holds_its_moment_and_the_next_starts_after_it(
    moment: datetime, interval: Interval
) -> None:
    start = interval.floor(moment)
    assert start <= moment < interval.shift(start, 1)
    assert interval.ceil(start) == start
    assert interval.buckets_between(start, interval.shift(start, 7)) == 7


@given(moment=moments, interval=st.sampled_from(Interval))
def test_a_bucket_starts_where_one_of_its_children_starts(
    moment: datetime, interval: Interval
) -> None:
    start = interval.floor(moment)
    if interval.child:
        interval.child.check_start(start)
        interval.child.check_start(interval.shift(start, 1))


def test_the_start_of_a_bucket_is_checked_at_the_door() -> None:
    with pytest.raises(ValueError, match="not the start of a 5m bucket"):
        Interval.M5.check_start(at("2026-11-23T12:01:00"))


@given(moment=moments)
def test_milliseconds_round_down_and_back(moment: datetime) -> None:
    assert timedelta(0) <= moment - from_ms(to_ms(moment)) < timedelta(milliseconds=1)
