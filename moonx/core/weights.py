"""Request weight: what an address may ask in a minute of all interfaces together.

All processes count at one server. For answers that cost nothing a process may count ahead: it knows
what an address used, of all processes, at most a second ago, and holds back at most a fiftieth of
the limit before it counts that too.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest
from redis import RedisError

from moonx.core import http, logs, valkey

log = logs.get("moonx.weights")

WINDOW_S = 60
# A counting server that does not answer is asked again after so long, not by every request.
PAUSE_S = 1.0
AHEAD_S = 1.0
AHEAD_SHARE = 50
MOST_ADDRESSES = 10_000


class UsedUp(Exception):
    """The address used up its request weight of this minute. Transient: see `retry_after_s`."""

    def __init__(self, *, limit: int, retry_after_s: int) -> None:
        super().__init__(f"Too many requests: come back in {retry_after_s} s.")
        self.limit, self.retry_after_s = limit, retry_after_s


class _Server:
    """Whether the counting server answered lately; a race costs one more question."""

    silent_until = 0.0


@dataclass(slots=True)
class _Tally:
    """What an address used in a minute: as the server said at a time, and ahead of it since."""

    minute: int
    counted: int
    at_s: float
    ahead: int = 0


_lock = threading.Lock()
_tallies: OrderedDict[str, _Tally] = OrderedDict()


def spend(request: HttpRequest, weight: int) -> int:
    """Counts `weight` against the client's address; returns what it used in this minute.

    Raises UsedUp beyond the limit. Fails open: while the counting server does not answer, requests
    are served and 0 is returned.
    """
    return spend_of(http.request_ip(request), weight)


def spend_of(address: str, weight: int) -> int:
    """As `spend`, for the client at an address."""
    limit = settings.ENV.rate_limit_weight_per_minute
    now = time.time()
    used = _count(http.address_group(address), weight, now=now)
    if used > limit and settings.ENV.rate_limit_enabled:
        raise UsedUp(limit=limit, retry_after_s=int(WINDOW_S - now % WINDOW_S) + 1)
    return used


def spent_ahead(address: str, weight: int) -> bool:
    """Counts `weight` without asking the server, if it is sure that the address may spend it.

    Where it returns False nothing is counted: the server has to say. What is counted ahead gets
    there with the next request of the address; a minute's last of it may not.
    """
    limit = settings.ENV.rate_limit_weight_per_minute
    minute = int(time.time() // WINDOW_S)
    with _lock:
        tally = _tallies.get(http.address_group(address))
        if tally is None or tally.minute != minute or time.monotonic() - tally.at_s > AHEAD_S:
            return False
        ahead = tally.ahead + weight
        if ahead > limit // AHEAD_SHARE or tally.counted + ahead > limit:
            return False
        tally.ahead = ahead
    return True


def forget() -> None:
    """Knows nothing of any address: for tests, whose counts begin anew."""
    forget_silence()
    with _lock:
        _tallies.clear()


def forget_silence() -> None:
    """Asks the counting server again at once."""
    _Server.silent_until = 0.0


def _count(who: str, weight: int, *, now: float) -> int:
    if time.monotonic() < _Server.silent_until:
        return 0
    minute = int(now // WINDOW_S)
    key = valkey.key(f"weight:{who}:{minute}")
    try:
        with valkey.client().pipeline(transaction=False) as pipe:
            pipe.incrby(key, weight + _taken(who, minute))
            pipe.expire(key, 2 * WINDOW_S)
            used = int(pipe.execute()[0])
    except (RedisError, OSError) as error:
        _Server.silent_until = time.monotonic() + PAUSE_S
        log.warning("request weight not counted, serving all", error=type(error).__name__)
        return 0
    _note(who, minute, used)
    return used


def _taken(who: str, minute: int) -> int:
    """What was counted ahead in this minute, to be counted now."""
    with _lock:
        tally = _tallies.get(who)
        if tally is None or tally.minute != minute:
            return 0
        ahead, tally.ahead = tally.ahead, 0
        return ahead


def _note(who: str, minute: int, used: int) -> None:
    """Keeps what the server said. What was counted ahead meanwhile stays to be counted."""
    with _lock:
        tally = _tallies.pop(who, None)
        ahead = tally.ahead if tally is not None and tally.minute == minute else 0
        _tallies[who] = _Tally(minute, used, time.monotonic(), ahead)
        while len(_tallies) > MOST_ADDRESSES:
            _tallies.popitem(last=False)
