"""Collecting: all chains are looked at side by side, then each look is kept by itself."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from apps.stats import collectors
from apps.stats.chains import keeping, looking, rows, telling
from apps.stats.chains.keeping import Kept, Looked
from apps.stats.chains.looking import ChainReader, Look
from apps.stats.chains.rows import Memory
from apps.stats.collectors import Called
from apps.stats.vocabulary import Verdict
from moonx.core import abreast, logs, push
from moonx.core.abreast import Done
from moonx.core.chains import registry
from moonx.core.chains.models import Chain
from moonx.core.chains.reader import Reader

log = logs.get("moonx.chains")

COLLECTOR = "stats.chain_performance"
LEASE = timedelta(seconds=45)  # longer than the longest look, two timeouts of ten seconds and more

ReaderOf = Callable[[Chain], ChainReader]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a run did. `kept` are the chains that have a new sample, by slug; `failed` those whose
    sample could not be kept; others were looked at by another run."""

    kept: Mapping[str, Kept]
    failed: Sequence[str]

    def count(self, verdict: Verdict) -> int:
        """How many of the chains are shown so."""
        return sum(one.told.verdict is verdict for one in self.kept.values())


def collect(
    chains: Sequence[Chain] | None = None, *, now: datetime, reader_of: ReaderOf = Reader.of
) -> Collected:
    """Looks at the chains, by default all that are on, and keeps and tells what it finds.

    Takes little longer than the slowest of them. A chain that fails stops no other. `now` is
    PostgreSQL's clock at the call.
    """
    wanted = {one.slug: one for one in (registry.enabled() if chains is None else chains)}
    claimed = rows.claim(wanted, lease=LEASE, now=now)
    memories = rows.remember(claimed, now=now)
    moment = _clock(now)
    looks = abreast.run(
        {
            slug: partial(
                looking.look,
                reader_of(wanted[slug]),
                memory.known,
                block_time_ms=wanted[slug].block_time_ms,
                moment=moment,
            )
            for slug, memory in memories.items()
        }
    )
    looked, failed = _sorted_out(looks, wanted, memories)
    kept, lost = _keep(looked)
    _push_heads(kept, now=moment())
    _tell_calls((one.look for one in looked), now=moment())
    return Collected(kept={one.chain.slug: one for one in kept}, failed=sorted([*failed, *lost]))


def _sorted_out(
    looks: Mapping[str, Done[Look]], chains: Mapping[str, Chain], memories: Mapping[str, Memory]
) -> tuple[list[Looked], list[str]]:
    """The looks that came back, and the chains of those that broke, with the reason in the log."""
    looked, failed = [], []
    for slug, done in looks.items():
        if done.value is None:
            log.error("look failed", chain=slug, exc_info=done.error)
            failed.append(slug)
        else:
            looked.append(Looked(chain=chains[slug], look=done.value, memory=memories[slug]))
    return looked, failed


def _keep(looked: Sequence[Looked]) -> tuple[list[Kept], list[str]]:
    """Keeps all looks at once; one by one where that failed, so that one costs no other."""
    try:
        return keeping.keep(looked), []
    except Exception as error:  # noqa: BLE001 - whatever it is, it is found out and logged below
        log.warning("looks not kept together", error=type(error).__name__)
    kept: list[Kept] = []
    lost: list[str] = []
    for one in looked:
        try:
            kept += keeping.keep([one])
        except Exception:
            log.exception("look not kept", chain=one.chain.slug)
            lost.append(one.chain.slug)
    return kept, lost


def _clock(now: datetime) -> Callable[[], datetime]:
    """PostgreSQL's clock, carried on by this machine's steady one: the looks touch no database."""
    begun_s = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - begun_s)


def _push_heads(kept: Iterable[Kept], *, now: datetime) -> None:
    states = [
        telling.head_state(one.chain, one.new_head, now=one.look.at) for one in kept if one.new_head
    ]
    push.publish_states(states, now=now)


def _tell_calls(looks: Iterable[Look], *, now: datetime) -> None:
    heads = [probe.head for look in looks for probe in look.probes]
    calls = [
        Called(provider=head.provider, fault=head.fault, duration_ms=head.latency_ms)
        for head in heads
    ]
    collectors.tell(COLLECTOR, calls, now=now)
