"""Keeping looks at chains: rows, verdicts, and what is told, in one transaction for all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import transaction

from apps.stats import publishing
from apps.stats.chains import figures, rows, samples, settling, telling, verdicts, weighing
from apps.stats.chains.following import Followed
from apps.stats.chains.looking import Look
from apps.stats.chains.providers import Provider
from apps.stats.chains.rows import Memory
from apps.stats.chains.settling import GOOD_SAMPLES, Standing
from apps.stats.chains.telling import Told
from apps.stats.chains.verdicts import Measured, Opinion, Rule, Usual
from apps.stats.chains.weighing import Window
from apps.stats.models import ChainReorg, ChainSample, ChainWatch
from apps.stats.vocabulary import Reason, Verdict
from moonx.core import outbox
from moonx.core.chains.blocks import Header
from moonx.core.chains.models import Chain
from moonx.core.events import SystemAlert

# A chain that nobody could see for so long is worth an alert, whoever is to blame.
BLIND_FOR = timedelta(minutes=3)
SPACING = timedelta(seconds=5)  # between two looks, whoever wants them

NOTED = [
    *("claimed_until", "looked_at", "sampled_at", "tip", "head_seen_at", "standing", "finalized"),
    *("finality_lag_ms", "unwatched_from", "unwatched_to", "is_alarmed"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A look at a chain, beside what was known before."""

    chain: Chain
    look: Look
    memory: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What came of a look: all that is written and told of it."""

    chain: Chain
    look: Look
    watch: ChainWatch
    followed: Followed
    reorg: ChainReorg | None
    told: Told
    sample: ChainSample
    alert: SystemAlert | None

    @property
    def new_head(self) -> Header | None:
        """The head, where it is another than before."""
        return self.followed.headers[-1] if self.followed.fresh else None


def keep(looks: Iterable[Looked]) -> list[Kept]:
    """Keeps the looks and tells what is news of them; without those of chains of which another
    look was kept meanwhile. Commits, or fails, as a whole."""
    by_slug = {one.chain.slug: one for one in looks}
    with transaction.atomic():
        # Held until the samples are told: the next look sees all of this one, or nothing.
        watches = ChainWatch.objects.filter(pk__in=by_slug).order_by("chain").select_for_update()
        kept = [
            weigh(by_slug[watch.chain], watch)
            for watch in watches
            if watch.looked_at == by_slug[watch.chain].memory.watch.looked_at
        ]
        _write(kept)
    return kept


def _write(kept: Sequence[Kept]) -> None:
    if not kept:
        return
    rows.save_headers({one.chain.slug: one.followed for one in kept})
    rows.save_answers({one.chain.slug: one.look.probes for one in kept})
    ChainReorg.objects.bulk_create(one.reorg for one in kept if one.reorg)
    ChainSample.objects.bulk_create(one.sample for one in kept)
    ChainWatch.objects.bulk_update([one.watch for one in kept], NOTED)
    news = [telling.news(one.chain, one.told) for one in kept]
    publishing.publish(news, now=max(one.look.at for one in kept))
    outbox.emit_all(one.alert for one in kept if one.alert)


def weigh(looked: Looked, watch: ChainWatch) -> Kept:
    """What is to be written and told of a look; notes in `watch` what the next one must know.

    Touches no database.
    """
    chain, look, memory = looked.chain, looked.look, looked.memory
    was_absent = _note_absence(watch, look, forgotten_after=memory.forgotten_after)
    followed = _followed(watch, look, memory, was_absent=was_absent)
    reorg = _reorg(watch, look, followed)
    watch.finalized = _finalized(watch, look, is_anew=followed.is_anew)
    seen = weighing.window(followed.headers, followed.fresh, rows.hole(watch))
    told = _told(looked, watch, seen, [*memory.reorgs, *([reorg] if reorg else [])])
    sample = samples.sample(chain, told, look, seen, reorg=followed.reorg, is_first=was_absent)
    alert = _alert(chain, watch, told)
    watch.looked_at, watch.claimed_until = look.at, look.at + SPACING
    return Kept(
        chain=chain,
        look=look,
        watch=watch,
        followed=followed,
        reorg=reorg,
        told=told,
        sample=sample,
        alert=alert,
    )


def _note_absence(watch: ChainWatch, look: Look, *, forgotten_after: timedelta) -> bool:
    """Whether nobody looked for a while, or ever; what stood still meanwhile may have been stopped
    together with us."""
    before = watch.looked_at
    was_absent = before is None or look.at - before > forgotten_after
    if was_absent:
        watch.unwatched_from, watch.unwatched_to = before, look.at
    return was_absent


def _followed(watch: ChainWatch, look: Look, memory: Memory, *, was_absent: bool) -> Followed:
    """The headers after the look; what was known stands where it brought none.

    What was replaced while nobody looked is no reorganisation that anybody can judge.
    """
    followed = look.followed or Followed(headers=memory.headers, fresh=())
    if followed.fresh:
        watch.head_seen_at = look.at
    if not look.agreement.is_split:  # else the next look would believe one half, by chance
        watch.tip = rows.spelled_tip(look.agreement.tip)
    return replace(followed, reorg=None) if was_absent else followed


def _reorg(watch: ChainWatch, look: Look, followed: Followed) -> ChainReorg | None:
    if followed.reorg is None:
        return None
    return rows.reorg_row(watch.chain, followed.reorg, finalized=watch.finalized, now=look.at)


def _finalized(watch: ChainWatch, look: Look, *, is_anew: bool) -> int | None:
    """The last final block; it never goes back while the chain is the same."""
    told = [one for one in (watch.finalized, look.agreement.finalized) if one is not None]
    return look.agreement.finalized if is_anew else max(told, default=None)


def _told(looked: Looked, watch: ChainWatch, seen: Window, of_reorgs: Sequence[ChainReorg]) -> Told:
    """The verdict and all that is told."""
    chain, look, memory = looked.chain, looked.look, looked.memory
    judged = weighing.judged(look, seen, memory.answers, block_time_ms=chain.block_time_ms)
    pace, reorgs = figures.pace(seen.headers), rows.summed(of_reorgs, now=look.at)
    measured = Measured(
        block_time_p95_ms=pace.block_time_ms.p95,
        tps=pace.tps,
        gas_used_ratio=pace.gas_used_ratio,
        reorgs=reorgs,
    )
    usual, forks = _usual(chain, memory), weighing.forks(look)
    opinion = verdicts.judge(measured, judged, usual, forks=forks)
    settled = settling.settle(
        rows.standing(watch),
        opinion.verdict,
        now=look.at,
        forgotten_after=memory.forgotten_after,
    )
    watch.standing = rows.spelled(settled)
    if look.is_answered and not look.agreement.is_split:
        watch.sampled_at = look.at
        watch.finality_lag_ms = _finality_lag_ms(judged)
    head = seen.headers[-1] if seen.headers else None
    return Told(
        at=look.at,
        sampled_at=watch.sampled_at,
        verdict=settling.shown(settled, opinion.verdict),
        reasons=_reasons(opinion, settled),
        providers=judged,
        pace=pace,
        head=look.agreement.tip.number if look.agreement.tip else None,
        head_age_ms=weighing.head_age_ms(judged, head, now=look.at),
        finality_lag_ms=watch.finality_lag_ms,
        reorgs=reorgs,
        volume=memory.volume,
    )


def _usual(chain: Chain, memory: Memory) -> Usual:
    return Usual(
        block_time_ms=chain.block_time_ms,
        has_steady_blocks=chain.has_steady_blocks,
        finality_ms=chain.finality_ms,
        tps=memory.usual_tps,
    )


def _finality_lag_ms(judged: Sequence[Provider]) -> int | None:
    return weighing.middle([one.finality_lag_ms for one in judged if one.answers])


def _reasons(opinion: Opinion, settled: Standing | None) -> tuple[Reason, ...]:
    """Those of the sample; and that it takes more good ones, where all is well again already."""
    if settled is None or not settled.is_coming_up or opinion.verdict is Verdict.UNKNOWN:
        return opinion.reasons
    waits = Reason(rule=Rule.SETTLING, value=settled.streak, limit=GOOD_SAMPLES)
    return (*opinion.reasons, waits)


def _alert(chain: Chain, watch: ChainWatch, told: Told) -> SystemAlert | None:
    """What operators are told: once that a chain fell ill, and once that it is well again."""
    is_trouble = _is_trouble(watch, told)
    is_well = told.verdict in {Verdict.HEALTHY, Verdict.DEGRADED}
    if watch.is_alarmed == is_trouble or not (is_trouble or is_well):
        return None
    watch.is_alarmed = is_trouble
    return telling.alert(chain, told, is_trouble=is_trouble)


def _is_trouble(watch: ChainWatch, told: Told) -> bool:
    if told.verdict is not Verdict.UNKNOWN:
        return told.verdict is Verdict.UNHEALTHY
    since = watch.sampled_at or watch.unwatched_to  # then it was looked at first
    return since is not None and told.at - since >= BLIND_FOR
