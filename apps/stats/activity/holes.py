"""Holes of the last 24 hours, which scans fill in by themselves, the newest blocks first."""

from collections.abc import Sequence
from datetime import datetime

from apps.stats.activity import backfilling, leaves, scanning, storing
from apps.stats.activity.backfilling import BATCH, BackfillRefused
from apps.stats.activity.source import Source
from moonx.core.chains.blocks import Traffic

WIDER = (1, 2, 10)  # batches read at once, where all blocks of fewer are of one minute


def fill_newest(chain: str, source: Source, *, since: datetime, batch: int = BATCH) -> int:
    """Fills in the last blocks of the newest hole since a moment; returns how many.

    By whole minutes, some `batch` blocks: what is left of the hole is for the next call. Without a
    hole nothing is asked. Raises BackfillRefused, CallFailed, LockBusy.
    """
    since_s = int(since.timestamp())
    hole = storing.newest_hole(chain, since_s=since_s)
    if hole is None:
        return 0
    for batches in WIDER:
        first = max(hole[0], hole[1] - batches * batch + 1)
        traffic = source.traffic(range(first, hole[1] + 1))
        skipped = _skipped(traffic, since_s=since_s, is_whole=first == hole[0])
        if skipped < len(traffic):
            return _fill(chain, source, traffic, skipped)
    raise BackfillRefused(
        f"The providers of {chain} tell {WIDER[-1] * batch:,} blocks of one minute before block "
        f"{hole[1] + 1:,}. Look at them: one of them makes blocks up."
    )


def _skipped(traffic: Sequence[Traffic], *, since_s: int, is_whole: bool) -> int:
    """How many of the blocks come before the first minute that is wanted and complete.

    A leaf holds its minute from the first known block on: half a minute would take the place of
    what is stored of the other half.
    """
    times = [block.header.time_s for block in traffic]
    wanted_s = leaves.minute_of(since_s)
    if not is_whole:
        wanted_s = max(wanted_s, leaves.minute_of(times[0]) + leaves.MINUTE_S)
    return sum(time_s < wanted_s for time_s in times)


def _fill(chain: str, source: Source, traffic: Sequence[Traffic], skipped: int) -> int:
    kept = traffic[skipped:]
    parent = (
        leaves.link_of(traffic[skipped - 1].header)
        if skipped
        else scanning.before(source, kept[0].header.number)
    )
    if len(leaves.linked(kept, parent)) != len(kept):
        raise BackfillRefused(
            f"The providers of {chain} tell blocks {kept[0].header.number:,} to "
            f"{kept[-1].header.number:,} that do not follow one another."
        )
    backfilling.fill(chain, kept, parent)
    return len(kept)
