"""The words of statistics that chains and bridges share: verdicts, and the reasons for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How something does. Without data it is unknown, never healthy."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


# From good to bad; what is unknown has no rank.
RANKS = (Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of those that are known; unknown where none is."""
    return max((one for one in verdicts if one in RANKS), key=RANKS.index, default=Verdict.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A rule that did not hold: what was measured, and the limit that it broke.

    Milliseconds and counts are ints, ratios and rates decimal strings. `provider` and `cause` are
    set where a provider is to blame, and not the chain.
    """

    rule: str
    value: int | str | None
    limit: int | str | None
    provider: str = ""
    cause: str = ""

    def wire(self) -> dict[str, Any]:
        """The reason as the wire carries it; provider and cause only where they are set."""
        blame = {"provider": self.provider, "cause": self.cause}
        told = {name: value for name, value in blame.items() if value}
        return {"rule": self.rule, "value": self.value, "limit": self.limit, **told}
