"""How far each chain was scanned, for `/health`: read aside, so that no answer waits for it."""

import asyncio
import time
from typing import Any

from django.db import DatabaseError, InterfaceError, connection

from apps.stats.activity import cursors
from moonx.core import clock, logs

log = logs.get("moonx.health")

TIMEOUT_S = 1.0
FRESH_S = 1.0

Told = dict[str, dict[str, Any]]


class Processing:
    """The last reading, and the one under way: a database that hangs holds one thread, not one for
    each who asks."""

    def __init__(self) -> None:
        self._at_s = float("-inf")
        self._found: Told = {}
        self._running: asyncio.Task[Told] | None = None

    async def get(self) -> Told:
        """What was read at most a second ago, else what is read now, else nothing."""
        if time.monotonic() - self._at_s < FRESH_S:
            return self._found
        loop = asyncio.get_running_loop()
        running = self._running
        # A loop that ended with a reading under way would leave a task that never finishes.
        if running is None or running.done() or running.get_loop() is not loop:
            running = self._running = loop.create_task(self._read())
        try:
            # Shielded: the one who asked first may leave, the others still wait for it.
            return await asyncio.wait_for(asyncio.shield(running), TIMEOUT_S)
        except TimeoutError:
            return {}

    async def _read(self) -> Told:
        self._found = await asyncio.to_thread(read)
        self._at_s = time.monotonic()
        return self._found


def read() -> Told:
    """How the scan of each chain stands, by slug; nothing where the database does not answer."""
    try:
        return cursors.processing(now=clock.db_now())
    except (DatabaseError, InterfaceError) as error:
        log.warning("processing unknown", error=type(error).__name__)
        return {}
    finally:
        # The next reading may come from another thread, and this one would keep its connection.
        connection.close()


processing = Processing()
