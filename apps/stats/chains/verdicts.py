"""Whether all is well with a chain, as functions of values: limits, blame, and patience.

What one provider alone sees is that provider's fault: the chain is judged by what two of those that
answer agree on, or the one, if only one does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from apps.stats.chains.providers import Provider
from apps.stats.vocabulary import RANKS, Reason, Verdict, worst

AGREEING = 2  # providers that must see a fault before it is the chain's
CLOCK_SKEW_MS = 10_000  # a head so far ahead of our clock: one of the two clocks is wrong
FULL = Decimal("0.9")  # blocks with less gas left than that are no reason for few transactions
FEW_TRANSACTIONS = Decimal("0.2")  # of what is usual at this hour
LEAST_USUAL_TPS = Decimal(1)  # a chain with less traffic than that may well have none
DEEP_REORG, TOO_DEEP_REORG = 2, 7


class Rule(StrEnum):
    """What a chain is judged by."""

    HEAD_AGE = "headAge"  # ms
    CLOCK_SKEW = "clockSkew"  # ms by which the head lies ahead of us
    BLOCK_TIME = "blockTimeP95"  # ms
    TPS = "tps"
    REORG_DEPTH = "reorgDepth"  # blocks, of the last hour
    FINAL_REORG = "reorgPastFinality"  # blocks
    FINALITY_LAG = "finalityLag"  # ms
    PROVIDER_FAULT = "providerFault"
    NO_DATA = "noData"
    SPLIT = "split"  # chains that providers tell, where there can be one
    SETTLING = "settling"  # good samples so far, and how many are needed


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """What is usual for a chain. `tps` is the median of this hour on the days before; None where
    there are too few of them."""

    block_time_ms: int
    has_steady_blocks: bool
    finality_ms: int
    tps: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorgs:
    """The reorganisations of the last hour."""

    count: int = 0
    max_depth: int = 0
    is_past_finality: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What all providers tell together; None where it is unknown."""

    block_time_p95_ms: int | None
    tps: Decimal | None
    gas_used_ratio: Decimal | None
    reorgs: Reorgs


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict by one rule, with the reason where it is not healthy."""

    verdict: Verdict
    reason: Reason | None = None


FINE = Judged(verdict=Verdict.HEALTHY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What a sample alone says of a chain."""

    verdict: Verdict
    reasons: tuple[Reason, ...]


def judge(
    measured: Measured, providers: Sequence[Provider], usual: Usual, *, forks: int = 1
) -> Opinion:
    """The verdict of one sample, with every rule that did not hold, and the providers to blame.

    Unknown where no provider answers, and where those that answer tell of several `forks`.
    """
    seen = [one for one in providers if one.answers]
    if not seen:
        return _unknown(Reason(rule=Rule.NO_DATA, value=0, limit=1), providers)
    if forks > 1:
        return _unknown(Reason(rule=Rule.SPLIT, value=forks, limit=1), providers)
    views = {one.name: _of_provider(one, usual) for one in seen}
    rules = [agreed([views[one.name][n] for one in seen]) for n in range(len(PROVIDER_RULES))]
    found = [*rules, *_of_chain(measured, usual)]
    reasons = [one.reason for one in found if one.reason]
    alone = {name: list(_beyond(view, rules)) for name, view in views.items()}
    return Opinion(
        verdict=worst(one.verdict for one in found),
        reasons=(*reasons, *blame(providers, alone)),
    )


def _unknown(why: Reason, providers: Iterable[Provider]) -> Opinion:
    return Opinion(verdict=Verdict.UNKNOWN, reasons=(why, *blame(providers, {})))


def agreed(views: Sequence[Judged]) -> Judged:
    """The worst that two of the views see, or the one, if there is only one."""
    ranked = sorted(views, key=lambda one: RANKS.index(one.verdict), reverse=True)
    return ranked[min(AGREEING, len(ranked)) - 1] if ranked else FINE


def _beyond(view: Sequence[Judged], rules: Sequence[Judged]) -> Iterable[Reason]:
    """What a provider sees worse than is agreed."""
    for mine, all_together in zip(view, rules, strict=True):
        if mine.reason and RANKS.index(mine.verdict) > RANKS.index(all_together.verdict):
            yield mine.reason


def blame(
    providers: Iterable[Provider], alone: Mapping[str, Sequence[Reason]]
) -> tuple[Reason, ...]:
    """One reason for each provider that is at fault: its own troubles first."""
    faults = []
    for one in providers:
        causes = [*one.troubles, *alone.get(one.name, ())]
        if causes:
            first = causes[0]
            faults.append(
                Reason(
                    rule=Rule.PROVIDER_FAULT,
                    value=first.value,
                    limit=first.limit,
                    provider=one.name,
                    cause=first.rule,
                )
            )
    return tuple(faults)


def _of_provider(one: Provider, usual: Usual) -> tuple[Judged, ...]:
    return tuple(rule(one, usual) for rule in PROVIDER_RULES)


def _of_chain(measured: Measured, usual: Usual) -> tuple[Judged, ...]:
    return (
        block_time(measured.block_time_p95_ms, usual),
        transactions(measured.tps, measured.gas_used_ratio, usual),
        reorganised(measured.reorgs),
    )


def head_age(one: Provider, usual: Usual) -> Judged:
    """Degraded over 4 block times or 10 s, unhealthy over 12 or 60 s, whichever is longer."""
    return _over(
        Rule.HEAD_AGE,
        one.head_age_ms,
        degraded=max(4 * usual.block_time_ms, 10_000),
        unhealthy=max(12 * usual.block_time_ms, 60_000),
    )


def clock_skew(one: Provider, _: Usual) -> Judged:
    """Degraded where the head lies over 10 s ahead of our clock."""
    return _over(Rule.CLOCK_SKEW, one.ahead_ms, degraded=CLOCK_SKEW_MS, unhealthy=None)


def finality(one: Provider, usual: Usual) -> Judged:
    """Degraded over twice, unhealthy over four times the usual lag."""
    if not usual.finality_ms:
        return FINE
    lag, is_usual = one.finality_lag_ms, usual.finality_ms
    return _over(Rule.FINALITY_LAG, lag, degraded=2 * is_usual, unhealthy=4 * is_usual)


PROVIDER_RULES = (head_age, clock_skew, finality)


def block_time(p95_ms: int | None, usual: Usual) -> Judged:
    """Degraded over 1.5 block times, unhealthy over 3; over 4 and 8 where they come by chance."""
    halves = (3, 6) if usual.has_steady_blocks else (8, 16)
    degraded, unhealthy = (count * usual.block_time_ms // 2 for count in halves)
    return _over(Rule.BLOCK_TIME, p95_ms, degraded=degraded, unhealthy=unhealthy)


def transactions(tps: Decimal | None, gas_used: Decimal | None, usual: Usual) -> Judged:
    """Degraded under a fifth of what is usual at this hour, while there is gas left for more."""
    if tps is None or usual.tps is None or usual.tps < LEAST_USUAL_TPS:
        return FINE
    limit = usual.tps * FEW_TRANSACTIONS
    if tps >= limit or (gas_used is not None and gas_used >= FULL):
        return FINE
    reason = Reason(rule=Rule.TPS, value=format(tps, "f"), limit=format(limit, ".2f"))
    return Judged(verdict=Verdict.DEGRADED, reason=reason)


def reorganised(reorgs: Reorgs) -> Judged:
    """Degraded from depth 2, unhealthy from 7 or where final blocks were replaced."""
    if reorgs.is_past_finality:
        reason = Reason(rule=Rule.FINAL_REORG, value=reorgs.max_depth, limit=0)
        return Judged(verdict=Verdict.UNHEALTHY, reason=reason)
    return _over(
        Rule.REORG_DEPTH,
        reorgs.max_depth,
        degraded=DEEP_REORG - 1,
        unhealthy=TOO_DEEP_REORG - 1,
    )


def _over(rule: Rule, value: int | None, *, degraded: int, unhealthy: int | None) -> Judged:
    """Healthy up to the first limit; what is unknown breaks none."""
    if value is None or value <= degraded:
        return FINE
    if unhealthy is None or value <= unhealthy:
        reason = Reason(rule=rule, value=value, limit=degraded)
        return Judged(verdict=Verdict.DEGRADED, reason=reason)
    return Judged(verdict=Verdict.UNHEALTHY, reason=Reason(rule=rule, value=value, limit=unhealthy))
