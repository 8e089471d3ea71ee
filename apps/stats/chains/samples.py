"""Samples of chains: one a look, folded into hours; slices of time add up."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import Max

from apps.stats.chains import figures, weighing
from apps.stats.chains.following import Reorg
from apps.stats.chains.looking import Look
from apps.stats.chains.telling import Told
from apps.stats.chains.weighing import Window
from apps.stats.models import ChainHour, ChainSample, ChainSlice
from apps.stats.vocabulary import Verdict, worst
from moonx.core.chains.blocks import Header
from moonx.core.chains.models import Chain
from moonx.core.intervals import Interval

# How the columns of slices add up.
SUMS = (
    *("samples", "healthy", "blocks", "elapsed_ms", "transactions", "gas_used", "gas_limit"),
    "reorgs",
)
LARGEST = ("head_age_ms", "finality_lag_ms", "latency_ms", "reorg_depth")
LAST = ("base_fee_wei", "head", "volume24h_usd", "tvl_usd")
FOLDED = (*SUMS, *LARGEST, *LAST, "verdict", "block_times", "simulated")


def sample(
    chain: Chain, told: Told, look: Look, seen: Window, *, reorg: Reorg | None, is_first: bool
) -> ChainSample:
    """What was told at a look, and what the blocks that are new since the last one add up to.

    The blocks that a first look finds are of before, and count nowhere.
    """
    pace, volume = told.pace, told.volume
    return ChainSample(
        chain=chain.slug,
        at=told.at,
        verdict=told.verdict.value,
        samples=1,
        healthy=1 if told.verdict is Verdict.HEALTHY else 0,
        **_new_blocks(seen, () if is_first else seen.fresh),
        base_fee_wei=None if pace.base_fee_wei is None else Decimal(pace.base_fee_wei),
        head=told.head,
        head_age_ms=told.head_age_ms,
        finality_lag_ms=told.finality_lag_ms,
        latency_ms=_latency_ms(look),
        reorgs=1 if reorg else 0,
        reorg_depth=reorg.depth if reorg else 0,
        volume24h_usd=volume.volume24h_usd if volume else None,
        tvl_usd=volume.tvl_usd if volume else None,
        simulated=volume is not None and volume.simulated,
        p50_ms=pace.block_time_ms.p50,
        p95_ms=pace.block_time_ms.p95,
        p99_ms=pace.block_time_ms.p99,
        n=pace.block_time_ms.n,
        tps=pace.tps,
        gas_used_ratio=pace.gas_used_ratio,
        reorgs1h=told.reorgs.count,
        reorgs1h_depth=told.reorgs.max_depth,
    )


def _new_blocks(seen: Window, fresh: Sequence[Header]) -> dict[str, Any]:
    """What fresh blocks add up to; their time is from the block before them."""
    spanned = [*seen.before[-1:], *fresh]
    counted = spanned[1:]
    elapsed_s = spanned[-1].time_s - spanned[0].time_s if counted else 0
    times_ms = figures.fresh_times_ms(seen.before, fresh) if counted else []
    return {
        "blocks": len(counted),
        "block_times": figures.counted(times_ms),
        "elapsed_ms": max(0, elapsed_s) * 1000,
        "transactions": sum(one.transaction_count for one in counted),
        "gas_used": Decimal(sum(one.gas_used for one in counted)),
        "gas_limit": Decimal(sum(one.gas_limit for one in counted)),
    }


def _latency_ms(look: Look) -> int | None:
    heads = [probe.head for probe in look.probes]
    return weighing.middle([head.latency_ms for head in heads if head.fault is None])


def fold(slices: Sequence[ChainSlice]) -> dict[str, Any]:
    """The columns of all slices of one chain together, which are given in the order of time."""
    return {
        **{name: sum(_known(slices, name)) for name in SUMS},
        **{name: max(_known(slices, name), default=None) for name in LARGEST},
        **{name: next(reversed(_known(slices, name)), None) for name in LAST},
        "verdict": _verdict(slices).value,
        "block_times": figures.merged(times_of(one) for one in slices),
        "simulated": any(one.simulated for one in slices),
    }


def _verdict(slices: Sequence[ChainSlice]) -> Verdict:
    """The worst of all; what is not known for half of the time was not seen to be healthy."""
    found = worst(Verdict(one.verdict) for one in slices)
    known = sum(one.samples for one in slices if one.verdict != Verdict.UNKNOWN)
    is_enough = 2 * known >= sum(one.samples for one in slices)
    return found if is_enough or found is not Verdict.HEALTHY else Verdict.UNKNOWN


def _known(slices: Iterable[ChainSlice], name: str) -> list[Any]:
    return [value for one in slices if (value := getattr(one, name)) is not None]


def times_of(one: ChainSlice) -> dict[int, int]:
    """The counted block times of a slice; JSON spells their buckets as strings."""
    return {int(bucket): count for bucket, count in one.block_times.items()}


def fold_hours(*, now: datetime) -> int:
    """Folds the present hour and the one before of all chains again; returns how many rows.

    Repeating it changes nothing: an hour is replaced by what its samples add up to. After a pause
    it begins where the last folded hour is.
    """
    last = ChainHour.objects.aggregate(last=Max("hour"))["last"]
    start = Interval.H1.shift(Interval.H1.floor(now), -1)
    found = ChainSample.objects.filter(at__gte=min(last or start, start), at__lte=now)
    rows = hours(found.order_by("at"))
    ChainHour.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["chain", "hour"],
        update_fields=FOLDED,
    )
    return len(rows)


def hours(ordered: Iterable[ChainSample]) -> list[ChainHour]:
    """The hours that the samples make, which are given in the order of time; none is saved."""
    groups: dict[tuple[str, datetime], list[ChainSlice]] = {}
    for one in ordered:
        groups.setdefault((one.chain, Interval.H1.floor(one.at)), []).append(one)
    return [ChainHour(chain=chain, hour=hour, **fold(of)) for (chain, hour), of in groups.items()]
