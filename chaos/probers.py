"""What the hammering processes do: all call at once, whoever is let through probes and fails."""

import time
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import redis
from django.conf import settings

from moonx.core import valkey
from moonx.core.resilience import CallClass, Target, circuits, guarded, hot, journal
from moonx.core.resilience.changes import Stored
from moonx.core.resilience.circuit import Step
from moonx.core.resilience.entries import Entry
from moonx.core.upstream.faults import CallFailed, Fault

ATTEMPTS = 2
PROBE_S = 20.0  # a probe waits so long for the others to be held back
PAUSE_S = 0.002
MOST_IDLE_S = 120.0
END = "end"
# The seeded bugs' windows are held open a little.
WINDOW_S = 0.003


class ProbeBug(StrEnum):
    """What is wrong; NONE is the product as it is."""

    NONE = "none"
    CHECK_THEN_ACT = "check-then-act"  # sees that nobody probes, and then notes that it does
    LEASE_FORGOTTEN = "lease-forgotten"  # after a flush nobody waits for a probe under way
    FLUSH_CLOSES = "flush-closes"  # what Valkey forgot is taken for closed


BUGS = tuple(bug for bug in ProbeBug if bug is not ProbeBug.NONE)


def target_of(number: int) -> Target:
    """The circuit of a round."""
    return Target(provider=f"provider-{number}", kind=CallClass.READ)


@cache
def board() -> redis.Redis:
    """Where a run agrees on its rounds: the broker, which is not flushed."""
    return valkey.connect(settings.ENV.broker_dsn())


def key(name: str, number: int) -> str:
    """A key on the board."""
    return valkey.key(f"probes:{name}:{number}")


def flush() -> None:
    """Valkey forgets all circuits of this run, at one moment as FLUSHALL does."""
    client = valkey.client()
    names = list(client.scan_iter(match=valkey.key("*"), count=1000))
    if names:
        client.delete(*names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A circuit that all hammer at; where it is flushed, its probe makes Valkey forget."""

    number: int
    is_flushed: bool

    def __str__(self) -> str:
        return f"{self.number} {int(self.is_flushed)}"


def hammer(child: int, children: int, bug: str) -> int:
    """Takes part in every round until there is none; how many calls were held back."""
    plant(ProbeBug(bug))
    held = 0
    while this := _next(child):
        for _ in range(ATTEMPTS):
            circuits._circuits.clear()  # as a worker that has seen nothing yet
            held += _call(this, children)
        board().lpush(key("done", this.number), child)
    return held


def popped(name: str, *, within_s: float) -> str:
    """What somebody puts on a list of the board within the time; empty where nobody does."""
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        # Less than the time that the client waits for any answer.
        said: Any = board().blpop([name], timeout=2)
        if said is not None:
            return str(said[1].decode())
    return ""


def _next(child: int) -> Round | None:
    number, _, is_flushed = popped(key("go", child), within_s=MOST_IDLE_S).partition(" ")
    return Round(number=int(number), is_flushed=is_flushed == "1") if number != END else None


def _call(this: Round, children: int) -> bool:
    """One call; whether it was held back."""
    try:
        with guarded(target_of(this.number), timeout_s=PROBE_S + 5):
            board().incr(key("flown", this.number))
            if this.is_flushed:
                flush()
            _outlast(this.number, children)
            raise CallFailed("the provider is still down", fault=Fault.SERVER)
    except CallFailed as failure:
        if failure.fault is not Fault.HELD_BACK:
            return False
    board().incr(key("held", this.number))
    return True


def _outlast(number: int, children: int) -> None:
    """Stays in flight until everybody else has been held back as often as they try."""
    ends_s = time.monotonic() + PROBE_S
    while time.monotonic() < ends_s:
        held, flown = board().mget(key("held", number), key("flown", number))
        if int(held or 0) >= (children - int(flown or 0)) * ATTEMPTS:
            return
        time.sleep(PAUSE_S)


def plant(bug: ProbeBug) -> None:
    """Makes this process careless; only ever in a process that exists for that."""
    if bug is ProbeBug.CHECK_THEN_ACT:
        hot.enter = _check_then_act
    if bug is ProbeBug.LEASE_FORGOTTEN:
        real_push = hot.push

        def push(stored: Stored, **options: Any) -> bool:
            return real_push(stored, **{**options, "is_mine": True})

        hot.push = push
    if bug is ProbeBug.FLUSH_CLOSES:
        journal.read = lambda target: Stored(target=target, version=journal_version(target))


def journal_version(target: Target) -> int:
    """The version that the row has, so that what is made up passes for its copy."""
    return journal.versions([target.key]).get(target.key, 0)


def _check_then_act(
    target: Target,
    *,
    version: int,
    token: str,
    lease_ms: int,
    step: Step,  # noqa: ARG001 - as the real one is called
) -> tuple[Entry, int]:
    flying, client = hot._flying(target), hot.client()
    if client.hget(hot._circuit(target), "version") != str(version).encode():
        return Entry.STALE, 0
    if client.zcard(flying):
        return Entry.BUSY, 100
    time.sleep(WINDOW_S)
    client.zadd(flying, {token: time.time() * 1000 + lease_ms})
    return Entry.IN, 0
