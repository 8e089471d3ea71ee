"""A chain followed to its head: new blocks become leaves, and a fork replaces what it took back.

Blocks are read outside any transaction, and stored in one that takes the chain's lock and finds the
cursor where it was when they were asked for; a second scanner finds it moved, and stores nothing.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from apps.stats.activity import cursors, finding, leaves, records, rolling, storing, windows
from apps.stats.activity.leaves import Leaf, Link, NotAChain
from apps.stats.activity.source import Source, Tip
from apps.stats.models import ActivityCursor, ActivityLeaf, ActivityRecord, LeafState, Span
from moonx.core import logs, metrics
from moonx.core.chains.blocks import Traffic
from moonx.core.upstream.faults import CallFailed, Fault

log = logs.get("moonx.activity_scan")

BATCH = 100  # blocks read and stored at once: some 17,000 transactions of a busy chain
FIRST_S = 3600  # how far behind the head the first scan begins; backfilling goes on from there
# Whoever was away for longer begins anew: the newest day would wait for older ones.
LONGEST_GAP_S = 86_400
FORK_CAP = 128  # blocks that are compared one by one before the last final one is
# How long providers must go on denying what was final before they are believed.
BELIEVED_AFTER = timedelta(minutes=2)
AHEAD_S = 86_400  # a block from further in the future is made up
BUDGET_S = 8.0  # a run ends before the next one begins


class PastFinality(Exception):
    """The providers' chain lacks a block that was final. The message says which."""


@dataclass(slots=True)
class Scanned:
    """What a run did: blocks stored, blocks that forks took back, whether it came to the head."""

    blocks: int = 0
    depth: int = 0
    is_at_head: bool = False


def scan(
    chain: str, source: Source, *, now: datetime, budget_s: float = BUDGET_S, batch: int = BATCH
) -> Scanned:
    """Follows the chain (its slug) to its head, or as far as `budget_s` seconds allow.

    How the run went stands on the cursor. Raises CallFailed where the chain could not be read, and
    LockBusy; what was stored until then stays.
    """
    cursors.begin(chain, now=now)
    scanner = _Scanner(chain, source, now=now, batch=batch)
    try:
        scanner.run(until_s=time.monotonic() + budget_s)
    except CallFailed as error:
        cursors.failed(chain, error.fault, str(error), now=now)
        raise
    except NotAChain as error:
        cursors.failed(chain, Fault.MALFORMED, str(error), now=now)
        raise CallFailed(f"{chain}: {error}", fault=Fault.MALFORMED) from error
    except PastFinality as error:
        cursors.failed(chain, cursors.PAST_FINALITY, str(error), now=now)
        raise CallFailed(f"{chain}: {error}", fault=Fault.WRONG_CHAIN) from error
    cursors.ended(chain, is_at_head=scanner.done.is_at_head, now=now)
    return scanner.done


class _Scanner:
    """One run."""

    def __init__(self, chain: str, source: Source, *, now: datetime, batch: int) -> None:
        self.chain, self.source, self.now, self.batch = chain, source, now, batch
        self.done = Scanned()

    def run(self, *, until_s: float) -> None:
        tip = self.source.tip()
        at = self._start(tip)
        if at.number >= tip.number and not self._holds(tip, at):
            at = self._fork(tip, at)
        while at.number < tip.number and time.monotonic() < until_s:
            at = self._step(tip, at)
        self.done.is_at_head = at.number == tip.number
        settle(self.chain, final=min(tip.final, at.number))

    def _start(self, tip: Tip) -> Link:
        """Where the run goes on; first, and after a long gap, an hour behind the head."""
        at = cursors.position(cursors.of(self.chain))
        if at is not None and tip.time_s - at.time_s <= LONGEST_GAP_S:
            return at
        parent = self._an_hour_back(tip)
        if at is not None and at.number >= parent.number:
            return at
        self._store(at, parent, [])
        return parent

    def _an_hour_back(self, tip: Tip) -> Link:
        """The block before the first one of its minute, so that each leaf has its whole minute."""
        since_s = leaves.minute_of(tip.time_s - FIRST_S)
        return before(self.source, finding.first_since(self.source, since_s, high=tip.number))

    def _holds(self, tip: Tip, at: Link) -> bool:
        """Whether a head that is no news is on the chain as it is stored: old, but no fork."""
        if tip.number == at.number:
            return tip.hash == at.hash
        known = storing.links(self.chain, first=tip.number, last=tip.number)
        return not known or known[0].hash == tip.hash

    def _step(self, tip: Tip, at: Link) -> Link:
        traffic = self._read(at, tip)
        found = leaves.linked(traffic, at)
        return self._store(at, at, found) if found else self._fork(tip, at)

    def _read(self, after: Link, tip: Tip) -> list[Traffic]:
        last = min(tip.number, after.number + self.batch)
        return self.source.traffic(range(after.number + 1, last + 1))

    def _fork(self, tip: Tip, at: Link) -> Link:
        """Puts the new branch in place of the old one, in one transaction."""
        common = self._common(tip, at)
        after = common or self._an_hour_back(tip)
        found = leaves.linked(self._read(after, tip), after) if after != at else []
        if not found:
            raise NotAChain(f"block {after.number + 1} does not follow block {after.number}")
        return self._store(at, after, found, wipes=common is None)

    def _common(self, tip: Tip, at: Link) -> Link | None:
        """The last block that both the stored and the told chain have; None where there is none.

        Raises PastFinality where that is before the last final one, for the first two minutes.
        """
        high = min(at.number, tip.number)
        final = self._final()
        recent = storing.links(self.chain, first=high - FORK_CAP + 1, last=high)
        found = self._highest(recent) or self._highest(final)
        if found is None or (final and found.number < final[0].number):
            self._doubt(final)
            found = found or self._search(high)
        return found

    def _final(self) -> list[Link]:
        """The last final block, where it is stored."""
        number = cursors.of(self.chain).final_block
        return [] if number is None else storing.links(self.chain, first=number, last=number)

    def _highest(self, known: Sequence[Link]) -> Link | None:
        """The last of the stored blocks that the chain still has."""
        if not known:
            return None
        headers = self.source.headers([link.number for link in known])
        told = zip(known, headers, strict=True)
        same = [link for link, header in told if link.hash == header.hash]
        return same[-1] if same else None

    def _doubt(self, final: Sequence[Link]) -> None:
        if not final:
            return
        since = cursors.went_astray(self.chain, now=self.now)
        if self.now - since < BELIEVED_AFTER:
            raise PastFinality(
                f"the providers tell another chain than the one whose block {final[0].number} was "
                f"final; theirs is taken if they stay at it for {BELIEVED_AFTER.seconds} s"
            )
        log.error("final blocks are replaced", chain=self.chain, final=final[0].number)

    def _search(self, high: int) -> Link | None:
        """The last end of a leaf that the chain still has, found by halves."""
        known = storing.ends(self.chain, upto=high)
        low, top = 0, len(known)
        while low < top:
            middle = (low + top) // 2
            if self._highest(known[middle : middle + 1]):
                low = middle + 1
            else:
                top = middle
        return known[low - 1] if low else None

    def _store(
        self, at: Link | None, after: Link, found: Sequence[Traffic], *, wipes: bool = False
    ) -> Link:
        """Stores blocks after `after`; returns where the cursor is, also where another moved it."""
        place = Place(chain=self.chain, expected=at, after=after, wipes=wipes)
        if replace_after(place, found, now=self.now):
            self.done.blocks += len(found)
            self.done.depth += place.depth
            if place.depth:
                metrics.activity_reorgs.labels(self.chain).inc()
                log.warning("a fork took blocks back", chain=self.chain, depth=place.depth)
        return cursors.position(cursors.of(self.chain)) or after


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where blocks go: after `after`, if the cursor still is at `expected`.

    `wipes` leaves nothing of what was stored: none of it is on the chain.
    """

    chain: str
    expected: Link | None
    after: Link
    wipes: bool = False

    @property
    def depth(self) -> int:
        """How many scanned blocks are taken back."""
        if self.expected is None:
            return 0
        return max(int(self.wipes), self.expected.number - self.after.number)


@transaction.atomic
def replace_after(place: Place, traffic: Sequence[Traffic], *, now: datetime) -> bool:
    """Makes these blocks all that follows `place.after`, and moves the cursor to the last of them.

    False, and nothing done, where another scanner has moved the cursor. Raises LockBusy.
    """
    storing.hold(place.chain)
    row = cursors.held(place.chain)
    if cursors.position(row) != place.expected:
        return False
    found = _leaves(place, traffic, now=now)
    last = leaves.link_of(traffic[-1].header) if traffic else place.after
    _forget(place, row)
    storing.put(place.chain, found, final=-1)
    cursors.move(row, last, depth=place.depth, now=now)
    if place.depth or traffic:
        top = max(last.number, place.expected.number if place.expected else 0)
        records.refresh(place.chain, first=place.after.number + 1, last=top)
    return True


def _leaves(place: Place, traffic: Sequence[Traffic], *, now: datetime) -> list[Leaf]:
    """The blocks as leaves, the first joined with what its minute had before, as far as kept."""
    found = leaves.split(traffic, place.after)
    newest_s = found[-1].bucket_s if found else 0
    if newest_s > now.timestamp() + AHEAD_S:
        raise NotAChain(f"block {traffic[-1].header.number} is dated more than a day ahead")
    stored = storing.of_block(place.chain, place.after.number)
    base = leaves.upto(stored, place.after.number) if stored else None
    if base and found and base.bucket_s == found[0].bucket_s:
        found[0] = leaves.joined(base, found[0])
    elif base and base is not stored:
        found.insert(0, base)
    kept_s = windows.oldest(now).timestamp()
    return [leaf for leaf in found if leaf.bucket_s >= kept_s]


def _forget(place: Place, row: ActivityCursor) -> None:
    if not place.depth:
        return
    after = -1 if place.wipes else place.after.number
    storing.forget_after(place.chain, after)
    if row.final_block is not None:
        row.final_block = min(row.final_block, after)
    if place.wipes:
        ActivityRecord.objects.filter(chain=place.chain).delete()


@transaction.atomic
def settle(chain: str, *, final: int) -> int:
    """Marks leaves up to the block `final` as final and rolls up hours that are over; how many.

    A leaf to which the next block may still be added waits for that. Raises LockBusy.
    """
    row = cursors.of(chain)
    if row.last_block is None or (row.final_block is not None and row.final_block >= final):
        return 0
    storing.hold(chain)
    row = cursors.held(chain)
    ready = ActivityLeaf.objects.filter(
        chain=chain, state=LeafState.PROVISIONAL, last_block__lte=final
    ).filter(last_block__lt=row.last_block)
    buckets = [round(start.timestamp()) for start in ready.values_list("bucket_start", flat=True)]
    ready.update(state=LeafState.FINAL)
    ActivityCursor.objects.filter(pk=chain).update(final_block=final)
    hours = {rolling.start_of(Span.HOUR, bucket_s) for bucket_s in buckets}
    return rolling.roll(chain, Span.HOUR, hours | _hour_before(chain, buckets))


def _hour_before(chain: str, buckets: Sequence[int]) -> set[int]:
    """The hour of the last leaf before these: its end is known only now."""
    if not buckets:
        return set()
    earlier = storing.last_bucket_before(chain, min(buckets))
    return set() if earlier is None else {rolling.start_of(Span.HOUR, earlier)}


def before(source: Source, number: int) -> Link:
    """The block before one; for block 0, which has none, a block of its own time."""
    if number > 0:
        return leaves.link_of(source.headers([number - 1])[0])
    (first,) = source.headers([0])
    return Link(number=-1, hash=first.parent_hash, time_s=first.time_s)
