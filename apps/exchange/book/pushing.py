"""Whole books for subscribers, each at most ten times a second, whoever changes it how often.

A gate on the push server lets one push through per market and tenth of a second, from whatever
process. A process that is turned away pushes when the gate opens again, so the last change always
arrives; should it die meanwhile, the sweep finds that subscribers lack it.
"""

from collections.abc import Iterable, Sequence

from redis import RedisError

from apps.exchange.book.levels import SHOWN, Depth, depths, described
from apps.exchange.later import Later, Waiting
from apps.exchange.models import BookVersion, Market
from moonx.core import logs, valkey
from moonx.core import push as pushes
from moonx.core.push import State

log = logs.get("moonx.book")

GATE_MS = 100
AT_ONCE = 100  # markets read in one statement

StoreErrors = (RedisError, OSError)


def push(*markets: Market) -> None:
    """Shows subscribers the markets' books as they stand now, or within a tenth of a second.

    Never fails for want of the push server: the sweep repeats what did not arrive.
    """
    later.add(_push([market for market in markets if not later.awaits(market)]))


def push_soon(*markets: Market) -> None:
    """As `push`, and never waits for the books to be read: for many markets at once."""
    later.add([Waiting(market, 0) for market in markets])


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


def _push(markets: Sequence[Market]) -> list[Waiting]:
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


def _unseen(waiting: Iterable[Waiting]) -> list[Waiting]:
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


def _push_due(markets: Sequence[Market]) -> list[Waiting]:
    return _unseen(_push(markets))


later = Later("books", _push_due)
