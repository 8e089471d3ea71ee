"""How old what is known may be before it counts as old, what an old verdict is worth, and for how
long what was known is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from apps.stats.vocabulary import RANKS, Reason, Verdict
from moonx.core import paces
from moonx.core.intervals import to_ms

# Three runs of what keeps it, as the schedule has it by default, and a little.
A_LITTLE = timedelta(seconds=15)


class Kind(Enum):
    """What is kept: how its subjects begin, the task that keeps it, and after how long it is stale
    however often that runs."""

    CHAINS = ("chain:", "stats.chain_performance", 3 * timedelta(minutes=1) + A_LITTLE)
    BRIDGES = ("bridge:", "stats.bridge_latency", 3 * timedelta(minutes=2) + A_LITTLE)
    OVERVIEW = ("overview", "stats.collect_all", 3 * timedelta(minutes=5) + A_LITTLE)
    ACTIVITY = ("activity:", "stats.scan_activity", 3 * timedelta(seconds=15) + A_LITTLE)

    def __init__(self, prefix: str, task: str, least: timedelta) -> None:
        self.prefix, self.task, self.least = prefix, task, least


def after(kind: Kind) -> timedelta:
    """How old something may be before it is stale: longer where it is kept less often by now.

    Raises django.db.Error.
    """
    return max(kind.least, 3 * paces.of(kind.task) + A_LITTLE)


# For how long single samples, and points by the hour, can be asked for.
RAW_KEPT, HOURS_KEPT = timedelta(days=7), timedelta(days=90)
RULE = "stale"
MS = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """How old something is; `ms` is None for what was never sampled."""

    ms: int | None
    after: timedelta

    @classmethod
    def of(cls, sampled_ms: int | None, *, now_ms: int, after: timedelta) -> "Age":
        """The age of what was sampled then, never less than 0; stale beyond `after`."""
        return cls(ms=None if sampled_ms is None else max(0, now_ms - sampled_ms), after=after)

    @property
    def is_stale(self) -> bool:
        """Whether nothing newer came when it should have."""
        return self.ms is None or self.ms > self.after_ms

    @property
    def after_ms(self) -> int:
        """From which age on it is stale."""
        return self.after // MS


def judged(payload: Mapping[str, Any], age: Age) -> dict[str, Any]:
    """The payload with whether it is stale. Its figures stay as they last were, but the verdict of
    what is stale is unknown at best: nobody has looked for a while.

    The reason tells no age, which moves with each reading: what is known is the same until then.
    """
    found = {**payload, "isStale": age.is_stale, "staleAfterMs": age.after_ms}
    if age.is_stale and payload["verdict"] in RANKS[:-1]:
        reason = Reason(rule=RULE, value=None, limit=age.after_ms)
        found["verdict"] = Verdict.UNKNOWN.value
        found["reasons"] = [*payload["reasons"], reason.wire()]
    return found


def verdict(payload: Mapping[str, Any], *, now: datetime, after: timedelta) -> Verdict:
    """The verdict that a payload is worth now: see `judged`."""
    age = Age.of(payload["sampledAt"], now_ms=to_ms(now), after=after)
    return Verdict(judged(payload, age)["verdict"])
