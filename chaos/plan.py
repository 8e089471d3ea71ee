"""Which faults come when: a pure function of a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Blow(StrEnum):
    """What is done to a process."""

    KILL = "kill -9"
    KILL_CHILD = "kill -9 a child of"
    RESTART = "SIGINT"
    FLUSH = "FLUSHALL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One blow, some time after the one before."""

    blow: Blow
    target: str
    pause_s: float

    def __str__(self) -> str:
        return f"{self.blow} {self.target}"


# Everything that `up` runs, each of its stores included.
EVERYTHING: Sequence[tuple[Blow, str]] = (
    (Blow.KILL, "web"),
    (Blow.KILL, "worker"),
    (Blow.KILL_CHILD, "worker"),
    (Blow.KILL, "worker-io"),
    (Blow.KILL, "beat"),
    (Blow.KILL, "relay"),
    (Blow.KILL, "demo"),
    (Blow.KILL, "flower"),
    (Blow.KILL, "anvil"),
    (Blow.KILL, "valkey-broker"),
    (Blow.KILL, "valkey-cache"),
    (Blow.FLUSH, "valkey-broker"),
    (Blow.FLUSH, "valkey-cache"),
    (Blow.RESTART, "postgres"),
    (Blow.KILL, "postgres"),
)


def plan(
    *,
    seed: int,
    count: int,
    faults: Sequence[tuple[Blow, str]] = EVERYTHING,
    shortest_pause_s: float = 2.0,
    longest_pause_s: float = 6.0,
) -> list[Fault]:
    """`count` faults: round after round of all of them, each round in an order of its own."""
    rng = random.Random(seed)
    chosen: list[tuple[Blow, str]] = []
    while len(chosen) < count:
        chosen += rng.sample(faults, len(faults))
    return [
        Fault(blow=blow, target=target, pause_s=rng.uniform(shortest_pause_s, longest_pause_s))
        for blow, target in chosen[:count]
    ]
