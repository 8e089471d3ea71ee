"""Activity by runs of 1,200 blocks, as the former service told it.

Runs are counted from block 0, so that they are the same whenever a scan began. A record is made of
the blocks of its run that are known, and replaced with every change of one; one in whose middle
blocks are missing is not told until they are filled in. Several records are merged as a union of
their sets: their counts are never summed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import F

from apps.stats.activity import cursors, gathering, leaves, sets, storing, telling, windows
from apps.stats.activity.gathering import Gathered
from apps.stats.activity.leaves import Leaf
from apps.stats.activity.windows import Activity
from apps.stats.models import ActivityCursor, ActivityRecord
from moonx.core.intervals import to_ms

BLOCKS = 1200
MERGED = 24

# Counts the last 24 hours of a chain up to about this moment.
CountDay = Callable[[str, ActivityCursor | None, datetime], Activity]

CHANGEABLE = [
    *("first_block", "last_block", "blocks", "start_time", "end_time", "transactions"),
    *("senders", "participants"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The newest whole records as one: distinct addresses over all of them."""

    records: int
    start_block: int
    end_block: int
    start_time: datetime
    end_time: datetime
    transactions: int
    unique_addresses: int


def refresh(chain: str, *, first: int, last: int) -> None:
    """Makes the records of the blocks `first` to `last` anew from the leaves.

    The caller holds the chain's lock.
    """
    numbers = range(first // BLOCKS, last // BLOCKS + 1)
    known = storing.of_blocks(chain, first=numbers[0] * BLOCKS, last=_last_of(numbers[-1]))
    rows = [row for number in numbers if (row := _record(chain, number, known))]
    made = {row.number for row in rows}
    gone = [number for number in numbers if number not in made]
    ActivityRecord.objects.filter(chain=chain, number__in=gone).delete()
    ActivityRecord.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["chain", "number"],
        update_fields=CHANGEABLE,
    )


def _record(chain: str, number: int, known: Sequence[Leaf]) -> ActivityRecord | None:
    first, last = number * BLOCKS, _last_of(number)
    cuts = [leaves.within_blocks(leaf, first=first, last=last) for leaf in known]
    parts = [cut for cut in cuts if cut is not None]
    if not parts:
        return None
    found = Gathered()
    for part in parts:
        found.add_leaf(part)
    return ActivityRecord(
        chain=chain,
        number=number,
        first_block=parts[0].first_block,
        last_block=parts[-1].last.number,
        blocks=sum(len(part.blocks) for part in parts),
        start_time=_moment(parts[0].link(0).time_s),
        end_time=_moment(parts[-1].last.time_s),
        transactions=found.transactions,
        senders=sets.count(found.senders),
        participants=sets.count([*found.senders, *found.recipients]),
    )


def _last_of(number: int) -> int:
    return (number + 1) * BLOCKS - 1


def _told(chain: str) -> Any:
    """The records without a hole, oldest first; the newest may still be growing."""
    found = ActivityRecord.objects.filter(
        chain=chain, blocks=F("last_block") - F("first_block") + 1
    )
    return found.order_by("number")


def history(chain: str) -> dict[str, Any]:
    """The records that are kept, oldest first, as the former service told them.

    `uniqueAddresses` are distinct senders. The oldest record may begin, and the newest end, in the
    middle of its run: they tell the blocks that they are made of.
    """
    return {
        "chain": chain,
        "retentionDays": windows.KEEP_DAYS,
        "records": [
            {
                "startBlock": row.first_block,
                "endBlock": row.last_block,
                "startTime": to_ms(row.start_time),
                "endTime": to_ms(row.end_time),
                "transactions": row.transactions,
                "uniqueAddresses": row.senders,
            }
            for row in _told(chain)
        ],
    }


def _count_day(chain: str, _: ActivityCursor | None, now: datetime) -> Activity:
    return windows.activity(chain, now - windows.DAY, now, now)


def day(chain: str, now: datetime, *, count: CountDay = _count_day) -> dict[str, Any]:
    """The last 24 hours as the former service told them: a union by time, not a number of records.

    `records` is how many records end in them. The figures are those that the last scan left, where
    they are of this minute and no leaf changed since, and those of `count` otherwise.
    """
    row = ActivityCursor.objects.filter(pk=chain).first()
    start = now - windows.DAY
    found = telling.standing(row, now=now) or count(chain, row, now).wire()
    return {
        "chain": chain,
        "from": found["from"],
        "to": found["to"],
        "dau": found["senders"],
        "participants": found["participants"],
        "transactions": found["transactions"],
        "records": _told(chain).filter(end_time__gte=start, end_time__lt=now).count(),
        "coverage": found["coverage"],
        "lastProcessedBlock": row.last_block if row else None,
        "status": cursors.status(row, now=now),
        "asOf": found["asOf"],
    }


def merged(chain: str, *, since: datetime, count: int = MERGED) -> Merged | None:
    """The newest `count` whole records as one; None where there is no whole one.

    Of those that begin at `since` or later, from when on sets are kept: on a slow chain there are
    fewer.
    """
    whole = ActivityRecord.objects.filter(chain=chain, blocks=BLOCKS, start_time__gte=since)
    rows = list(whole.order_by("-number")[:count])
    if not rows:
        return None
    found = Gathered()
    for first, last in _stretches(sorted(row.number for row in rows)):
        part = gathering.of_blocks(chain, first=first * BLOCKS, last=_last_of(last))
        found.senders += part.senders
        found.transactions += part.transactions
    return Merged(
        records=len(rows),
        start_block=rows[-1].first_block,
        end_block=rows[0].last_block,
        start_time=rows[-1].start_time,
        end_time=rows[0].end_time,
        transactions=found.transactions,
        unique_addresses=sets.count(found.senders),
    )


def _stretches(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Numbers in order as ranges without a gap."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def prune(*, before: datetime) -> int:
    """Removes the records that ended before a moment; returns how many."""
    gone, _ = ActivityRecord.objects.filter(end_time__lt=before).delete()
    return gone


def _moment(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
