"""Outcomes as they are gathered: a process's batch, and the window of one that is alone. Pure."""

from collections import deque
from dataclasses import dataclass, field

from moonx.core.resilience.circuit import DEFAULT, Rules, Tally


@dataclass(slots=True)
class Batch:
    """Outcomes since the last look at Valkey, all of one era (`version`).

    What matters of their order are the rows of failures: at the beginning, at the end, the longest.
    """

    version: int = -1
    calls: int = 0
    failures: int = 0
    slow: int = 0
    leading: int = 0
    trailing: int = 0
    longest: int = 0

    def succeed(self, *, is_slow: bool) -> None:
        """Counts a call that was answered."""
        self.calls += 1
        self.slow += is_slow
        self.trailing = 0

    def fail(self, *, is_slow: bool) -> None:
        """Counts a call that failed."""
        if self.failures == self.calls:
            self.leading += 1
        self.calls += 1
        self.failures += 1
        self.slow += is_slow
        self.trailing += 1
        self.longest = max(self.longest, self.trailing)


@dataclass(slots=True)
class Window:
    """The calls of the last minute as one process knows them, in buckets as the shared ones."""

    run: int = 0
    buckets: deque[tuple[int, int, int, int]] = field(default_factory=deque)

    def add(self, batch: Batch, *, now_ms: int, rules: Rules = DEFAULT) -> Tally:
        """Counts a batch and returns the window with it."""
        bucket = now_ms // rules.bucket_ms
        self.buckets.append((bucket, batch.calls, batch.failures, batch.slow))
        while self.buckets[0][0] <= bucket - rules.buckets:
            self.buckets.popleft()
        streak = max(self.run + batch.leading if batch.leading else 0, batch.longest)
        all_failed = batch.failures == batch.calls
        self.run = self.run + batch.failures if all_failed else batch.trailing
        return Tally(
            calls=sum(one[1] for one in self.buckets),
            failures=sum(one[2] for one in self.buckets),
            slow=sum(one[3] for one in self.buckets),
            streak=streak,
        )
