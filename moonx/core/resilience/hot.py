"""Circuits in Valkey: copies of their rows, windows and leases that all workers share.

Everything here may be gone at any moment. Whoever finds nothing puts the row's copy back; whoever
finds no server decides for itself for a while.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis import RedisError

from moonx.core import logs, valkey
from moonx.core.resilience import scripts
from moonx.core.resilience.budget import Budget
from moonx.core.resilience.changes import Stored
from moonx.core.resilience.circuit import (
    NO_CALLS,
    CircuitState,
    Rules,
    Standing,
    Step,
    Tally,
    Target,
    Trip,
)
from moonx.core.resilience.entries import Entry, Finish
from moonx.core.resilience.tallying import Batch

# A server that takes longer holds up calls that it was to protect.
PATIENCE_MS = 500
DOWN_FOR_S = 1.0
JOURNAL_LEASE_MS = 10_000  # more than the journal ever takes

UNREACHABLE = (RedisError, OSError)

log = logs.get("moonx.circuits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A circuit as Valkey has it, and its window where a batch was added to it."""

    version: int
    state: CircuitState
    left_ms: int
    age_ms: int
    is_held: bool
    is_ramped: bool
    trip: Trip
    failure_permille: int
    tally: Tally = NO_CALLS

    def standing(self, target: Target) -> Standing:
        """As it looks to whoever chooses among circuits."""
        return Standing(
            target=target,
            state=self.state,
            trip=self.trip,
            failure_permille=self.failure_permille,
            wait_s=self.left_ms / 1000,
            is_held=self.is_held,
        )


def copy_of(stored: Stored) -> Copy:
    """The copy that a row makes."""
    return Copy(
        version=stored.version,
        state=stored.state,
        left_ms=stored.left_ms,
        age_ms=stored.age_ms,
        is_held=stored.is_held,
        is_ramped=stored.is_ramped,
        trip=stored.trip,
        failure_permille=stored.tally.failure_permille,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A look at Valkey: how long to leave the provider alone, and the circuit if it is there."""

    paused_ms: int
    copy: Copy | None


@cache
def client() -> redis.Redis:
    """The connection pool for circuits and limits, less patient than that for pushes."""
    return valkey.connect(settings.ENV.cache_dsn(), at_most_ms=PATIENCE_MS)


@cache
def _script(text: str) -> Any:
    return client().register_script(text)


_down_until_s = 0.0


def _run(script: str, *, keys: list[str], args: list[Any]) -> Any:
    """A script's answer. After a failure nobody in this process waits for the next one at once."""
    global _down_until_s  # noqa: PLW0603 - one server, one process
    if time.monotonic() < _down_until_s:
        raise redis.ConnectionError("the push server did not answer a moment ago")
    try:
        return _script(script)(keys=keys, args=args)
    except UNREACHABLE as error:
        _down_until_s = time.monotonic() + DOWN_FOR_S
        log.warning("circuits are alone for a moment", error=f"{type(error).__name__}: {error}")
        raise


def forget() -> None:
    """Connects anew, and at once although the server did not answer a moment ago."""
    global _down_until_s  # noqa: PLW0603 - one server, one process
    _down_until_s = 0.0
    client.cache_clear()
    _script.cache_clear()


def provider_key(provider: str) -> str:
    """Where a provider's limits are."""
    return valkey.key(f"provider:{provider}")


def _circuit(target: Target) -> str:
    return valkey.key(f"circuit:{target.key}")


def _window(target: Target) -> str:
    return valkey.key(f"circuit:{target.key}:window")


def _flying(target: Target) -> str:
    return valkey.key(f"circuit:{target.key}:flying")


def sync(target: Target, batch: Batch, *, rules: Rules) -> Seen:
    """Adds a batch of outcomes, unless it is of another era, and says how all stands.

    Without a copy of the circuit nothing is added. Raises UNREACHABLE.
    """
    got = _run(
        scripts.SYNC,
        keys=[_circuit(target), _window(target), provider_key(target.provider)],
        args=[
            *(batch.version, batch.calls, batch.failures, batch.slow),
            *(batch.leading, batch.trailing, batch.longest),
            *(rules.bucket_ms, rules.buckets),
        ],
    )
    return Seen(paused_ms=int(got[0]), copy=_copy(got[1:]) if len(got) > 1 else None)


def _copy(got: list[Any]) -> Copy:
    return Copy(
        version=int(got[0]),
        state=CircuitState(got[1].decode()),
        left_ms=int(got[2]),
        age_ms=int(got[3]),
        is_held=got[4] == b"1",
        is_ramped=got[5] == b"1",
        trip=Trip(got[6].decode()),
        failure_permille=int(got[7]),
        tally=Tally(
            calls=int(got[8]), failures=int(got[9]), slow=int(got[10]), streak=int(got[11])
        ),
    )


def enter(
    target: Target, *, version: int, token: str, lease_ms: int, step: Step
) -> tuple[Entry, int]:
    """Whether a call passes, and otherwise the ms until it is worth asking again (0 unknown).

    Raises UNREACHABLE.
    """
    said, wait_ms = _run(
        scripts.ENTER,
        keys=[_circuit(target), _flying(target)],
        args=[version, token, lease_ms, step.one_of, step.in_flight or 0],
    )
    return Entry(said.decode()), int(wait_ms)


def finish(target: Target, *, version: int, token: str, is_success: bool, needed: int) -> Finish:
    """What a probe's outcome leads to; whoever is told ENOUGH or FAILED must write the change.

    Raises UNREACHABLE.
    """
    said = _run(
        scripts.FINISH,
        keys=[_circuit(target), _flying(target)],
        args=[version, token, int(is_success), needed, JOURNAL_LEASE_MS],
    )
    return Finish(said.decode())


def renew(target: Target, *, token: str, lease_ms: int) -> bool:
    """Whether the lease still stood; it then lasts anew. Raises UNREACHABLE."""
    return bool(_run(scripts.RENEW, keys=[_flying(target)], args=[token, lease_ms]))


def leave(target: Target, *, token: str) -> None:
    """Gives a lease back. Raises UNREACHABLE."""
    _run(scripts.LEAVE, keys=[_flying(target)], args=[token])


def push(stored: Stored, *, seen: int | None = None, is_mine: bool = False) -> bool:
    """Replaces the copy by a newer row; whether it was. Raises UNREACHABLE.

    `seen` is the version of the copy before the row was read: such a copy gives way to an older row
    too. Of a half-open circuit Valkey knows the probe's lease only where the worker that made it so
    pushes it (`is_mine`). Otherwise the next probe waits until that of the row must be over.
    """
    is_half_open = stored.state is CircuitState.HALF_OPEN
    left_ms = 0 if is_half_open and is_mine else stored.left_ms
    copy = copy_of(stored)
    done = _run(
        scripts.PUSH,
        keys=[_circuit(stored.target), _window(stored.target), _flying(stored.target)],
        args=[
            *("" if seen is None else seen, int(is_half_open)),
            *(copy.version, copy.state.value, left_ms, copy.age_ms),
            *(int(copy.is_held), int(copy.is_ramped), copy.trip.value, copy.failure_permille),
        ],
    )
    return bool(done)


def take(provider: str, budget: Budget, *, weight: int) -> tuple[int, str]:
    """As `limits.take`, of what all workers share. Raises UNREACHABLE."""
    wait_ms, what = _run(
        scripts.TAKE,
        keys=[valkey.key("providers:born"), provider_key(provider)],
        args=[weight, budget.per_minute, budget.interval_us, budget.burst],
    )
    return int(wait_ms), what.decode()


def refuse(provider: str, *, pause_ms: int) -> None:
    """Tells all workers of a 429. Raises UNREACHABLE."""
    _run(scripts.REFUSED, keys=[provider_key(provider)], args=[pause_ms])


def retry(provider: str, *, permille: int) -> bool:
    """Whether the minute's calls carry one more retry; it is then counted. Raises UNREACHABLE."""
    return bool(_run(scripts.RETRY, keys=[provider_key(provider)], args=[permille]))
