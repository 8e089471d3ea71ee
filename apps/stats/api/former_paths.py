"""`/api/stats`: daily active addresses as the former services told them."""

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from apps.stats.activity import records
from apps.stats.api import asked, schemas
from apps.stats.api.answers import FAULTS, answer, weighing
from apps.stats.api.asked import OfChain, aligned
from moonx.core import clock

router = Router(tags=["Statistics"])

WEIGHT = 5


@router.get("/24h", response={200: schemas.Former24h, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def last_day(request: HttpRequest, wanted: Query[OfChain]) -> HttpResponse:
    """The last 24 hours of a chain: `dau` is the number of distinct senders in that time."""
    chain = asked.chain(wanted.chain)
    told = records.day(chain.slug, aligned(clock.db_now()))
    return answer(request, told)


@router.get("/history", response={200: schemas.FormerHistory, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def history(request: HttpRequest, wanted: Query[OfChain]) -> HttpResponse:
    """The records of 1,200 blocks that are kept, oldest first."""
    return answer(request, records.history(asked.chain(wanted.chain).slug))
