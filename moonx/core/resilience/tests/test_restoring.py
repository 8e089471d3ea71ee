"""Valkey may forget everything: rows bring circuits back, with the wait that is left."""

import threading
from collections.abc import Callable

import pytest
from django.db import connections

from moonx.core.models import Circuit, CircuitEvent
from moonx.core.resilience import (
    CallClass,
    CircuitState,
    Target,
    changes,
    circuits,
    guarded,
    hot,
    journal,
    operating,
    state_of,
)
from moonx.core.resilience.circuit import FREE, NO_CALLS, Trip
from moonx.core.resilience.entries import Entry
from moonx.core.resilience.tests.desk import (
    TARGET,
    fail,
    fail_after,
    flush,
    forget_hot,
    held_back,
    pass_time,
    succeed,
)
from moonx.core.upstream.faults import CallFailed

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def state() -> CircuitState:
    return state_of([TARGET])[TARGET]


def at_once(*works: Callable[[], object]) -> None:
    """Each in a thread, all begun at the same moment."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_an_open_circuit_stays_open_for_the_rest_of_its_wait_when_valkey_forgets() -> None:
    fail(times=5)
    whole_s = held_back().retry_after_s
    flush()
    assert whole_s - 1 < held_back().retry_after_s <= whole_s
    pass_time(30)
    assert whole_s - 31 < held_back().retry_after_s <= whole_s - 30
    pass_time(whole_s - 30)
    succeed()
    assert state() is CircuitState.HALF_OPEN


def test_a_running_worker_keeps_an_open_circuit_open_when_valkey_forgets() -> None:
    fail(times=5)
    forget_hot()
    circuits.of(TARGET).look()
    held_back()
    assert CircuitEvent.objects.count() == 1


def test_a_probe_under_way_when_valkey_forgets_stays_the_only_one() -> None:
    fail(times=5)
    pass_time(75)

    def look_on() -> None:
        flush()
        assert 5 < held_back().retry_after_s <= 6  # as long as the lease may have lasted

    fail_after(look_on)
    flush()
    assert state() is CircuitState.HALF_OPEN  # its outcome was dropped
    held_back()


def test_many_workers_that_restore_at_once_bring_one_copy() -> None:
    fail(times=5)
    forget_hot()
    stored = journal.read(TARGET)
    taken: list[bool] = []
    at_once(*[lambda: taken.append(hot.push(stored))] * 8)
    assert sorted(taken) == [False] * 7 + [True]


def test_an_older_row_does_not_replace_a_newer_copy() -> None:
    old = journal.read(TARGET)
    fail(times=5)
    assert not hot.push(old)
    assert not hot.push(old, seen=0)
    assert state() is CircuitState.OPEN


def test_a_database_from_a_backup_is_believed_all_the_same() -> None:
    fail(times=5)
    circuits.forget()
    held_back()
    Circuit.objects.update(version=0, state="CLOSED", wait_ms=0)
    circuits.sweep()
    succeed()
    assert state() is CircuitState.CLOSED


def test_workers_that_see_the_same_failures_open_the_circuit_once() -> None:
    def trip() -> None:
        journal.change(
            TARGET,
            lambda row: changes.opened(row, trip=Trip.RATE, tally=NO_CALLS, draw=0.5),
            version=0,
        )

    journal.read(TARGET)
    at_once(*[trip] * 8)
    assert CircuitEvent.objects.get().version == 1
    assert Circuit.objects.get().level == 1


def test_a_change_that_reached_only_the_journal_is_swept_to_all() -> None:
    succeed()
    journal.change(TARGET, changes.held_open, version=0, by="ops", reason="then Valkey died")
    succeed()  # nobody was told
    circuits.sweep()
    held_back()
    circuits.forget()
    held_back()


def test_a_lease_that_valkey_forgot_before_the_journal_knew_lets_nobody_call() -> None:
    fail(times=5)
    pass_time(75)
    circuit = circuits.of(TARGET)
    circuit.look()
    copy = circuit.copy
    entry, _ = circuit._leases.enter(
        copy.state, version=copy.version, token="first", lease_ms=5000, step=FREE
    )
    assert entry is Entry.IN
    flush()
    with guarded(TARGET, timeout_s=1):  # a second worker leases and calls, then the first goes on
        assert circuit._probe(copy, token="first", lease_ms=5000, is_alone=False) is None


@pytest.mark.parametrize("act", [operating.hold_open, operating.close, operating.reset])
def test_a_probe_under_way_has_no_say_after_an_operators_word(act: Callable[..., bool]) -> None:
    fail(times=5)
    pass_time(75)
    fail_after(lambda: act(TARGET, by="ops", reason="seen on their status page"))
    assert Circuit.objects.get().version == 3
    last = CircuitEvent.objects.first()
    assert last is not None
    assert (last.version, last.by, last.reason) == (3, "ops", "seen on their status page")


def test_what_an_operator_opened_lets_nobody_through_until_an_operator_closes_it() -> None:
    assert operating.hold_open(TARGET, by="ops", reason="maintenance")
    assert not operating.hold_open(TARGET, by="ops", reason="again")
    pass_time(1_000_000)
    assert "an operator holds the circuit open" in str(held_back())
    with pytest.raises(CallFailed), guarded(TARGET, timeout_s=1, insists=True):
        raise AssertionError("nobody may insist against an operator")
    assert operating.close(TARGET, by="ops", reason="done")
    assert not operating.close(TARGET, by="ops", reason="again")
    succeed()


def test_a_reset_circuit_is_as_new() -> None:
    fail(times=5)
    operating.reset(TARGET, by="ops", reason="their fault is fixed")
    succeed(times=9)
    fail(times=4)
    operating.reset(TARGET, by="ops", reason="again")
    fail(times=4)
    assert state() is CircuitState.CLOSED
    fail()
    assert Circuit.objects.get().level == 1


def test_operators_of_two_circuits_do_not_meet() -> None:
    other = Target(provider="alchemy", kind=CallClass.PRICE)
    operating.hold_open(other, by="ops", reason="maintenance")
    succeed()
    held_back(other)
