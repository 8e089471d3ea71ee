"""The account paths of `/api/v3` that place and cancel orders."""

from typing import Any

from apps.exchange import orders
from apps.exchange.api import (
    accounts,
    desk,
    endpoint,
    order_counts,
    order_params,
    order_shapes,
    params,
    refusals,
    replacing,
    symbols,
)
from apps.exchange.api.order_schemas import CANCELED, CANCELED_ORDERS, PLACED, REPLACED, TESTED
from apps.exchange.api.params import Param, Query
from apps.exchange.api.signing import Caller, Needs

router = accounts.router  # one path answers reading and cancelling alike

CANCEL_ID = Param(
    name="newClientOrderId", legal=order_params.CLIENT_ID, text="Your name of this cancel."
)
RATES = Param(
    name="computeCommissionRates", legal="^(true|false)$", text="`true` tells what it would cost."
)


@endpoint.own(
    router,
    "POST",
    "/order",
    needs=Needs.TRADE,
    takes=[*order_params.PLACED, *order_params.UNSUPPORTED],
    weight=1,
    answers=PLACED,
)
def new_order(query: Query, caller: Caller) -> dict[str, Any]:
    """Places an order. It is matched before the answer, which says how it stands then."""
    market = symbols.market(query.needed("symbol"))
    asked = order_params.asked(query, market)
    caller.headers.update(order_counts.count(caller.user_id))
    return desk.put(market, asked, caller.user_id)


@endpoint.own(
    router,
    "POST",
    "/order/test",
    needs=Needs.TRADE,
    takes=[*order_params.PLACED, *order_params.UNSUPPORTED, RATES],
    weight=lambda query: 20 if query.text("computeCommissionRates") == "true" else 1,
    answers=TESTED,
)
def try_order(query: Query, caller: Caller) -> dict[str, Any]:
    """Checks an order as if it were placed, balance included, and places nothing."""
    market = symbols.market(query.needed("symbol"))
    asked = order_params.asked(query, market)
    with refusals.told():
        orders.check(market, caller.user_id, asked.order)
    if query.text("computeCommissionRates") != "true":
        return {}
    return order_shapes.order_rates(accounts.fees_of(caller.user_id))


@endpoint.own(
    router,
    "DELETE",
    "/order",
    needs=Needs.TRADE,
    takes=[
        *(params.ONE_NEEDED, params.ORDER_ID, accounts.CLIENT_ID, CANCEL_ID),
        replacing.RESTRICTIONS,
    ],
    weight=1,
    answers=CANCELED,
)
def cancel_order(query: Query, caller: Caller) -> dict[str, Any]:
    """Cancels an open order, named by `orderId`, by `origClientOrderId`, or by both."""
    restriction = replacing.restriction_of(query)
    return desk.withdraw(
        symbols.market(query.needed("symbol")),
        caller.user_id,
        order_id=query.row_id("orderId"),
        client_order_id=query.text("origClientOrderId"),
        request_id=query.text("newClientOrderId"),
        restriction=restriction,
    )


@endpoint.own(
    router,
    "DELETE",
    "/openOrders",
    needs=Needs.TRADE,
    takes=[params.ONE_NEEDED],
    weight=1,
    answers=CANCELED_ORDERS,
)
def cancel_open_orders(query: Query, caller: Caller) -> list[dict[str, Any]]:
    """Cancels all open orders in a market."""
    return desk.withdraw_all(symbols.market(query.needed("symbol")), caller.user_id)


@endpoint.own(
    router,
    "POST",
    "/order/cancelReplace",
    needs=Needs.TRADE,
    takes=[*order_params.PLACED, *order_params.UNSUPPORTED, *replacing.PARAMS],
    weight=1,
    answers=REPLACED,
)
def replace_order(query: Query, caller: Caller) -> dict[str, Any]:
    """Cancels an open order and places another in the same market."""
    return replacing.replace(query, symbols.market(query.needed("symbol")), caller)
