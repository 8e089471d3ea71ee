"""Pushes that may wait: many changes of a market make one, off the path of those who change it."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import connection

from apps.exchange.models import Market
from moonx.core import logs

log = logs.get("moonx.later")

LINGER_S = 1.0  # how long the thread waits for more before it gives its connection back


@dataclass(frozen=True, slots=True)
class Waiting:
    """A market of which something is to be pushed in so many seconds."""

    market: Market
    wait_s: float


class Later:
    """The process's pushes of one kind that wait, made by one thread.

    The thread lives while there are any, and so does its database connection. `push` returns what
    has to wait again; whatever it raises, the thread goes on.
    """

    def __init__(self, kind: str, push: Callable[[Sequence[Market]], Sequence[Waiting]]) -> None:
        self._kind, self._push = kind, push
        self._changed = threading.Condition()
        self._due: dict[int, tuple[float, Market]] = {}
        self._thread: threading.Thread | None = None

    def awaits(self, market: Market) -> bool:
        """Whether a push of the market is still to come: it will read what stands then."""
        return market.pk in self._due

    def add(self, waiting: Sequence[Waiting]) -> None:
        """Pushes these when their time has come."""
        if not waiting:
            return
        with self._changed:
            now = time.monotonic()
            for row in waiting:
                self._due.setdefault(row.market.pk, (now + row.wait_s, row.market))
            self._changed.notify()
            if self._thread is None or not self._thread.is_alive():  # none is after a fork
                self._thread = threading.Thread(target=self._run, name=self._kind, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while due := self._next():
                self._push_now(due)
        finally:
            connection.close()

    def _next(self) -> list[Market]:
        """What is due, once something is; empty where nothing came for a while."""
        with self._changed:
            if not self._due and not self._changed.wait(LINGER_S):
                self._thread = None
                return []
            while (wait_s := min(at for at, _ in self._due.values()) - time.monotonic()) > 0:
                self._changed.wait(wait_s)
            now = time.monotonic()
            due = [market for at, market in self._due.values() if at <= now]
            for market in due:
                del self._due[market.pk]
            return due

    def _push_now(self, markets: Sequence[Market]) -> None:
        try:
            self.add(self._push(markets))
        except Exception:  # the thread serves whatever comes next, and the sweep repeats these
            log.exception("not pushed, the sweep will", kind=self._kind, markets=len(markets))
            connection.close()  # whatever broke it, the next push begins on a good one
