"""Whole books for subscribers, each at most ten times a second, whoever changes it how often.

A gate on the push server lets one push through per market and tenth of a second, from whatever
process. A process that is turned away pushes when the gate opens again, so the last change always
arrives; should it die meanwhile, the sweep finds that subscribers lack it.
"""

import threading
import time
from collections.abc import Sequence

from django.db import connection
from redis import RedisError

from apps.exchange.book.levels import SHOWN, Depth, depths, described
from apps.exchange.models import BookVersion, Market
from moonx.core import logs, valkey
from moonx.core import push as pushes
from moonx.core.push import State

log = logs.get("moonx.book")

GATE_MS = 100
LINGER_S = 1.0  # how long the thread waits for more before it gives its connection back
AT_ONCE = 100  # markets read in one statement

StoreErrors = (RedisError, OSError)


def push(market: Market) -> None:
    """Shows subscribers the market's book as it stands now, or within a tenth of a second.

    Never fails for want of the push server: the sweep repeats what did not arrive.
    """
    if later.awaits(market):  # it will read what stands then
        return
    wait_s = _pass_gate(market)
    if wait_s is None:
        return
    if wait_s:
        later.add(market, after_s=wait_s)
    else:
        _send([market])


def push_missed() -> int:
    """Sends the books whose newest version never reached the push server; returns how many."""
    versions = dict(BookVersion.objects.values_list("market__symbol", "version"))
    pushed = pushes.pushed_versions([topic_of(symbol) for symbol in versions])
    behind = [
        symbol for symbol, version in versions.items() if pushed.get(topic_of(symbol), -1) < version
    ]
    if not behind:
        return 0
    markets = Market.objects.filter(symbol__in=behind)
    return _send([market for market in markets if _pass_gate(market) == 0])


def topic_of(symbol: str) -> str:
    """Where a market's book is published."""
    return f"book:{symbol}"


def _pass_gate(market: Market) -> float | None:
    """0 where this push may happen now, else how many seconds to wait; None where none can."""
    gate = valkey.key(f"gate:{topic_of(market.symbol)}")
    try:
        with valkey.client().pipeline(transaction=True) as pipe:
            pipe.set(gate, b"1", nx=True, px=GATE_MS)
            pipe.pttl(gate)
            passed, left_ms = pipe.execute()
    except StoreErrors as error:
        log.warning("book not pushed, the sweep will", error=type(error).__name__)
        return None
    return 0 if passed else max(int(left_ms), 1) / 1000


def _send(markets: Sequence[Market]) -> int:
    sent = 0
    for start in range(0, len(markets), AT_ONCE):
        some = markets[start : start + AT_ONCE]
        books = depths(some, SHOWN)
        states = [_state(market, books[market.pk]) for market in some]
        now = max(book.as_of for book in books.values())
        sent += pushes.publish_states(states, now=now)
    return sent


def _state(market: Market, book: Depth) -> State:
    return State(
        topic=topic_of(market.symbol),
        name="book.updated",
        version=book.version,
        data=described(market, book),
        source_time=book.changed_at,
    )


def _is_shown(market: Market) -> bool:
    """Whether subscribers have the newest version."""
    pushed = pushes.pushed_versions([topic_of(market.symbol)])
    newest = BookVersion.objects.filter(market=market).values_list("version", flat=True).first()
    return newest is None or pushed.get(topic_of(market.symbol), -1) >= newest


class Later:
    """The process's pushes that wait for their gate, made by one thread that lives while there are
    any; its database connection goes with it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[int, tuple[float, Market]] = {}
        self._thread: threading.Thread | None = None

    def awaits(self, market: Market) -> bool:
        """Whether a push of the market is still to come."""
        return market.pk in self._due

    def add(self, market: Market, *, after_s: float) -> None:
        """Pushes the market's book in so many seconds."""
        with self._changed:
            self._due.setdefault(market.pk, (time.monotonic() + after_s, market))
            self._changed.notify()
            if self._thread is None or not self._thread.is_alive():  # none is after a fork
                self._thread = threading.Thread(target=self._run, name="books", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while due := self._next():
                for market in due:
                    self._push(market)
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

    def _push(self, market: Market) -> None:
        try:
            wait_s = _pass_gate(market)
            if wait_s == 0:
                _send([market])
            elif wait_s and not _is_shown(market):
                self.add(market, after_s=wait_s)
        except Exception:  # the thread serves other markets too, and the sweep repeats this one
            log.exception("book not pushed, the sweep will", market=market.symbol)


later = Later()
