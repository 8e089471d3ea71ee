"""Request weight: what an address may ask in a minute of all interfaces together."""

import time

from django.conf import settings
from django.http import HttpRequest
from redis import RedisError

from moonx.core import http, logs, valkey

log = logs.get("moonx.weights")

WINDOW_S = 60
# A counting server that does not answer is asked again after so long, not by every request.
PAUSE_S = 1.0


class UsedUp(Exception):
    """The address used up its request weight of this minute. Transient: see `retry_after_s`."""

    def __init__(self, *, limit: int, retry_after_s: int) -> None:
        super().__init__(f"Too many requests: come back in {retry_after_s} s.")
        self.limit, self.retry_after_s = limit, retry_after_s


class _Server:
    """Whether the counting server answered lately; a race costs one more question."""

    silent_until = 0.0


def spend(request: HttpRequest, weight: int) -> int:
    """Counts `weight` against the client's address; returns what it used in this minute.

    Raises UsedUp beyond the limit. Fails open: while the counting server does not answer, requests
    are served and 0 is returned.
    """
    limit = settings.ENV.rate_limit_weight_per_minute
    now = time.time()
    used = _count(http.address_group(http.request_ip(request)), weight, now=now)
    if used > limit and settings.ENV.rate_limit_enabled:
        raise UsedUp(limit=limit, retry_after_s=int(WINDOW_S - now % WINDOW_S) + 1)
    return used


def forget_silence() -> None:
    """Asks the counting server again at once."""
    _Server.silent_until = 0.0


def _count(who: str, weight: int, *, now: float) -> int:
    if time.monotonic() < _Server.silent_until:
        return 0
    key = valkey.key(f"weight:{who}:{int(now // WINDOW_S)}")
    try:
        with valkey.client().pipeline(transaction=False) as pipe:
            pipe.incrby(key, weight)
            pipe.expire(key, 2 * WINDOW_S)
            return int(pipe.execute()[0])
    except (RedisError, OSError) as error:
        _Server.silent_until = time.monotonic() + PAUSE_S
        log.warning("request weight not counted, serving all", error=type(error).__name__)
        return 0
