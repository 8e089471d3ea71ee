"""Orders placed and cancelled for a caller, answered in Binance's shapes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from apps.exchange import orders
from apps.exchange.api import errors, order_shapes, refusals
from apps.exchange.api.errors import ApiError
from apps.exchange.api.order_params import Asked, ResponseType
from apps.exchange.models import OPEN, Fill, Market, Order, OrderStatus
from apps.exchange.orders.request import made_up_id
from moonx.core import activity, locks, logs
from moonx.core.locks import Lock

log = logs.get("moonx.orders")

RESTRICTED = "Order was not canceled due to cancel restrictions."


class Restriction(StrEnum):
    """In which state alone an order is to be cancelled."""

    ONLY_NEW = "ONLY_NEW"
    ONLY_PARTIALLY_FILLED = "ONLY_PARTIALLY_FILLED"

    @property
    def status(self) -> OrderStatus:
        """The status it names."""
        return OrderStatus(self.value.removeprefix("ONLY_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """An order of an owner, by its id, by their name of it, or by both."""

    market: Market
    owner_id: int
    order_id: int | None
    client_id: str | None

    def rows(self) -> "QuerySet[Order]":
        """The order, if there is one and it is theirs."""
        found = Order.objects.filter(market=self.market, owner_id=self.owner_id)
        if self.order_id is not None:
            found = found.filter(pk=self.order_id)
        if self.client_id is not None:
            found = found.filter(client_order_id=self.client_id)
        return found


def put(market: Market, asked: Asked, user_id: int) -> dict[str, Any]:
    """Places an order and answers as it then stands; ApiError where it was refused."""
    with refusals.told():
        order = orders.place(market, user_id, asked.order)
    _tell("order_placed", order)
    refusals.raise_rejected(order)
    fills: list[Fill] = []
    if asked.response is ResponseType.FULL and order.filled_quantity:
        fills = list(Fill.objects.filter(order_id=order.pk).order_by("seq"))
    return order_shapes.placed(market, order, fills, asked.response)


def withdraw(
    market: Market,
    user_id: int,
    *,
    order_id: int | None,
    client_order_id: str | None,
    request_id: str | None,
    restriction: Restriction | None,
) -> dict[str, Any]:
    """Cancels an order and answers as it then stands; ApiError where there is none to cancel."""
    if order_id is None and client_order_id is None:
        raise errors.neither("origClientOrderId", "orderId")
    named = Named(market=market, owner_id=user_id, order_id=order_id, client_id=client_order_id)
    with refusals.told():
        order = _cancel(named) if restriction is None else _cancel_if(named, restriction)
    _tell("order_canceled", order)
    return order_shapes.canceled(market, order, request_id=request_id or made_up_id())


def withdraw_all(market: Market, user_id: int) -> list[dict[str, Any]]:
    """Cancels all open orders in a market and answers as they then stand; ApiError for none."""
    with refusals.told():
        found = orders.cancel_all(market, user_id)
    if not found:
        errors.fail(errors.UNKNOWN_ORDER)
    for order in found:
        _tell("order_canceled", order)
    return [order_shapes.canceled(market, row, request_id=made_up_id()) for row in found]


def _tell(action: str, order: Order) -> None:
    activity.note_frequent(order.owner_id, action)
    if logs.is_debug():
        log.debug(action, order=order.pk, market=order.market_id, status=order.status)


def _cancel(named: Named) -> Order:
    return orders.cancel(
        named.market, named.owner_id, order_id=named.order_id, client_order_id=named.client_id
    )


def _cancel_if(named: Named, restriction: Restriction) -> Order:
    """Under the market's lock, nothing fills the order between the look and the cancel."""
    with transaction.atomic():
        locks.hold(Lock.MARKET, named.market.pk)
        row = named.rows().filter(OPEN).first()
        if row is not None and row.status != restriction.status:
            raise ApiError(-2011, RESTRICTED)
        return _cancel(named)
