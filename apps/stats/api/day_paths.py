"""`/api/v1/stats/activity/days`: days that are over, counted, and longer spans, estimated."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.errors import HttpError
from pydantic import Field

from apps.stats.activity.sealing import Estimated, Sealed
from apps.stats.api import asked, remembered, schemas
from apps.stats.api.answers import FAULTS, answer, weighing
from apps.stats.api.asked import LAST_MS, OfChain, Within
from moonx.core import clock
from moonx.core.intervals import to_ms

router = Router(tags=["Statistics"])

WEIGHT = 5
MOST_DAYS = 366
BY_DEFAULT = timedelta(days=30)
DAY = timedelta(days=1)
COUNTED = ("senders", "participants", "transactions")
MOMENT = timedelta(microseconds=1)


class Wanted(OfChain, Within):
    """A chain, and a window in which days begin."""

    since: int | None = Field(
        None,
        alias="from",
        ge=0,
        le=LAST_MS,
        description=f"Days that begin from this time on, ms. By default {BY_DEFAULT.days} days "
        f"before the end, at most {MOST_DAYS}.",
    )


@router.get("/days", response={200: schemas.Days, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def days(request: HttpRequest, wanted: Query[Wanted]) -> HttpResponse:
    """The days (UTC) of a chain that are over, oldest first, and the week and month of the newest.

    A day is counted exactly once its blocks are final, and is kept for ever. Who was active on two
    days is counted in both: those of a week and a month are estimated from a sketch of each day,
    right within `error`, relatively, in two of three cases. `days` of `ofDays` were over.
    """
    chain, now = asked.chain(wanted.chain), clock.db_now()
    window = asked.window(wanted, now=now, by_default=BY_DEFAULT)
    first, last = _days_of(window)
    found, week, month = remembered.sealed(chain.slug, first, last)
    body = {
        "chain": chain.slug,
        "chainId": chain.chain_id,
        "days": [_day(one) for one in found],
        "week": _estimated(week),
        "month": _estimated(month),
    }
    return answer(request, body, asOf=to_ms(now))


def _days_of(window: asked.Window) -> tuple[date, date]:
    """The first and the last day that begin in a window; HttpError 400 for too many."""
    if window.span > MOST_DAYS * DAY:
        raise HttpError(400, f"from: ask for at most {MOST_DAYS} days at a time.")
    first = (window.start.astimezone(UTC) + DAY - MOMENT).date()
    return first, (window.end.astimezone(UTC) - MOMENT).date()


def _day(one: Sealed) -> dict[str, Any]:
    return {
        "day": one.day.isoformat(),
        "time": _midnight_ms(one.day),
        **{name: getattr(one, name) for name in COUNTED},
        "coverage": format(one.coverage.normalize(), "f"),
        "exact": True,
    }


def _estimated(found: Estimated) -> dict[str, Any]:
    """A span's figures; null where none of its days is known, which is not nobody."""
    return {
        "from": _midnight_ms(found.first),
        "to": _midnight_ms(found.last + DAY),
        **{name: getattr(found, name) if found.days else None for name in COUNTED},
        "days": found.days,
        "ofDays": found.of_days,
        "coverage": format(found.coverage.normalize(), "f"),
        "estimated": True,
        "error": format(found.error, "f"),
    }


def _midnight_ms(day: date) -> int:
    return to_ms(datetime(day.year, day.month, day.day, tzinfo=UTC))
