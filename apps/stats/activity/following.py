"""A round over all chains: each is scanned in a thread, and its figures are told."""

import time
from collections.abc import Mapping
from datetime import datetime
from functools import partial

from apps.stats import collectors
from apps.stats.activity import cursors, holes, retention, scanning, telling, windows
from apps.stats.activity.backfilling import BackfillRefused
from apps.stats.activity.leaves import NotAChain
from apps.stats.activity.scanning import Scanned
from apps.stats.activity.source import Providers
from apps.stats.collectors import Called
from moonx.core import abreast, logs, metrics
from moonx.core.abreast import Done
from moonx.core.chains import registry
from moonx.core.chains.models import Chain
from moonx.core.chains.reader import Reader
from moonx.core.jobs import Outcome
from moonx.core.locks import LockBusy
from moonx.core.upstream.faults import CallFailed

TASK = "stats.scan_activity"
FILLS_WITHIN_S = scanning.BUDGET_S / 2  # a run that took longer leaves holes to the next

log = logs.get("moonx.activity_scan")


def follow_all(*, now: datetime) -> Outcome:
    """Scans every chain that is on, side by side; one that cannot be read holds up no other.

    Raises what no chain may raise, once all have ended.
    """
    _ensure_days(now=now)
    works = {chain.slug: partial(follow, chain, now=now) for chain in registry.enabled()}
    done = abreast.run(works)
    numbers = {"chains": len(done), "blocks": 0, "taken_back": 0, "failed": 0}
    for slug, one in done.items():
        found = _ended(slug, one)
        numbers["failed"] += found is None
        numbers["blocks"] += found.blocks if found else 0
        numbers["taken_back"] += found.depth if found else 0
    collectors.tell(TASK, list(_calls(done)), now=now)
    return Outcome("Scanned {blocks} blocks of {chains} chains, {failed} failed ({ms} ms)", numbers)


def _ensure_days(*, now: datetime) -> None:
    """Makes the partitions that scans write to where nobody did so for days.

    On a connection of its own: the task's would keep the tables locked until the scans, which wait
    for them, have ended.
    """
    if not retention.is_ready(now=now):
        abreast.run({"days": partial(retention.roll_days, now=now)})["days"].result()


def follow(chain: Chain, *, now: datetime) -> Scanned:
    """Scans one chain and tells its figures, which change with the time also where the scan fails.

    A run that came to the head fills in some of what the last 24 hours lack. Raises CallFailed and
    LockBusy.
    """
    began, source = time.monotonic(), Providers(Reader.of(chain))
    try:
        done = scanning.scan(chain.slug, source, now=now)
        if done.is_at_head and time.monotonic() - began < FILLS_WITHIN_S:
            _fill(chain, source, now=now)
    except (CallFailed, LockBusy):
        telling.tell(chain, now=now)
        raise
    telling.tell(chain, now=now)
    _measure(chain)
    return done


def _fill(chain: Chain, source: Providers, *, now: datetime) -> None:
    """One batch of the newest hole. What fails is tried again by the next run: the scan is done."""
    try:
        holes.fill_newest(chain.slug, source, since=now - windows.DAY)
    except (BackfillRefused, CallFailed, LockBusy, NotAChain) as error:
        log.warning("a hole of the last day was not filled", chain=chain.slug, why=str(error))


def _measure(chain: Chain) -> None:
    row = cursors.of(chain.slug)
    if row.last_block is not None:
        metrics.activity_block.labels(chain.slug).set(row.last_block)
    if row.updated_at is not None:
        metrics.activity_updated.labels(chain.slug).set(row.updated_at.timestamp())


def _ended(slug: str, done: Done[Scanned]) -> Scanned | None:
    """What a scan did; None where it failed, which is told here."""
    try:
        return done.result()
    except (CallFailed, LockBusy) as error:
        log.warning("a chain was not scanned", chain=slug, why=str(error))
        return None


def _calls(done: Mapping[str, Done[Scanned]]) -> list[Called]:
    """The chains as what was asked: which of its providers answered, each chain knows by itself."""
    return [
        Called(
            provider=slug,
            fault=one.error.fault if isinstance(one.error, CallFailed) else None,
            duration_ms=round(one.duration_s * 1000),
        )
        for slug, one in done.items()
        if one.error is None or isinstance(one.error, CallFailed)
    ]
