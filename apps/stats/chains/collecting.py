"""Collecting: all chains are looked at side by side, then each look is kept by itself."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import DatabaseError

from apps.stats import abreast, collectors
from apps.stats.abreast import Done
from apps.stats.chains import keeping, looking, rows, telling
from apps.stats.chains.keeping import Kept
from apps.stats.chains.looking import ChainReader, Look
from apps.stats.chains.rows import Memory
from apps.stats.collectors import Called
from apps.stats.vocabulary import Verdict
from moonx.core import logs, push
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
            slug: partial(looking.look, reader_of(wanted[slug]), memory.known, moment=moment)
            for slug, memory in memories.items()
        }
    )
    kept = {slug: _keep(wanted[slug], done, memories[slug]) for slug, done in looks.items()}
    _push_heads([(wanted[slug], one) for slug, one in kept.items() if one], now=moment())
    _tell_calls((done.value for done in looks.values() if done.value), now=moment())
    return Collected(
        kept={slug: one for slug, one in kept.items() if one},
        failed=sorted(slug for slug, one in kept.items() if one is None),
    )


def _clock(now: datetime) -> Callable[[], datetime]:
    """PostgreSQL's clock, carried on by this machine's steady one: the looks touch no database."""
    begun_s = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - begun_s)


def _keep(chain: Chain, done: Done[Look], memory: Memory) -> Kept | None:
    """Keeps a look; None, with the reason in the log, where that failed."""
    try:
        kept = keeping.keep(chain, done.result(), memory)
    except DatabaseError as error:
        log.warning("look not kept", chain=chain.slug, error=type(error).__name__)
        return None
    except Exception:
        log.exception("look failed", chain=chain.slug)
        return None
    if kept is None:
        log.info("another look was faster", chain=chain.slug)
    return kept


def _push_heads(kept: Iterable[tuple[Chain, Kept]], *, now: datetime) -> None:
    states = [
        telling.head_state(chain, one.new_head, now=one.told.at)
        for chain, one in kept
        if one.new_head
    ]
    push.publish_states(states, now=now)


def _tell_calls(looks: Iterable[Look], *, now: datetime) -> None:
    heads = [probe.head for look in looks for probe in look.probes]
    calls = [
        Called(provider=head.provider, fault=head.fault, duration_ms=head.latency_ms)
        for head in heads
    ]
    collectors.tell(COLLECTOR, calls, now=now)
