"""What chains did over time: each sample for 7 days, and by the hour for 90."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from apps.stats.chains import figures, samples
from apps.stats.chains.figures import Percentiles
from apps.stats.freshness import HOURS_KEPT, RAW_KEPT
from apps.stats.models import (
    ChainHour,
    ChainReorg,
    ChainSample,
    ChainSlice,
    ChainVolume,
    ProviderAnswer,
)
from moonx.core import money
from moonx.core.intervals import Interval, to_ms

ANSWERS_KEPT = timedelta(days=1)  # verdicts read five minutes; operators look back further

Point = dict[str, Any]


def raw(chain: str, *, start: datetime, end: datetime) -> list[Point]:
    """Each sample of the chain (its slug) from `start` up to before `end`, oldest first, as the
    wire carries it: the figures that were told at that moment."""
    rows = ChainSample.objects.filter(chain=chain, at__gte=start, at__lt=end).order_by("at")
    return [_of_sample(row) for row in rows.iterator()]


def hourly(chain: str, *, start: datetime, end: datetime) -> list[Point]:
    """As `raw`, by the hour: every hour that begins from `start` up to before `end`.

    Percentiles are of all blocks of the hour, within 1 %; ages and lags its largest. The hour under
    way is as it is so far.
    """
    rows = ChainHour.objects.filter(chain=chain, hour__gte=start, hour__lt=end).order_by("hour")
    folded = list(rows)
    since = folded[-1].hour if folded else Interval.H1.ceil(start)
    fresh = samples.hours(_between(chain, start=since, end=end))
    merged = {row.hour: row for row in folded} | {row.hour: row for row in fresh}
    return [_of_hour(merged[hour]) for hour in sorted(merged)]


def _between(chain: str, *, start: datetime, end: datetime) -> QuerySet[ChainSample]:
    """The samples of the hours from `start` on, as far as they begin before `end`."""
    stop = Interval.H1.ceil(end)
    return ChainSample.objects.filter(chain=chain, at__gte=start, at__lt=stop).order_by("at")


def prune(*, now: datetime) -> int:
    """Folds what is over and deletes what is no longer kept; returns how many rows went.

    The samples of an hour go together: what is left of one would pass for the whole of it.
    """
    samples.fold_hours(now=now)
    old = (
        ChainSample.objects.filter(at__lt=Interval.H1.floor(now - RAW_KEPT)),
        ProviderAnswer.objects.filter(at__lt=now - ANSWERS_KEPT),
        ChainReorg.objects.filter(seen_at__lt=now - HOURS_KEPT),
        ChainHour.objects.filter(hour__lt=now - HOURS_KEPT),
        ChainVolume.objects.filter(as_of__lt=now - RAW_KEPT),
    )
    return sum(rows.delete()[0] for rows in old)


def _of_sample(row: ChainSample) -> Point:
    times = Percentiles(p50=row.p50_ms, p95=row.p95_ms, p99=row.p99_ms, n=row.n)
    return {
        **_point(row, time=row.at, times=times),
        "tps": money.shown(row.tps, places=2),
        "gasUsedRatio": money.shown(row.gas_used_ratio, places=4),
        "reorgs1h": {"count": row.reorgs1h, "maxDepth": row.reorgs1h_depth},
    }


def _of_hour(row: ChainHour) -> Point:
    ratio = figures.ratio(int(row.gas_used), int(row.gas_limit))
    tps = figures.rate(row.transactions, elapsed_ms=row.elapsed_ms)
    return {
        **_point(row, time=row.hour, times=figures.percentiles_of(samples.times_of(row))),
        "tps": money.shown(tps, places=2),
        "gasUsedRatio": money.shown(ratio, places=4),
        "reorgs1h": {"count": row.reorgs, "maxDepth": row.reorg_depth},
    }


def _point(row: ChainSlice, *, time: datetime, times: Percentiles) -> Point:
    fee = row.base_fee_wei
    return {
        "time": to_ms(time),
        "verdict": row.verdict,
        "blockTimeMs": times.wire(),
        "baseFeeWei": None if fee is None else format(fee, "f"),
        "head": row.head,
        "headAgeMs": row.head_age_ms,
        "finalityLagMs": row.finality_lag_ms,
        "latencyMs": row.latency_ms,
        "samples": row.samples,
        "healthy": row.healthy,
        "volume24hUsd": money.shown(row.volume24h_usd, places=2),
        "tvlUsd": money.shown(row.tvl_usd, places=2),
        "simulated": row.simulated,
    }
