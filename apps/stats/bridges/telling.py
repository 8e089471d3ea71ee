"""What is told of a bridge: the event with its dead bands."""

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from apps.stats.bridges import verdicts
from apps.stats.bridges.corridors import Subject
from apps.stats.bridges.verdicts import Judged, Rule, Window
from apps.stats.changes import ANYWHERE, Bands, DeadBand
from apps.stats.models import Published
from apps.stats.publishing import News
from moonx.core.events import StatsBridgeLatencyUpdated

# How far a figure may be from what was told; counts move with each run.
BANDS: Bands = {
    "latencyMs": DeadBand(Decimal(100), Decimal("0.1")),
    "latencyMs.n": ANYWHERE,
    "latencyMs.censored": ANYWHERE,
    "latencyMs.dayN": ANYWHERE,
    "latencyMs.dayCensored": ANYWHERE,
    "successRate": DeadBand(Decimal("0.02")),
    "errors": ANYWHERE,
}
RATE_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that is told of a subject at one moment; verdict, rate and errors are of the hour."""

    at: datetime
    sampled_at: datetime | None
    judged: Judged
    hour: Window
    day: Window
    is_simulated: bool


def news(subject: Subject, told: Told) -> News:
    """The sample as the event that would tell it."""
    event = StatsBridgeLatencyUpdated(
        seq=0,
        heartbeat=False,
        as_of=told.at,
        provider=subject.provider,
        from_=subject.source,
        to=subject.target,
        size=str(subject.size),
        verdict=told.judged.verdict.value,
        reasons=tuple(reason.wire() for reason in told.judged.reasons),
        latency_ms=latencies(told),
        success_rate=rate_shown(told.hour),
        errors=told.hour.errors,
        sampled_at=told.sampled_at,
        simulated=told.is_simulated,
    )
    return News(subject=str(subject), event=event, bands=BANDS)


def rate_shown(window: Window) -> str | None:
    """The success rate to four places."""
    rate = window.success_rate
    return None if rate is None else format(rate.quantize(RATE_PLACES, ROUND_HALF_EVEN), "f")


def latencies(told: Told) -> dict[str, int | None]:
    """Percentiles of the hour and, after `day`, of the day, over quotes alone.

    `n` counts them; `censored` counts the requests that nobody waited for any longer, whose
    latency is longer than any of these.
    """
    hour, day = told.hour, told.day
    return {
        "p50": hour.p50_ms,
        "p90": hour.p90_ms,
        "p95": hour.p95_ms,
        "p99": hour.p99_ms,
        "n": hour.successes,
        "censored": hour.censored,
        "dayP50": day.p50_ms,
        "dayP90": day.p90_ms,
        "dayP95": day.p95_ms,
        "dayP99": day.p99_ms,
        "dayN": day.successes,
        "dayCensored": day.censored,
    }


def is_told_gone(row: Published) -> bool:
    """Whether the newest that is kept of a subject says that nobody watches it."""
    return any(reason["rule"] == Rule.NOT_WATCHED for reason in row.payload["reasons"])


def last_news(row: Published, *, now: datetime) -> News:
    """The end of a subject: nothing more is known of it."""
    _, provider, source, target, size = row.subject.split(":")
    told = Told(
        at=now,
        sampled_at=None,
        judged=verdicts.unwatched(),
        hour=Window(counts={}),
        day=Window(counts={}),
        is_simulated=row.payload["simulated"],
    )
    return news(Subject(provider, source, target, int(size)), told)
