"""How a circuit goes from one state to the next. Pure: what is there and the time are passed in."""

from dataclasses import dataclass
from datetime import datetime

from moonx.core.resilience.circuit import (
    DEFAULT,
    NO_CALLS,
    CircuitState,
    Rules,
    Tally,
    Target,
    Trip,
    level_now,
    next_level,
    open_wait_s,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A circuit as its row stood at one moment of PostgreSQL's clock.

    Only durations leave the database: `left_ms` until a call may probe, `age_ms` since the state
    began. So no two clocks are ever compared.
    """

    target: Target
    version: int = 0
    state: CircuitState = CircuitState.CLOSED
    level: int = 0
    since: datetime | None = None
    age_ms: int = 0
    wait_ms: int = 0
    is_held: bool = False
    is_ramped: bool = False
    trip: Trip = Trip.NONE
    tally: Tally = NO_CALLS

    @property
    def left_ms(self) -> int:
        """What is left of an open circuit's wait, or of a probe's lease; 0 of a closed one."""
        return 0 if self.state is CircuitState.CLOSED else max(0, self.wait_ms - self.age_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a circuit becomes."""

    to: CircuitState
    level: int
    wait_ms: int = 0
    is_held: bool = False
    is_ramped: bool = False
    trip: Trip = Trip.NONE
    tally: Tally = NO_CALLS


def opened(
    stored: Stored, *, trip: Trip, tally: Tally, draw: float, rules: Rules = DEFAULT
) -> Change:
    """A closed circuit opens: the longer, the less time passed since it last was open."""
    level = next_level(
        level_now(stored.level, closed_for_s=stored.age_ms / 1000, rules=rules), rules
    )
    return _open(level, trip=trip, tally=tally, draw=draw, rules=rules)


def reopened(stored: Stored, *, draw: float, rules: Rules = DEFAULT) -> Change:
    """The probe failed as well: open again, for longer; the calls that tripped it stay on record.

    The trip stays too, for it says what kind of outage this is.
    """
    level = next_level(stored.level, rules)
    trip = stored.trip or Trip.PROBE
    return _open(level, trip=trip, tally=stored.tally, draw=draw, rules=rules)


def probing(stored: Stored, *, lease_ms: int, own: datetime | None = None) -> Change | None:
    """The wait is over and one call was let through; it is under way for `lease_ms` at most.

    None where a probe may be under way that somebody else began: any but that of `own`, the moment
    at which the caller began its last one.
    """
    if stored.left_ms and (own is None or stored.since != own):
        return None
    return Change(
        to=CircuitState.HALF_OPEN,
        level=stored.level,
        wait_ms=lease_ms,
        trip=stored.trip,
        tally=stored.tally,
    )


def closed(stored: Stored) -> Change:
    """The provider is well again; calls come back step by step, and the level is not forgotten."""
    return Change(to=CircuitState.CLOSED, level=stored.level, is_ramped=True)


def held_open(stored: Stored) -> Change | None:
    """An operator keeps calls away until an operator lets them come back; None where one does."""
    if stored.is_held:
        return None
    return Change(
        to=CircuitState.OPEN,
        level=stored.level,
        is_held=True,
        trip=Trip.OPERATOR,
        tally=stored.tally,
    )


def closed_by_hand(stored: Stored) -> Change | None:
    """As `closed`, on an operator's word; None where it is closed."""
    return None if stored.state is CircuitState.CLOSED else closed(stored)


def reset(_: Stored) -> Change:
    """As if it had never been open: no level, no ramp, no calls on record."""
    return Change(to=CircuitState.CLOSED, level=0)


def _open(level: int, *, trip: Trip, tally: Tally, draw: float, rules: Rules) -> Change:
    return Change(
        to=CircuitState.OPEN,
        level=level,
        wait_ms=round(open_wait_s(level, draw=draw, rules=rules) * 1000),
        trip=trip,
        tally=tally,
    )
