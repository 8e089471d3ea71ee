"""Canceling: the first to commit wins, a fill or the cancel; the other finds nothing to do."""

from django.db import transaction

from apps.exchange.models import Market, Order, OrderStatus, Reason
from apps.exchange.orders.ending import Ending, end
from apps.exchange.orders.refusals import UnknownOrder
from moonx.core import locks
from moonx.core.events import OrderCanceled, OrderExpired
from moonx.core.locks import Lock


def cancel(
    market: Market,
    owner_id: int,
    *,
    order_id: int | None = None,
    client_order_id: str | None = None,
    reason: Reason = Reason.USER,
) -> Order:
    """Cancels the owner's open order of that id, of that client order id, or of both.

    Returns it as it then stands. Raises UnknownOrder where there is none (any more), whoever's it
    was; LockBusy where the market is held for too long.
    """
    ids = _cancel(
        market,
        where="o.market_id = %(market)s AND o.owner_id = %(owner)s "
        "AND o.id = coalesce(%(order)s, o.id) "
        "AND o.client_order_id = coalesce(%(client)s, o.client_order_id)",
        values={"owner": owner_id, "order": order_id, "client": client_order_id},
        reason=reason,
        is_named=order_id is not None or client_order_id is not None,
    )
    if not ids:
        raise UnknownOrder("Unknown order sent.")
    return Order.objects.get(pk=ids[0])


def cancel_all(market: Market, owner_id: int, *, reason: Reason = Reason.USER) -> list[Order]:
    """Cancels all of the owner's open orders in a market; returns them as they then stand."""
    ids = _cancel(
        market,
        where="o.market_id = %(market)s AND o.owner_id = %(owner)s",
        values={"owner": owner_id},
        reason=reason,
    )
    return list(Order.objects.filter(pk__in=ids).order_by("id"))


def expire_now(order: Order) -> Order:
    """Ends an open order as if its time were over, on an operator's word.

    Raises UnknownOrder where it is not open any more.
    """
    with transaction.atomic():
        locks.hold(Lock.MARKET, order.market_id)
        expired = Ending(status=OrderStatus.EXPIRED, reason=Reason.OPERATOR, event=OrderExpired)
        ids = end(expired, where="o.id = %(order)s", values={"order": order.pk})
    if not ids:
        raise UnknownOrder("The order is not open any more.")
    return Order.objects.get(pk=order.pk)


def _cancel(
    market: Market,
    *,
    where: str,
    values: dict[str, object],
    reason: Reason,
    is_named: bool = True,
) -> list[int]:
    if not is_named:
        return []
    canceled = Ending(status=OrderStatus.CANCELED, reason=reason, event=OrderCanceled)
    with transaction.atomic():
        locks.hold(Lock.MARKET, market.pk)
        return end(canceled, where=where, values={"market": market.pk, **values})
