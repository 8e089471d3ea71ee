"""Expiry: the sweep after the fact. Matching itself fills no order whose time is over."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import DatabaseError, connection, transaction

from apps.exchange.models import OPEN, Order, OrderStatus, Reason
from apps.exchange.orders.ending import Ending, end
from moonx.core import clock, locks, logs
from moonx.core.events import OrderExpired
from moonx.core.locks import Lock, LockBusy

log = logs.get("moonx.orders")

BATCH = 10_000  # orders: some 400 ms in one transaction, beyond which batches gain nothing

# By the time of the statement, which the planner knows: an index is searched by it, and what is due
# is estimated. A subquery's time it does not know; it then takes a third of all orders for due, and
# starts two workers for what one probe answers.
DUE_MARKETS = """
SELECT market_id, count(*) FROM exchange_order
WHERE stage <> 'done' AND expires_at IS NOT NULL AND expires_at <= statement_timestamp()
GROUP BY market_id ORDER BY market_id
"""
FREE_MARKETS = """
SELECT id FROM unnest(%s::int[]) AS m(id) WHERE pg_try_advisory_xact_lock(%s, id)
"""
DUE = """o.expires_at IS NOT NULL AND o.expires_at <= statement_timestamp()
  AND o.market_id = ANY(%(markets)s) ORDER BY o.expires_at LIMIT %(limit)s
"""
ONE = "o.id = %(order)s AND o.expires_at <= statement_timestamp()"
EXPIRED = Ending(status=OrderStatus.EXPIRED, reason=Reason.TIME, event=OrderExpired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What a sweep found due and what it ended; a fill or a cancel may have come first.

    `errors` counts markets that were held by others for too long, and orders that the database
    would not let go.
    """

    found: int
    expired: int
    errors: int


def expire_due(*, batch: int = BATCH) -> Expired:
    """Ends every order whose time is over by the database's clock, all markets at once.

    Works in batches that commit one by one. A market that is being matched is waited for
    afterwards, alone; one that stays held is left to the next sweep. Where a batch fails, its
    orders are tried one by one, so that a single bad row keeps no other.
    """
    due = _due_markets()
    expired, left = _expire_free(list(due), batch=batch)
    errors = 0
    for market_id in left:
        done, failed = _expire_alone(market_id, batch=batch)
        expired, errors = expired + done, errors + failed
    return Expired(found=sum(due.values()), expired=expired, errors=errors)


def _due_markets() -> dict[int, int]:
    """How many orders are due in each market that has any."""
    with connection.cursor() as cursor:
        cursor.execute(DUE_MARKETS)
        return dict(cursor.fetchall())


def _expire_free(markets: Sequence[int], *, batch: int) -> tuple[int, set[int]]:
    """Expires in all markets that nobody holds; returns how many, and the markets left out.

    Others wait for these markets meanwhile, so it waits for nobody: a busy account leaves all of
    them out.
    """
    expired, busy = 0, set()
    while markets:
        try:
            with transaction.atomic():
                free = _try_hold(markets)
                busy |= set(markets) - set(free)
                ids = _expire(free, batch=batch)
        except (LockBusy, DatabaseError) as cause:
            log.warning("markets are swept one by one", cause=str(cause))
            return expired, set(markets)
        expired += len(ids)
        if len(ids) < batch:
            break
    return expired, busy


def _expire_alone(market_id: int, *, batch: int) -> tuple[int, int]:
    """Expires in one market; returns how many, and how many errors there were."""
    try:
        return _expire_one(market_id, batch=batch), 0
    except LockBusy as cause:
        log.warning("market not swept, the next run will", market=market_id, cause=str(cause))
        return 0, 1
    except DatabaseError:
        log.exception("a batch did not expire, its orders are tried one by one", market=market_id)
        return _expire_singly(market_id, limit=batch)


def _expire_singly(market_id: int, *, limit: int) -> tuple[int, int]:
    expired = errors = 0
    due = Order.objects.filter(OPEN, market_id=market_id, expires_at__lte=clock.db_now())
    for order_id in list(due.order_by("expires_at").values_list("pk", flat=True)[:limit]):
        try:
            with transaction.atomic():
                locks.hold(Lock.MARKET, market_id)
                expired += len(end(EXPIRED, where=ONE, values={"order": order_id}))
        except (LockBusy, DatabaseError) as cause:
            errors += 1
            log.error("order did not expire", order=order_id, cause=str(cause).strip())
    return expired, errors


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
