"""Unions that were counted a moment ago: as long as no block of the chain changed, they stand."""

from datetime import datetime
from functools import lru_cache

from apps.stats.activity import windows
from apps.stats.activity.windows import Activity
from apps.stats.models import ActivityCursor

MOST = 512

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
