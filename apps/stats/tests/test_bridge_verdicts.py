"""Verdicts on bridges: every limit, from both sides; whose fault it is; how often to ask."""

from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.stats.bridges import load, verdicts
from apps.stats.bridges.load import ALLOWANCES, Allowance, Past
from apps.stats.bridges.verdicts import OURS, Window
from apps.stats.vocabulary import Verdict
from moonx.core.upstream.faults import Fault
from moonx.core.upstream.names import Service

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
RUNS = 3 * 360
EVEN = Allowance(count=60, window=timedelta(hours=1))


def judged(
    counts: Mapping[str, int], *, p95_ms: int | None = 400, is_open: bool = False, last: str = ""
) -> tuple[Verdict, list[dict[str, Any]]]:
    window = Window(counts=counts, p95_ms=p95_ms)
    found = verdicts.judge(window, is_open=is_open, last_fault=last)
    return found.verdict, [reason.wire() for reason in found.reasons]


@pytest.mark.parametrize(
    ("successes", "failures", "verdict", "limit"),
    [
        (100, 0, Verdict.HEALTHY, None),
        (95, 5, Verdict.HEALTHY, None),
        (949, 51, Verdict.DEGRADED, "0.95"),
        (80, 20, Verdict.DEGRADED, "0.95"),
        (799, 201, Verdict.UNHEALTHY, "0.80"),
        (0, 5, Verdict.UNHEALTHY, "0.80"),
    ],
)
def test_the_success_rate_has_two_limits(
    successes: int, failures: int, verdict: Verdict, limit: str | None
) -> None:
    found, reasons = judged({"": successes, Fault.SERVER: failures})
    assert found is verdict
    rate = f"{successes / (successes + failures):.4f}"
    told = [{"rule": "successRate", "value": rate, "limit": limit}] if limit else []
    assert reasons == told


@pytest.mark.parametrize(
    ("p95_ms", "verdict", "limit"),
    [
        (3_000, Verdict.HEALTHY, None),
        (3_001, Verdict.DEGRADED, 3_000),
        (8_000, Verdict.DEGRADED, 3_000),
        (8_001, Verdict.UNHEALTHY, 8_000),
    ],
)
def test_the_latency_has_two_limits(p95_ms: int, verdict: Verdict, limit: int | None) -> None:
    found, reasons = judged({"": 20}, p95_ms=p95_ms)
    assert found is verdict
    told = [{"rule": "latencyP95", "value": p95_ms, "limit": limit}] if limit else []
    assert reasons == told


def test_the_worse_of_both_is_the_verdict_and_both_are_reasons() -> None:
    found, reasons = judged({"": 18, Fault.TIMEOUT: 2}, p95_ms=9_000)
    assert found is Verdict.UNHEALTHY
    assert [reason["rule"] for reason in reasons] == ["successRate", "latencyP95"]


@pytest.mark.parametrize(("attempts", "verdict"), [(4, Verdict.UNKNOWN), (5, Verdict.HEALTHY)])
def test_fewer_than_five_attempts_are_no_ground(attempts: int, verdict: Verdict) -> None:
    found, reasons = judged({"": attempts})
    assert found is verdict
    assert reasons == [{"rule": "samples", "value": 4, "limit": 5}][: 5 - attempts]


def test_without_any_data_it_is_unknown() -> None:
    assert judged({}, p95_ms=None)[0] is Verdict.UNKNOWN


@pytest.mark.parametrize("fault", sorted(OURS))
def test_what_we_did_wrong_is_no_attempt_and_says_why_nothing_is_known(fault: Fault) -> None:
    found, reasons = judged({"": 4, fault: 50})
    assert found is Verdict.UNKNOWN
    assert reasons == [
        {"rule": "samples", "value": 4, "limit": 5},
        {"rule": fault.value, "value": 50, "limit": 0},
    ]
    assert judged({"": 5, fault: 50}) == (Verdict.HEALTHY, [])


@pytest.mark.parametrize("fault", sorted(set(Fault) - set(OURS)))
def test_every_other_failure_is_the_bridge_s(fault: Fault) -> None:
    assert judged({"": 4, fault: 6})[0] is Verdict.UNHEALTHY


def test_being_asked_too_often_is_our_fault() -> None:
    assert Fault.RATE_LIMITED in OURS


def test_timeouts_are_failures_and_are_shown_apart() -> None:
    window = Window(counts={"": 8, Fault.TIMEOUT: 2})
    assert (window.attempts, window.censored, str(window.success_rate)) == (10, 2, "0.8")
    assert window.errors == {"timeout": 2}


@pytest.mark.parametrize("counts", [{"": 30, Fault.SERVER: 1}, {Fault.SERVER: 1}, {}])
def test_a_bridge_whose_circuit_is_open_is_never_healthy(counts: dict[str, int]) -> None:
    """Nobody asks any more: without this, the hour before would speak for the bridge."""
    found, reasons = judged(counts, is_open=True, last=Fault.SERVER)
    assert found is Verdict.UNHEALTHY
    assert reasons[0] == {"rule": "circuit", "value": "open", "limit": "closed"}


def test_a_circuit_that_our_own_fault_opened_leaves_it_unknown() -> None:
    counts: dict[str, int] = {Fault.AUTHENTICATION: 9, Fault.HELD_BACK: 3}
    found, reasons = judged(counts, is_open=True, last=Fault.AUTHENTICATION)
    assert found is Verdict.UNKNOWN
    assert [reason["rule"] for reason in reasons] == ["samples", "heldBack", "authentication"]


def test_what_nobody_watches_is_unknown() -> None:
    assert verdicts.unwatched().verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("count", "ago_s", "room"),
    [
        (0, None, 60),
        (60, 3000, 0),
        (61, 3000, 0),
        (59, 3000, 1),
        (10, 59, 0),
        (10, 60, 1),
        (10, 130, 2),
    ],
)
def test_room_is_what_the_window_has_left_at_an_even_pace(
    count: int, ago_s: int | None, room: int
) -> None:
    last = None if ago_s is None else NOW - timedelta(seconds=ago_s)
    assert load.room(EVEN, Past(count=count, last=last), now=NOW) == room


@pytest.mark.parametrize(("service", "has_key"), list(ALLOWANCES), ids=str)
def test_runs_every_two_minutes_keep_to_what_a_bridge_allows_and_use_most_of_it(
    service: Service, has_key: bool
) -> None:
    """A day and a half of runs that want nine quotes each; no window holds more than allowed."""
    allowance = ALLOWANCES[service, has_key]
    recent: deque[datetime] = deque()
    total = 0
    for run in range(RUNS):
        now = NOW + run * timedelta(minutes=2)
        while recent and recent[0] <= now - allowance.window:
            recent.popleft()
        last = recent[-1] if recent else None
        room = load.room(allowance, Past(count=len(recent), last=last), now=now)
        recent.extend([now] * min(9, room))
        total += min(9, room)
        assert len(recent) <= allowance.count
    allowed = int(allowance.count * timedelta(minutes=2 * RUNS) / allowance.window)
    assert total > 0.75 * min(9 * RUNS, allowed)


def test_what_was_not_asked_for_longest_comes_first() -> None:
    last = {name: NOW - timedelta(minutes=age) for name, age in (("a", 2), ("b", 9), ("c", 5))}
    keys = ["a", "b", "c", "new"]
    assert load.chosen(keys, last, room=3) == ["new", "b", "c"]
    assert load.chosen(keys, last, room=0) == []
    assert load.chosen(keys, last, room=99) == ["new", "b", "c", "a"]
