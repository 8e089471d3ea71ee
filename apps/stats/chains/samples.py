"""Samples of chains: one a look, folded into hours; slices of time add up."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Model

from apps.stats.chains import figures, weighing
from apps.stats.chains.telling import Told
from apps.stats.chains.weighing import Window
from apps.stats.models import ChainHour, ChainSample, ChainSlice
from apps.stats.vocabulary import Verdict, worst
from moonx.core.chains.models import Chain
from moonx.core.intervals import Interval

FOLDED = (
    *("verdict", "samples", "healthy", "blocks", "block_times", "elapsed_ms", "transactions"),
    *("gas_used", "gas_limit", "base_fee_wei", "head", "head_age_ms", "finality_lag_ms"),
    *("latency_ms", "reorgs", "reorg_depth", "volume24h_usd", "tvl_usd", "simulated"),
)
HOUR = timedelta(hours=1)


def add(chain: Chain, told: Told, seen: Window, *, was_known: bool) -> None:
    """Keeps what was told at a look, and what the blocks that are new since the last one add up to.

    The blocks that a first look finds are of before, and count nowhere.
    """
    fresh = seen.fresh if was_known else ()
    pace, volume = told.pace, told.volume
    ChainSample.objects.create(
        chain=chain.slug,
        at=told.at,
        verdict=told.verdict.value,
        samples=1,
        healthy=told.verdict is Verdict.HEALTHY,
        **_new_blocks(seen, fresh),
        base_fee_wei=None if pace.base_fee_wei is None else Decimal(pace.base_fee_wei),
        head=told.head.number if told.head else None,
        head_age_ms=told.head_age_ms,
        finality_lag_ms=told.finality_lag_ms,
        latency_ms=weighing.middle([one.latency_ms for one in told.providers if one.answers]),
        reorgs=told.new_reorgs.count,
        reorg_depth=told.new_reorgs.max_depth,
        volume24h_usd=volume.volume24h_usd if volume else None,
        tvl_usd=volume.tvl_usd if volume else None,
        simulated=volume is not None and volume.simulated,
        p50_ms=pace.block_time_ms.p50,
        p95_ms=pace.block_time_ms.p95,
        p99_ms=pace.block_time_ms.p99,
        n=pace.block_time_ms.n,
        tps=pace.tps,
        gas_used_ratio=pace.gas_used_ratio,
    )
