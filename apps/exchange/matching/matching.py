"""`match`: batches of a market's orders, each decided purely and written in one transaction."""

from django.db import DatabaseError, connection, transaction

from apps.exchange import book, trades, watch
from apps.exchange.matching.engine import Decision, decide
from apps.exchange.matching.reading import Reader, Situation
from apps.exchange.matching.settling import Batch, book_changed, settle
from apps.exchange.matching.sides import Shallow
from apps.exchange.models import Market
from moonx.core import logs
from moonx.core.locks import LockBusy

log = logs.get("moonx.matching")

BATCH = 1000  # orders: some 100 ms under the market's lock
DEEPER = 8  # times as many resting orders are read where the first were not enough

WAITING = """
SELECT m.id FROM exchange_market m
WHERE EXISTS (SELECT FROM exchange_order o WHERE o.market_id = m.id AND o.stage = 'arrived')
"""


def match(market: Market, *, limit: int = BATCH) -> int:
    """Takes every order that has arrived; returns how many it was that took them.

    Each batch is one transaction under the market's lock. Returns once nothing waits, so an order
    that committed before the call has been taken when it returns. Raises locks.LockBusy where
    another holds the market for too long: the sweep takes what then still waits.
    """
    taken = 0
    while (count := _match_once(market, limit=limit)) > 0:
        taken += count
        if count < limit:
            break
    return taken


def _match_once(market: Market, *, limit: int) -> int:
    with transaction.atomic():
        trades.hold_market(market)
        found = _decide(market, limit=limit)
        if found is None:
            return 0
        reader, situation, decision = found
        settle(Batch(market=market, grid=reader.grid, tail=situation.tail, decision=decision))
        if book_changed(decision):
            book.changed(market)
            transaction.on_commit(lambda: book.push(market), robust=True)
        if decision.matches:
            # Robust: the trades stand, whatever becomes of the push; a later run repeats it.
            transaction.on_commit(lambda: watch.push_bars_soon(market), robust=True)
    return len(situation.arrived)


def _decide(market: Market, *, limit: int) -> tuple[Reader, Situation, Decision] | None:
    """What follows for the oldest arrived orders; reads the book deeper until it is enough."""
    reader, reach = Reader(market), 1
    while (situation := reader.situation(limit=limit)) is not None:
        bids, asks = reader.sides([*situation.arrived, *situation.stops], reach=reach)
        try:
            decision = decide(
                situation.arrived,
                bids=bids,
                asks=asks,
                stops=situation.stops,
                rules=situation.rules,
            )
        except Shallow:  # the orders were changed on the way: everything is read anew
            reach *= DEEPER
            continue
        return reader, situation, decision
    return None


def sweep() -> int:
    """Matches every market in which orders wait because their placers died; returns how many
    orders were taken. A market that is held by others is left to them."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        waiting = [market_id for (market_id,) in cursor.fetchall()]
    taken = 0
    for market in Market.objects.select_related("base", "quote").filter(pk__in=waiting):
        try:
            taken += match(market)
        except LockBusy as busy:
            log.warning(
                "market not swept, the next run will", market=market.symbol, cause=str(busy)
            )
        except DatabaseError:  # what is wrong in one market must not keep the others waiting
            log.exception("market not matched, look at its orders", market=market.symbol)
    return taken
