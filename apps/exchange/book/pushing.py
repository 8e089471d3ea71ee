"""Whole books for subscribers, each at most ten times a second, whoever changes it how often.

A gate on the push server lets one push through per market and tenth of a second, from whatever
process. A process that is turned away pushes when the gate opens again, so the last change always
arrives; should it die meanwhile, the sweep finds that subscribers lack it.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def push(*markets: Market) -> None:
    """Shows subscribers the markets' books as they stand now, or within a tenth of a second.

    Never fails for want of the push server: the sweep repeats what did not arrive.
    """
    later.add(_push([market for market in markets if not later.awaits(market)]))


def push_missed() -> int:
    """Sends the books whose newest version never reached the push server; returns how many."""
    versions = dict(BookVersion.objects.values_list("market__symbol", "version"))
    pushed = pushes.pushed_versions([topic_of(symbol) for symbol in versions])
    behind = [
        symbol for symbol, version in versions.items() if pushed.get(topic_of(symbol), -1) < version
    ]
    if not behind:
        return 0
    markets = list(Market.objects.filter(symbol__in=behind))
    waits_s = _pass_gates(markets)
    return _send([market for market in markets if waits_s.get(market.pk) == 0])


def topic_of(symbol: str) -> str:
    """Where a market's book is published."""
    return f"book:{symbol}"


def _push(markets: Sequence[Market]) -> "list[Waiting]":
    """Sends the books that may be sent now; returns those whose gate is closed."""
    waits_s = _pass_gates(markets) if markets else {}
    _send([market for market in markets if waits_s.get(market.pk) == 0])
    return [
        Waiting(market, wait_s) for market in markets if (wait_s := waits_s.get(market.pk, 0)) > 0
    ]


def _pass_gates(markets: Sequence[Market]) -> dict[int, float]:
    """By market 0 where its push may happen now, else how many seconds to wait.

    Empty where the push server does not answer: none can happen.
    """
    gates = [valkey.key(f"gate:{topic_of(market.symbol)}") for market in markets]
    try:
        with valkey.client().pipeline(transaction=False) as pipe:
            for gate in gates:
                pipe.set(gate, b"1", nx=True, px=GATE_MS)
                pipe.pttl(gate)
            replies = pipe.execute()
    except StoreErrors as error:
        log.warning("books not pushed, the sweep will", error=type(error).__name__)
        return {}
    passed, left_ms = replies[::2], replies[1::2]
    return {
        market.pk: 0 if may else max(int(ms), 1) / 1000
        for market, may, ms in zip(markets, passed, left_ms, strict=True)
    }


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


def _unseen(waiting: "Iterable[Waiting]") -> "list[Waiting]":
    """Those of which subscribers lack the newest version: others may have sent it meanwhile."""
    rows = list(waiting)
    if not rows:
        return []
    pushed = pushes.pushed_versions([topic_of(row.market.symbol) for row in rows])
    newest = BookVersion.objects.in_bulk([row.market.pk for row in rows])
    return [
        row
        for row in rows
        if (book := newest.get(row.market.pk)) is not None
        and pushed.get(topic_of(row.market.symbol), -1) < book.version
    ]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A market whose book is to be pushed in so many seconds."""

    market: Market
    wait_s: float


class Later:
    """The process's pushes that wait for their gate, made by one thread that lives while there are
    any; its database connection goes with it."""

    def __init__(self) -> None:
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
                self._thread = threading.Thread(target=self._run, name="books", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while due := self._next():
                self._push(due)
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

    def _push(self, markets: Sequence[Market]) -> None:
        try:
            self.add(_unseen(_push(markets)))
        except Exception:  # the thread serves whatever comes next, and the sweep repeats these
            log.exception("books not pushed, the sweep will", markets=len(markets))
            connection.close()  # whatever broke it, the next push begins on a good one


later = Later()
