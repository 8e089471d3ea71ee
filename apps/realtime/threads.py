"""Database work beside the event loop."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from channels.db import database_sync_to_async

T = TypeVar("T")

# Apart, so that an auth service that hangs holds up no snapshot.
SNAPSHOTS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="snapshot")
LOGINS = ThreadPoolExecutor(max_workers=4, thread_name_prefix="login")


async def in_thread(work: Callable[[], T], *, pool: ThreadPoolExecutor = SNAPSHOTS) -> T:
    """What `work` returns; it may query the database, on a connection of its thread."""
    run = database_sync_to_async(work, thread_sensitive=False, executor=pool)
    result: T = await run()
    return result
