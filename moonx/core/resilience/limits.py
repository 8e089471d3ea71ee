"""Provider budgets that all workers share, and the pause after a 429 that all of them keep."""

import math
import threading
import time
from dataclasses import dataclass, field

from django import db
from django.conf import settings
from django.db import connection

from moonx.core import logs, metrics
from moonx.core.resilience import hot
from moonx.core.resilience.apart import apart
from moonx.core.resilience.backoff import RETRIES_PERMILLE
from moonx.core.resilience.budget import (
    NO_WAIT,
    WHOLE,
    WINDOW_MS,
    Budget,
    Meter,
    declared,
    factor_now,
    factor_refused,
    pause_ms,
)

log = logs.get("moonx.limits")

WORKERS_FOR_S = 30.0
WORKERS_UNKNOWN = 16

WORKERS = """
SELECT count(*) FROM core_heartbeat
WHERE role LIKE 'worker%%' AND beat_at > clock_timestamp() - interval '90 s'
"""


@dataclass(slots=True, kw_only=True)
class Provider:
    """What this process knows of a provider, and its own meter for the time without Valkey."""

    name: str
    budget: Budget | None = None
    paused_until_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    # Without Valkey: since when, until when, and what was taken.
    alone_since_s: float = -math.inf
    alone_s: float = -math.inf
    meter: Meter = field(default_factory=Meter)
    factor: int = WHOLE
    refused_s: float = 0.0

    def pause(self, pause_ms: int, *, now_s: float) -> None:
        """Leaves the provider alone for so long at least."""
        self.paused_until_s = max(self.paused_until_s, now_s + pause_ms / 1000)


_providers: dict[str, Provider] = {}
_workers: tuple[float, int] = (-math.inf, WORKERS_UNKNOWN)


def declare(provider: str, *, per_minute: int = 0, per_second: int = 0, burst: int = 0) -> None:
    """Sets what all workers together may ask of a provider; 0 is no limit of that kind.

    Every process that calls the provider declares the same, before its first call.
    """
    known = declared(per_minute=per_minute, per_second=per_second, burst=burst)
    of(provider).budget = known if per_minute or per_second else None


def of(provider: str) -> Provider:
    """What this process knows of a provider."""
    return _providers.get(provider) or _providers.setdefault(provider, Provider(name=provider))


def forget() -> None:
    """Drops what this process knows, but for the budgets that it declared."""
    for known in list(_providers.values()):
        _providers[known.name] = Provider(name=known.name, budget=known.budget)


def take(provider: Provider, *, weight: int) -> tuple[int, str]:
    """Takes a call's weight from every limit of the provider, or from none.

    Returns 0 where it was taken, else the ms until it can be and what is short: `paused`, `minute`
    or `second`.
    """
    now_s = time.monotonic()
    if provider.paused_until_s > now_s:
        return math.ceil((provider.paused_until_s - now_s) * 1000), "paused"
    if provider.budget is None:
        return NO_WAIT
    try:
        return hot.take(provider.name, provider.budget, weight=weight)
    except hot.UNREACHABLE:
        return _take_alone(provider, provider.budget, weight=weight)


def refused(provider: Provider, *, retry_after_s: float) -> None:
    """After a 429: all workers leave the provider alone for as long as it asked, at most an hour.

    Its budget falls to 70 % and comes back by 10 % each half minute.
    """
    lasts_ms, now_s = pause_ms(retry_after_s), time.monotonic()
    metrics.provider_refusals.labels(provider.name).inc()
    log.warning("provider asks for a pause", provider=provider.name, pause_ms=lasts_ms)
    with provider.lock:
        if provider.paused_until_s <= now_s:
            provider.factor = factor_refused(_factor(provider, now_s=now_s))
        provider.refused_s = now_s
        provider.pause(lasts_ms, now_s=now_s)
    try:
        hot.refuse(provider.name, pause_ms=lasts_ms)
    except hot.UNREACHABLE:
        log.warning("only this process knows of the pause", provider=provider.name)


def may_retry(provider: str) -> bool:
    """Whether the provider's calls of this minute carry one more retry, which is then counted.

    None is carried while Valkey does not answer: nobody knows what the others do.
    """
    try:
        return hot.retry(provider, permille=RETRIES_PERMILLE)
    except hot.UNREACHABLE:
        return False


def _take_alone(provider: Provider, whole: Budget, *, weight: int) -> tuple[int, str]:
    """By the shared rules on this worker's share, halved at first: nobody knows what was taken."""
    share, now_s = whole.share(_worker_count()), time.monotonic()
    with provider.lock:
        if now_s - provider.alone_s > WINDOW_MS / 1000:
            provider.alone_since_s = now_s
        provider.alone_s = now_s
        return provider.meter.take(
            share,
            weight=weight,
            factor=_factor(provider, now_s=now_s),
            is_cold=now_s - provider.alone_since_s < WINDOW_MS / 1000,
            now_us=int(now_s * 1_000_000),
        )


def _factor(provider: Provider, *, now_s: float) -> int:
    since_ms = int((now_s - provider.refused_s) * 1000)
    return factor_now(provider.factor, since_ms=since_ms)


def _worker_count() -> int:
    """How many workers share a budget, as far as the heartbeats of the last minutes tell."""
    global _workers  # noqa: PLW0603 - one number of one process
    asked_s, count = _workers
    if time.monotonic() - asked_s > WORKERS_FOR_S:
        try:
            count = max(1, apart(_beating)) * settings.ENV.worker_concurrency
        except db.Error as error:
            log.warning("nobody knows how many workers there are", error=type(error).__name__)
        _workers = time.monotonic(), count
    return count


def _beating() -> int:
    with connection.cursor() as cursor:
        cursor.execute(WORKERS)
        row = cursor.fetchone()
    return int(row[0])
