"""How far each chain was scanned, how its runs went, and what of it operators are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F
from django.db.models.functions import Greatest

from apps.stats.activity.leaves import Link
from apps.stats.models import ActivityCursor
from moonx.core import metrics
from moonx.core.intervals import to_ms

# A run ends well within a minute: one that says it has run for longer died.
LONGEST_RUN = timedelta(minutes=1)
# In one statement: two scanners may fail at once.
COUNT = """
UPDATE stats_activity_cursor SET last_error = %s, running_since = NULL, last_error_at = %s,
  errors = errors || jsonb_build_object(%s::text, coalesce((errors->>%s)::bigint, 0) + 1)
WHERE chain = %s
"""
MOVED = (
    *("last_block", "last_hash", "last_time", "final_block", "version", "astray_since"),
    *("reorgs", "deepest_reorg", "last_reorg_depth", "last_reorg_at"),
)
RUNNING, IDLE = "running", "idle"
PAST_FINALITY = "pastFinality"  # beside the faults of calls
LONGEST_MESSAGE = 500


def of(chain: str) -> ActivityCursor:
    """The chain's cursor; made where there is none yet."""
    row, _ = ActivityCursor.objects.get_or_create(chain=chain)
    return row


def held(chain: str) -> ActivityCursor:
    """The chain's cursor as it is while the chain's lock is held."""
    return ActivityCursor.objects.get(chain=chain)


def position(row: ActivityCursor) -> Link | None:
    """The last block that was scanned; None before the first scan."""
    if row.last_block is None or row.last_hash is None or row.last_time is None:
        return None
    time_s = round(row.last_time.timestamp())
    return Link(number=row.last_block, hash=bytes(row.last_hash), time_s=time_s)


def move(row: ActivityCursor, last: Link, *, depth: int, now: datetime) -> None:
    """Puts the cursor on a block; `depth` blocks after it were no longer on the chain."""
    row.last_block, row.last_hash = last.number, last.hash
    row.last_time = datetime.fromtimestamp(last.time_s, UTC)
    row.version += 1
    row.astray_since = None
    if depth:
        row.reorgs += 1
        row.deepest_reorg = max(row.deepest_reorg, depth)
        row.last_reorg_depth, row.last_reorg_at = depth, now
    # The rest of the row belongs to others, who do not hold the chain's lock.
    row.save(update_fields=MOVED)


def begin(chain: str, *, now: datetime) -> None:
    """Notes that a run began."""
    of(chain)
    ActivityCursor.objects.filter(pk=chain).update(running_since=now)


def ended(chain: str, *, is_at_head: bool, now: datetime) -> None:
    """Notes that a run got through, and whether nothing was left to scan."""
    values: dict[str, Any] = {"running_since": None, "updated_at": now, "astray_since": None}
    if is_at_head:
        values["checked_at"] = Greatest(F("checked_at"), now)
    ActivityCursor.objects.filter(pk=chain).update(**values)


def failed(chain: str, kind: str, message: str, *, now: datetime) -> None:
    """Counts a run that did not get through, by what went wrong."""
    of(chain)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [message[:LONGEST_MESSAGE], now, kind, kind, chain])
    metrics.activity_errors.labels(chain, kind).inc()


def went_astray(chain: str, *, now: datetime) -> datetime:
    """Notes that the providers deny what was final; returns since when they have."""
    ActivityCursor.objects.filter(pk=chain, astray_since=None).update(astray_since=now)
    since: datetime | None = ActivityCursor.objects.values_list("astray_since", flat=True).get(
        pk=chain
    )
    return since or now


def is_running(row: ActivityCursor, *, now: datetime) -> bool:
    """Whether a run is under way."""
    return row.running_since is not None and now - row.running_since < LONGEST_RUN


def status(row: ActivityCursor | None, *, now: datetime) -> str:
    """`running` or `idle`, as the former service told it."""
    return RUNNING if row and is_running(row, now=now) else IDLE


def processing(*, now: datetime) -> dict[str, dict[str, Any]]:
    """How the scan of each chain stands, by slug, as `/health` tells it.

    `ageSeconds` is how long ago a run last got through, null before the first.
    """
    return {row.chain: _told(row, now=now) for row in ActivityCursor.objects.all()}


def _told(row: ActivityCursor, *, now: datetime) -> dict[str, Any]:
    updated = row.updated_at
    return {
        "status": status(row, now=now),
        "lastProcessedBlock": row.last_block,
        "updatedAt": to_ms(updated) if updated else None,
        "ageSeconds": max(0, round((now - updated).total_seconds())) if updated else None,
        "errors": dict(row.errors),
    }
