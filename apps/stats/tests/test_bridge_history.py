"""Bridges over time: as sampled, by the hour, and no longer than they are kept."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.stats.bridges import history
from apps.stats.bridges.history import Wanted
from apps.stats.models import BridgeHour, BridgeSample
from moonx.core.intervals import to_ms
from moonx.core.upstream.faults import Fault

NOW = datetime(2026, 11, 26, 12, 20, tzinfo=UTC)
NOON = NOW.replace(minute=0)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ALL = Wanted()


def add(
    at: datetime,
    latency_ms: int | None = 100,
    fault: str = "",
    provider: str = "relay",
    **more: Any,
) -> None:
    usual = {"source": "ethereum", "target": "base", "size": 100, "simulated": False, **more}
    BridgeSample.objects.create(
        provider=provider,
        asset="USDC",
        fault=fault,
        latency_ms=latency_ms,
        verdict="healthy",
        sampled_at=at,
        **usual,
    )


def points(series: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    (one,) = series
    found: list[dict[str, Any]] = one["points"]
    return found


@pytest.mark.django_db
def test_samples_come_oldest_first_with_the_verdict_that_was_told() -> None:
    add(NOON)
    add(NOON - MINUTE, 10_000, Fault.TIMEOUT)
    add(NOON + MINUTE, None, Fault.HELD_BACK)
    (series,) = history.raw(ALL, start=NOON - HOUR, end=NOW)
    assert [series[name] for name in ("provider", "from", "to", "size")] == [
        "relay",
        "ethereum",
        "base",
        "100",
    ]
    failed, came = series["points"]
    assert failed["time"] == to_ms(NOON - MINUTE)
    assert (failed["successRate"], failed["errors"]) == ("0.0000", {"timeout": 1})
    assert failed["latencyMs"] == {"p50": None, "p95": None, "n": 0}
    assert came == {
        "time": to_ms(NOON),
        "verdict": "healthy",
        "latencyMs": {"p50": 100, "p95": 100, "n": 1},
        "successRate": "1.0000",
        "errors": {},
        "simulated": False,
    }


@pytest.mark.django_db
def test_a_window_includes_its_start_and_not_its_end() -> None:
    for minute in range(3):
        add(NOON + minute * MINUTE)
    found = points(history.raw(ALL, start=NOON, end=NOON + 2 * MINUTE))
    assert [point["time"] for point in found] == [to_ms(NOON), to_ms(NOON + MINUTE)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (ALL, 4),
        (Wanted(provider="relay"), 3),
        (Wanted(source="bsc"), 1),
        (Wanted(target="arbitrum"), 1),
        (Wanted(size=1000), 1),
        (Wanted(provider="nobody"), 0),
    ],
)
def test_only_what_is_wanted_is_told(wanted: Wanted, count: int) -> None:
    add(NOON, provider="lifi", source="bsc")
    add(NOON, size=1000)
    add(NOON, target="arbitrum")
    add(NOON)
    assert len(history.raw(wanted, start=NOON, end=NOW)) == count
    assert len(history.hourly(wanted, start=NOON, end=NOW)) == count


@pytest.mark.django_db
def test_an_hour_is_the_same_before_and_after_it_is_folded() -> None:
    for place in range(40):
        add(NOON - HOUR + place * MINUTE, 100 + 10 * place)
    add(NOON - MINUTE, 10_000, Fault.TIMEOUT)
    add(NOON - MINUTE, None, Fault.HELD_BACK)
    add(NOON - 2 * HOUR, 7)
    add(NOON + MINUTE, 5)
    before = history.hourly(ALL, start=NOON - DAY, end=NOW)
    assert history.fold(now=NOW) == 2
    assert history.hourly(ALL, start=NOON - DAY, end=NOW) == before
    older, hour, under_way = points(before)
    assert [one["time"] for one in (older, hour, under_way)] == [
        to_ms(NOON - 2 * HOUR),
        to_ms(NOON - HOUR),
        to_ms(NOON),
    ]
    assert hour["latencyMs"] == {"p50": 290, "p95": 470, "n": 40}
    assert hour["errors"] == {"heldBack": 1, "timeout": 1}
    assert (hour["verdict"], hour["successRate"]) == ("healthy", "0.9756")
    assert under_way["verdict"] == "unknown"


@pytest.mark.django_db
def test_folding_again_changes_nothing_and_an_hour_under_way_is_left() -> None:
    add(NOON - HOUR)
    add(NOON)
    assert history.fold(now=NOW) == 1
    rows = list(BridgeHour.objects.values())
    assert history.fold(now=NOW + MINUTE) == 0
    assert list(BridgeHour.objects.values()) == rows
    assert history.fold(now=NOW + HOUR) == 1
    assert BridgeHour.objects.count() == 2


@pytest.mark.django_db
def test_an_hour_is_folded_once_every_look_that_began_in_it_is_over() -> None:
    add(NOON - MINUTE)
    assert history.fold(now=NOON + MINUTE) == 0
    assert history.fold(now=NOON + 2 * MINUTE) == 1


@pytest.mark.django_db
def test_hours_without_a_quote_and_hours_of_the_simulator_are_hours_of_their_own() -> None:
    add(NOON - HOUR, 300, Fault.SERVER)
    add(NOON - HOUR, 50, simulated=True)
    history.fold(now=NOW)
    real, simulated = sorted(
        points(history.hourly(ALL, start=NOON - HOUR, end=NOON)), key=lambda one: one["simulated"]
    )
    assert (real["latencyMs"]["p50"], real["successRate"]) == (None, "0.0000")
    assert simulated["latencyMs"]["p50"] == 50


@pytest.mark.django_db
def test_hours_of_a_stopped_collector_are_folded_when_it_comes_back() -> None:
    for hours in (50, 26, 3):
        add(NOON - hours * HOUR)
    assert history.fold(now=NOW) == 3


@pytest.mark.django_db
def test_samples_are_kept_seven_days_and_hours_ninety() -> None:
    for age in (7 * DAY - MINUTE, 7 * DAY + MINUTE, 89 * DAY, 91 * DAY):
        add(NOW - age)
    history.prune(now=NOW)
    assert BridgeSample.objects.get().sampled_at == NOW - 7 * DAY + MINUTE
    assert BridgeHour.objects.count() == 2  # two of the samples share one
    assert history.prune(now=NOW) == 0


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60), st.integers(1, 100))
def test_a_percentile_is_the_first_value_that_enough_are_no_greater_than(
    values: list[int], percent: int
) -> None:
    found = history.nearest_rank(sorted(values), percent)
    assert found is not None
    share = sum(value <= found for value in values)
    below = sum(value < found for value in values)
    assert share * 100 >= percent * len(values)
    assert below * 100 < percent * len(values)


def test_there_is_no_percentile_of_nothing() -> None:
    assert history.nearest_rank([], 50) is None
