"""What tests of circuits do over and over: calls that end in a certain way, and waits that pass."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import F

from moonx.core import valkey
from moonx.core.models import Circuit
from moonx.core.resilience import CallClass, Target, circuits, guarded
from moonx.core.upstream.faults import CallFailed, Fault

TARGET = Target(provider="rpc.example", chain="base", kind=CallClass.READ)


def succeed(target: Target = TARGET, *, times: int = 1) -> None:
    """Calls that the provider answers."""
    for _ in range(times):
        with guarded(target, timeout_s=1):
            pass


def fail(target: Target = TARGET, *, times: int = 1, fault: Fault = Fault.SERVER) -> None:
    """Calls that end with a fault."""
    for _ in range(times):
        with pytest.raises(CallFailed) as caught, guarded(target, timeout_s=1):
            raise CallFailed("it failed", fault=fault)
        assert caught.value.fault is fault, caught.value


def fail_after(work: Callable[[], object], *, timeout_s: float = 1) -> None:
    """A call during which something else happens, and which then fails."""

    def call() -> None:
        with guarded(TARGET, timeout_s=timeout_s):
            work()
            raise CallFailed("it failed at last", fault=Fault.SERVER)

    with pytest.raises(CallFailed, match="at last"):
        call()


def held_back(target: Target = TARGET) -> CallFailed:
    """The refusal of a call that must not be let through."""
    with pytest.raises(CallFailed) as caught, guarded(target, timeout_s=1):
        raise AssertionError("the call was let through")
    assert caught.value.fault is Fault.HELD_BACK
    return caught.value


def flush() -> None:
    """Valkey forgets everything of this test, and this process what it knew."""
    forget_hot()
    circuits.forget()


def forget_hot() -> None:
    """Valkey alone forgets everything of this test."""
    client = valkey.client()
    for key in client.scan_iter(match=valkey.key("*"), count=1000):
        client.delete(key)


def pass_time(seconds: float, target: Target = TARGET) -> None:
    """So much time passes for the circuit: its row gets older, and its copy is made anew."""
    age = F("since") - timedelta(seconds=seconds)
    Circuit.objects.filter(key=target.key).update(since=age)
    flush()
