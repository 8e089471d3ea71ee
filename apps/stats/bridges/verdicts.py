"""Whether all is well with a bridge, as functions of values: limits, and whose fault it is.

What we did wrong says nothing of the bridge: asking too often, with a bad key, or for what cannot
be. Such answers are counted, and are no attempts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from apps.stats.vocabulary import Reason, Verdict, worst
from moonx.core.upstream.faults import Fault

LEAST_ATTEMPTS = 5
OURS = (Fault.HELD_BACK, Fault.RATE_LIMITED, Fault.AUTHENTICATION, Fault.REFUSED)
GOOD_RATE, FAIR_RATE = Decimal("0.95"), Decimal("0.80")
GOOD_P95_MS, FAIR_P95_MS = 3_000, 8_000
NONE = ""  # the fault of a quote that came


class Rule(StrEnum):
    """What a bridge is judged by."""

    SUCCESS_RATE = "successRate"
    LATENCY_P95 = "latencyP95"  # ms
    SAMPLES = "samples"
    CIRCUIT = "circuit"
    NOT_WATCHED = "notWatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What came of the requests of a span of time.

    `counts` has them by fault, "" for those that brought a quote. The percentiles, in ms, are by
    nearest rank over the latencies of quotes alone; None without one.
    """

    counts: Mapping[str, int]
    p50_ms: int | None = None
    p90_ms: int | None = None
    p95_ms: int | None = None
    p99_ms: int | None = None

    @property
    def successes(self) -> int:
        return self.counts.get(NONE, 0)

    @property
    def attempts(self) -> int:
        """Requests that say something of the bridge."""
        return sum(count for fault, count in self.counts.items() if fault not in OURS)

    @property
    def censored(self) -> int:
        """Requests of whose latency only is known that it is longer than we wait."""
        return self.counts.get(Fault.TIMEOUT, 0)

    @property
    def success_rate(self) -> Decimal | None:
        """Quotes per attempt; None without attempts."""
        return Decimal(self.successes) / self.attempts if self.attempts else None

    @property
    def errors(self) -> dict[str, int]:
        """Requests that brought no quote, by class; ours too."""
        return {fault: count for fault, count in sorted(self.counts.items()) if fault != NONE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict with every rule that did not hold."""

    verdict: Verdict
    reasons: tuple[Reason, ...] = ()


def judge(window: Window, *, is_open: bool, last_fault: str) -> Judged:
    """The verdict on the last hour.

    `is_open` says that the bridge's circuit lets nobody ask, `last_fault` what the newest request
    that was made failed on. Fewer than five attempts are no ground for a verdict.
    """
    if is_open and last_fault not in OURS:
        shut = Reason(rule=Rule.CIRCUIT, value="open", limit="closed")
        return Judged(verdict=Verdict.UNHEALTHY, reasons=(shut, *_ours(window)))
    if window.attempts < LEAST_ATTEMPTS:
        few = Reason(rule=Rule.SAMPLES, value=window.attempts, limit=LEAST_ATTEMPTS)
        return Judged(verdict=Verdict.UNKNOWN, reasons=(few, *_ours(window)))
    found = [_by_rate(window), _by_latency(window)]
    return Judged(
        verdict=worst(one.verdict for one in found),
        reasons=tuple(reason for one in found for reason in one.reasons),
    )


def _by_rate(window: Window) -> Judged:
    rate = window.success_rate
    if rate is None or rate >= GOOD_RATE:
        return Judged(verdict=Verdict.HEALTHY)
    is_fair = rate >= FAIR_RATE
    reason = Reason(
        rule=Rule.SUCCESS_RATE,
        value=f"{rate:.4f}",
        limit=format(GOOD_RATE if is_fair else FAIR_RATE, "f"),
    )
    return Judged(verdict=Verdict.DEGRADED if is_fair else Verdict.UNHEALTHY, reasons=(reason,))


def _by_latency(window: Window) -> Judged:
    p95_ms = window.p95_ms
    if p95_ms is None or p95_ms <= GOOD_P95_MS:
        return Judged(verdict=Verdict.HEALTHY)
    is_fair = p95_ms <= FAIR_P95_MS
    limit = GOOD_P95_MS if is_fair else FAIR_P95_MS
    reason = Reason(rule=Rule.LATENCY_P95, value=p95_ms, limit=limit)
    return Judged(verdict=Verdict.DEGRADED if is_fair else Verdict.UNHEALTHY, reasons=(reason,))


def _ours(window: Window) -> Iterator[Reason]:
    """Why there are no more attempts."""
    for fault in OURS:
        if count := window.counts.get(fault, 0):
            yield Reason(rule=fault, value=count, limit=0)


def unwatched() -> Judged:
    """The verdict on what nobody asks for any more."""
    gone = Reason(rule=Rule.NOT_WATCHED, value=0, limit=LEAST_ATTEMPTS)
    return Judged(verdict=Verdict.UNKNOWN, reasons=(gone,))
