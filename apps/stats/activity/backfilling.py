"""Blocks that no scan has seen, filled in later: before the first scan, and after long outages."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.db.models import F

from apps.stats.activity import (
    cursors,
    finding,
    leaves,
    records,
    rolling,
    scanning,
    storing,
    windows,
)
from apps.stats.activity.leaves import MINUTE_S, Leaf, Link, NotAChain
from apps.stats.activity.source import Source
from apps.stats.models import ActivityCursor, Span
from moonx.core.chains.blocks import Traffic
from moonx.core.upstream.faults import CallFailed

BATCH = 200  # blocks stored at once
TRIES = 3
LEAST_WAIT_S, LONGEST_WAIT_S = 1.0, 30.0

T = TypeVar("T")
Range = tuple[int, int]
OnStep = Callable[[int, int], None]  # blocks done, blocks in all
Sleep = Callable[[float], None]


class BackfillRefused(Exception):
    """What was asked for cannot be filled in; the message says why, and what to do."""


@dataclass(slots=True)
class Backfilled:
    """What became of a span: blocks and transactions filled in, and the ranges they were in."""

    blocks: int = 0
    transactions: int = 0
    holes: list[Range] = field(default_factory=list)


def backfill(
    chain: str,
    source: Source,
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    dry_run: bool = False,
    on_step: OnStep = lambda _done, _total: None,
    sleep: Sleep = time.sleep,
    batch: int = BATCH,
) -> Backfilled:
    """Fills in the blocks of [start, end) that are not known, minute by whole minute.

    In batches that stand by themselves: a run that was ended is finished by the next one, which
    reads only what is missing still. A call that fails for the moment is made three times. Raises
    BackfillRefused, CallFailed, LockBusy.
    """
    filler = _Filler(chain, source, on_step=on_step, sleep=sleep, batch=batch)
    filler.done.holes = filler.holes(start, end, now)
    if not dry_run:
        filler.run()
    return filler.done


class _Filler:
    """One run."""

    def __init__(
        self, chain: str, source: Source, *, on_step: OnStep, sleep: Sleep, batch: int
    ) -> None:
        self.chain, self.source, self.batch = chain, source, batch
        self.on_step, self.sleep = on_step, sleep
        self.done = Backfilled()

    def holes(self, start: datetime, end: datetime, now: datetime) -> list[Range]:
        """The ranges of blocks of the window that are not known, newest first."""
        row = _scanned(self.chain)
        _check(self.chain, start, end, now)
        found = self._blocks(row, start=start, end=min(end, now))
        if found is None:
            return []
        known = storing.ranges(self.chain, first=found[0], last=found[1])
        return missing(found, known)[::-1]

    def _blocks(self, row: ActivityCursor, *, start: datetime, end: datetime) -> Range | None:
        """The first and last scanned block of the window's minutes."""
        at = cursors.position(row)
        start_s = leaves.minute_of(int(start.timestamp()))
        if at is None or at.time_s < start_s:
            return None
        end_s = leaves.minute_of(int(end.timestamp()) + MINUTE_S - 1)
        first = self._tried(lambda: finding.first_since(self.source, start_s, high=at.number))
        last = at.number
        if end_s <= at.time_s:
            after = self._tried(lambda: finding.first_since(self.source, end_s, high=at.number))
            last = after - 1
        return (first, last) if first <= last else None

    def run(self) -> None:
        total = sum(last - first + 1 for first, last in self.done.holes)
        for first, last in self.done.holes:
            parent = self._tried(lambda first=first: scanning.before(self.source, first))  # type: ignore[misc]
            while parent.number < last:
                parent = self._batch(parent, last)
                self.on_step(self.done.blocks, total)

    def _batch(self, parent: Link, last: int) -> Link:
        numbers = range(parent.number + 1, min(last, parent.number + self.batch) + 1)
        traffic = self._tried(lambda: self.source.traffic(numbers))
        if len(leaves.linked(traffic, parent)) != len(numbers):
            raise BackfillRefused(
                f"The providers of {self.chain} tell blocks {numbers[0]:,} to {numbers[-1]:,} that "
                "do not follow one another. Run the command again; if it comes back, look at them."
            )
        fill(self.chain, traffic, parent)
        self.done.blocks += len(traffic)
        self.done.transactions += sum(block.header.transaction_count for block in traffic)
        return leaves.link_of(traffic[-1].header)

    def _tried(self, call: Callable[[], T]) -> T:
        for _ in range(TRIES - 1):
            try:
                return call()
            except CallFailed as failed:
                if not failed.is_transient:
                    raise
                self.sleep(min(LONGEST_WAIT_S, max(LEAST_WAIT_S, failed.retry_after_s)))
        return call()


def _scanned(chain: str) -> ActivityCursor:
    row = ActivityCursor.objects.filter(pk=chain, last_block__isnull=False).first()
    if row is None:
        raise BackfillRefused(
            f"{chain} was not scanned yet. Run `manage.py run_task stats.scan_activity` first; "
            "backfilling goes on from there into the past."
        )
    return row


def _check(chain: str, start: datetime, end: datetime, now: datetime) -> None:
    try:
        windows.check(start, min(end, now), now)
    except windows.WindowRefused as error:
        raise BackfillRefused(f"Nothing was filled in on {chain}. {error}") from None


def missing(wanted: Range, known: Iterable[Range]) -> list[Range]:
    """The parts of a range of blocks, both ends included, that lie in none of the known ones."""
    found, reached = [], wanted[0]
    for first, last in sorted(known):
        if first > reached:
            found.append((reached, min(first - 1, wanted[1])))
        reached = max(reached, last + 1)
    if reached <= wanted[1]:
        found.append((reached, wanted[1]))
    return [(first, last) for first, last in found if first <= last]


@transaction.atomic
def fill(chain: str, traffic: Sequence[Traffic], parent: Link) -> None:
    """Stores blocks that follow the parent and one another, where none of them is stored.

    Raises BackfillRefused where they do not join what is stored beside them, or somebody stored
    some of them meanwhile; LockBusy.
    """
    storing.hold(chain)
    found = leaves.split(traffic, parent)
    first, last = found[0].first_block, found[-1].last.number
    if storing.ranges(chain, first=first, last=last):
        raise BackfillRefused(
            f"Blocks {first:,} to {last:,} of {chain} are being filled in by somebody else. "
            "Run the command again for what is missing then."
        )
    final = cursors.held(chain).final_block
    try:
        storing.put(chain, _joined(chain, found), final=-1 if final is None else final)
    except NotAChain as error:
        raise BackfillRefused(
            f"The providers of {chain} tell another chain than what is stored: {error}. Wait for "
            "the next scan to replace it, or take the provider that is wrong out of the settings."
        ) from None
    ActivityCursor.objects.filter(pk=chain).update(version=F("version") + 1)
    records.refresh(chain, first=first, last=last)
    rolling.roll(chain, Span.HOUR, {rolling.start_of(Span.HOUR, leaf.bucket_s) for leaf in found})


def _joined(chain: str, found: Sequence[Leaf]) -> list[Leaf]:
    """The leaves, the outer ones joined with what is stored of their minutes.

    Raises NotAChain where a block that is stored beside them does not follow, or is not followed.
    """
    made = list(found)
    earlier = storing.of_block(chain, made[0].parent.number)
    later = storing.of_block(chain, made[-1].last.number + 1)
    if earlier and earlier.last.hash != made[0].parent.hash:
        raise NotAChain(f"block {made[0].first_block} does not follow {earlier.last.number}")
    if later and later.parent.hash != made[-1].last.hash:
        raise NotAChain(f"block {later.first_block} does not follow {made[-1].last.number}")
    if earlier and earlier.bucket_s == made[0].bucket_s:
        made[0] = leaves.joined(earlier, made[0])
    if later and later.bucket_s == made[-1].bucket_s:
        made[-1] = leaves.joined(made[-1], later)
    return made
