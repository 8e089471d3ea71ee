"""Expiry: the sweep after the fact. Matching itself fills no order whose time is over."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction

from apps.exchange.models import OrderStatus, Reason
from apps.exchange.orders.ending import Ending, end
from moonx.core import locks, logs
from moonx.core.events import OrderExpired
from moonx.core.locks import Lock, LockBusy

log = logs.get("moonx.orders")

BATCH = 10_000  # orders: some 400 ms in one transaction, beyond which batches gain nothing

# The clock is read by a subquery, once: bare it would be read anew for each row, and no index be
# searched by it.
DUE_MARKETS = """
SELECT market_id, count(*) FROM exchange_order
WHERE stage <> 'done' AND expires_at IS NOT NULL AND expires_at <= (SELECT clock_timestamp())
GROUP BY market_id ORDER BY market_id
"""
FREE_MARKETS = """
SELECT id FROM unnest(%s::int[]) AS m(id) WHERE pg_try_advisory_xact_lock(%s, id)
"""
DUE = """o.expires_at IS NOT NULL AND o.expires_at <= (SELECT clock_timestamp())
  AND o.market_id = ANY(%(markets)s) ORDER BY o.expires_at LIMIT %(limit)s
"""
EXPIRED = Ending(status=OrderStatus.EXPIRED, reason=Reason.TIME, event=OrderExpired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What a sweep found due and what it ended; a fill or a cancel may have come first.

    `errors` counts markets that were held by others for too long.
    """

    found: int
    expired: int
    errors: int


def expire_due(*, batch: int = BATCH) -> Expired:
    """Ends every order whose time is over by the database's clock, all markets at once.

    Works in batches that commit one by one. A market that is being matched is waited for
    afterwards, alone; one that stays held is left to the next sweep.
    """
    due = _due_markets()
    expired, busy = _expire_free(list(due), batch=batch)
    errors = 0
    for market_id in busy:
        try:
            expired += _expire_one(market_id, batch=batch)
        except LockBusy as cause:
            errors += 1
            log.warning("market not swept, the next run will", market=market_id, cause=str(cause))
    return Expired(found=sum(due.values()), expired=expired, errors=errors)


def _due_markets() -> dict[int, int]:
    """How many orders are due in each market that has any."""
    with connection.cursor() as cursor:
        cursor.execute(DUE_MARKETS)
        return dict(cursor.fetchall())


def _expire_free(markets: Sequence[int], *, batch: int) -> tuple[int, set[int]]:
    """Expires in all markets that nobody holds; returns how many, and the markets left out."""
    expired, busy = 0, set()
    while markets:
        with transaction.atomic():
            free = _try_hold(markets)
            busy |= set(markets) - set(free)
            ids = _expire(free, batch=batch)
        expired += len(ids)
        if len(ids) < batch:
            break
    return expired, busy


def _expire_one(market_id: int, *, batch: int) -> int:
    expired = 0
    while True:
        with transaction.atomic():
            locks.hold(Lock.MARKET, market_id)
            ids = _expire([market_id], batch=batch)
        expired += len(ids)
        if len(ids) < batch:
            return expired


def _try_hold(markets: Sequence[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(FREE_MARKETS, [list(markets), Lock.MARKET.value])
        return [market_id for (market_id,) in cursor.fetchall()]


def _expire(markets: Sequence[int], *, batch: int) -> list[int]:
    ids = end(EXPIRED, where=DUE, values={"markets": list(markets), "limit": batch})
    for order in ids if logs.is_debug() else ():
        log.debug("expired an order", order=order)
    return ids
