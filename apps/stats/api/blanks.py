"""What is told of a subject that nobody has looked at yet: nothing known, nothing made up."""

from datetime import UTC, datetime
from typing import Any

from apps.stats.vocabulary import Reason, Verdict
from moonx.core.chains.models import Chain
from moonx.core.events import StatsChainPerformanceUpdated, StatsOverviewUpdated

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
NOT_SAMPLED = Reason(rule="noSample", value=0, limit=1)


def chain(of: Chain) -> dict[str, Any]:
    """A chain without a sample, in the form of one that has some."""
    event = StatsChainPerformanceUpdated(
        seq=0,
        heartbeat=False,
        as_of=NEVER,
        chain=of.slug,
        chain_id=of.chain_id,
        verdict=Verdict.UNKNOWN,
        reasons=(NOT_SAMPLED.wire(),),
        providers=(),
        block_time_ms={"p50": None, "p95": None, "p99": None, "n": 0},
        tps=None,
        gas_used_ratio=None,
        base_fee_wei=None,
        head=None,
        head_age_ms=None,
        finality_lag_ms=None,
        reorgs1h={"count": 0, "max_depth": 0},
        volume24h_usd=None,
        tvl_usd=None,
        sampled_at=None,
        simulated=False,
    )
    return {**event.payload(), "asOf": None}


def overview() -> dict[str, Any]:
    """The overview before the first collection."""
    nobody = {verdict.value: 0 for verdict in Verdict}
    event = StatsOverviewUpdated(
        seq=0,
        heartbeat=False,
        as_of=NEVER,
        chains=nobody,
        bridges=nobody,
        active24h=None,
        volume24h=None,
        tvl=None,
        simulated=False,
        simulated_bridges=False,
    )
    return {**event.payload(), "asOf": None}
