"""How often bridges may be asked: as much as they allow, spread evenly; as functions of values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from moonx.core.upstream.names import Service

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a bridge allows: `count` quotes in any `window`, `spacing_s` between two.

    `per_minute` and `per_second` are what all workers together hold, whoever asks.
    """

    count: int
    window: timedelta
    spacing_s: float = 0.0
    per_minute: int = 0
    per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a bridge was asked within its window: how often, and when last."""

    count: int = 0
    last: datetime | None = None


HOUR = timedelta(hours=1)
# By service and whether a key of ours is sent. What each publishes:
ALLOWANCES = {
    # 75 quotes in two hours; with a key 100 a minute, counted over two hours.
    (Service.LIFI, False): Allowance(count=75, window=2 * HOUR, per_minute=75),
    (Service.LIFI, True): Allowance(count=12_000, window=2 * HOUR, per_minute=100),
    # 50 quotes a minute.
    (Service.RELAY, False): Allowance(count=50, window=timedelta(minutes=1), per_minute=50),
    (Service.RELAY, True): Allowance(count=50, window=timedelta(minutes=1), per_minute=50),
    # One a second and 100,000 a month, of which a day's share.
    (Service.ONEINCH, True): Allowance(
        count=3_300, window=24 * HOUR, spacing_s=1.05, per_minute=60, per_second=1
    ),
}


def room(allowance: Allowance, past: Past, *, now: datetime) -> int:
    """How many quotes may be asked now.

    Never more than the window has left, and no more than what has come together since the last one
    at an even pace: else a morning's quotes would be gone in its first minutes.
    """
    left = allowance.count - past.count
    if past.last is None:
        return max(0, left)
    pace = allowance.window / allowance.count
    return max(0, min(left, (now - past.last) // pace))


def chosen(keys: Sequence[K], last: Mapping[K, datetime], *, room: int) -> Sequence[K]:
    """As many of the keys as there is room for: those first that were not asked for longest."""
    never = [key for key in keys if key not in last]
    asked = sorted((key for key in keys if key in last), key=last.__getitem__)
    return [*never, *asked][:room]
