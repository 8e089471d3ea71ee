"""Budgets: never more than allowed, and a wait that is neither too short nor too long."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonx.core.resilience import budget
from moonx.core.resilience.budget import WHOLE, WINDOW_MS, Budget, Meter, declared

counts = st.integers(0, 700)
limits = st.integers(1, 600)
weights = st.integers(1, 80)
elapsed = st.integers(0, WINDOW_MS - 1)


def fits(previous: int, current: int, elapsed_ms: int, *, limit: int, weight: int) -> bool:
    """Whether a call fits after so many ms, if nobody else calls: the rule itself, by hand."""
    while elapsed_ms >= WINDOW_MS:
        previous, current, elapsed_ms = current, 0, elapsed_ms - WINDOW_MS
    held = math.floor(previous * (WINDOW_MS - elapsed_ms) / WINDOW_MS) + current
    return held + min(weight, limit) <= limit


@settings(max_examples=400, deadline=None)
@given(previous=counts, current=counts, elapsed_ms=elapsed, limit=limits, weight=weights)
def test_the_wait_ends_at_the_very_ms_at_which_a_call_fits(
    previous: int, current: int, elapsed_ms: int, limit: int, weight: int
) -> None:
    wait_ms = budget.window_wait_ms(
        previous=previous, current=current, elapsed_ms=elapsed_ms, limit=limit, weight=weight
    )
    assert fits(previous, current, elapsed_ms + wait_ms, limit=limit, weight=weight)
    if wait_ms:
        early_ms = elapsed_ms + wait_ms - 1
        assert not fits(previous, current, early_ms, limit=limit, weight=weight)


@settings(deadline=None)
@given(
    arrivals=st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 5)), max_size=60),
    per_second=st.integers(1, 50),
    burst=st.integers(1, 20),
)
def test_smoothing_never_lets_more_through_than_rate_and_burst(
    arrivals: list[tuple[int, int]], per_second: int, burst: int
) -> None:
    whole, meter, now_us = declared(per_second=per_second, burst=burst), Meter(), 10**15
    taken: list[tuple[int, int]] = []
    for gap_us, weight in arrivals:
        now_us += gap_us
        wait_ms, what = meter.take(whole, weight=weight, factor=WHOLE, is_cold=False, now_us=now_us)
        if not wait_ms:
            taken.append((now_us, min(weight, burst)))
            continue
        assert what == "second"

        def again(later_us: int, meter: Meter = meter, weight: int = weight) -> int:
            same = Meter(tat_us=meter.tat_us)
            return same.take(whole, weight=weight, factor=WHOLE, is_cold=False, now_us=later_us)[0]

        assert again(now_us + wait_ms * 1000) == 0
        assert again(now_us + wait_ms * 1000 - 1001) > 0
    for i, (start_us, _) in enumerate(taken):
        for j in range(i, len(taken)):
            span_us = taken[j][0] - start_us
            assert sum(n for _, n in taken[i : j + 1]) <= burst + span_us * per_second / 1_000_000


def test_a_budget_is_taken_from_all_its_limits_or_from_none() -> None:
    whole, meter = declared(per_minute=3, per_second=1, burst=2), Meter()
    now_us = 60_000_000 * 1000

    def take(weight: int, *, after_ms: int = 0) -> tuple[int, str]:
        moment_us = now_us + after_ms * 1000
        return meter.take(whole, weight=weight, factor=WHOLE, is_cold=False, now_us=moment_us)

    assert take(2) == (0, "")
    assert take(1) == (1000, "second")
    assert take(2, after_ms=2000)[1] == "minute"
    assert take(1, after_ms=2000) == (0, "")
    assert meter.current == 3


@pytest.mark.parametrize(
    ("limit", "factor", "is_cold", "left"),
    [(300, 1000, False, 300), (300, 700, False, 210), (300, 1000, True, 150), (1, 1, True, 1)],
)
def test_what_is_left_of_a_limit(limit: int, factor: int, is_cold: bool, left: int) -> None:
    assert budget.limit_now(limit, factor=factor, is_cold=is_cold) == left


def test_a_refusal_takes_three_tenths_which_come_back_by_a_tenth_each_half_minute() -> None:
    factor = budget.factor_refused(1000)
    assert factor == 700
    moments = [0, 29_999, 30_000, 60_000, 90_000, 10**9]
    recovered = [budget.factor_now(factor, since_ms=since_ms) for since_ms in moments]
    assert recovered == [700, 700, 800, 900, 1000, 1000]
    assert budget.factor_refused(1) == 1


@pytest.mark.parametrize(
    ("asked_s", "pause_ms"),
    [(0.0, 5_000), (-3.0, 5_000), (math.nan, 5_000), (2.5, 2_500), (math.inf, 3_600_000)],
)
def test_how_long_a_refusal_pauses(asked_s: float, pause_ms: int) -> None:
    assert budget.pause_ms(asked_s) == pause_ms


def test_a_share_of_a_budget_is_never_nothing() -> None:
    whole = Budget(per_minute=300, interval_us=100_000, burst=10)
    assert whole.share(4) == Budget(per_minute=75, interval_us=400_000, burst=2)
    assert whole.share(1000) == Budget(per_minute=1, interval_us=100_000_000, burst=1)
    assert Budget().share(4).per_minute == 0


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        declared(per_minute=-1)
