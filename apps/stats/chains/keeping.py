"""Keeping a look at a chain: rows, the verdict, and what is told, in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.db import transaction

from apps.stats import publishing
from apps.stats.chains import figures, rows, samples, settling, telling, verdicts, weighing
from apps.stats.chains.following import Followed
from apps.stats.chains.looking import Look
from apps.stats.chains.providers import Provider
from apps.stats.chains.rows import Memory
from apps.stats.chains.settling import FORGOTTEN, GOOD_SAMPLES, Standing
from apps.stats.chains.telling import Told
from apps.stats.chains.verdicts import Measured, Opinion, Rule, Usual
from apps.stats.chains.weighing import Window
from apps.stats.models import ChainWatch
from apps.stats.vocabulary import Reason, Verdict
from moonx.core import outbox
from moonx.core.chains.blocks import Header
from moonx.core.chains.models import Chain

# A chain that nobody could see for so long is worth an alert, whoever is to blame.
BLIND_FOR = timedelta(minutes=3)
SPACING = timedelta(seconds=5)  # between two looks, whoever wants them


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What came of a look: what was told, and the head where it is a new one."""

    told: Told
    new_head: Header | None


def keep(chain: Chain, look: Look, memory: Memory) -> Kept | None:
    """Keeps the look and tells what is news of it; None where another look was kept meanwhile.

    Commits, or fails, as a whole.
    """
    with transaction.atomic():
        # Held until the sample is told: the next look sees all of this one, or nothing.
        watch = ChainWatch.objects.select_for_update().get(pk=chain.slug)
        if watch.looked_at != memory.watch.looked_at:
            return None
        was_absent = _note_absence(watch, look)
        followed = _follow(watch, look, memory, was_absent=was_absent)
        rows.save_answers(chain.slug, look.probes)
        seen = weighing.window(followed.headers, followed.fresh, rows.hole(watch))
        told = _weigh(chain, watch, look, memory, seen)
        reorg = followed.reorg
        samples.add(chain, told, look, seen, reorg=reorg, is_first=was_absent)
        publishing.publish([telling.news(chain, told)], now=look.at)
        _alert(chain, watch, told)
        watch.looked_at, watch.claimed_until = look.at, look.at + SPACING
        watch.save()
    return Kept(told=told, new_head=followed.headers[-1] if followed.fresh else None)


def _note_absence(watch: ChainWatch, look: Look) -> bool:
    """Whether nobody looked for a while, or ever; what stood still meanwhile may have been stopped
    together with us."""
    before = watch.looked_at
    was_absent = before is None or look.at - before > FORGOTTEN
    if was_absent:
        watch.unwatched_from, watch.unwatched_to = before, look.at
    return was_absent


def _follow(watch: ChainWatch, look: Look, memory: Memory, *, was_absent: bool) -> Followed:
    """Keeps the headers that the look brought; what was known stands where it brought none.

    What was replaced while nobody looked is no reorganisation that anybody can judge.
    """
    followed = look.followed
    if followed is None:
        return Followed(headers=memory.headers, fresh=())
    if was_absent:
        followed = replace(followed, reorg=None)
    if followed.reorg:
        finalized = watch.finalized
        rows.save_reorg(watch.chain, followed.reorg, finalized=finalized, now=look.at)
    rows.save_headers(watch.chain, followed)
    if followed.fresh:
        watch.head_seen_at = look.at
    watch.finalized = _finalized(watch, look, is_anew=followed.is_anew)
    return followed


def _finalized(watch: ChainWatch, look: Look, *, is_anew: bool) -> int | None:
    """The last final block; it never goes back while the chain is the same."""
    told = [one for one in (watch.finalized, look.agreement.finalized) if one is not None]
    return look.agreement.finalized if is_anew else max(told, default=None)


def _weigh(chain: Chain, watch: ChainWatch, look: Look, memory: Memory, seen: Window) -> Told:
    """The verdict and all that is told; notes in the watch what the next look must know."""
    judged = weighing.judged(look, seen, memory.answers, block_time_ms=chain.block_time_ms)
    pace, reorgs = figures.pace(seen.headers), rows.reorgs(chain.slug, now=look.at)
    measured = Measured(
        block_time_p95_ms=pace.block_time_ms.p95,
        tps=pace.tps,
        gas_used_ratio=pace.gas_used_ratio,
        reorgs=reorgs,
    )
    opinion = verdicts.judge(measured, judged, _usual(chain, memory))
    settled = settling.settle(rows.standing(watch), opinion.verdict, now=look.at)
    watch.standing = rows.spelled(settled)
    if look.is_answered:
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
        head=head,
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


def _alert(chain: Chain, watch: ChainWatch, told: Told) -> None:
    """Tells operators once that a chain fell ill, and once that it is well again."""
    is_trouble = _is_trouble(watch, told)
    is_well = told.verdict in {Verdict.HEALTHY, Verdict.DEGRADED}
    if watch.is_alarmed != is_trouble and (is_trouble or is_well):
        watch.is_alarmed = is_trouble
        outbox.emit(telling.alert(chain, told, is_trouble=is_trouble))


def _is_trouble(watch: ChainWatch, told: Told) -> bool:
    if told.verdict is not Verdict.UNKNOWN:
        return told.verdict is Verdict.UNHEALTHY
    since = watch.sampled_at or watch.looked_at
    return since is not None and told.at - since >= BLIND_FOR
