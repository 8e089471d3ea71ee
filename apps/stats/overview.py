"""The overview: chains and bridges by verdict, and the totals over all chains."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from apps.stats import publishing
from apps.stats.activity import gathering, sets
from apps.stats.bridges.telling import is_told_gone
from apps.stats.chains import volumes
from apps.stats.changes import Bands, DeadBand
from apps.stats.models import ActivityCursor, ChainVolume, Published
from apps.stats.publishing import News
from apps.stats.vocabulary import Verdict
from moonx.core import money
from moonx.core.chains import registry
from moonx.core.events import StatsOverviewUpdated

SUBJECT = "overview"
DAY = timedelta(hours=24)
FEW = 200_000  # active addresses of all chains, which are united in a hundredth of a second

BANDS: Bands = {
    name: DeadBand(relative=Decimal("0.01")) for name in ("active24h", "volume24h", "tvl")
}


def update(*, now: datetime, count: bool = True) -> bool:
    """Makes the overview of what is published and kept; returns whether it was told.

    Without `count` active addresses that are many are those that were counted last.
    """
    found = publishing.newest("chain:")
    shown = [_verdict(found.get(f"chain:{chain.slug}")) for chain in registry.enabled()]
    bridges = [row for row in publishing.newest("bridge:").values() if not is_told_gone(row)]
    kept = volumes.known((chain.slug for chain in registry.all()), now=now).values()
    event = StatsOverviewUpdated(
        seq=0,
        heartbeat=False,
        as_of=now,
        chains=_counts(shown),
        bridges=_counts(map(_verdict, bridges)),
        active24h=_active(now=now, count=count),
        volume24h=_total(row.volume24h_usd for row in kept),
        tvl=_total(row.tvl_usd for row in kept),
        simulated=_is_simulated(kept, bridges),
    )
    return bool(publishing.publish([News(subject=SUBJECT, event=event, bands=BANDS)], now=now))


def _active(*, now: datetime, count: bool) -> int | None:
    """Distinct senders of the last 24 hours over all chains: who sends on two of them is one."""
    row = Published.objects.filter(pk=SUBJECT).first()
    counted: int | None = row.payload.get("active24h") if row else None
    return _union(now=now) if count or counted is None or _are_few() else counted


def _are_few() -> bool:
    """Whether so few addresses are active, as each chain counted them, that uniting is no work."""
    counted = ActivityCursor.objects.values_list("figures", flat=True)
    senders: int = sum(figures["senders"] for figures in counted if figures)
    return senders <= FEW


def _union(*, now: datetime) -> int | None:
    scanned = ActivityCursor.objects.filter(last_block__isnull=False).values_list("pk", flat=True)
    start_s, end_s = int((now - DAY).timestamp()), int(now.timestamp())
    senders = [
        part
        for slug in scanned
        for part in gathering.of_times(slug, start_s=start_s, end_s=end_s).senders
    ]
    return sets.count(senders) if scanned else None


def _verdict(row: Published | None) -> Verdict:
    return Verdict(row.payload["verdict"]) if row else Verdict.UNKNOWN


def _counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    counts = Counter(verdicts)
    return {verdict.value: counts[verdict] for verdict in Verdict}


def _total(figures: Iterable[Decimal | None]) -> str | None:
    """The sum of what is known; None where nothing is."""
    known = [figure for figure in figures if figure is not None]
    return money.plain(sum(known, Decimal(0)), places=2) if known else None


def _is_simulated(kept: Iterable[ChainVolume], bridges: Iterable[Published]) -> bool:
    return any(row.simulated for row in kept) or any(row.payload["simulated"] for row in bridges)
