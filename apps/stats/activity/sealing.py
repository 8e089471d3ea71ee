"""Days that are over: totals and sketches, kept for ever, and longer spans merged from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Count, F, Max, Sum

from apps.stats.activity import gathering, rolling, sets, sketches, storing, windows
from apps.stats.activity.sets import Hashes
from apps.stats.models import ActivityCursor, ActivityDay, ActivityLeaf, Span
from moonx.core import logs, metrics, outbox
from moonx.core.events import SystemAlert

log = logs.get("moonx.activity_days")

DAY_S = rolling.LENGTH_S[Span.DAY]
FIELDS = (
    *("blocks", "first_block", "last_block", "transactions", "gas_used", "senders", "participants"),
    *("covered_s", "senders_sketch", "participants_sketch", "sealed_at"),
)
# Sealing a day rolls it up, and the roll-up goes when a leaf of it changes: days without one are
# to be sealed, or sealed anew.
OPEN = """
SELECT DISTINCT extract(epoch FROM date_trunc('day', bucket_start, 'UTC'))::bigint
FROM stats_activity_leaf l WHERE chain = %s AND NOT EXISTS (
  SELECT FROM stats_activity_rollup r WHERE r.chain = l.chain AND r.span = 'day'
    AND r.start = date_trunc('day', l.bucket_start, 'UTC'))
ORDER BY 1
"""
OLDEST_OPEN = """
SELECT min(bucket_start) FROM stats_activity_leaf l WHERE bucket_start < %s AND NOT EXISTS (
  SELECT FROM stats_activity_rollup r WHERE r.chain = l.chain AND r.span = 'day'
    AND r.start = date_trunc('day', l.bucket_start, 'UTC'))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated:
    """About how many addresses were active in [first, last], from the sketches of the days.

    The true figures lie within `error` of these, relatively, in two of three cases. `days` are the
    sealed ones among `of_days`, whose transactions are added up. `coverage` is the share of the
    span's seconds of which everything is known, rounded down.
    """

    chain: str
    first: date
    last: date
    senders: int
    participants: int
    transactions: int
    error: Decimal
    days: int
    of_days: int
    coverage: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """The totals of a day that is over: distinct addresses, counted exactly over its known blocks.

    `coverage` is the share of its seconds of which everything is known, rounded down.
    """

    day: date
    senders: int
    participants: int
    transactions: int
    coverage: Decimal


def seal_days(chain: str, *, now: datetime) -> int:
    """Seals every day that is over, final, and new or changed; returns how many.

    The oldest kept day, and one before it, is sealed as it stands: its sets are about to go, and a
    chain that stopped in the middle of a day may never end it. Raises LockBusy.
    """
    with connection.cursor() as cursor:
        cursor.execute(OPEN, [chain])
        days = [start for (start,) in cursor.fetchall()]
    goes_s = windows.oldest(now).timestamp()
    return sum(_seal(chain, day_s, now=now, as_it_stands=day_s <= goes_s) for day_s in days)


def oldest_open(*, now: datetime) -> datetime | None:
    """When the oldest leaf of a day was that is no longer kept but not sealed; of any chain."""
    with connection.cursor() as cursor:
        cursor.execute(OLDEST_OPEN, [windows.oldest(now)])
        (found,) = cursor.fetchone()
    return None if found is None else found.astimezone(UTC)


@transaction.atomic
def _seal(chain: str, start_s: int, *, now: datetime, as_it_stands: bool) -> bool:
    storing.hold(chain)
    rolling.roll_missing(chain, Span.HOUR)
    is_rolled = rolling.roll(chain, Span.DAY, [start_s]) or (
        as_it_stands and rolling.write(chain, Span.DAY, start_s)
    )
    if not is_rolled:
        return False
    row = _day(chain, start_s=start_s, now=now)
    ActivityDay.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["chain", "day"], update_fields=FIELDS
    )
    return True


def _day(chain: str, *, start_s: int, now: datetime) -> ActivityDay:
    found = gathering.of_times(chain, start_s=start_s, end_s=start_s + DAY_S)
    first, last = found.reach
    day = _moment(start_s).date()
    senders = sets.union(found.senders)
    participants = sets.union([senders, *found.recipients])
    cursor = ActivityCursor.objects.get(pk=chain)
    return ActivityDay(
        chain=chain,
        day=day,
        blocks=_known_blocks(chain, start_s=start_s),
        first_block=first,
        last_block=last,
        transactions=found.transactions,
        gas_used=found.gas_used,
        senders=len(senders),
        participants=len(participants),
        covered_s=windows.covered_s(found, cursor, start_s=start_s, end_s=start_s + DAY_S),
        senders_sketch=_checked_sketch(senders, what=f"senders on {chain}, {day}"),
        participants_sketch=_checked_sketch(participants, what=f"participants on {chain}, {day}"),
        sealed_at=now,
    )


def _known_blocks(chain: str, *, start_s: int) -> int:
    """How many blocks of the day are stored: between its first and last some may be missing."""
    day = ActivityLeaf.objects.filter(
        chain=chain, bucket_start__gte=_moment(start_s), bucket_start__lt=_moment(start_s + DAY_S)
    )
    known: int = day.aggregate(known=Sum(F("last_block") - F("first_block") + 1))["known"]
    return known


def _checked_sketch(hashes: Hashes, *, what: str) -> bytes:
    """The sketch of a set. It and the exact count check each other: an alarm where they cannot both
    be right."""
    sketch = sketches.of(hashes)
    estimated = sketches.estimate(sketch)
    if sketches.disagree(exact=len(hashes), estimated=estimated):
        alarm(what, exact=len(hashes), estimated=estimated)
    return sketches.to_bytes(sketch)


def alarm(what: str, *, exact: int, estimated: int) -> None:
    """Tells operators that an exact count and its sketch differ; in the current transaction."""
    metrics.activity_disagreements.inc()
    message = (
        f"{exact} {what} were counted, and their sketch says {estimated}: further apart than "
        f"{sketches.SIGMAS} standard errors. One of them is wrong; backfill the day anew."
    )
    log.error("a count and its sketch disagree", what=what, exact=exact, estimated=estimated)
    outbox.emit(SystemAlert(subject="activity", message=message))


def version(chain: str) -> tuple[int, datetime | None]:
    """What all sealed days of a chain follow from: where it is the same, so are they."""
    found = ActivityDay.objects.filter(chain=chain).aggregate(Count("pk"), Max("sealed_at"))
    return found["pk__count"], found["sealed_at__max"]


def sealed(chain: str, *, first: date, last: date) -> list[Sealed]:
    """The sealed days from `first` to `last`, both included, oldest first."""
    rows = ActivityDay.objects.filter(chain=chain, day__gte=first, day__lte=last).order_by("day")
    return [
        Sealed(
            day=row.day,
            senders=row.senders,
            participants=row.participants,
            transactions=row.transactions,
            coverage=windows.share(row.covered_s, of_s=DAY_S),
        )
        for row in rows.defer("senders_sketch", "participants_sketch")
    ]


def estimated(chain: str, *, first: date, last: date) -> Estimated:
    """About how many addresses were active from `first` to `last`, both included.

    For any span of sealed days, a week or a month: distinct addresses of days cannot be added up,
    and their sketches can be merged. Raises WindowRefused where `last` is before `first`.
    """
    if last < first:
        raise windows.WindowRefused("The last day must not be before the first.")
    rows = list(ActivityDay.objects.filter(chain=chain, day__gte=first, day__lte=last))
    of_days = (last - first).days + 1
    return Estimated(
        chain=chain,
        first=first,
        last=last,
        senders=_merged([row.senders_sketch for row in rows]),
        participants=_merged([row.participants_sketch for row in rows]),
        transactions=sum(row.transactions for row in rows),
        error=sketches.ERROR,
        days=len(rows),
        of_days=of_days,
        coverage=windows.share(sum(row.covered_s for row in rows), of_s=of_days * DAY_S),
    )


def week(chain: str, day: date) -> Estimated:
    """The week, Monday to Sunday, of a day."""
    monday = day - timedelta(days=day.weekday())
    return estimated(chain, first=monday, last=monday + timedelta(days=6))


def month(chain: str, day: date) -> Estimated:
    """The calendar month of a day."""
    first = day.replace(day=1)
    following = (first + timedelta(days=31)).replace(day=1)
    return estimated(chain, first=first, last=following - timedelta(days=1))


def _merged(stored: Sequence[bytes | memoryview]) -> int:
    return sketches.estimate(sketches.merged([sketches.from_bytes(one) for one in stored]))


def _moment(time_s: int) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)
