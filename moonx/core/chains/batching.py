"""How much goes into one batch, or one range of logs: more while a node keeps up, half when it does
not; pure."""

from dataclasses import dataclass, replace

FIRST = 20
MOST = 100  # Erigon's limit, unless its operator raised it
CLEAN_IN_A_ROW = 5
# Of an answer: larger ones take longer to make, to send and to keep than they save in requests.
BYTES = 4 * 2**20
QUICK_S = 1.0
FIRST_SPAN, WIDEST_SPAN = 1_000, 10_000  # blocks


@dataclass(frozen=True, slots=True)
class BatchSize:
    """How many calls the next batch may hold, and how many batches in a row were clean; `is_new`
    until the node was given too much once, or took long."""

    calls: int = FIRST
    clean: int = 0
    is_new: bool = True

    def after(self, *, took_s: float, size: int) -> "BatchSize":
        """A batch was answered with `size` bytes: after five quick ones in a row twice as many, or
        a tenth more once it was trouble, as long as the answer stays within bounds; at once so
        many fewer as bring it there."""
        bounded = max(1, self.calls * BYTES // max(1, size))
        if bounded < self.calls:
            return BatchSize(bounded, is_new=False)
        if took_s >= QUICK_S:
            return replace(self, clean=0, is_new=False)
        if self.clean + 1 < CLEAN_IN_A_ROW:
            return replace(self, clean=self.clean + 1)
        more = self.calls * 2 if self.is_new else max(self.calls + 1, self.calls * 11 // 10)
        return replace(self, calls=min(MOST, bounded, more), clean=0)

    def after_trouble(self) -> "BatchSize":
        """A batch was too much for the node: half of it."""
        return BatchSize(max(1, self.calls // 2), is_new=False)


@dataclass(frozen=True, slots=True)
class LogSpan:
    """How many blocks the next range of logs may have, and how many ranges in a row were clean."""

    blocks: int = FIRST_SPAN
    clean: int = 0

    def after(self) -> "LogSpan":
        """A range was answered: half as many more after five in a row."""
        if self.clean + 1 < CLEAN_IN_A_ROW:
            return replace(self, clean=self.clean + 1)
        return LogSpan(min(WIDEST_SPAN, self.blocks * 3 // 2 + 1))
