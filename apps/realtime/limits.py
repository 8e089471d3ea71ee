"""How much one client may do: pure rules over values, with the time passed in."""

from dataclasses import dataclass

BURST = 30  # messages at once, before the rate counts


@dataclass(slots=True, weakref_slot=True)
class TokenBucket:
    """Allows `per_minute` messages a minute on average and a burst at once."""

    per_minute: int
    tokens: float
    updated_s: float

    @classmethod
    def full(cls, *, per_minute: int, now_s: float) -> "TokenBucket":
        """A bucket whose burst is unspent."""
        return cls(per_minute, float(min(BURST, per_minute)), now_s)

    def take(self, *, now_s: float) -> float:
        """0 when a message is allowed now, else the seconds after which one is."""
        rate = self.per_minute / 60
        gained = max(0.0, now_s - self.updated_s) * rate
        self.tokens = min(float(min(BURST, self.per_minute)), self.tokens + gained)
        self.updated_s = now_s
        if self.tokens >= 1:
            self.tokens -= 1
            return 0.0
        return (1 - self.tokens) / rate


@dataclass(slots=True)
class Strikes:
    """Counts faults within a sliding window: at `limit` the client is out."""

    limit: int
    window_s: float = 60.0
    times: tuple[float, ...] = ()

    def add(self, *, now_s: float) -> bool:
        """Records a fault; True when it was one too many."""
        recent = tuple(moment for moment in self.times if now_s - moment < self.window_s)
        self.times = (*recent, now_s)
        return len(self.times) >= self.limit
