"""The overview: chains and bridges by verdict, and the totals over all chains."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from apps.stats import freshness, publishing
from apps.stats.activity import gathering, sets, windows
from apps.stats.activity.gathering import Gathered
from apps.stats.activity.sets import Hashes
from apps.stats.bridges.telling import is_told_gone
from apps.stats.chains import volumes
from apps.stats.changes import Bands, DeadBand
from apps.stats.freshness import Kind
from apps.stats.models import ActivityCursor, Published
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
    chains = [found.get(f"chain:{chain.slug}") for chain in registry.enabled()]
    bridges = [row for row in publishing.newest("bridge:").values() if not is_told_gone(row)]
    kept = volumes.known((chain.slug for chain in registry.all()), now=now).values()
    event = StatsOverviewUpdated(
        seq=0,
        heartbeat=False,
        as_of=now,
        chains=_counts(chains, now=now, after=freshness.after(Kind.CHAINS)),
        bridges=_counts(bridges, now=now, after=freshness.after(Kind.BRIDGES)),
        active24h=_active(now=now, count=count),
        volume24h=_total(row.volume24h_usd for row in kept),
        tvl=_total(row.tvl_usd for row in kept),
        simulated=any(row.simulated for row in kept),
        simulated_bridges=any(row.payload["simulated"] for row in bridges),
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
    # A chain of whose last hours nothing is known counted nobody.
    senders: int = sum(figures["senders"] or 0 for figures in counted if figures)
    return senders <= FEW


def _union(*, now: datetime) -> int | None:
    """None where nothing is known of the last 24 hours of any chain, which is not nobody."""
    start_s, end_s = int((now - DAY).timestamp()), int(now.timestamp())
    senders: list[Hashes] = []
    is_known = False
    for row in ActivityCursor.objects.filter(last_block__isnull=False):
        found = gathering.of_times(row.chain, start_s=start_s, end_s=end_s)
        senders += found.senders
        is_known = is_known or _tells(found, row, start_s=start_s, end_s=end_s)
    return sets.count(senders) if is_known else None


def _tells(found: Gathered, row: ActivityCursor, *, start_s: int, end_s: int) -> bool:
    """Whether anything is known of the window: blocks in it, or that there were none."""
    covered_s = windows.covered_s(found, row, start_s=start_s, end_s=end_s)
    return found.first_block is not None or covered_s > 0


def _counts(rows: Iterable[Published | None], *, now: datetime, after: timedelta) -> dict[str, int]:
    """How many are of each verdict; what nobody looked at for a while is unknown at best."""
    counts = Counter(
        freshness.verdict(row.payload, now=now, after=after) if row else Verdict.UNKNOWN
        for row in rows
    )
    return {verdict.value: counts[verdict] for verdict in Verdict}


def _total(figures: Iterable[Decimal | None]) -> str | None:
    """The sum of what is known; None where nothing is."""
    known = [figure for figure in figures if figure is not None]
    return money.plain(sum(known, Decimal(0)), places=2) if known else None
