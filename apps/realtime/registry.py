"""Who is connected: leases in the push server, so that a killed process leaves nothing behind."""

import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from apps.realtime import hub
from moonx.core import http, logs, valkey

log = logs.get("moonx.registry")

LEASE_S = 60
RENEW_EVERY_S = 20.0
WRITE_EVERY_S = 1.0
TOTALS = "totals"

# KEYS: the address' set.  ARGV: id, lease in seconds, limit.  1 where the connection may stay.
ENTER = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2] * 2)
return 1
"""


@dataclass(slots=True, eq=False)
class Entry:
    """One connection. `describe` returns what an operator sees of it."""

    id: str
    address: str
    describe: Callable[[], dict[str, Any]]


@dataclass(slots=True)
class Totals:
    """What this process has done so far."""

    connections: int = 0
    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class Registry:
    """The connections of this process, written to the push server by one task.

    Where that does not answer, connections are not refused: the limit of the process stands.
    """

    client: redis.asyncio.Redis
    instance: str = field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    )
    entries: dict[str, Entry] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    _changed: set[str] = field(default_factory=set)
    _task: "asyncio.Task[None] | None" = None

    async def enter(self, entry: Entry) -> bool:
        """Registers a connection; False where its address has too many."""
        self.totals.connections += 1
        if self._task is None:
            self._task = asyncio.create_task(self._write())
        if not await self._lease(entry):
            return False
        self.entries[entry.id] = entry
        self.touch(entry.id)
        return True

    def touch(self, entry_id: str) -> None:
        """Says that what an operator sees of a connection has changed."""
        self._changed.add(entry_id)

    async def leave(self, entry: Entry) -> None:
        """Forgets a connection."""
        if self.entries.pop(entry.id, None) is None:
            return
        self.touch(entry.id)
        try:
            await self.client.zrem(_address_key(entry.address), entry.id)
        except (RedisError, OSError) as error:
            log.debug("lease not returned, it will expire", error=type(error).__name__)

    async def close(self) -> None:
        """Ends the task and forgets this process."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        try:
            await self.client.zrem(valkey.key("gateways"), self.instance)
            await self.client.unlink(_details_key(self.instance))
        except (RedisError, OSError) as error:
            log.debug("registry not cleared, it will expire", error=type(error).__name__)

    async def _lease(self, entry: Entry) -> bool:
        if not settings.ENV.rate_limit_enabled:
            return True
        limit = settings.ENV.rate_limit_max_connections_per_ip
        try:
            reply = await self.client.eval(
                ENTER, 1, _address_key(entry.address), entry.id, LEASE_S, limit
            )
        except (RedisError, OSError) as error:
            log.warning("connections are not counted", error=type(error).__name__)
            return True
        return bool(reply)

    async def _write(self) -> None:
        renew_at = 0.0
        while True:
            now = time.monotonic()
            renew = now >= renew_at
            try:
                await self._write_once(renew=renew)
                renew_at = now + RENEW_EVERY_S if renew else renew_at
            except (RedisError, OSError) as error:
                log.debug("registry not written", error=type(error).__name__)
            await asyncio.sleep(WRITE_EVERY_S)

    async def _write_once(self, *, renew: bool) -> None:
        taken, self._changed = self._changed, set()
        try:
            await self._send(taken, renew=renew)
        except (RedisError, OSError):
            self._changed |= taken
            raise

    async def _send(self, touched: set[str], *, renew: bool) -> None:
        changed = set(self.entries) if renew else touched
        gone = [one for one in touched if one not in self.entries]
        details: dict[Any, Any] = {
            one: json.dumps(self.entries[one].describe()) for one in changed & set(self.entries)
        }
        details[TOTALS] = json.dumps(
            {
                "connections": self.totals.connections,
                "sent": self.totals.sent,
                "received": self.totals.received,
            }
        )
        key = _details_key(self.instance)
        # All leases go by the push server's clock: hosts may disagree by more than a lease.
        expires = (await self.client.time())[0] + LEASE_S if renew else 0
        async with self.client.pipeline(transaction=False) as pipe:
            pipe.hset(key, mapping=details)
            if gone:
                pipe.hdel(key, *gone)
            if renew:
                pipe.expire(key, LEASE_S)
                pipe.zadd(valkey.key("gateways"), {self.instance: expires})
                for entry in self.entries.values():
                    pipe.zadd(_address_key(entry.address), {entry.id: expires})
                    pipe.expire(_address_key(entry.address), LEASE_S * 2)
            await pipe.execute()


def _address_key(address: str) -> str:
    return valkey.key(f"sockets:{http.address_group(address)}")


def _details_key(instance: str) -> str:
    return valkey.key(f"gateway:{instance}")


def read(client: Redis) -> tuple[list[dict[str, Any]], Totals]:
    """Every connection of every process, oldest first, and what the processes did together.

    A moment old; raises RedisError where the push server does not answer.
    """
    now_s: int = client.time()[0]
    instances: Any = client.zrangebyscore(valkey.key("gateways"), now_s, "+inf")
    items: list[dict[str, Any]] = []
    totals = Totals()
    for instance in instances:
        found: Any = client.hgetall(_details_key(instance.decode()))
        for name, value in found.items():
            detail = json.loads(value)
            if name.decode() == TOTALS:
                totals.connections += detail["connections"]
                totals.sent += detail["sent"]
                totals.received += detail["received"]
            else:
                items.append(detail)
    return sorted(items, key=lambda item: (item["since"], item["id"])), totals


_registries: WeakKeyDictionary[asyncio.AbstractEventLoop, Registry] = WeakKeyDictionary()


def current() -> Registry:
    """The registry of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _registries.get(loop)
    if found is None:
        found = _registries[loop] = Registry(hub.connect())
    return found


async def close_current() -> None:
    """Ends the running loop's registry, if there is one."""
    found = _registries.pop(asyncio.get_running_loop(), None)
    if found is not None:
        await found.close()
        await found.client.aclose()
