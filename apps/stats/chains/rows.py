"""The rows behind a look at a chain: its last headers, its providers' answers, its reorgs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Q

from apps.stats.chains import providers
from apps.stats.chains.figures import Hole
from apps.stats.chains.following import KEPT, Followed, Reorg
from apps.stats.chains.looking import Known, Probe
from apps.stats.chains.providers import Answer
from apps.stats.chains.settling import Standing
from apps.stats.chains.verdicts import Reorgs
from apps.stats.models import ChainHeader, ChainReorg, ChainVolume, ChainWatch, ProviderAnswer
from apps.stats.vocabulary import Verdict
from moonx.core.chains.blocks import Header
from moonx.core.intervals import to_ms
from moonx.core.upstream.faults import Fault

REORGS_OF = timedelta(hours=1)
SAME_HOURS = 7  # days before today
FEWEST_DAYS = 3  # fewer days are no custom

# Takes the chains that nobody looks at, or whose looker died.
CLAIM = """
INSERT INTO stats_chainwatch AS w (chain, claimed_until, standing, is_alarmed)
SELECT u.chain, %(until)s, '{}', false FROM unnest(%(chains)s::text[]) AS u(chain)
ON CONFLICT (chain) DO UPDATE SET claimed_until = excluded.claimed_until
  WHERE w.claimed_until IS NULL OR w.claimed_until <= %(now)s
RETURNING w.chain
"""

USUAL_TPS = """
SELECT chain, percentile_disc(0.5) WITHIN GROUP (ORDER BY transactions * 1000.0 / elapsed_ms)
FROM stats_chainhour
WHERE chain = ANY(%(chains)s) AND hour = ANY(%(hours)s) AND elapsed_ms > 0
GROUP BY chain HAVING count(*) >= %(fewest)s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What the rows know of a chain before a look."""

    watch: ChainWatch
    headers: Sequence[Header] = ()
    answers: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    usual_tps: Decimal | None = None
    volume: ChainVolume | None = None

    @property
    def known(self) -> Known:
        """What the look needs to know."""
        return Known(headers=self.headers, head_seen_at=self.watch.head_seen_at)


def claim(chains: Collection[str], *, lease: timedelta, now: datetime) -> set[str]:
    """The chains that the caller may look at until the lease is over; others look at the rest."""
    values = {"chains": sorted(chains), "until": now + lease, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, values)
        return {slug for (slug,) in cursor.fetchall()}


def remember(chains: Collection[str], *, now: datetime) -> dict[str, Memory]:
    """What the rows know of these chains; a chain that nobody claimed is left out."""
    slugs = sorted(chains)
    headers, told = _headers(slugs), answers(slugs, since=now - providers.WINDOW)
    tps = usual_tps(slugs, now=now)
    volumes = ChainVolume.objects.in_bulk(slugs)
    return {
        watch.chain: Memory(
            watch=watch,
            headers=headers.get(watch.chain, ()),
            answers=told.get(watch.chain, {}),
            usual_tps=tps.get(watch.chain),
            volume=volumes.get(watch.chain),
        )
        for watch in ChainWatch.objects.filter(pk__in=slugs)
    }


def _headers(slugs: Sequence[str]) -> dict[str, list[Header]]:
    found: dict[str, list[Header]] = {}
    for row in ChainHeader.objects.filter(chain__in=slugs).order_by("chain", "number"):
        found.setdefault(row.chain, []).append(_header(row))
    return found


def _header(row: ChainHeader) -> Header:
    return Header(
        number=row.number,
        hash=bytes(row.hash),
        parent_hash=bytes(row.parent_hash),
        time_s=row.time_s,
        gas_used=row.gas_used,
        gas_limit=row.gas_limit,
        base_fee_wei=None if row.base_fee_wei is None else int(row.base_fee_wei),
        transaction_count=row.transaction_count,
    )


def answers(slugs: Sequence[str], *, since: datetime) -> dict[str, dict[str, list[Answer]]]:
    """Each provider's answers after `since`, by chain and name, the newest last."""
    found: dict[str, dict[str, list[Answer]]] = {}
    for row in ProviderAnswer.objects.filter(chain__in=slugs, at__gt=since).order_by("id"):
        fault = Fault(row.fault) if row.fault else None
        of_chain = found.setdefault(row.chain, {})
        of_chain.setdefault(row.provider, []).append(Answer(latency_ms=row.latency_ms, fault=fault))
    return found


def usual_tps(slugs: Sequence[str], *, now: datetime) -> dict[str, Decimal]:
    """The median of the same hour of the seven days before; only where there are three of them."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [hour - timedelta(days=day) for day in range(1, SAME_HOURS + 1)]
    values = {"chains": list(slugs), "hours": hours, "fewest": FEWEST_DAYS}
    with connection.cursor() as cursor:
        cursor.execute(USUAL_TPS, values)
        return dict(cursor.fetchall())


def save_headers(chain: str, followed: Followed) -> None:
    """Puts the fresh headers in the place of what they replace; what is too old goes."""
    kept = followed.headers[-KEPT:]
    fresh = [header for header in followed.fresh if header.number >= kept[0].number]
    if not fresh:
        return
    gone = Q(number__gte=fresh[0].number) | Q(number__lt=kept[0].number)
    ChainHeader.objects.filter(gone, chain=chain).delete()
    ChainHeader.objects.bulk_create(_row(chain, header) for header in fresh)


def _row(chain: str, header: Header) -> ChainHeader:
    fee = header.base_fee_wei
    return ChainHeader(
        chain=chain,
        number=header.number,
        hash=header.hash,
        parent_hash=header.parent_hash,
        time_s=header.time_s,
        gas_used=header.gas_used,
        gas_limit=header.gas_limit,
        base_fee_wei=None if fee is None else Decimal(fee),
        transaction_count=header.transaction_count,
    )


def save_answers(chain: str, probes: Iterable[Probe]) -> None:
    """Keeps what each call for a head took, or how it failed."""
    ProviderAnswer.objects.bulk_create(
        ProviderAnswer(
            chain=chain,
            provider=probe.head.provider,
            at=probe.at,
            latency_ms=probe.head.latency_ms,
            fault=probe.head.fault.value if probe.head.fault else "",
        )
        for probe in probes
    )


def save_reorg(chain: str, reorg: Reorg, *, finalized: int | None, now: datetime) -> None:
    """Keeps that blocks were replaced; `finalized` is the last that could not be."""
    ChainReorg.objects.create(
        chain=chain,
        seen_at=now,
        depth=reorg.depth,
        first_number=reorg.first_number,
        replaced_hash=reorg.replaced_hash,
        is_past_finality=finalized is not None and reorg.first_number <= finalized,
    )


def reorgs(chain: str, *, now: datetime) -> Reorgs:
    """The reorganisations of the last hour."""
    found = ChainReorg.objects.filter(chain=chain, seen_at__gt=now - REORGS_OF).aggregate(
        count=Count("id"),
        depth=Max("depth"),
        final=Count("id", filter=Q(is_past_finality=True)),
    )
    return Reorgs(
        count=found["count"],
        max_depth=found["depth"] or 0,
        is_past_finality=found["final"] > 0,
    )


def hole(watch: ChainWatch) -> Hole | None:
    """When nobody looked at the chain, before the present run of looks; since ever at first."""
    if watch.unwatched_to is None:
        return None
    start_s = watch.unwatched_from.timestamp() if watch.unwatched_from else 0.0
    return Hole(start_s=start_s, end_s=watch.unwatched_to.timestamp())


def standing(watch: ChainWatch) -> Standing | None:
    """The settled verdict; None where there is none yet."""
    told = watch.standing
    if not told:
        return None
    return Standing(
        verdict=Verdict(told["verdict"]),
        at=_moment(told["at"]),
        streak=told["streak"],
        since=None if told["since"] is None else _moment(told["since"]),
        bound=None if told["bound"] is None else Verdict(told["bound"]),
    )


def spelled(settled: Standing | None) -> dict[str, Any]:
    """A standing as its column keeps it."""
    if settled is None:
        return {}
    return {
        "verdict": settled.verdict.value,
        "at": to_ms(settled.at),
        "streak": settled.streak,
        "since": None if settled.since is None else to_ms(settled.since),
        "bound": None if settled.bound is None else settled.bound.value,
    }


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
