"""The rules of a circuit: what opens it, for how long, and how it comes back. Times are passed in.

A circuit stands between us and one class of calls to one provider on one chain. CLOSED lets calls
through, OPEN none, HALF_OPEN one at a time to see whether the provider is well again.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from moonx.core.upstream.faults import OF_THE_SERVER, Fault


class CallClass(StrEnum):
    """What is asked: a provider may answer one class and fail at another."""

    READ = "read"
    LOGS = "logs"
    BALANCES = "balances"
    PRICE = "price"
    QUOTE = "quote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The key of a circuit. `provider` is a public name, never an address with a key in it."""

    provider: str
    chain: str = ""
    kind: CallClass

    @property
    def key(self) -> str:
        """The target in one word, as rows and Valkey name it."""
        return f"{self.provider}:{self.chain}:{self.kind.value}"

    def __str__(self) -> str:
        return " ".join(part for part in (self.provider, self.chain, self.kind.value) if part)


class CircuitState(StrEnum):
    """Whether calls pass: all, none, or one at a time."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Trip(StrEnum):
    """Why a circuit opened; empty where it never did."""

    NONE = ""
    CONSECUTIVE = "consecutive"
    RATE = "rate"
    SLOW = "slow"
    PROBE = "probe"  # the call that was let through to see failed as well
    OPERATOR = "operator"


class Outcome(StrEnum):
    """What a call says about its provider; IGNORED says nothing."""

    SUCCESS = "success"
    FAILURE = "failure"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The numbers behind the rules; shares are in per mille."""

    bucket_ms: int = 6_000
    buckets: int = 10
    consecutive: int = 5
    rate_calls: int = 10
    rate_permille: int = 500
    slow_calls: int = 20
    slow_permille: int = 800
    first_wait_s: float = 60.0
    longest_wait_s: float = 900.0
    decay_s: float = 600.0  # one level less for each so long closed
    probe_successes: int = 2
    ramp_s: float = 30.0


DEFAULT = Rules()

SLOW_FLOOR_S = 3.0
SLOW_FACTOR = 3
NORM_CALLS = 20  # fewer latencies are no norm
# The first of the two steps of the ramp, where calls are also counted in flight.
RAMP_IN_FLIGHT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The calls of a window; `streak` is the longest row of failures that this look closed in on.

    A success in between ends a row, whichever process saw it.
    """

    calls: int = 0
    failures: int = 0
    slow: int = 0
    streak: int = 0

    @property
    def failure_permille(self) -> int:
        """The share of calls that failed; 0 of none."""
        return self.failures * 1000 // self.calls if self.calls else 0


NO_CALLS = Tally()


def outcome_of(fault: Fault | None) -> Outcome:
    """What a call's end says: a fair answer, if only that there is none, is a success.

    What we asked wrongly or too often says nothing, neither for nor against the provider.
    """
    if fault is None or fault is Fault.NO_RESULT:
        return Outcome.SUCCESS
    return Outcome.FAILURE if fault in OF_THE_SERVER else Outcome.IGNORED


def tripped(tally: Tally, rules: Rules = DEFAULT) -> Trip:
    """Why a closed circuit with these calls must open; `Trip.NONE` where it need not."""
    if tally.streak >= rules.consecutive:
        return Trip.CONSECUTIVE
    if (
        tally.calls >= rules.rate_calls
        and tally.failures * 1000 >= tally.calls * rules.rate_permille
    ):
        return Trip.RATE
    if tally.calls >= rules.slow_calls and tally.slow * 1000 >= tally.calls * rules.slow_permille:
        return Trip.SLOW
    return Trip.NONE


def usual_s(latencies_s: Sequence[float]) -> float | None:
    """The 95th percentile (nearest rank) of latencies; None where they are too few for a norm."""
    if len(latencies_s) < NORM_CALLS:
        return None
    return sorted(latencies_s)[math.ceil(0.95 * len(latencies_s)) - 1]


def slow_above_s(usual: float | None) -> float:
    """From what duration a call is slow; never, where nothing is known of this provider's norm."""
    return math.inf if usual is None else max(SLOW_FLOOR_S, SLOW_FACTOR * usual)


def level_now(level: int, *, closed_for_s: float, rules: Rules = DEFAULT) -> int:
    """What is left of the level of past openings after so long closed."""
    return max(0, level - int(max(0.0, closed_for_s) // rules.decay_s))


def next_level(level: int, rules: Rules = DEFAULT) -> int:
    """The level of an opening after one of `level`; none is above that of the longest wait."""
    doublings = math.ceil(math.log2(max(1.0, rules.longest_wait_s / rules.first_wait_s)))
    return min(1 + doublings, level + 1)


def open_wait_s(level: int, *, draw: float, rules: Rules = DEFAULT) -> float:
    """How long the opening of a level (from 1) lasts before a call may probe.

    It doubles from level to level up to its limit; `draw`, in [0, 1), spreads it by ±20 % so that
    circuits that opened together do not probe together.
    """
    wait_s = min(rules.longest_wait_s, rules.first_wait_s * 2.0 ** (max(1, level) - 1))
    return wait_s * (0.8 + 0.4 * draw)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a closed circuit lets through: one call of `one_of`, `in_flight` of them at a time."""

    one_of: int = 1
    in_flight: int | None = None


FREE = Step()


def ramp_step(*, closed_for_s: float, rules: Rules = DEFAULT) -> Step:
    """A quarter of all calls and few at a time after the closing, then half of them, then all."""
    if closed_for_s < rules.ramp_s / 2:
        return Step(one_of=4, in_flight=RAMP_IN_FLIGHT)
    if closed_for_s < rules.ramp_s:
        return Step(one_of=2)
    return FREE


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a circuit stands, for whoever chooses among several.

    `failure_permille` is the share that failed when it opened, `wait_s` what is left until a call
    may probe, `is_held` whether an operator holds it open.
    """

    target: Target
    state: CircuitState = CircuitState.CLOSED
    trip: Trip = Trip.NONE
    failure_permille: int = 0
    wait_s: float = 0.0
    is_held: bool = False


def spared(standings: Iterable[Standing]) -> list[Target]:
    """The open circuits of a chain's providers that calls pass all the same, least bad first.

    Failure rates alone never close off more than half of the providers, rounded down: what fails
    everywhere is rather the chain's fault or ours. Where every circuit is open, for whatever
    reason, the least bad one is spared. What an operator holds open never is. (Envoy bounds the
    ejection of hosts in this way: max_ejection_percent and the panic threshold.)
    """
    rows = list(standings)
    shut = [row for row in rows if row.state is CircuitState.OPEN]
    by_rate = [row for row in shut if row.trip is Trip.RATE and not row.is_held]
    excess = max(0, len(by_rate) - len(rows) // 2)
    found = sorted(by_rate, key=_badness)[:excess]
    if not found and len(shut) == len(rows):
        found = sorted((row for row in shut if not row.is_held), key=_badness)[:1]
    return [row.target for row in found]


def _badness(row: Standing) -> tuple[int, float, str]:
    return row.failure_permille, row.wait_s, row.target.key
