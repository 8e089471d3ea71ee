"""Calls are let through or held back, and what they end with is what the circuit learns."""

import time
from dataclasses import replace

import pytest
from django.db import transaction

from moonx.core.models import Circuit, CircuitEvent, OutboxEvent
from moonx.core.resilience import (
    CallClass,
    CircuitState,
    Target,
    circuits,
    guarded,
    hot,
    operating,
    sparing,
    state_of,
)
from moonx.core.resilience.circuit import FREE
from moonx.core.resilience.circuits import LocalCircuit
from moonx.core.resilience.entries import Finish
from moonx.core.resilience.tests.desk import TARGET, fail, fail_after, held_back, pass_time, succeed
from moonx.core.upstream.faults import OF_THE_SERVER, CallFailed, Fault

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def state() -> CircuitState:
    return state_of([TARGET])[TARGET]


def history() -> list[tuple[str, str, str]]:
    rows = CircuitEvent.objects.order_by("version")
    return [(row.from_state, row.to_state, row.trip) for row in rows]


def test_five_failures_in_a_row_open_the_circuit_for_all_workers() -> None:
    fail(times=4)
    succeed()
    fail(times=4)
    assert state() is CircuitState.CLOSED
    fail()
    assert state() is CircuitState.OPEN
    assert 47 < held_back().retry_after_s < 73
    circuits.forget()  # as another worker
    assert 47 < held_back().retry_after_s < 73
    assert history() == [("CLOSED", "OPEN", "consecutive")]


@pytest.mark.parametrize("fault", sorted(set(Fault) - OF_THE_SERVER - {Fault.RATE_LIMITED}))
def test_what_is_not_the_servers_fault_opens_nothing(fault: Fault) -> None:
    fail(times=12, fault=fault)
    assert state() is CircuitState.CLOSED


def test_half_of_ten_calls_that_fail_open_the_circuit() -> None:
    for _ in range(4):
        fail()
        succeed()
    assert state() is CircuitState.CLOSED
    succeed()
    fail()
    assert history() == [("CLOSED", "OPEN", "rate")]


def test_other_classes_chains_and_providers_are_apart() -> None:
    fail(times=5)
    succeed(Target(provider="rpc.example", chain="base", kind=CallClass.LOGS))
    succeed(Target(provider="rpc.example", chain="rei", kind=CallClass.READ))
    succeed(Target(provider="alchemy", chain="base", kind=CallClass.READ))


def test_two_good_probes_close_and_calls_come_back_step_by_step() -> None:
    fail(times=5)
    pass_time(75)
    succeed()
    assert state() is CircuitState.HALF_OPEN
    succeed()
    assert state() is CircuitState.CLOSED
    assert [row[1] for row in history()] == ["OPEN", "HALF_OPEN", "CLOSED"]
    succeed()  # one of four
    assert "lets few calls through" in str(held_back())
    pass_time(16)
    succeed()  # one of two
    held_back()
    pass_time(15)
    succeed(times=3)


def test_few_calls_are_in_flight_right_after_the_closing() -> None:
    fail(times=5)
    pass_time(75)
    succeed(times=2)
    passed = []
    for _ in range(20):
        one = guarded(TARGET, timeout_s=1)
        try:
            one.__enter__()
        except CallFailed:
            continue
        passed.append(one)
    assert len(passed) == 3
    for one in passed:
        one.__exit__(None, None, None)


def test_one_bad_probe_opens_anew_and_for_longer() -> None:
    fail(times=5)
    pass_time(75)
    succeed()
    fail()
    assert 95 < held_back().retry_after_s < 145
    assert history()[-1] == ("HALF_OPEN", "OPEN", "consecutive")
    assert Circuit.objects.get().level == 2


def test_an_outage_raises_one_alert_however_often_it_opens() -> None:
    fail(times=5)
    for _ in range(2):
        pass_time(1000)
        fail()
    alert = OutboxEvent.objects.get()
    assert (alert.name, alert.key) == ("system.alert", f"system:circuit:{TARGET.key}")
    assert "calls failed one after the other" in alert.payload["message"]


def test_a_probe_is_alone() -> None:
    fail(times=5)
    pass_time(75)
    with guarded(TARGET, timeout_s=1):
        circuits.forget()  # as another worker
        assert "another call is being tried" in str(held_back())


@pytest.mark.parametrize("error", [KeyboardInterrupt, CallFailed("no", fault=Fault.REFUSED)])
def test_a_probe_that_says_nothing_is_given_back(error: BaseException) -> None:
    fail(times=5)
    pass_time(75)
    with pytest.raises((KeyboardInterrupt, CallFailed)), guarded(TARGET, timeout_s=1):
        raise error
    assert state() is CircuitState.HALF_OPEN
    succeed(times=2)
    assert state() is CircuitState.CLOSED


def test_a_probe_that_lasts_too_long_has_nothing_to_say() -> None:
    fail(times=5)
    pass_time(75)

    def overstay() -> None:
        time.sleep(0.12)  # its lease of 100 ms ends
        circuits.forget()  # as another worker
        succeed()

    fail_after(overstay, timeout_s=-4.9)
    assert state() is CircuitState.HALF_OPEN
    succeed()
    assert state() is CircuitState.CLOSED


def test_a_call_of_an_older_era_says_nothing() -> None:
    def open_and_close() -> None:
        fail(times=5)
        pass_time(75)
        succeed(times=2)
        pass_time(31)

    fail_after(open_and_close)
    fail(times=4)
    assert state() is CircuitState.CLOSED


def test_a_call_that_began_before_a_reset_says_nothing_after_it() -> None:
    fail_after(lambda: operating.reset(TARGET, by="ops", reason="their fault is fixed"))
    fail(times=4)
    assert state() is CircuitState.CLOSED


def test_what_a_caller_rolls_back_stays_known_of_the_provider() -> None:
    def collect() -> None:
        with transaction.atomic():
            fail(times=5)
            raise RuntimeError("the collection failed for another reason")

    with pytest.raises(RuntimeError, match="another reason"):
        collect()
    circuits.forget()
    held_back()
    assert Circuit.objects.get().state == "OPEN"


def test_a_call_that_insists_passes_an_open_circuit_and_changes_nothing() -> None:
    fail(times=5)
    with guarded(TARGET, timeout_s=1, insists=True):
        pass
    with pytest.raises(CallFailed), guarded(TARGET, timeout_s=1, insists=True):
        raise CallFailed("it failed", fault=Fault.SERVER)
    assert Circuit.objects.get().version == 1


def test_a_call_that_insists_probes_when_the_wait_is_over() -> None:
    fail(times=5)
    pass_time(75)
    for _ in range(2):
        with guarded(TARGET, timeout_s=1, insists=True):
            pass
    assert state() is CircuitState.CLOSED


def test_the_least_bad_provider_of_a_chain_is_spared_where_all_are_open() -> None:
    other = Target(provider="alchemy", chain="base", kind=CallClass.READ)
    for target, successes in ((TARGET, 0), (other, 3)):
        succeed(target, times=successes)
        fail(target, times=5)
    assert sparing([TARGET, other]) == [other]


def test_successes_of_probes_count_only_in_a_row() -> None:
    fail(times=5)
    pass_time(75)
    with guarded(TARGET, timeout_s=1):
        pass  # the first of two
    version = circuits.of(TARGET).version
    for is_success, said in ((False, Finish.FAILED), (True, Finish.MORE)):
        hot.enter(TARGET, version=version, token="t", lease_ms=1000, step=FREE)
        assert (
            hot.finish(TARGET, version=version, token="t", is_success=is_success, needed=2) is said
        )
        hot.leave(TARGET, token="t")


def test_an_older_copy_never_replaces_what_another_thread_took_over() -> None:
    fail(times=5)
    circuit = circuits.of(TARGET)
    opened = circuit.copy
    circuit.adopt(replace(opened, version=opened.version - 1, state=CircuitState.CLOSED))
    assert circuit.copy == opened
    held_back()


class Ended(BaseException):
    """A time limit that strikes while the journal is written."""


class Struck(LocalCircuit):
    """Has a lease, and is ended before its call begins."""

    def _probe(self, *_: object, **__: object) -> None:
        raise Ended


def test_a_probe_that_never_began_gives_its_lease_back() -> None:
    fail(times=5)
    pass_time(75)
    with pytest.raises(Ended):
        Struck(TARGET).admit(timeout_s=30, insists=False)
    succeed()
