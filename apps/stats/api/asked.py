"""What the paths of statistics are asked for: a chain, a window of time, steps and limits.

Everything is checked before a row is read: what cannot be answered is refused with a sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from ninja import Schema
from ninja.errors import HttpError
from pydantic import ConfigDict, Field

from apps.stats.freshness import HOURS_KEPT, RAW_KEPT
from moonx.core.chains import registry
from moonx.core.chains.models import Chain
from moonx.core.events import camel
from moonx.core.intervals import from_ms

LAST_MS = 253_370_764_800_000  # the year 9999 begins
DAY = timedelta(hours=24)
MS = timedelta(milliseconds=1)
# Windows up to now end on a whole one of these: who asks at the same time shares the answer.
ALIGNED_S = 5
# A clock that is a little ahead of ours still means now.
AHEAD = timedelta(minutes=1)
CHAIN_PATTERN = "^[A-Za-z0-9]{1,20}$"


class Step(StrEnum):
    """How far apart the points of a history lie: as they were sampled, or by the hour."""

    RAW = "raw"
    HOUR = "1h"

    @property
    def kept(self) -> timedelta:
        """For how long such points are kept."""
        return RAW_KEPT if self is Step.RAW else HOURS_KEPT


class Camel(Schema):
    """Parameters and JSON in camelCase."""

    model_config = ConfigDict(alias_generator=camel, populate_by_name=True)


class OfChain(Camel):
    """Which chain."""

    chain: str | None = Field(
        None,
        pattern=CHAIN_PATTERN,
        description="Slug or id, as `base` or `8453`; by default what `DEFAULT_CHAIN` says.",
    )


class Within(Camel):
    """A window of time, [from, to)."""

    since: int | None = Field(
        None,
        alias="from",
        ge=0,
        le=LAST_MS,
        description="From this time on, ms. By default 24 hours before the end.",
    )
    until: int | None = Field(
        None, alias="to", ge=0, le=LAST_MS, description="Before this time, ms. By default now."
    )


class Stepped(Within):
    """A window of a history, and how much of it."""

    step: Step | None = Field(
        None,
        description="`raw`, as sampled, kept 7 days; `1h`, folded by the hour, kept 90 days. By "
        "default `raw` for a window of up to 24 hours.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """[start, end), with start before end."""

    start: datetime
    end: datetime

    @property
    def span(self) -> timedelta:
        return self.end - self.start


def chain(slug_or_id: str | None) -> Chain:
    """The chain that is asked for; HttpError 404 where there is none."""
    try:
        return registry.find(slug_or_id or settings.ENV.default_chain)
    except registry.UnknownChain as error:
        raise HttpError(404, str(error)) from None


def window(asked: Within, *, now: datetime, by_default: timedelta = DAY) -> Window:
    """The window that is asked for, not yet held against what is kept.

    Without a beginning it is as long as `by_default`. Raises HttpError 400 for one that ends before
    it begins, or that is not over.
    """
    end = aligned(now) if asked.until is None else from_ms(asked.until)
    if end > now + AHEAD:
        raise HttpError(400, f"to: lies {_words(end - now)} ahead; the window has to be over.")
    end = min(end, now)
    start = end - by_default if asked.since is None else from_ms(asked.since)
    if start >= end:
        raise HttpError(400, "from: must be before to.")
    return Window(start=start, end=end)


def aligned(now: datetime) -> datetime:
    """The last moment whose seconds are a multiple of ALIGNED_S."""
    return now.replace(second=now.second // ALIGNED_S * ALIGNED_S, microsecond=0)


def kept(found: Window, *, now: datetime, of: timedelta, what: str) -> Window:
    """The window, if all of it is kept; HttpError 400 otherwise.

    `what` names what is kept, for the sentence. A minute's grace: who asks for exactly all that is
    kept has an older clock than ours by the time we read it.
    """
    if now - found.start > of + AHEAD:
        raise HttpError(
            400,
            f"from: lies {_words(now - found.start)} back; {what} are kept for {of.days} days.",
        )
    return found


def stepped(asked: Stepped, *, now: datetime) -> tuple[Window, Step]:
    """The window of a history and its step; HttpError 400 where points so old are not kept."""
    found = window(asked, now=now)
    step = asked.step or (Step.RAW if found.span <= DAY and _is_fresh(found, now) else Step.HOUR)
    what = "samples" if step is Step.RAW else "hourly points"
    return kept(found, now=now, of=step.kept, what=what), step


def _is_fresh(found: Window, now: datetime) -> bool:
    return now - found.start <= RAW_KEPT


UNITS: tuple[tuple[str, Callable[[timedelta], int]], ...] = (
    ("day", lambda span: span // timedelta(days=1)),
    ("hour", lambda span: span // timedelta(hours=1)),
    ("minute", lambda span: span // timedelta(minutes=1)),
    ("second", lambda span: span // timedelta(seconds=1)),
)


def _words(span: timedelta) -> str:
    for unit, count_in in UNITS:
        if count := count_in(span):
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "a moment"
