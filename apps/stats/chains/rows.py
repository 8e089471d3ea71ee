"""The rows behind a look at a chain: its last headers, its providers' answers, its reorgs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.stats import freshness
from apps.stats.chains import providers, volumes
from apps.stats.chains.figures import Hole
from apps.stats.chains.following import KEPT, Followed, Reorg
from apps.stats.chains.looking import Known, Probe
from apps.stats.chains.providers import Answer
from apps.stats.chains.settling import FORGOTTEN, Standing
from apps.stats.chains.verdicts import Reorgs
from apps.stats.freshness import Kind
from apps.stats.models import ChainHeader, ChainReorg, ChainVolume, ChainWatch, ProviderAnswer
from apps.stats.vocabulary import Verdict
from moonx.core.chains.blocks import Header
from moonx.core.chains.heads import Tip
from moonx.core.intervals import to_ms
from moonx.core.upstream.faults import Fault

REORGS_OF = timedelta(hours=1)
SAME_HOURS = 7  # days before today
FEWEST_DAYS = 3  # fewer days are no custom

WIDE = ("hash", "parent_hash", "base_fee_wei")
PLAIN = ("number", "time_s", "gas_used", "gas_limit", "transaction_count")

# Takes the chains that nobody looks at, or whose looker died.
CLAIM = """
INSERT INTO stats_chainwatch AS w (chain, claimed_until, tip, standing, is_alarmed)
SELECT u.chain, %(until)s, '{}', '{}', false FROM unnest(%(chains)s::text[]) AS u(chain)
ON CONFLICT (chain) DO UPDATE SET claimed_until = excluded.claimed_until
  WHERE w.claimed_until IS NULL OR w.claimed_until <= %(now)s
RETURNING w.chain
"""

# What fresh headers replace, and what is too old.
FORGET = """
DELETE FROM stats_chainheader h
USING unnest(%s::text[], %s::bigint[], %s::bigint[]) AS u(chain, fresh, kept)
WHERE h.chain = u.chain AND (h.number >= u.fresh OR h.number < u.kept)
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
    forgotten_after: timedelta = FORGOTTEN  # what was known longer ago says nothing of now
    headers: Sequence[Header] = ()
    answers: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    reorgs: Sequence[ChainReorg] = ()
    usual_tps: Decimal | None = None
    volume: ChainVolume | None = None

    @property
    def known(self) -> Known:
        """What the look needs to know."""
        return Known(headers=self.headers, tip=tip(self.watch))


def claim(chains: Collection[str], *, lease: timedelta, now: datetime) -> set[str]:
    """The chains that the caller may look at until the lease is over; others look at the rest."""
    values: dict[str, Any] = {"chains": sorted(chains), "until": now + lease, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, values)
        return {slug for (slug,) in cursor.fetchall()}


def remember(chains: Collection[str], *, now: datetime) -> dict[str, Memory]:
    """What the rows know of these chains; a chain that nobody claimed is left out."""
    slugs = sorted(chains)
    headers, told = _headers(slugs), answers(slugs, since=now - providers.WINDOW)
    tps = usual_tps(slugs, now=now)
    reorgs = _reorgs(slugs, since=now - REORGS_OF)
    told_volumes = volumes.known(slugs, now=now)
    forgotten_after = max(FORGOTTEN, freshness.after(Kind.CHAINS))
    return {
        watch.chain: Memory(
            watch=watch,
            forgotten_after=forgotten_after,
            headers=headers.get(watch.chain, ()),
            answers=told.get(watch.chain, {}),
            reorgs=reorgs.get(watch.chain, ()),
            usual_tps=tps.get(watch.chain),
            volume=told_volumes.get(watch.chain),
        )
        for watch in ChainWatch.objects.filter(pk__in=slugs)
    }


def _headers(slugs: Sequence[str]) -> dict[str, list[Header]]:
    found: dict[str, list[Header]] = {}
    kept = ChainHeader.objects.filter(chain__in=slugs).order_by("chain", "number")
    # Thousands of rows: models of them would take longer than all the rest.
    for chain, *columns in kept.values_list("chain", *WIDE, *PLAIN):
        found.setdefault(chain, []).append(_header(columns))
    return found


def newest_header(chain: str) -> Header | None:
    """The chain's newest header that is kept; None before the first."""
    kept = ChainHeader.objects.filter(chain=chain).order_by("-number")
    columns = kept.values_list(*WIDE, *PLAIN).first()
    return _header(columns) if columns else None


def _header(columns: Sequence[Any]) -> Header:
    digest, parent, fee, *others = columns
    return Header(
        hash=bytes(digest),
        parent_hash=bytes(parent),
        base_fee_wei=None if fee is None else int(fee),
        **dict(zip(PLAIN, others, strict=True)),
    )


def answers(slugs: Sequence[str], *, since: datetime) -> dict[str, dict[str, list[Answer]]]:
    """Each provider's answers after `since`, by chain and name, the newest last."""
    found: dict[str, dict[str, list[Answer]]] = {}
    for row in ProviderAnswer.objects.filter(chain__in=slugs, at__gt=since).order_by("id"):
        fault = Fault(row.fault) if row.fault else None
        of_chain = found.setdefault(row.chain, {})
        of_chain.setdefault(row.provider, []).append(Answer(latency_ms=row.latency_ms, fault=fault))
    return found


def _reorgs(slugs: Sequence[str], *, since: datetime) -> dict[str, list[ChainReorg]]:
    found: dict[str, list[ChainReorg]] = {}
    for row in ChainReorg.objects.filter(chain__in=slugs, seen_at__gt=since):
        found.setdefault(row.chain, []).append(row)
    return found


def usual_tps(slugs: Sequence[str], *, now: datetime) -> dict[str, Decimal]:
    """The median of the same hour of the seven days before; only where there are three of them."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [hour - timedelta(days=day) for day in range(1, SAME_HOURS + 1)]
    values: dict[str, Any] = {"chains": list(slugs), "hours": hours, "fewest": FEWEST_DAYS}
    with connection.cursor() as cursor:
        cursor.execute(USUAL_TPS, values)
        return dict(cursor.fetchall())


def save_headers(many: Mapping[str, Followed]) -> None:
    """Puts each chain's fresh headers in the place of what they replace; what is too old goes."""
    fresh: list[ChainHeader] = []
    gone: list[tuple[str, int, int]] = []
    for chain, followed in many.items():
        kept = followed.headers[-KEPT:]
        new = [header for header in followed.fresh if header.number >= kept[0].number]
        if new:
            gone.append((chain, new[0].number, kept[0].number))
            fresh += [_row(chain, header) for header in new]
    if gone:
        with connection.cursor() as cursor:
            cursor.execute(FORGET, [list(column) for column in zip(*gone, strict=True)])
        ChainHeader.objects.bulk_create(fresh)


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


def save_answers(many: Mapping[str, Iterable[Probe]]) -> None:
    """Keeps what each call for a head took, or how it failed."""
    ProviderAnswer.objects.bulk_create(
        ProviderAnswer(
            chain=chain,
            provider=probe.head.provider,
            at=probe.at,
            latency_ms=probe.head.latency_ms,
            fault=probe.head.fault.value if probe.head.fault else "",
        )
        for chain, probes in many.items()
        for probe in probes
    )


def reorg_row(chain: str, reorg: Reorg, *, finalized: int | None, now: datetime) -> ChainReorg:
    """That blocks were replaced; `finalized` is the last one that could not be."""
    return ChainReorg(
        chain=chain,
        seen_at=now,
        depth=reorg.depth,
        first_number=reorg.first_number,
        replaced_hash=reorg.replaced_hash,
        is_past_finality=finalized is not None and reorg.first_number <= finalized,
    )


def summed(reorgs: Iterable[ChainReorg], *, now: datetime) -> Reorgs:
    """The reorganisations of the last hour."""
    recent = [one for one in reorgs if one.seen_at > now - REORGS_OF]
    return Reorgs(
        count=len(recent),
        max_depth=max((one.depth for one in recent), default=0),
        is_past_finality=any(one.is_past_finality for one in recent),
    )


def hole(watch: ChainWatch) -> Hole | None:
    """When nobody looked at the chain, before the present run of looks; since ever at first."""
    if watch.unwatched_to is None:
        return None
    start_s = watch.unwatched_from.timestamp() if watch.unwatched_from else 0.0
    return Hole(start_s=start_s, end_s=watch.unwatched_to.timestamp())


def tip(watch: ChainWatch) -> Tip | None:
    """The head that was agreed on last; None before the first."""
    told = watch.tip
    if not told:
        return None
    return Tip(
        number=told["number"],
        hash=_bytes(told["hash"]),
        parent_hash=_bytes(told["parent"]),
        seen_ms=told["seen"],
    )


def spelled_tip(agreed: Tip | None) -> dict[str, Any]:
    """An agreed head as its column keeps it."""
    if agreed is None:
        return {}
    return {
        "number": agreed.number,
        "hash": agreed.hash and agreed.hash.hex(),
        "parent": agreed.parent_hash and agreed.parent_hash.hex(),
        "seen": agreed.seen_ms,
    }


def _bytes(text: str | None) -> bytes | None:
    return bytes.fromhex(text) if text else None


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
