"""How the providers of a chain do, each apart, as functions of values.

A provider that lags, fails or lies is told by name; that is no fault of the chain.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from apps.stats.chains import figures
from apps.stats.vocabulary import Reason
from moonx.core.upstream.faults import OF_THE_SERVER, Fault

WINDOW = timedelta(minutes=5)  # of answers that rates and percentiles are made of
FEWEST = 10  # answers; fewer make no rate
MANY_ERRORS, TOO_MANY_ERRORS = Decimal("0.05"), Decimal("0.25")
SLOW_MS, TOO_SLOW_MS = 1_000, 3_000  # of p95
LAG_BLOCKS = 2
FAR_BLOCKS, FAR_MS = 16, 30_000


class State(StrEnum):
    """What to think of a provider."""

    OK = "ok"
    LAGGING = "lagging"
    EXCLUDED = "excluded"  # so far behind that it is of no use
    FAILING = "failing"
    WRONG_CHAIN = "wrongChain"
    UNKNOWN = "unknown"


class Trouble(StrEnum):
    """What a provider is blamed for; besides, the classes of faults."""

    LAG = "lagBlocks"
    LATE = "lagMs"
    ERRORS = "errorRate"
    SLOW = "p95Ms"
    FORKED = "forked"  # its blocks are not those of the others
    DREAMING = "dreaming"  # its head is further than the chain can be


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One call to a provider: what it took, and the fault where it brought nothing."""

    latency_ms: int
    fault: Fault | None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a provider says now, against what is agreed; None where it does not say it."""

    name: str
    fault: Fault | None
    lag_blocks: int | None
    lag_ms: int | None
    head_age_ms: int | None
    ahead_ms: int | None
    finality_lag_ms: int | None
    is_forked: bool = False
    is_dreaming: bool = False

    @property
    def speaks_of_the_chain(self) -> bool:
        """Whether what it says is of the chain that the others follow."""
        return self.head_age_ms is not None and not (self.is_forked or self.is_dreaming)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider, judged. `troubles` are what it is blamed for, the worst first."""

    name: str
    state: State
    lag_blocks: int | None
    error_rate: Decimal | None
    p95_ms: int | None
    head_age_ms: int | None
    ahead_ms: int | None
    finality_lag_ms: int | None
    answers: bool  # whether it says anything of this chain now
    troubles: tuple[Reason, ...]

    def wire(self) -> dict[str, Any]:
        """As the wire carries it; the error rate is a share of the last five minutes' calls."""
        rate = self.error_rate
        return {
            "name": self.name,
            "state": self.state.value,
            "lagBlocks": self.lag_blocks,
            "errorRate": None if rate is None else format(rate, "f"),
            "p95Ms": self.p95_ms,
        }


def judge(view: View, answers: Sequence[Answer], *, block_time_ms: int) -> Provider:
    """The provider's state, by what it says now and by its answers of the last five minutes, the
    newest last. Faults that are ours, such as asking too often, do not count against it."""
    told = [one for one in answers if one.fault is None or one.fault in OF_THE_SERVER]
    good = [one.latency_ms for one in told if one.fault is None]
    rate = figures.ratio(len(told) - len(good), len(told)) if len(told) >= FEWEST else None
    p95_ms = figures.percentiles(good, fewest=FEWEST).p95
    found = [
        *_identity(view),
        *_failing(view, told, error_rate=rate, p95_ms=p95_ms),
        *_behind(view, block_time_ms=block_time_ms),
        *_silent(view),
        *_worth_a_word(error_rate=rate, p95_ms=p95_ms),
    ]
    return Provider(
        name=view.name,
        state=found[0][0] if found else State.OK,
        lag_blocks=view.lag_blocks,
        error_rate=rate,
        p95_ms=p95_ms,
        head_age_ms=view.head_age_ms,
        ahead_ms=view.ahead_ms,
        finality_lag_ms=view.finality_lag_ms,
        answers=view.speaks_of_the_chain,
        troubles=tuple(trouble for _, trouble in found),
    )


Found = Iterator[tuple[State, Reason]]


def _identity(view: View) -> Found:
    if view.fault is Fault.WRONG_CHAIN:
        yield State.WRONG_CHAIN, _fault(view.fault)
    if view.is_forked:
        yield State.EXCLUDED, Reason(rule=Trouble.FORKED, value=1, limit=0)
    if view.is_dreaming:
        yield State.EXCLUDED, Reason(rule=Trouble.DREAMING, value=1, limit=0)


def _failing(
    view: View, told: Sequence[Answer], *, error_rate: Decimal | None, p95_ms: int | None
) -> Found:
    if error_rate is not None and error_rate > TOO_MANY_ERRORS:
        yield State.FAILING, _errors(error_rate, TOO_MANY_ERRORS)
    if p95_ms is not None and p95_ms > TOO_SLOW_MS:
        yield State.FAILING, Reason(rule=Trouble.SLOW, value=p95_ms, limit=TOO_SLOW_MS)
    # While its circuit is open it is not asked: what it did last stands.
    if view.fault and told and told[-1].fault:
        yield State.FAILING, _fault(told[-1].fault)


def _behind(view: View, *, block_time_ms: int) -> Found:
    """Excluded from 30 s behind; from 16 blocks too, where those take 30 s or longer. Lagging over
    2 blocks and over 2 block times: on fast chains two answers are never of one moment."""
    blocks, late_ms = view.lag_blocks, view.lag_ms
    if blocks is None or late_ms is None:
        return
    if late_ms >= FAR_MS:
        yield State.EXCLUDED, Reason(rule=Trouble.LATE, value=late_ms, limit=FAR_MS)
    elif blocks >= FAR_BLOCKS and FAR_BLOCKS * block_time_ms >= FAR_MS:
        yield State.EXCLUDED, Reason(rule=Trouble.LAG, value=blocks, limit=FAR_BLOCKS)
    elif blocks > LAG_BLOCKS and late_ms > 2 * block_time_ms:
        yield State.LAGGING, Reason(rule=Trouble.LAG, value=blocks, limit=LAG_BLOCKS)


def _silent(view: View) -> Found:
    if view.fault:
        yield State.UNKNOWN, _fault(view.fault)


def _worth_a_word(*, error_rate: Decimal | None, p95_ms: int | None) -> Found:
    """What a provider is named for, although it is of use."""
    if error_rate is not None and error_rate > MANY_ERRORS:
        yield State.OK, _errors(error_rate, MANY_ERRORS)
    if p95_ms is not None and p95_ms > SLOW_MS:
        yield State.OK, Reason(rule=Trouble.SLOW, value=p95_ms, limit=SLOW_MS)


def _errors(rate: Decimal, limit: Decimal) -> Reason:
    return Reason(rule=Trouble.ERRORS, value=format(rate, "f"), limit=format(limit, "f"))


def _fault(fault: Fault) -> Reason:
    return Reason(rule=fault.value, value=1, limit=0)
