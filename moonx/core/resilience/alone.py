"""What a process decides by itself while Valkey does not answer. Pure: the time is passed in."""

from dataclasses import dataclass, field

from moonx.core.resilience.circuit import CircuitState, Rules, Step, Tally
from moonx.core.resilience.entries import Entry, Finish
from moonx.core.resilience.tallying import Batch, Window


@dataclass(slots=True)
class Alone:
    """One circuit's window and leases within one process, by the rules of the shared ones."""

    window: Window = field(default_factory=Window)
    flying: dict[str, float] = field(default_factory=dict)
    successes: int = 0
    asked: int = 0

    def begin(self, *, keeps_flying: bool) -> None:
        """A new era: nothing of the last one counts, unless both are of one row of probes."""
        self.window, self.asked = Window(), 0
        if not keeps_flying:
            self.flying, self.successes = {}, 0

    def record(self, batch: Batch, *, now_s: float, rules: Rules) -> Tally:
        """Adds outcomes to the window and returns it."""
        return self.window.add(batch, now_ms=int(now_s * 1000), rules=rules)

    def enter(
        self, state: CircuitState, *, token: str, lease_ms: int, step: Step, now_s: float
    ) -> tuple[Entry, int]:
        """Whether a call passes, and otherwise the ms until it is worth asking again."""
        most: int | None = 1
        if state is CircuitState.CLOSED:
            most, self.asked = step.in_flight, self.asked + 1
            if (self.asked - 1) % step.one_of:
                return Entry.RAMP, 0
        self.flying = {one: ends for one, ends in self.flying.items() if ends > now_s}
        if most is not None and len(self.flying) >= most:
            return Entry.BUSY, round((min(self.flying.values()) - now_s) * 1000)
        self.flying[token] = now_s + lease_ms / 1000
        return Entry.ALONE, 0

    def finish(self, *, token: str, is_success: bool, needed: int, now_s: float) -> Finish:
        """What a probe's outcome leads to; none whose lease is over leads to anything."""
        if self.flying.pop(token, now_s) <= now_s:
            return Finish.STALE
        if not is_success:
            self.successes = 0
            return Finish.FAILED
        self.successes += 1
        return Finish.ENOUGH if self.successes >= needed else Finish.MORE

    def leave(self, token: str) -> None:
        """Gives a lease back."""
        self.flying.pop(token, None)
