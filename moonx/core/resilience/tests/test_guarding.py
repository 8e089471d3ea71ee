"""Calls are let through or held back, and what they end with is what the circuit learns."""

import pytest

from moonx.core.models import CircuitEvent, OutboxEvent
from moonx.core.resilience import CallClass, CircuitState, Target, circuits, guarded, state_of
from moonx.core.upstream.faults import CallFailed, Fault

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

TARGET = Target(provider="rpc.example", chain="base", kind=CallClass.READ)


def fail(fault: Fault = Fault.SERVER, *, times: int = 1, target: Target = TARGET) -> None:
    for _ in range(times):
        with pytest.raises(CallFailed) as caught, guarded(target, timeout_s=1):
            raise CallFailed("it failed", fault=fault)
        assert caught.value.fault is fault


def held_back(target: Target = TARGET) -> CallFailed:
    with pytest.raises(CallFailed) as caught, guarded(target, timeout_s=1):
        raise AssertionError("the call was let through")
    assert caught.value.fault is Fault.HELD_BACK
    return caught.value


def test_five_failures_in_a_row_open_the_circuit_for_all_and_raise_one_alert() -> None:
    fail(times=4)
    with guarded(TARGET, timeout_s=1):
        pass
    fail(times=4)
    assert state_of([TARGET]) == {TARGET: CircuitState.CLOSED}
    fail()
    assert state_of([TARGET]) == {TARGET: CircuitState.OPEN}
    assert 47 < held_back().retry_after_s < 73
    circuits.forget()  # as another worker
    assert 47 < held_back().retry_after_s < 73
    assert [(one.from_state, one.to_state) for one in CircuitEvent.objects.all()] == [
        ("CLOSED", "OPEN")
    ]
    assert OutboxEvent.objects.get().payload["subject"] == f"circuit:{TARGET.key}"
