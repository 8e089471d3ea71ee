"""How many orders a user may place in ten seconds, and in a day."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from redis import RedisError

from apps.exchange.api.errors import TooManyOrders
from moonx.core import logs, valkey

log = logs.get("moonx.weights")

# Counts one more in each window, or in none where one of them is full. Atomic: one script.
COUNT = """
local counts, full = {}, 0
for i, key in ipairs(KEYS) do
  counts[i] = tonumber(redis.call('GET', key) or '0')
  if full == 0 and counts[i] >= tonumber(ARGV[2 * i - 1]) then full = i end
end
if full == 0 then
  for i, key in ipairs(KEYS) do
    counts[i] = redis.call('INCR', key)
    if counts[i] == 1 then redis.call('EXPIRE', key, ARGV[2 * i]) end
  end
end
return {full, unpack(counts)}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of time within which orders are counted."""

    interval: str
    number: int
    seconds: int
    most: Callable[[], int]

    @property
    def limit(self) -> int:
        """How many orders of one user it may hold."""
        return self.most()

    @property
    def header(self) -> str:
        """The header that tells the count."""
        return f"X-MBX-ORDER-COUNT-{self.number}{self.interval[0]}"

    def described(self) -> dict[str, Any]:
        """The limit as Binance writes it."""
        return {
            "rateLimitType": "ORDERS",
            "interval": self.interval,
            "intervalNum": self.number,
            "limit": self.limit,
        }


WINDOWS = (
    Window(
        interval="SECOND",
        number=10,
        seconds=10,
        most=lambda: settings.ENV.rate_limit_orders_per_10s,
    ),
    Window(
        interval="DAY",
        number=1,
        seconds=86_400,
        most=lambda: settings.ENV.rate_limit_orders_per_day,
    ),
)


def count(user_id: int) -> dict[str, str]:
    """Counts one order of the user; returns the headers that say how many there are.

    Raises TooManyOrders beyond a limit, and counts nothing then. Fails open: while the counting
    server does not answer, orders are taken and no headers are returned.
    """
    now = time.time()
    limits = [value for window in WINDOWS for value in (_limit(window), 2 * window.seconds)]
    try:
        reply: Any = valkey.client().eval(COUNT, len(WINDOWS), *_keys(user_id, now=now), *limits)
    except (RedisError, OSError) as error:
        log.warning("order not counted, taking all", error=type(error).__name__)
        return {}
    full, *counts = map(int, reply)
    if full:
        window = WINDOWS[full - 1]
        raise TooManyOrders(
            limit=window.limit,
            interval=f"{window.number} {window.interval}",
            retry_after_s=int(window.seconds - now % window.seconds) + 1,
        )
    return _headers(counts)


def counted(user_id: int) -> list[dict[str, Any]]:
    """Each limit and how much of it the user has used."""
    try:
        stored: Any = valkey.client().mget(_keys(user_id, now=time.time()))
    except (RedisError, OSError):
        stored = [None] * len(WINDOWS)
    return [
        window.described() | {"count": int(value or 0)}
        for window, value in zip(WINDOWS, stored, strict=True)
    ]


def _limit(window: Window) -> int:
    return window.limit if settings.ENV.rate_limit_enabled else 2**53


def _headers(counts: Sequence[int]) -> dict[str, str]:
    return {window.header: str(value) for window, value in zip(WINDOWS, counts, strict=True)}


def _keys(user_id: int, *, now: float) -> list[str]:
    return [
        valkey.key(f"orders:{user_id}:{window.seconds}:{int(now // window.seconds)}")
        for window in WINDOWS
    ]
