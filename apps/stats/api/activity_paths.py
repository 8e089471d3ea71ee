"""`/api/v1/stats/activity`: distinct addresses in windows of time, counted exactly."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.errors import HttpError

from apps.stats import freshness
from apps.stats.activity import sketches, windows
from apps.stats.activity.windows import COUNTS, Activity
from apps.stats.api import asked, remembered, schemas
from apps.stats.api.answers import FAULTS, answer, weighing
from apps.stats.api.asked import OfChain, Within, aligned
from apps.stats.freshness import Age, Kind
from apps.stats.models import ActivityCursor
from moonx.core import clock
from moonx.core.chains.models import Chain
from moonx.core.intervals import to_ms

router = Router(tags=["Statistics"])

WEIGHT, HOURS_WEIGHT = 5, 10
HOURS = 24
HOUR = timedelta(hours=1)


class Wanted(OfChain, Within):
    """A chain and a window."""


@router.get("", response={200: schemas.Activity, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def activity(request: HttpRequest, wanted: Query[Wanted]) -> HttpResponse:
    """Distinct senders and participants of a chain in any window of the last 7 days.

    By default the last 24 hours. The counts are exact for the blocks that are known; `coverage`
    says of how much of the window they are. The channel `activity:<chainId>` tells the last 24
    hours as they change.
    """
    chain, now = asked.chain(wanted.chain), clock.db_now()
    window = _window(wanted, now=now)
    row = ActivityCursor.objects.filter(pk=chain.slug).first()
    found = remembered.activity(chain.slug, window.start, window.end, remembered.version(row))
    now_ms, updated_ms = to_ms(now), to_ms(row.updated_at) if row and row.updated_at else None
    age = Age.of(updated_ms, now_ms=now_ms, after=freshness.after(Kind.ACTIVITY))
    body = {
        **_of_chain(chain),
        "from": to_ms(window.start),
        "to": to_ms(window.end),
        **_counted(found),
        "exact": found.exact,
        "firstBlock": found.first_block,
        "lastBlock": found.last_block,
        "lastProcessedBlock": row.last_block if row else None,
        "updatedAt": updated_ms,
        "isStale": age.is_stale,
        "staleAfterMs": age.after_ms,
    }
    return answer(request, body, asOf=now_ms, ageMs=age.ms)


@router.get("/hours", response={200: schemas.Hours, **FAULTS}, by_alias=True)
@weighing(HOURS_WEIGHT)
def hours(request: HttpRequest, wanted: Query[OfChain]) -> HttpResponse:
    """The last 24 whole hours of a chain and the running one, oldest first.

    Who was active in two of them is counted in both: the last 24 hours are `/activity`.
    """
    chain, now = asked.chain(wanted.chain), clock.db_now()
    at = remembered.version(ActivityCursor.objects.filter(pk=chain.slug).first())
    end = aligned(now)
    running = end.replace(minute=0, second=0, microsecond=0)
    starts = [running - HOUR * back for back in range(HOURS, -1, -1)]
    bars = [_hour(chain, start, min(start + HOUR, end), at) for start in starts]
    return answer(request, {**_of_chain(chain), "hours": bars}, asOf=to_ms(now))


def _window(wanted: Wanted, *, now: datetime) -> asked.Window:
    """The window that is asked for; HttpError 400 for one that cannot be answered."""
    found = asked.window(wanted, now=now)
    try:
        windows.check(found.start, found.end, now)
    except windows.WindowRefused as error:
        raise HttpError(400, str(error)) from None
    return found


def _hour(chain: Chain, start: datetime, end: datetime, at: remembered.Version) -> dict[str, Any]:
    if start == end:  # the hour begins at this very moment
        return {"time": to_ms(start), **_counted(None)}
    return {
        "time": to_ms(start),
        **_counted(remembered.activity(chain.slug, start, end, at)),
    }


def _of_chain(chain: Chain) -> dict[str, Any]:
    return {"chain": chain.slug, "chainId": chain.chain_id}


def _counted(found: Activity | None) -> dict[str, Any]:
    """The counts of a window; null without one, and where nothing is known of it."""
    counts = found.counts() if found else dict.fromkeys(COUNTS)
    coverage = found.coverage if found else Decimal(0)
    return {
        **counts,
        "hllError": format(sketches.ERROR, "f"),
        "coverage": format(coverage.normalize(), "f"),
    }
