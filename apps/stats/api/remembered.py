"""What was read a moment ago: it stands until a block changes, or another sample comes."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache

from apps.stats.activity import records, sealing, windows
from apps.stats.activity.records import Merged
from apps.stats.activity.sealing import Estimated, Sealed
from apps.stats.activity.windows import Activity
from apps.stats.api.answers import Spelled, spelled
from apps.stats.api.asked import Step
from apps.stats.bridges import history as bridges
from apps.stats.chains import history as chains
from apps.stats.models import ActivityCursor, BridgeSample, ChainSample

MOST = 512
MOST_HISTORIES = 32  # of half a megabyte each, where they are long

MOST_SPANS = 128

Days = tuple[Sequence[Sealed], Estimated, Estimated]
# What every figure of a chain follows from: its leaves, and until when its head was looked at.
Version = tuple[int, datetime | None, datetime | None]


def version(row: ActivityCursor | None) -> Version:
    """The state of a chain's rows: where it is the same, so are all figures."""
    return (row.version, row.checked_at, row.updated_at) if row else (0, None, None)


@lru_cache(maxsize=MOST)
def activity(chain: str, start: datetime, end: datetime, at: Version) -> Activity:
    """As `windows.activity`, counted once for each state of the chain.

    `at` was read before: what is counted is of that state, or of a newer one.
    """
    del at
    return windows.activity(chain, start, end, end)


@lru_cache(maxsize=MOST)
def merged(chain: str, since: datetime, at: Version) -> Merged | None:
    """As `records.merged`, counted once for each state of the chain."""
    del at
    return records.merged(chain, since=since)


def sealed(chain: str, first: date, last: date) -> Days:
    """The sealed days of a chain from `first` to `last`, with the week and the month of the newest,
    read once for each day that is sealed."""
    return _sealed(chain, first, last, sealing.version(chain))


@lru_cache(maxsize=MOST_SPANS)
def _sealed(chain: str, first: date, last: date, at: tuple[int, datetime | None]) -> Days:
    del at
    found = sealing.sealed(chain, first=first, last=last)
    newest = found[-1].day if found else last
    return found, sealing.week(chain, newest), sealing.month(chain, newest)


def chain_points(slug: str, start: datetime, end: datetime, step: Step) -> Spelled:
    """A chain's points of a window as JSON, read once for each sample that comes."""
    newest = ChainSample.objects.filter(chain=slug).order_by("-at").values_list("at", flat=True)
    return _chain_points(slug, start, end, step, newest.first())


@lru_cache(maxsize=MOST_HISTORIES)
def _chain_points(
    slug: str, start: datetime, end: datetime, step: Step, newest: datetime | None
) -> Spelled:
    del newest
    points = chains.raw if step is Step.RAW else chains.hourly
    return spelled(points(slug, start=start, end=end))


def bridge_series(
    wanted: bridges.Wanted, start: datetime, end: datetime, step: Step, *, limit: int
) -> Spelled:
    """Bridges' series of a window as JSON, read once for each sample that comes."""
    newest = BridgeSample.objects.order_by("-id").values_list("id", flat=True)
    return _bridge_series(wanted, (start, end), step, limit, newest.first())


@lru_cache(maxsize=MOST_HISTORIES)
def _bridge_series(
    wanted: bridges.Wanted,
    within: tuple[datetime, datetime],
    step: Step,
    limit: int,
    newest: int | None,
) -> Spelled:
    del newest
    read = bridges.raw if step is Step.RAW else bridges.hourly
    found = read(wanted, start=within[0], end=within[1])
    return spelled([{**one, "points": one["points"][-limit:]} for one in found])


def forget() -> None:
    """Reads and counts everything again: for tests, whose rows go back in time."""
    for kept in (activity, merged, _sealed, _chain_points, _bridge_series):
        kept.cache_clear()
