"""`/api/stats`: daily active addresses as the former services told them."""

from dataclasses import asdict
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from apps.stats.activity import records, windows
from apps.stats.activity.windows import Activity
from apps.stats.api import asked, remembered, schemas
from apps.stats.api.answers import FAULTS, answer, weighing
from apps.stats.api.asked import OfChain, aligned
from apps.stats.models import ActivityCursor
from moonx.core import clock, events

router = Router(tags=["Statistics"])

WEIGHT = 5


@router.get("/24h", response={200: schemas.Former24h, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def last_day(request: HttpRequest, wanted: Query[OfChain]) -> HttpResponse:
    """The last 24 hours of a chain: `dau` is the number of distinct senders in that time."""
    chain = asked.chain(wanted.chain)
    return answer(request, records.day(chain.slug, clock.db_now(), count=_count))


def _count(chain: str, row: ActivityCursor | None, now: datetime) -> Activity:
    """The 24 hours up to an aligned moment: who asks at about the same time shares the answer."""
    end = aligned(now)
    return remembered.activity(chain, end - windows.DAY, end, remembered.version(row))


@router.get("/history", response={200: schemas.FormerHistory, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def history(request: HttpRequest, wanted: Query[OfChain]) -> HttpResponse:
    """The records of 1,200 blocks that are kept, oldest first, and the last 24 whole ones as one.

    `last24` counts an address once that is in several of them; null before the first whole one.
    """
    chain, since = asked.chain(wanted.chain).slug, windows.oldest(clock.db_now())
    at = remembered.version(ActivityCursor.objects.filter(pk=chain).first())
    merged = remembered.merged(chain, since, at)
    last24 = events.wire(asdict(merged)) if merged else None
    return answer(request, {**records.history(chain), "last24": last24})
