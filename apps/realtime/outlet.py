"""The way out of one connection: a bounded queue, so that a slow client costs only itself."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from apps.realtime import measures

MAX_FRAMES = 1024
MAX_CHARACTERS = 1_048_576
# What subscriptions begin with is one frame per market and more; it is no sign of a slow client
# until several times of it wait.
MAX_OPENING_CHARACTERS = 16_777_216


@dataclass(slots=True)
class Load:
    """How much of one kind waits, and how much may: `max_frames` None where only size counts."""

    max_frames: int | None
    max_characters: int
    frames: int = 0
    characters: int = 0

    @property
    def full(self) -> bool:
        """Whether nothing more may wait."""
        too_many = self.max_frames is not None and self.frames >= self.max_frames
        return too_many or self.characters >= self.max_characters

    def add(self, text: str) -> None:
        """One more waits."""
        self.frames += 1
        self.characters += len(text)

    def remove(self, text: str) -> None:
        """It waits no more."""
        self.frames -= 1
        self.characters -= len(text)


class Outlet:
    """Takes frames at once and sends them as fast as the client reads; `too_slow` is called once
    where that is not fast enough. `owner` is the user at its other end, once known."""

    owner: int | None = None

    def __init__(
        self, send: Callable[[str], Awaitable[None]], too_slow: Callable[[], None]
    ) -> None:
        self._send = send
        self._too_slow = too_slow
        self._queue: deque[tuple[str, Load]] = deque()
        self._live = Load(MAX_FRAMES, MAX_CHARACTERS)
        self._opening = Load(None, MAX_OPENING_CHARACTERS)
        self._waiting = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._run())

    def deliver(self, text: str) -> None:
        """Queues a frame; never waits."""
        self._enqueue(text, self._live)

    def deliver_opening(self, texts: Iterable[str]) -> None:
        """Queues what a subscription begins with; it leaves the room of later frames alone."""
        for text in texts:
            self._enqueue(text, self._opening)

    def _enqueue(self, text: str, load: Load) -> None:
        if self._closed:
            return
        if load.full:
            self.overflow()
            return
        load.add(text)
        self._queue.append((text, load))
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
            text, load = self._queue.popleft()
            load.remove(text)
            try:
                await self._send(text)
            except OSError:  # the client is gone; the server will tell the consumer
                self._closed = True
                return
            measures.bytes_out.inc(len(text))
