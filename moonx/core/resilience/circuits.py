"""Circuits as one process sees them: a copy of 250 ms, and batches of outcomes until the next look.

While a circuit is closed nothing is asked but one script every 250 ms; a failure is told at once.
Every change goes through the journal first and to Valkey then. The races that this leaves open:

- A worker dies between the two. Valkey keeps the old copy, whose version is then too small: the
  next worker that wants to change the circuit is refused by the journal and brings the row, and
  `sweep`, in every process, brings it after 10 s at the latest.
- Valkey forgets everything (FLUSHALL, a restart). Whoever comes first copies the row, with the wait
  that is left; who comes second is refused, because his copy is not newer. Leases are lost, so a
  probe under way loses its fence and its outcome is dropped. Each probe is noted in the row before
  it calls, so the next one waits for as long as that one may last.
- A worker leases a probe and Valkey forgets the lease before the row has it. Two may then hold
  leases of one era. Both renew theirs before they call, which only the one whose lease Valkey knows
  can do.
- A worker is cut off from Valkey, or Valkey answers too late, while another one leases a probe
  there. The first knows of no lease, so it calls only where the row says that no probe can be under
  way, or only its own, and begins an era by that: who has a lease of the last one cannot note it.
- An operator opens or closes while a probe is under way. The operator's change begins an era, in
  which neither the probe's lease nor the version that its outcome was seen at stands any more.
- A call begins in one era and ends in the next. Its outcome is dropped.
"""

import math
import os
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache

from django import db
from django.conf import settings

from moonx.core import logs, metrics
from moonx.core.resilience import changes, hot, journal, limits
from moonx.core.resilience.changes import Change, Stored
from moonx.core.resilience.circuit import (
    FREE,
    CircuitState,
    Outcome,
    Rules,
    Standing,
    Step,
    Tally,
    Target,
    Trip,
    open_wait_s,
    ramp_step,
    slow_above_s,
    tripped,
    usual_s,
)
from moonx.core.resilience.entries import Entry, Finish
from moonx.core.resilience.hot import Copy
from moonx.core.resilience.leases import Leases
from moonx.core.resilience.tallying import Batch

COPY_S = 0.25
SWEEP_S = 10.0
LEASE_MARGIN_S = 5.0
LATENCIES = 200
NO_ERA = -1  # of a call whose outcome says nothing about the circuit
PASSABLE = frozenset({Entry.WAIT, Entry.BUSY})  # by a call that insists
UNKNOWN = Copy(
    version=NO_ERA,
    state=CircuitState.CLOSED,
    left_ms=0,
    age_ms=0,
    is_held=False,
    is_ramped=False,
    trip=Trip.NONE,
    failure_permille=0,
)
LEVELS = {CircuitState.CLOSED: 0, CircuitState.HALF_OPEN: 1, CircuitState.OPEN: 2}

log = logs.get("moonx.circuits")


@cache
def rules() -> Rules:
    """The rules with what the settings say."""
    return Rules(
        consecutive=settings.ENV.worker_circuit_breaker_threshold,
        first_wait_s=settings.ENV.worker_circuit_breaker_timeout / 1000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A call that was let through: in which era, by which lease, and whether to probe."""

    version: int
    token: str = ""
    is_probe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a call was not let through, and when it is worth asking again."""

    entry: Entry
    wait_s: float


class LocalCircuit:
    """One circuit as this process sees it; its threads share it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.provider = limits.of(target.provider)
        self.copy = UNKNOWN
        self.version = NO_ERA
        self.free_until_s = 0.0  # until then calls pass without a question
        self._lock = threading.Lock()
        self._leases = Leases(target)
        self._batch, self._batch_s = Batch(), 0.0
        self._latencies_s: deque[float] = deque(maxlen=LATENCIES)
        self._slow_above_s = math.inf
        self._looked_s = -math.inf
        self._until_s = self._since_s = 0.0
        self._busy_until_s = self._shut_until_s = 0.0
        self._probed: datetime | None = None  # when this process last began a half-open era

    # Looking

    def look(self) -> None:
        """Tells Valkey the outcomes since the last look and takes over how all stands."""
        batch, version = self._taken(), self.version
        try:
            seen = hot.sync(self.target, batch, rules=rules())
            if seen.copy is None:
                seen = self._restored(batch)
        except (*hot.UNREACHABLE, db.Error):
            self._look_alone(batch)
        else:
            self.provider.pause(seen.paused_ms, now_s=time.monotonic())
            if seen.copy is not None:  # None: it was forgotten again in between
                self.adopt(seen.copy, seen=version)
                self._judge(seen.copy, seen.copy.tally)
        if time.monotonic() - _swept_s > SWEEP_S:
            sweep()

    def standing(self) -> Standing:
        """How it stands, at most 250 ms ago."""
        if time.monotonic() - self._looked_s >= COPY_S:
            self.look()
        now_s = time.monotonic()
        return replace(
            self.copy.standing(self.target),
            state=CircuitState.OPEN if self._shut_until_s > now_s else self.copy.state,
            wait_s=max(0.0, self._until_s - now_s, self._shut_until_s - now_s),
        )

    def adopt(self, copy: Copy, *, seen: int | None = None) -> None:
        """Takes over how the circuit stands; what was gathered in another era is forgotten.

        A copy that is older than what another thread took over since `seen`, the version that was
        known when it was asked for, is left: calls would pass a circuit that has opened.
        """
        now_s = time.monotonic()
        with self._lock:
            if copy.version < self.version and self.version != seen:
                return
            if copy.version != self.version:
                self._batch, self._batch_s = Batch(version=copy.version), now_s
                self._leases.begin(keeps_flying=copy.state is CircuitState.HALF_OPEN)
                self._busy_until_s = self._shut_until_s = 0.0
                labels = self.target.provider, self.target.chain, self.target.kind.value
                metrics.circuit_state.labels(*labels).set(LEVELS[copy.state])
            self.copy, self.version = copy, copy.version
            self._until_s = now_s + copy.left_ms / 1000
            self._since_s = now_s - copy.age_ms / 1000
            is_free = (
                copy.state is CircuitState.CLOSED
                and self._step(now_s) == FREE
                and self._shut_until_s <= now_s
            )
            self.free_until_s = self._looked_s + COPY_S if is_free else 0.0

    def _taken(self) -> Batch:
        """The batch, to be told; others begin the next one while this thread waits for Valkey."""
        now_s = time.monotonic()
        with self._lock:
            batch, self._batch = self._batch, Batch(version=self.version)
            is_old = now_s - self._batch_s > rules().bucket_ms * rules().buckets / 1000
            self._looked_s = self._batch_s = now_s
            self._slow_above_s = slow_above_s(usual_s(self._latencies_s))
        return Batch(version=batch.version) if is_old else batch

    def _restored(self, batch: Batch) -> hot.Seen:
        """Valkey knows nothing of the circuit: it gets the row, and is asked again."""
        hot.push(journal.read(self.target))
        return hot.sync(self.target, batch, rules=rules())

    def _look_alone(self, batch: Batch) -> None:
        """Without Valkey this process judges by what it saw; the journal still serves all."""
        if self.version == NO_ERA:
            self._read()
        else:
            self.adopt(self._aged())
        copy = self.copy
        if batch.calls and batch.version == copy.version:
            self._judge(copy, self._leases.record(batch, rules=rules()))

    def _aged(self) -> Copy:
        """The copy, older by the time that has passed since it was taken."""
        now_s = time.monotonic()
        left_ms = max(0, round((self._until_s - now_s) * 1000))
        return replace(self.copy, left_ms=left_ms, age_ms=round((now_s - self._since_s) * 1000))

    def _read(self) -> None:
        try:
            self.adopt(hot.copy_of(journal.read(self.target)))
        except db.Error as error:
            log.warning("circuit unknown", circuit=self.target.key, error=type(error).__name__)
            self.adopt(UNKNOWN)

    def _judge(self, copy: Copy, tally: Tally) -> None:
        """Opens the circuit where its calls demand that."""
        trip = tripped(tally, rules()) if copy.state is CircuitState.CLOSED else Trip.NONE
        if trip is not Trip.NONE:
            draw = random.random()  # noqa: S311 - spreads circuits, guards nothing
            self._change(
                lambda row: changes.opened(row, trip=trip, tally=tally, draw=draw, rules=rules()),
                version=copy.version,
            )

    # Changing

    def _change(self, decide: Callable[[Stored], Change | None], *, version: int) -> bool:
        """Writes a change of an era, if that is still the present one, and spreads what stands.

        Returns whether it was this change that made the circuit what it is. Where the database does
        not answer, a closed circuit is shut in this process alone, and one that is not closed stays
        as it is.
        """
        try:
            written = journal.change(self.target, decide, version=version)
        except db.Error as error:
            log.error("circuit not changed", circuit=self.target.key, error=type(error).__name__)
            now_s = time.monotonic()
            if self.copy.state is CircuitState.CLOSED:
                self._shut_until_s = now_s + open_wait_s(1, draw=0.5, rules=rules())
                self.free_until_s = 0.0
            else:
                self._busy_until_s = now_s + COPY_S
            return False
        self.take(written.stored, seen=version, is_mine=written.is_mine)
        return written.is_mine

    def take(self, stored: Stored, *, seen: int | None = None, is_mine: bool = False) -> None:
        """Brings a row to Valkey and to this copy; `seen` and `is_mine` as in `hot.push`."""
        try:
            hot.push(stored, seen=seen, is_mine=is_mine)
        except hot.UNREACHABLE:
            log.warning("circuit not spread, it will be swept", circuit=self.target.key)
        copy = hot.copy_of(stored)
        if is_mine and copy.state is CircuitState.HALF_OPEN:
            self._probed, copy = stored.since, replace(copy, left_ms=0)
        self.adopt(copy, seen=seen)

    # Passing

    def admit(self, *, timeout_s: float, insists: bool) -> Pass | Refusal:
        """Lets a call through, or says why not."""
        token, lease_ms = uuid.uuid4().hex, math.ceil((timeout_s + LEASE_MARGIN_S) * 1000)
        for _ in range(3):  # another one where the circuit was in another era than this copy
            if time.monotonic() - self._looked_s >= COPY_S:
                self.look()
            copy, now_s = self.copy, time.monotonic()
            entry, wait_s = self._ask(copy, token=token, lease_ms=lease_ms, now_s=now_s)
            if entry in (Entry.IN, Entry.ALONE):
                if copy.state is CircuitState.CLOSED:
                    is_leased = self._step(now_s).in_flight is not None
                    return Pass(version=copy.version, token=token if is_leased else "")
                is_alone = entry is Entry.ALONE
                try:
                    passed = self._probe(copy, token=token, lease_ms=lease_ms, is_alone=is_alone)
                except BaseException:  # a time limit, say: nobody would end what never began
                    self._leases.leave(token)
                    raise
                if passed:
                    return passed
            elif insists and entry in PASSABLE and self._is_shut(now_s):
                return Pass(version=NO_ERA)
            elif entry is not Entry.STALE:
                return Refusal(entry=entry, wait_s=wait_s)
            self._looked_s = -math.inf
        return Refusal(entry=Entry.STALE, wait_s=COPY_S)

    def _is_shut(self, now_s: float) -> bool:
        """Whether it is open, for all or, where the journal could not be told, for this process."""
        return self.copy.state is not CircuitState.CLOSED or self._shut_until_s > now_s

    def _ask(self, copy: Copy, *, token: str, lease_ms: int, now_s: float) -> tuple[Entry, float]:
        """Whether a call passes, asking Valkey only where this process cannot know."""
        if copy.is_held:
            return Entry.HELD, rules().longest_wait_s
        until_s = max(self._until_s, self._shut_until_s)
        if until_s > now_s:
            return Entry.WAIT, until_s - now_s
        step = self._step(now_s) if copy.state is CircuitState.CLOSED else FREE
        if copy.state is CircuitState.CLOSED and step == FREE:
            return Entry.IN, 0.0
        if self._busy_until_s > now_s:
            return Entry.BUSY, self._busy_until_s - now_s
        entry, wait_ms = self._leases.enter(
            copy.state, version=copy.version, token=token, lease_ms=lease_ms, step=step
        )
        if entry is Entry.BUSY:
            # Whoever waits in a row for one probe need not ask Valkey each time.
            self._busy_until_s = now_s + min(wait_ms / 1000, COPY_S)
        return entry, wait_ms / 1000

    def _probe(self, copy: Copy, *, token: str, lease_ms: int, is_alone: bool) -> Pass | None:
        """The call as a probe, once the journal says that it is; None where it must not be made."""
        if copy.state is CircuitState.HALF_OPEN and not is_alone:
            is_mine = self._extend(copy, lease_ms=lease_ms)
        else:
            is_mine = self._change(
                lambda row: changes.probing(row, lease_ms=lease_ms, own=self._probed),
                version=copy.version,
            )
            copy = self.copy
        if is_mine and self._leases.renew(token=token, lease_ms=lease_ms):
            return Pass(version=copy.version, token=token, is_probe=True)
        self._leases.leave(token)
        return None

    def _extend(self, copy: Copy, *, lease_ms: int) -> bool:
        try:
            return journal.extend(self.target, version=copy.version, lease_ms=lease_ms)
        except db.Error as error:
            log.error("circuit not probed", circuit=self.target.key, error=type(error).__name__)
            self._busy_until_s = time.monotonic() + COPY_S
            return False

    def _step(self, now_s: float) -> Step:
        if not self.copy.is_ramped:
            return FREE
        return ramp_step(closed_for_s=now_s - self._since_s, rules=rules())

    # Ending

    def settle(self, passed: Pass, outcome: Outcome, *, duration_s: float) -> None:
        """Takes the outcome of a call that was let through."""
        if passed.is_probe and outcome is not Outcome.IGNORED:
            self._finish(passed, is_success=outcome is Outcome.SUCCESS)
            return
        if passed.token:
            self._leases.leave(passed.token)
        if outcome is Outcome.SUCCESS:
            self.succeed(passed.version, duration_s=duration_s)
        elif outcome is Outcome.FAILURE:
            self.fail(passed.version, duration_s=duration_s)

    def succeed(self, version: int, *, duration_s: float) -> None:
        """Adds a success to the batch, which is told when 250 ms are over."""
        with self._lock:
            if version != self.version:
                return
            is_slow = duration_s > self._slow_above_s
            if not is_slow:
                # Slow calls are no part of the norm, or a server that got slow would set its own.
                self._latencies_s.append(duration_s)
            self._batch.succeed(is_slow=is_slow)
        if time.monotonic() - self._looked_s >= COPY_S:
            self.look()

    def fail(self, version: int, *, duration_s: float) -> None:
        """Adds a failure to the batch, which is told at once."""
        with self._lock:
            if version != self.version:
                return
            self._batch.fail(is_slow=duration_s > self._slow_above_s)
        self.look()

    def _finish(self, passed: Pass, *, is_success: bool) -> None:
        """A probe ended: the circuit closes, opens again, or waits for one more."""
        finish = self._leases.finish(
            version=passed.version,
            token=passed.token,
            is_success=is_success,
            needed=rules().probe_successes,
        )
        if finish is Finish.ENOUGH:
            self._change(changes.closed, version=passed.version)
        elif finish is Finish.FAILED:
            draw = random.random()  # noqa: S311 - spreads circuits, guards nothing
            self._change(
                lambda row: changes.reopened(row, draw=draw, rules=rules()),
                version=passed.version,
            )


_circuits: dict[Target, LocalCircuit] = {}
_swept_s = 0.0


def of(target: Target) -> LocalCircuit:
    """The circuit of a target, as this process sees it."""
    return _circuits.get(target) or _circuits.setdefault(target, LocalCircuit(target))


def forget() -> None:
    """Drops all that this process knows of circuits and providers, as a new process would begin."""
    _circuits.clear()
    limits.forget()
    hot.forget()


def sweep() -> None:
    """Compares the circuits of this process with their rows and spreads what differs there."""
    global _swept_s  # noqa: PLW0603 - one moment of one process
    _swept_s = time.monotonic()
    known = {one.target.key: one for one in list(_circuits.values())}
    try:
        for key, version in journal.versions(list(known)).items():
            if version != (seen := known[key].version):
                known[key].take(journal.read(known[key].target), seen=seen)
    except db.Error as error:
        log.warning("circuits not swept", error=type(error).__name__)


def standings(targets: Iterable[Target]) -> dict[Target, Standing]:
    """How circuits stand, at most 250 ms ago."""
    return {target: of(target).standing() for target in targets}


# A child must not tell its parent's outcomes again.
os.register_at_fork(after_in_child=forget)
