"""What is traded on chains and locked in them: kept as DefiLlama last told it."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from apps.stats import collectors, llama
from apps.stats.llama import Figures, Said
from apps.stats.models import ChainVolume
from moonx.core.chains import registry
from moonx.core.chains.models import Chain

COLLECTOR = "stats.collect_all"
KNOWN_FOR = timedelta(hours=24)  # a volume of 24 hours says nothing after that

Ask = Callable[[Iterable[Chain]], Said]


def collect(*, now: datetime, ask: Ask = llama.volumes) -> int:
    """Asks for the figures of all chains that operators want and DefiLlama knows, with a provider
    of ours or without; keeps those that it tells and returns of how many chains."""
    wanted = [chain for chain in registry.all() if chain.is_enabled and chain.llama_name]
    said = ask(wanted)
    collectors.tell(COLLECTOR, said.calls, now=now)
    told = said.figures
    before = ChainVolume.objects.in_bulk(list(told))
    rows = [_row(slug, one, before.get(slug), now=now) for slug, one in told.items()]
    ChainVolume.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["chain"],
        update_fields=["volume24h_usd", "tvl_usd", "as_of", "simulated"],
    )
    return len(rows)


def _row(slug: str, told: Figures, before: ChainVolume | None, *, now: datetime) -> ChainVolume:
    """A figure that was not told stays as it was, unless it is from elsewhere or too old."""
    stands = before if before and _stands(before, told, now=now) else None
    return ChainVolume(
        chain=slug,
        volume24h_usd=_either(told.volume24h_usd, stands.volume24h_usd if stands else None),
        tvl_usd=_either(told.tvl_usd, stands.tvl_usd if stands else None),
        as_of=now,
        simulated=told.simulated,
    )


def _stands(before: ChainVolume, told: Figures, *, now: datetime) -> bool:
    return before.simulated is told.simulated and now - before.as_of < KNOWN_FOR


def _either(told: Decimal | None, before: Decimal | None) -> Decimal | None:
    return before if told is None else told


def known(slugs: Iterable[str], *, now: datetime) -> dict[str, ChainVolume]:
    """What was told of these chains within a day, by slug."""
    rows = ChainVolume.objects.filter(chain__in=list(slugs), as_of__gt=now - KNOWN_FOR)
    return {row.chain: row for row in rows}
