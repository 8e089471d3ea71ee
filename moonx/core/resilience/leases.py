"""Who may call while a circuit is not simply closed: leases in Valkey or, without it, in here."""

import threading
import time

from moonx.core import logs
from moonx.core.resilience import hot
from moonx.core.resilience.alone import Alone
from moonx.core.resilience.circuit import CircuitState, Rules, Step, Tally, Target
from moonx.core.resilience.entries import Entry, Finish
from moonx.core.resilience.tallying import Batch

log = logs.get("moonx.circuits")


class Leases:
    """The leases of one circuit. A process that cannot reach Valkey counts its own alone.

    That says only that no other thread of it is under way: of other processes the journal knows.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._alone = Alone()
        self._lock = threading.Lock()

    def begin(self, *, keeps_flying: bool) -> None:
        """A new era: what was counted alone in the last one is forgotten."""
        with self._lock:
            self._alone.begin(keeps_flying=keeps_flying)

    def record(self, batch: Batch, *, rules: Rules) -> Tally:
        """Counts outcomes that Valkey could not be told, and returns what this process knows."""
        with self._lock:
            return self._alone.record(batch, now_s=time.monotonic(), rules=rules)

    def enter(
        self, state: CircuitState, *, version: int, token: str, lease_ms: int, step: Step
    ) -> tuple[Entry, int]:
        """Whether a call passes, and otherwise the ms until it is worth asking again."""
        try:
            return hot.enter(
                self._target, version=version, token=token, lease_ms=lease_ms, step=step
            )
        except hot.UNREACHABLE:
            with self._lock:
                return self._alone.enter(
                    state, token=token, lease_ms=lease_ms, step=step, now_s=time.monotonic()
                )

    def renew(self, *, token: str, lease_ms: int) -> bool:
        """Whether the lease still stood; it then lasts anew."""
        try:
            return hot.renew(self._target, token=token, lease_ms=lease_ms)
        except hot.UNREACHABLE:
            return token in self._alone.flying

    def finish(self, *, version: int, token: str, is_success: bool, needed: int) -> Finish:
        """What a probe's outcome leads to."""
        try:
            return hot.finish(
                self._target, version=version, token=token, is_success=is_success, needed=needed
            )
        except hot.UNREACHABLE:
            with self._lock:
                return self._alone.finish(
                    token=token, is_success=is_success, needed=needed, now_s=time.monotonic()
                )

    def leave(self, token: str) -> None:
        """Gives a lease back."""
        with self._lock:
            self._alone.leave(token)
        try:
            hot.leave(self._target, token=token)
        except hot.UNREACHABLE:
            log.warning("a lease ends by itself", circuit=self._target.key)
