"""Without Valkey each process has its own circuit and its share of a budget; rows serve all."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from pytest_django import Settings

from moonx.core.models import Circuit, CircuitEvent
from moonx.core.resilience import (
    CircuitState,
    circuits,
    guarded,
    hot,
    limits,
    retrying,
    state_of,
)
from moonx.core.resilience.circuits import LocalCircuit, Pass, Refusal
from moonx.core.resilience.tests.desk import TARGET, fail, fail_after, held_back, pass_time, succeed
from moonx.core.upstream.faults import CallFailed, Fault

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


@pytest.fixture
def without_valkey(settings: Settings, committed_db: None, clean_valkey: None) -> Iterator[None]:
    """Nobody listens where circuits look for Valkey."""
    nowhere = SecretStr("redis://127.0.0.1:1")
    settings.ENV = settings.ENV.model_copy(update={"cache_url": nowhere})
    hot.forget()
    yield
    circuits.forget()


@pytest.mark.usefixtures("without_valkey")
def test_a_whole_outage_passes_without_valkey() -> None:
    succeed(times=3)
    fail(times=5)
    held_back()
    circuits.forget()  # as another worker: it learns from the row
    held_back()
    pass_row_time(75)
    succeed()
    assert state_of([TARGET]) == {TARGET: CircuitState.HALF_OPEN}
    succeed()
    succeed()
    assert "lets few calls through" in str(held_back())
    changes = CircuitEvent.objects.order_by("version").values_list("to_state", flat=True)
    assert list(changes) == ["OPEN", "HALF_OPEN", "HALF_OPEN", "CLOSED"]


def pass_row_time(seconds: float) -> None:
    pass_time(seconds)
    hot.forget()


@pytest.mark.usefixtures("without_valkey")
def test_a_probe_without_valkey_is_the_only_one_of_its_process() -> None:
    fail(times=5)
    pass_row_time(75)
    with guarded(TARGET, timeout_s=1):
        held_back()


@pytest.mark.usefixtures("without_valkey")
def test_workers_without_valkey_share_the_budget_blindly() -> None:
    limits.declare(TARGET.provider, per_minute=64)
    # Nobody beats, so there is taken to be one worker of as many processes as are configured; half
    # of its share is left, because nobody knows what the others took.
    succeed(times=16)
    assert "the budget of this minute is spent" in str(held_back())


@pytest.mark.usefixtures("without_valkey")
def test_nothing_is_retried_without_valkey() -> None:
    def call() -> None:
        raise CallFailed("it failed", fault=Fault.TIMEOUT)

    with pytest.raises(CallFailed, match="it failed"):
        retrying(call, target=TARGET, deadline_s=60, pause=lambda _: pytest.fail("it waited"))


def test_a_worker_that_is_cut_off_does_not_probe_beside_another(settings: Settings) -> None:
    real = settings.ENV
    nowhere = real.model_copy(update={"cache_url": SecretStr("redis://127.0.0.1:1")})

    def move(*, reaches_valkey: bool) -> None:
        settings.ENV = real if reaches_valkey else nowhere
        hot.forget()

    fail(times=5)
    pass_time(75)
    succeed()
    pass_time(7)  # the lease of that probe is over
    move(reaches_valkey=False)
    cut_off = LocalCircuit(TARGET)
    cut_off.look()
    assert cut_off.standing().state is CircuitState.HALF_OPEN
    move(reaches_valkey=True)

    def call_cut_off() -> None:
        move(reaches_valkey=False)
        assert isinstance(cut_off.admit(timeout_s=1, insists=False), Refusal)
        move(reaches_valkey=True)

    fail_after(call_cut_off)

    pass_time(2_000)
    move(reaches_valkey=False)
    assert isinstance(cut_off.admit(timeout_s=1, insists=False), Refusal)  # of an older era
    cut_off = LocalCircuit(TARGET)
    assert isinstance(cut_off.admit(timeout_s=1, insists=False), Pass)
    move(reaches_valkey=True)
    held_back()


@pytest.mark.usefixtures("without_valkey")
def test_a_probe_of_a_worker_that_died_is_taken_over_when_it_must_be_over() -> None:
    fail(times=5)
    pass_row_time(75)
    guarded(TARGET, timeout_s=1).__enter__()
    circuits.forget()  # it died, and here is another worker
    held_back()
    pass_row_time(7)
    succeed(times=2)
    assert state_of([TARGET]) == {TARGET: CircuitState.CLOSED}
    states = CircuitEvent.objects.order_by("version").values_list("to_state", flat=True)
    assert list(states) == ["OPEN", "HALF_OPEN", "HALF_OPEN", "HALF_OPEN", "CLOSED"]


def test_what_was_decided_without_valkey_stands_when_it_is_back(settings: Settings) -> None:
    succeed()
    real = settings.ENV
    nowhere = SecretStr("redis://127.0.0.1:1")
    settings.ENV = real.model_copy(update={"cache_url": nowhere})
    hot.forget()
    fail(times=5)
    settings.ENV = real
    circuits.forget()
    circuits.sweep()
    succeed()  # Valkey's copy is of before
    circuits.sweep()
    held_back()
    assert Circuit.objects.get().version == 1
