"""Calls to providers: held back where a circuit or a budget says so, and judged by how they end."""

import random
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TypeVar

from moonx.core import metrics
from moonx.core.resilience import backoff, circuits, limits
from moonx.core.resilience.backoff import Backoff
from moonx.core.resilience.circuit import CircuitState, Outcome, Target, outcome_of, spared
from moonx.core.resilience.circuits import NO_ERA, Pass, Refusal
from moonx.core.resilience.entries import Entry
from moonx.core.upstream.faults import CallFailed, Fault

T = TypeVar("T")

RAMP_PAUSE_S = 1.0
SENTENCES = {
    Entry.HELD: "an operator holds the circuit open",
    Entry.WAIT: "the circuit is open",
    Entry.BUSY: "the circuit is half open and another call is being tried",
    Entry.RAMP: "the circuit closed a moment ago and lets few calls through",
    Entry.STALE: "the circuit is changing",
    "paused": "it asked us to pause",
    "minute": "the budget of this minute is spent",
    "second": "calls come too fast",
}


class Guard:
    """One call; see `guarded`."""

    __slots__ = ("_began_s", "_circuit", "_insists", "_passed", "_timeout_s", "_version", "_weight")

    def __init__(self, target: Target, *, timeout_s: float, weight: int, insists: bool) -> None:
        self._circuit = circuits.of(target)
        self._timeout_s, self._weight, self._insists = timeout_s, weight, insists
        self._passed: Pass | None = None

    def __enter__(self) -> None:
        circuit = self._circuit
        now_s = time.monotonic()
        if now_s < circuit.free_until_s:
            self._version = circuit.version
        else:
            self._admit()
        provider = circuit.provider
        if provider.budget is not None or provider.paused_until_s > now_s:
            self._pay(provider)
        self._began_s = time.monotonic()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        duration_s = time.monotonic() - self._began_s
        if error is None and self._passed is None:
            self._circuit.succeed(self._version, duration_s=duration_s)
            return
        if error is None:
            outcome = Outcome.SUCCESS
        elif isinstance(error, CallFailed):
            outcome = outcome_of(error.fault)
            if error.fault is Fault.RATE_LIMITED:
                limits.refused(self._circuit.provider, retry_after_s=error.retry_after_s)
        else:
            outcome = Outcome.IGNORED
        self._settle(outcome, duration_s=duration_s)

    def _admit(self) -> None:
        answer = self._circuit.admit(timeout_s=self._timeout_s, insists=self._insists)
        if isinstance(answer, Refusal):
            wait_s = RAMP_PAUSE_S if answer.entry is Entry.RAMP else answer.wait_s
            raise self._held_back(answer.entry, wait_s=wait_s)
        self._version = answer.version
        if answer.token or answer.version == NO_ERA:
            self._passed = answer

    def _pay(self, provider: limits.Provider) -> None:
        try:
            wait_ms, what = limits.take(provider, weight=self._weight)
        except BaseException:
            self._settle(Outcome.IGNORED, duration_s=0.0)
            raise
        if wait_ms:
            self._settle(Outcome.IGNORED, duration_s=0.0)  # gives a probe back
            raise self._held_back(what, wait_s=wait_ms / 1000)

    def _settle(self, outcome: Outcome, *, duration_s: float) -> None:
        if self._passed is not None:
            self._circuit.settle(self._passed, outcome, duration_s=duration_s)
        elif outcome is Outcome.FAILURE:
            self._circuit.fail(self._version, duration_s=duration_s)

    def _held_back(self, cause: str, *, wait_s: float) -> CallFailed:
        target = self._circuit.target
        labels = target.provider, target.chain, target.kind.value
        metrics.calls_held_back.labels(*labels, str(cause)).inc()
        return CallFailed(
            f"{target} was not called: {SENTENCES[cause]}; try again in {wait_s:.1f} s.",
            fault=Fault.HELD_BACK,
            retry_after_s=wait_s,
        )


def guarded(target: Target, *, timeout_s: float, weight: int = 1, insists: bool = False) -> Guard:
    """A context manager that lets one call through or raises CallFailed(HELD_BACK).

    How its block ends is the outcome. A CallFailed counts by its fault: those of the server against
    the circuit, RATE_LIMITED makes all workers leave the provider alone, the others say nothing.
    Anything else that is raised leaves no outcome either, and gives a probe back. `timeout_s`
    bounds the block: a probe that lasts 5 s longer is taken for dead. `weight` is what the call
    takes of the provider's budget. A call that `insists` probes where it may, and otherwise passes
    an open circuit all the same (see `spared`), but neither an operator's word nor a budget; its
    outcome then says nothing.
    """
    return Guard(target, timeout_s=timeout_s, weight=weight, insists=insists)


def retrying(
    call: Callable[[], T],
    *,
    target: Target,
    policy: Backoff = backoff.DEFAULT,
    deadline_s: float,
    pause: Callable[[float], object] = time.sleep,
    draw: Callable[[], float] = random.random,
) -> T:
    """What `call` returns, tried again after transient failures as `policy` and time allow.

    `call` is guarded by itself. `deadline_s` is how long all tries may take together, waits
    included: no try begins later. All retries of a provider are at most a tenth of its calls, or
    the failure is final at once. Raises the last CallFailed.
    """
    ends_s = time.monotonic() + deadline_s
    failed = 0
    while True:
        try:
            return call()
        except CallFailed as failure:
            failed += 1
            if not failure.is_transient or failed >= policy.tries:
                raise
            wait_s = _wait_s(failure, policy, failed=failed, draw=draw())
            is_late = time.monotonic() + wait_s >= ends_s
            if is_late or not limits.may_retry(target.provider):
                raise
        pause(wait_s)


def _wait_s(failure: CallFailed, policy: Backoff, *, failed: int, draw: float) -> float:
    """Whoever was held back was so together with all others, and must not come back with them."""
    asked_s = failure.retry_after_s
    if failure.fault is Fault.HELD_BACK:
        return asked_s + backoff.herd_wait_s(policy, failed=failed, draw=draw)
    return backoff.wait_s(policy, failed=failed, draw=draw, retry_after_s=asked_s)


def state_of(targets: Iterable[Target]) -> dict[Target, CircuitState]:
    """The state of circuits, at most 250 ms ago."""
    return {target: one.state for target, one in circuits.standings(targets).items()}


def sparing(targets: Iterable[Target]) -> list[Target]:
    """As `spared`, of a chain's providers as their circuits stand now."""
    return spared(circuits.standings(targets).values())
