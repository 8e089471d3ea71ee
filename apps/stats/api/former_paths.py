"""`/api/stats`: daily active addresses as the former services told them."""

from decimal import Decimal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from apps.stats.activity import cursors, records
from apps.stats.api import asked, remembered, schemas
from apps.stats.api.answers import FAULTS, answer, weighing
from apps.stats.api.asked import OfChain, aligned
from apps.stats.models import ActivityCursor
from moonx.core import clock

router = Router(tags=["Statistics"])

WEIGHT = 5
COUNTS = ("dau", "participants", "transactions")


@router.get("/24h", response={200: schemas.Former24h, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def last_day(request: HttpRequest, wanted: Query[OfChain]) -> HttpResponse:
    """The last 24 hours of a chain: `dau` is the number of distinct senders in that time."""
    chain = asked.chain(wanted.chain)
    row, now = ActivityCursor.objects.filter(pk=chain.slug).first(), clock.db_now()
    told = remembered.day(chain.slug, aligned(now), remembered.version(row))
    told = {**told, "status": cursors.status(row, now=now)}
    if not told["transactions"] and not Decimal(told["coverage"]):
        # Nothing is known of these hours, which is not nobody.
        told |= dict.fromkeys(COUNTS)
    return answer(request, told)


@router.get("/history", response={200: schemas.FormerHistory, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def history(request: HttpRequest, wanted: Query[OfChain]) -> HttpResponse:
    """The records of 1,200 blocks that are kept, oldest first."""
    return answer(request, records.history(asked.chain(wanted.chain).slug))
