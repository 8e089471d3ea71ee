"""The way out of one connection: a bounded queue, so that a slow client costs only itself."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from apps.realtime import measures

MAX_FRAMES = 1024
MAX_CHARACTERS = 1_048_576


class Outlet:
    """Takes frames at once and sends them as fast as the client reads; `too_slow` is called once
    where that is not fast enough."""

    def __init__(
        self, send: Callable[[str], Awaitable[None]], too_slow: Callable[[], None]
    ) -> None:
        self._send = send
        self._too_slow = too_slow
        self._queue: deque[str] = deque()
        self._characters = 0
        self._waiting = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._run())

    def deliver(self, text: str) -> None:
        """Queues a frame; never waits."""
        if self._closed:
            return
        if len(self._queue) >= MAX_FRAMES or self._characters >= MAX_CHARACTERS:
            self.overflow()
            return
        self._queue.append(text)
        self._characters += len(text)
        self._waiting.set()

    def overflow(self) -> None:
        """The client cannot keep up: what is queued is dropped, nothing more is taken."""
        if not self._closed:
            self._closed = True
            self._queue.clear()
            self._too_slow()

    @property
    def queued(self) -> int:
        """Frames that wait for the client."""
        return len(self._queue)

    async def flush(self, *, timeout_s: float) -> None:
        """Takes nothing more, and returns when all is sent or the time is over."""
        self._closed = True
        self._waiting.set()
        await asyncio.wait([self._task], timeout=timeout_s)
        await self.stop()

    async def stop(self) -> None:
        """Ends at once."""
        self._closed = True
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while self._queue or not self._closed:
            if not self._queue:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            text = self._queue.popleft()
            self._characters -= len(text)
            try:
                await self._send(text)
            except OSError:  # the client is gone; the server will tell the consumer
                self._closed = True
                return
            measures.bytes_out.inc(len(text))
