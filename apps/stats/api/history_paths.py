"""Histories of chains and bridges: what was measured over time, raw and by the hour."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.errors import HttpError
from pydantic import Field

from apps.stats.api import asked, remembered, schemas
from apps.stats.api.answers import FAULTS, answer, weighing
from apps.stats.api.asked import Step, Stepped, Window
from apps.stats.bridges import history as bridges
from apps.stats.models import BridgeHour, BridgeSample, ChainSample
from moonx.core import clock
from moonx.core.intervals import Interval, to_ms

router = Router(tags=["Statistics"])

WEIGHT = 10
MOST_POINTS = 20_000
WORD = "^[A-Za-z0-9]{1,20}$"


class Newest(Stepped):
    """A window of one chain's history, and how much of it."""

    limit: int = Field(1_500, ge=1, le=5_000, description="The newest so many points.")


class OfBridges(Stepped):
    """Which bridges, and when. What is not named is any."""

    provider: str = Field("", pattern=WORD, description="As `lifi`.")
    corridor: str = Field(
        "",
        pattern="^[a-z0-9]{1,20}-[a-z0-9]{1,20}$",
        description="From which chain to which, as `ethereum-base`.",
    )
    size: int | None = Field(None, ge=1, le=10**9, description="How many whole coins.")
    limit: int = Field(500, ge=1, le=5_000, description="The newest so many points of each series.")

    def wanted(self) -> bridges.Wanted:
        """The subjects that are asked for."""
        source, _, target = self.corridor.partition("-")
        return bridges.Wanted(provider=self.provider, source=source, target=target, size=self.size)


@router.get(
    "/chains/{chain}/history", response={200: schemas.ChainHistory, **FAULTS}, by_alias=True
)
@weighing(WEIGHT)
def chain_history(request: HttpRequest, chain: str, wanted: Query[Newest]) -> HttpResponse:
    """What a chain did over time, by its slug or id. By default the last 24 hours."""
    now = clock.db_now()
    found = asked.chain(chain)
    window, step = asked.stepped(wanted, now=now)
    window = _newest(found.slug, window, step, limit=wanted.limit)
    body = {
        "chain": found.slug,
        "chainId": found.chain_id,
        "from": to_ms(window.start),
        "to": to_ms(window.end),
        "step": step.value,
        "points": remembered.chain_points(found.slug, window.start, window.end, step),
    }
    return answer(request, body, asOf=to_ms(now))


def _newest(slug: str, window: Window, step: Step, *, limit: int) -> Window:
    """The part of the window that holds its newest points, so that no more are read."""
    if step is Step.HOUR:
        first = Interval.H1.shift(Interval.H1.ceil(window.end), -limit)
        return Window(start=max(Interval.H1.floor(window.start), first), end=window.end)
    rows = ChainSample.objects.filter(chain=slug, at__gte=window.start, at__lt=window.end)
    times = rows.order_by("-at").values_list("at", flat=True)[limit - 1 : limit]
    return Window(start=next(iter(times), window.start), end=window.end)


@router.get("/bridges/history", response={200: schemas.BridgeHistory, **FAULTS}, by_alias=True)
@weighing(WEIGHT)
def bridge_history(request: HttpRequest, wanted: Query[OfBridges]) -> HttpResponse:
    """What bridges did over time, one series for each bridge, corridor and size.

    By default the last 24 hours. Without a `step`, by the hour where there are too many requests to
    tell each of them.
    """
    now = clock.db_now()
    window, step = asked.stepped(wanted, now=now)
    if wanted.step is None and step is Step.RAW and _are_many(_samples(wanted, window)):
        step = Step.HOUR
    window = _checked(wanted, window, step)
    series = remembered.bridge_series(
        wanted.wanted(), window.start, window.end, step, limit=wanted.limit
    )
    body = {
        "from": to_ms(window.start),
        "to": to_ms(window.end),
        "step": step.value,
        "series": series,
    }
    return answer(request, body, asOf=to_ms(now))


def _checked(wanted: OfBridges, window: Window, step: Step) -> Window:
    """The window, its first hour whole; HttpError 400 where it has more points than are told."""
    if step is Step.HOUR:
        window = Window(start=Interval.H1.floor(window.start), end=window.end)
    rows = _samples(wanted, window) if step is Step.RAW else _hours(wanted, window)
    if _are_many(rows):
        raise HttpError(
            400,
            f"There are more than {MOST_POINTS:,} points in this window: ask for a shorter one, a "
            "provider, a corridor or a size.",
        )
    return window


def _samples(wanted: OfBridges, window: Window) -> QuerySet[Any]:
    rows = BridgeSample.objects.filter(sampled_at__gte=window.start, sampled_at__lt=window.end)
    return wanted.wanted().of(rows)


def _hours(wanted: OfBridges, window: Window) -> QuerySet[Any]:
    rows = BridgeHour.objects.filter(hour__gte=window.start, hour__lt=window.end)
    return wanted.wanted().of(rows)


def _are_many(rows: QuerySet[Any]) -> bool:
    return rows.order_by()[: MOST_POINTS + 1].count() > MOST_POINTS
