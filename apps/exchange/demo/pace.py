"""How fast demo traders may act: a bucket of tokens, as a value."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Gains `rate` tokens a second up to `size`, from `tokens` at the moment `at_s`.

    In any span of t seconds it gives at most size + rate × t tokens.
    """

    rate: float
    size: float
    tokens: float
    at_s: float

    def at(self, now_s: float) -> "Bucket":
        """The bucket as it stands at `now_s`; a clock that goes back gains nothing."""
        gained = max(0.0, now_s - self.at_s) * self.rate
        return replace(self, tokens=min(self.size, self.tokens + gained), at_s=now_s)

    def take(self, now_s: float) -> "Bucket | None":
        """The bucket without one token; None where there is none to take."""
        full = self.at(now_s)
        return replace(full, tokens=full.tokens - 1) if full.tokens >= 1 else None

    def wait_s(self, now_s: float) -> float:
        """How long until there is a token."""
        return max(0.0, (1 - self.at(now_s).tokens) / self.rate)
