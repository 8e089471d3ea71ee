"""What is told of a chain: the event with its dead bands, the head as a state, the alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.stats.chains import figures, rows
from apps.stats.chains.figures import Pace
from apps.stats.chains.providers import Provider
from apps.stats.chains.verdicts import Reorgs
from apps.stats.changes import ANYWHERE, Bands, DeadBand
from apps.stats.models import ChainVolume, ChainWatch, Published
from apps.stats.publishing import News
from apps.stats.vocabulary import Reason, Verdict
from moonx.core import events, money
from moonx.core.chains.blocks import Header
from moonx.core.chains.models import Chain
from moonx.core.events import StatsChainPerformanceUpdated, SystemAlert
from moonx.core.intervals import to_ms
from moonx.core.push import State

HEAD = "chain.head"
TENTH, CENT = Decimal("0.1"), Decimal("0.01")

# How far a figure may be from what was told. A head, its age and the number of blocks move with
# each sample; what is odd about them is in the verdict and its reasons.
BANDS: Bands = {
    "head": ANYWHERE,
    "headAgeMs": DeadBand(Decimal(30_000), Decimal("0.5")),
    "blockTimeMs": DeadBand(Decimal(50), TENTH),
    "blockTimeMs.n": ANYWHERE,
    "tps": DeadBand(Decimal("0.5"), TENTH),
    "gasUsedRatio": DeadBand(Decimal("0.05")),
    "baseFeeWei": DeadBand(relative=TENTH),
    "finalityLagMs": DeadBand(Decimal(15_000), TENTH),
    "volume24hUsd": DeadBand(relative=CENT),
    "tvlUsd": DeadBand(relative=CENT),
    "providers.*.lagBlocks": DeadBand(Decimal(3)),
    "providers.*.errorRate": DeadBand(Decimal("0.05")),
    "providers.*.p95Ms": DeadBand(Decimal(100), Decimal("0.2")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """All that is told of a chain at one moment. `sampled_at` is when its providers last said
    anything; the figures are of then, the verdict and the ages of `at`."""

    at: datetime
    sampled_at: datetime | None
    verdict: Verdict
    reasons: Sequence[Reason]
    providers: Sequence[Provider]
    pace: Pace
    head: int | None
    head_age_ms: int | None
    finality_lag_ms: int | None
    reorgs: Reorgs
    volume: ChainVolume | None


def subject(chain: Chain) -> str:
    """The chain's subject in what is published."""
    return f"chain:{chain.slug}"


def news(chain: Chain, told: Told) -> News:
    """The chain's sample as the event that would tell it."""
    pace, volume = told.pace, told.volume
    event = StatsChainPerformanceUpdated(
        seq=0,
        heartbeat=False,
        as_of=told.at,
        chain=chain.slug,
        chain_id=chain.chain_id,
        verdict=told.verdict.value,
        reasons=tuple(reason.wire() for reason in told.reasons),
        providers=tuple(provider.wire() for provider in told.providers),
        block_time_ms=pace.block_time_ms.wire(),
        tps=money.shown(pace.tps, places=2),
        gas_used_ratio=money.shown(pace.gas_used_ratio, places=4),
        base_fee_wei=None if pace.base_fee_wei is None else str(pace.base_fee_wei),
        head=told.head,
        head_age_ms=told.head_age_ms,
        finality_lag_ms=told.finality_lag_ms,
        reorgs1h={"count": told.reorgs.count, "maxDepth": told.reorgs.max_depth},
        volume24h_usd=money.shown(volume.volume24h_usd, places=2) if volume else None,
        tvl_usd=money.shown(volume.tvl_usd, places=2) if volume else None,
        sampled_at=told.sampled_at,
        simulated=volume is not None and volume.simulated,
    )
    return News(subject=subject(chain), event=event, bands=BANDS)


def head_state(chain: Chain, head: Header, *, now: datetime) -> State:
    """The chain's newest block, for all who watch the chain."""
    return State(
        topic=f"chain:{chain.chain_id}",
        key=f"chain:{chain.chain_id}:head",
        name=HEAD,
        version=to_ms(now),
        data=head_data(chain, head, now=now),
        source_time=now,
    )


def head_data(chain: Chain, head: Header, *, now: datetime) -> dict[str, object]:
    """A block as the wire carries it."""
    ratio = figures.ratio(head.gas_used, head.gas_limit)
    data: dict[str, object] = events.wire(
        {
            "chain": chain.slug,
            "chain_id": chain.chain_id,
            "number": head.number,
            "hash": f"0x{head.hash.hex()}",
            "time_ms": head.time_s * 1000,
            "age_ms": figures.age_ms(head.time_s, now=now),
            "transactions": head.transaction_count,
            "gas_used_ratio": money.shown(ratio, places=4),
            "base_fee_wei": None if head.base_fee_wei is None else str(head.base_fee_wei),
            "as_of": now,
        }
    )
    return data


def snapshot(chain: Chain) -> list[tuple[str, dict[str, object]]]:
    """What a new subscriber must know of the chain: what is known of it, and its newest block."""
    row = Published.objects.filter(subject=subject(chain), as_of__isnull=False).first()
    told = [(StatsChainPerformanceUpdated.name, row.payload)] if row else []
    watch = ChainWatch.objects.filter(chain=chain.slug, head_seen_at__isnull=False).first()
    head = rows.newest_header(chain.slug)
    if watch is None or watch.head_seen_at is None or head is None:
        return told
    return [*told, (HEAD, head_data(chain, head, now=watch.head_seen_at))]


def alert(chain: Chain, told: Told, *, is_trouble: bool) -> SystemAlert:
    """What operators are told when a chain fell ill, and when it is well again."""
    if not is_trouble:
        message = f"{chain.name} is {told.verdict} again."
    else:
        why = ", ".join(map(_because, told.reasons)) or "no reason is left"
        message = f"{chain.name} is {told.verdict}: {why}."
    return SystemAlert(subject=f"chain:{chain.slug}", message=message)


def _because(reason: Reason) -> str:
    who = f"{reason.provider} {reason.cause}" if reason.provider else reason.rule
    return f"{who} is {reason.value}, the limit {reason.limit}"
