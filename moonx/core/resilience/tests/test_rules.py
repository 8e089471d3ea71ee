"""The rules of circuits and of backoff, each at its limit."""

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonx.core.resilience import backoff, changes, circuit
from moonx.core.resilience.backoff import Backoff
from moonx.core.resilience.changes import Change, Stored
from moonx.core.resilience.circuit import (
    CallClass,
    CircuitState,
    Outcome,
    Rules,
    Standing,
    Step,
    Tally,
    Target,
    Trip,
)
from moonx.core.upstream.faults import OF_THE_SERVER, Fault

TARGET = Target(provider="rpc.example", chain="base", kind=CallClass.READ)


@pytest.mark.parametrize(
    ("calls", "failures", "slow", "streak", "trip"),
    [
        (4, 4, 0, 4, Trip.NONE),
        (5, 5, 0, 5, Trip.CONSECUTIVE),
        (9, 8, 0, 4, Trip.NONE),
        (10, 5, 0, 1, Trip.RATE),
        (11, 5, 0, 1, Trip.NONE),
        (1_000_001, 500_000, 0, 1, Trip.NONE),
        (19, 0, 19, 0, Trip.NONE),
        (20, 0, 16, 0, Trip.SLOW),
        (20, 0, 15, 0, Trip.NONE),
        (0, 0, 0, 0, Trip.NONE),
    ],
)
def test_what_opens_a_circuit(
    calls: int, failures: int, slow: int, streak: int, trip: Trip
) -> None:
    tally = Tally(calls=calls, failures=failures, slow=slow, streak=streak)
    assert circuit.tripped(tally) is trip


@pytest.mark.parametrize("fault", [None, *Fault])
def test_what_a_call_says_of_its_provider(fault: Fault | None) -> None:
    if fault is None or fault is Fault.NO_RESULT:
        expected = Outcome.SUCCESS
    else:
        expected = Outcome.FAILURE if fault in OF_THE_SERVER else Outcome.IGNORED
    assert circuit.outcome_of(fault) is expected


@pytest.mark.parametrize(
    ("level", "shortest_s", "longest_s"),
    [(1, 48, 72), (2, 96, 144), (3, 192, 288), (4, 384, 576), (5, 720, 1080), (9, 720, 1080)],
)
def test_the_wait_doubles_with_each_opening(
    level: int, shortest_s: float, longest_s: float
) -> None:
    assert circuit.open_wait_s(level, draw=0.0) == pytest.approx(shortest_s)
    assert circuit.open_wait_s(level, draw=1.0) == pytest.approx(longest_s)


@pytest.mark.parametrize(
    ("closed_for_s", "level"), [(0, 4), (599.9, 4), (600, 3), (1_800, 1), (10_000, 0), (-5, 4)]
)
def test_ten_minutes_closed_take_a_level_away(closed_for_s: float, level: int) -> None:
    assert circuit.level_now(4, closed_for_s=closed_for_s) == level


@pytest.mark.parametrize(
    ("closed_for_s", "step"),
    [
        (0.0, Step(one_of=4, in_flight=3)),
        (14.9, Step(one_of=4, in_flight=3)),
        (15.0, Step(one_of=2)),
        (29.9, Step(one_of=2)),
        (30.0, Step()),
    ],
)
def test_calls_come_back_step_by_step(closed_for_s: float, step: Step) -> None:
    assert circuit.ramp_step(closed_for_s=closed_for_s) == step


def test_a_call_is_slow_by_the_norm_of_its_provider() -> None:
    assert circuit.slow_above_s(circuit.usual_s([0.1] * 19)) == math.inf
    assert circuit.slow_above_s(circuit.usual_s([0.1] * 20)) == 3.0
    latencies_s = [0.1] * 19 + [2.0]
    assert circuit.usual_s(latencies_s) == 0.1
    assert circuit.usual_s([*latencies_s, 2.0]) == 2.0
    assert circuit.slow_above_s(2.0) == 6.0


def test_levels_grow_with_openings_and_fall_with_time() -> None:
    def opened(stored: Stored) -> Change:
        tally = Tally(calls=10, failures=6)
        return changes.opened(stored, trip=Trip.RATE, tally=tally, draw=0.5)

    first = opened(Stored(target=TARGET))
    assert (first.to, first.level, first.wait_ms) == (CircuitState.OPEN, 1, 60_000)
    again = opened(Stored(target=TARGET, level=2, age_ms=60_000))
    assert (again.level, again.wait_ms) == (3, 240_000)
    later = opened(Stored(target=TARGET, level=2, age_ms=3_600_000))
    assert later.level == 1
    half_open = Stored(target=TARGET, level=5, trip=Trip.RATE, state=CircuitState.HALF_OPEN)
    reopened = changes.reopened(half_open, draw=0.5)
    assert (reopened.level, reopened.wait_ms, reopened.trip) == (5, 900_000, Trip.RATE)


def test_what_is_left_of_a_wait_is_never_negative_and_not_of_closed_circuits() -> None:
    stored = Stored(target=TARGET, state=CircuitState.OPEN, wait_ms=60_000, age_ms=45_000)
    assert stored.left_ms == 15_000
    assert Stored(target=TARGET, state=CircuitState.OPEN, wait_ms=1, age_ms=9).left_ms == 0
    assert Stored(target=TARGET, state=CircuitState.HALF_OPEN, wait_ms=9).left_ms == 9
    assert Stored(target=TARGET, state=CircuitState.CLOSED, wait_ms=9).left_ms == 0


def test_nobody_probes_while_the_probe_of_somebody_else_may_last() -> None:
    for state in (CircuitState.OPEN, CircuitState.HALF_OPEN):
        early = Stored(target=TARGET, state=state, wait_ms=6_000, age_ms=5_999)
        assert changes.probing(early, lease_ms=6_000) is None
        due = changes.probing(
            Stored(target=TARGET, state=state, wait_ms=6_000, age_ms=6_000), lease_ms=7_000
        )
        assert due is not None
        assert (due.to, due.wait_ms) == (CircuitState.HALF_OPEN, 7_000)


def standing(
    name: str, trip: Trip = Trip.NONE, *, permille: int = 0, held: bool = False
) -> Standing:
    return Standing(
        target=Target(provider=name, chain="base", kind=CallClass.READ),
        state=CircuitState.CLOSED if trip is Trip.NONE else CircuitState.OPEN,
        trip=trip,
        failure_permille=permille,
        is_held=held,
    )


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([], []),
        ([standing("a"), standing("b")], []),
        ([standing("a", Trip.RATE, permille=900), standing("b")], []),
        ([standing("a", Trip.RATE, permille=900), standing("b", Trip.RATE, permille=600)], ["b"]),
        ([standing("a", Trip.RATE, permille=900)], ["a"]),
        (
            [standing(name, Trip.RATE, permille=500 + i) for i, name in enumerate("abcde")],
            ["a", "b", "c"],
        ),
        # One that does not answer at all is no matter of rates.
        ([standing("a", Trip.CONSECUTIVE, permille=1000), standing("b")], []),
        (
            [
                standing("a", Trip.CONSECUTIVE, permille=1000),
                standing("b", Trip.RATE, permille=900),
                standing("c", Trip.SLOW, permille=10),
            ],
            ["c"],
        ),
        # An operator's word stands above all.
        ([standing("a", Trip.OPERATOR, held=True)], []),
        (
            [standing("a", Trip.OPERATOR, held=True), standing("b", Trip.CONSECUTIVE)],
            ["b"],
        ),
    ],
)
def test_rates_never_close_off_more_than_half_of_a_chains_providers(
    rows: list[Standing], names: list[str]
) -> None:
    assert [target.provider for target in circuit.spared(rows)] == names


@given(failed=st.integers(1, 2_000), draw=st.floats(0, 1, exclude_max=True))
def test_backoff_waits_within_the_upper_half_of_its_ceiling(failed: int, draw: float) -> None:
    policy = Backoff()
    ceiling_s = backoff.ceiling_s(policy, failed=failed)
    assert ceiling_s <= 300
    assert ceiling_s / 2 <= backoff.wait_s(policy, failed=failed, draw=draw) <= ceiling_s
    assert 0 <= backoff.herd_wait_s(policy, failed=failed, draw=draw) <= ceiling_s


def test_backoff_doubles_and_honours_what_the_server_asks() -> None:
    policy = Backoff()
    assert [backoff.ceiling_s(policy, failed=n) for n in (1, 2, 3, 7, 8)] == [5, 10, 20, 300, 300]
    assert backoff.wait_s(policy, failed=1, draw=0.0) == 2.5
    asked_s = timedelta(minutes=2).total_seconds()
    assert backoff.wait_s(policy, failed=1, draw=0.9, retry_after_s=asked_s) == asked_s


@pytest.mark.parametrize(("calls", "retries"), [(0, 0), (1, 1), (10, 1), (11, 2), (200, 20)])
def test_a_minutes_calls_carry_a_tenth_of_retries(calls: int, retries: int) -> None:
    assert backoff.allowed_retries(calls) == retries


def test_a_short_first_wait_doubles_up_to_the_same_limit() -> None:
    rules, level, waits = Rules(first_wait_s=1), 0, []
    for _ in range(12):
        level = circuit.next_level(level, rules)
        waits.append(circuit.open_wait_s(level, draw=0.5, rules=rules))
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
