"""Health over HTTP: alive, ready, and the whole picture; no answer waits for a store that hangs."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis.asyncio
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST
from redis.exceptions import RedisError

from moonx.core import metrics
from moonx.core.http import inside_only
from moonx.processing import processing

CHECK_TIMEOUT_S = 2.0
RELAY_LAG_LIMIT_S = 10.0
# Without these a web process can answer nothing; without the others it serves what it has.
REQUIRED = frozenset({"database", "cache"})
# However often it is asked: the stores are looked at once a second.
FRESH_S = 1.0

FAILURES = (psycopg.Error, RedisError, OSError, TimeoutError)
OLDEST_WAITING = """
SELECT extract(epoch FROM clock_timestamp() - created_at) FROM core_outbox ORDER BY id LIMIT 1
"""


class Late(Exception):
    """A dependency answers, but what it should have done is not done."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What became of one look at one dependency; without a fault it is fine."""

    fault: str
    ms: int

    @property
    def ok(self) -> bool:
        return not self.fault

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "ms": self.ms, "fault": self.fault or None}


async def database() -> None:
    """Answers a query on a new connection."""
    await _ask("SELECT 1")


async def relay() -> None:
    """Publishes what is committed: nothing has waited for long."""
    row = await _ask(OLDEST_WAITING)
    waited_s = float(row[0]) if row else 0.0
    if waited_s > RELAY_LAG_LIMIT_S:
        raise Late(f"the oldest event waits {waited_s:.0f} s")


async def broker() -> None:
    """Answers a ping."""
    await _ping(settings.ENV.broker_dsn())


async def cache() -> None:
    """Answers a ping."""
    await _ping(settings.ENV.cache_dsn())


async def auth() -> None:
    """Can verify tokens: the external service listens; the embedded issuer needs the database."""
    url = settings.ENV.auth_service_url
    if url:
        await _listens(url)
    else:
        await database()


async def event_bus() -> None:
    """Listens; nothing to fail while no bus is configured."""
    url = settings.ENV.event_bus_url.get_secret_value()
    if url:
        await _listens(url)


CHECKS: Mapping[str, Callable[[], Awaitable[None]]] = {
    "database": database,
    "broker": broker,
    "cache": cache,
    "relay": relay,
    "auth": auth,
    "kafka": event_bus,
}
PORTS = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671, "redis": 6379, "rediss": 6379}


async def _ask(sql: str) -> tuple[Any, ...] | None:
    connection = await psycopg.AsyncConnection.connect(
        settings.ENV.database_dsn(),
        autocommit=True,
        options=f"-c statement_timeout={int(CHECK_TIMEOUT_S * 1000)}",
    )
    async with connection:
        found = await connection.execute(sql)
        return await found.fetchone()


async def _ping(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url, socket_timeout=CHECK_TIMEOUT_S) as client:
        await client.ping()


async def _listens(url: str) -> None:
    parts = urlsplit(url)
    if parts.hostname:
        port = parts.port or PORTS.get(parts.scheme, 80)
        _, writer = await asyncio.open_connection(parts.hostname, port)
        writer.close()


async def look(
    check: Callable[[], Awaitable[None]], *, timeout_s: float = CHECK_TIMEOUT_S
) -> Probe:
    """The outcome of one check, within its time whatever the store does."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            await check()
        fault = ""
    except Late as error:
        fault = str(error)
    except TimeoutError:
        fault = "no answer in time"
    except FAILURES as error:
        # Its name only: a driver's message may hold an address or a login.
        fault = type(error).__name__
    return Probe(fault=fault, ms=round((time.monotonic() - started) * 1000))


class Looks:
    """The last look at everything, and the one under way, which all who ask meanwhile share."""

    def __init__(self) -> None:
        self._at_s = float("-inf")
        self._found: dict[str, Probe] = {}
        self._running: asyncio.Task[dict[str, Probe]] | None = None

    async def get(self) -> dict[str, Probe]:
        """What was found at most FRESH_S ago, else what is found now."""
        if time.monotonic() - self._at_s < FRESH_S:
            return self._found
        loop = asyncio.get_running_loop()
        running = self._running
        # A loop that ended with its look under way would leave a task that never finishes.
        if running is None or running.done() or running.get_loop() is not loop:
            running = self._running = loop.create_task(self._look())
        # Shielded: the one who asked first may leave, the others still wait for it.
        return await asyncio.shield(running)

    async def _look(self) -> dict[str, Probe]:
        probes = await asyncio.gather(*(look(check) for check in CHECKS.values()))
        self._found = dict(zip(CHECKS, probes, strict=True))
        self._at_s = time.monotonic()
        return self._found


_looks = Looks()


async def look_at_all() -> dict[str, Probe]:
    """Every dependency, looked at side by side, at most once a second however many ask."""
    return await _looks.get()


def verdict(services: Mapping[str, bool]) -> str:
    """`unhealthy` without a required service, `degraded` without another, else `healthy`."""
    down = {name for name, ok in services.items() if not ok}
    if down & REQUIRED:
        return "unhealthy"
    return "degraded" if down else "healthy"


async def live(_: HttpRequest) -> JsonResponse:
    """The process answers, whatever its stores do."""
    return JsonResponse({"status": "alive"})


async def ready(_: HttpRequest) -> JsonResponse:
    """Whether requests should come here, with what was seen of each dependency; 503 if not."""
    probes = await look_at_all()
    is_ready = all(probes[name].ok for name in REQUIRED)
    body = {
        "status": "ready" if is_ready else "notReady",
        "checks": {name: probe.as_json() for name, probe in probes.items()},
    }
    return JsonResponse(body, status=200 if is_ready else 503)


async def health(_: HttpRequest) -> JsonResponse:
    """The picture that monitors of the former services know; 503 when unhealthy."""
    probes = await look_at_all()
    services = {name: probe.ok for name, probe in probes.items()}
    status = verdict(services)
    body = {
        "status": status,
        "timestamp": time.time_ns() // 1_000_000,
        "services": {"redis": services["broker"] and services["cache"], **services},
        "metrics": await asyncio.to_thread(socket_numbers),
        "processing": await processing.get() if probes["database"].ok else {},
    }
    return JsonResponse(body, status=503 if status == "unhealthy" else 200)


def socket_numbers() -> dict[str, int]:
    """Sockets and messages of this host's processes, by the names monitors know."""
    families = list(metrics.registry().collect())
    numbers = {
        "totalConnections": metrics.total(families, "moonx_ws_connects_total", result="accepted"),
        "activeConnections": metrics.total(families, "moonx_ws_connections"),
        "messagesSent": metrics.total(families, "moonx_ws_delivered_total"),
        "messagesReceived": metrics.total(families, "moonx_ws_messages_in_total"),
    }
    return {name: int(value) for name, value in numbers.items()}


@inside_only
def metrics_page(_: HttpRequest) -> HttpResponse:
    """Prometheus' text format, for internal networks and staff."""
    return HttpResponse(metrics.exposition(), content_type=CONTENT_TYPE_LATEST)
