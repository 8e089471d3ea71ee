"""The account paths of `/api/v3` that only read: orders, trades, balances, limits."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import QuerySet
from ninja import Router

from apps.exchange import fills
from apps.exchange.api import (
    endpoint,
    errors,
    order_counts,
    order_params,
    order_shapes,
    params,
    symbols,
)
from apps.exchange.api.desk import Named
from apps.exchange.api.order_schemas import ACCOUNT, COMMISSION, COUNTS, ORDER, ORDERS, OWN_TRADES
from apps.exchange.api.order_shapes import Fees
from apps.exchange.api.params import Param, Query
from apps.exchange.api.signing import Caller
from apps.exchange.models import OPEN, Account, Asset, Fill, Order, Trader
from moonx.core import clock
from moonx.core.intervals import to_ms

router = Router(tags=["Trading"])

Row = TypeVar("Row", Order, Fill)

DAY = timedelta(hours=24)
CLIENT_ID = Param(
    name="origClientOrderId", legal=order_params.CLIENT_ID, text="The order, by your name of it."
)
FROM_ORDER = Param(name="orderId", legal=params.NUMBER, text="From this order's id on.")
FROM_TRADE = Param(name="fromId", legal=params.NUMBER, text="From this trade's id on.")
OMIT_ZEROS = Param(
    name="omitZeroBalances", legal="^(true|false)$", text="`true` leaves out what you have not."
)

FEES = """
SELECT coalesce(own.maker_fee_bps, usual.maker_fee_bps, 0),
  coalesce(own.taker_fee_bps, usual.taker_fee_bps, 0)
FROM (SELECT %s AS user_id) u
LEFT JOIN exchange_trader t ON t.user_id = u.user_id
LEFT JOIN exchange_feetier own ON own.id = t.fee_tier_id
LEFT JOIN exchange_feetier usual ON usual.is_default
"""


@endpoint.own(
    router,
    "GET",
    "/order",
    takes=[params.ONE_NEEDED, params.ORDER_ID, CLIENT_ID],
    weight=4,
    answers=ORDER,
)
def order(query: Query, caller: Caller) -> dict[str, Any]:
    """An order of yours, named by `orderId`, by `origClientOrderId`, or by both."""
    order_id, client_id = query.row_id("orderId"), query.text("origClientOrderId")
    if order_id is None and client_id is None:
        raise errors.neither("origClientOrderId", "orderId")
    market = symbols.market(query.needed("symbol"))
    named = Named(market=market, owner_id=caller.user_id, order_id=order_id, client_id=client_id)
    row = named.rows().first()
    if row is None:
        errors.fail(errors.NO_SUCH_ORDER)
    return order_shapes.order(market, row)


@endpoint.own(
    router,
    "GET",
    "/openOrders",
    takes=[params.ONE],
    weight=lambda query: 6 if "symbol" in query else 80,
    answers=ORDERS,
)
def open_orders(query: Query, caller: Caller) -> list[dict[str, Any]]:
    """Your open orders, in one market or in all."""
    found = Order.objects.filter(OPEN, owner_id=caller.user_id).order_by("id")
    symbol = query.text("symbol")
    if symbol is not None:
        market = symbols.market(symbol)
        return [order_shapes.order(market, row) for row in found.filter(market=market)]
    everywhere = found.select_related("market__base", "market__quote")
    return [order_shapes.order(row.market, row) for row in everywhere]


@endpoint.own(
    router,
    "GET",
    "/allOrders",
    takes=[params.ONE_NEEDED, FROM_ORDER, params.START, params.END, params.LIMIT],
    weight=20,
    answers=ORDERS,
)
def all_orders(query: Query, caller: Caller) -> list[dict[str, Any]]:
    """Your orders in a market, whatever became of them: from an id on, of a time, or newest."""
    limit, market = query.limit(), symbols.market(query.needed("symbol"))
    _check_span(query)
    found = Order.objects.filter(owner_id=caller.user_id, market=market)
    from_id = query.row_id("orderId")
    if from_id is not None:
        found = found.filter(pk__gte=from_id)
    found = _of_time(found, query, "created_at")
    is_forward = from_id is not None or "startTime" in query
    return [
        order_shapes.order(market, row) for row in _page(found, "id", limit, is_forward=is_forward)
    ]


@endpoint.own(
    router,
    "GET",
    "/myTrades",
    takes=[
        *(params.ONE_NEEDED, params.ORDER_ID, params.START, params.END, FROM_TRADE),
        params.LIMIT,
    ],
    weight=lambda query: 5 if "orderId" in query else 20,
    answers=OWN_TRADES,
)
def own_trades(query: Query, caller: Caller) -> list[dict[str, Any]]:
    """Your side of trades in a market: of an order, from an id on, of a time, or the newest.

    As they stand: without what was busted, corrected trades with what they are now.
    """
    limit, market = query.limit(), symbols.market(query.needed("symbol"))
    has_time = "startTime" in query or "endTime" in query
    if has_time and ("fromId" in query or "orderId" in query):
        errors.fail(errors.BAD_COMBINATION)
    _check_span(query)
    found = fills.of(caller.user_id, market)
    order_id, from_id = query.row_id("orderId"), query.row_id("fromId")
    if order_id is not None:
        found = found.filter(order_id=order_id)
    if from_id is not None:
        found = found.filter(seq__gte=from_id)
    found = _of_time(found, query, "executed_at")
    is_forward = from_id is not None or "startTime" in query
    return [
        order_shapes.own_trade(market, row)
        for row in fills.as_they_stand(market, _page(found, "seq", limit, is_forward=is_forward))
    ]


@endpoint.own(router, "GET", "/account", takes=[OMIT_ZEROS], weight=20, answers=ACCOUNT)
def account(query: Query, caller: Caller) -> dict[str, Any]:
    """Your balances and fees."""
    user_id = caller.user_id
    rows = {row.asset_id: row for row in Account.objects.filter(owner_id=user_id)}
    balances = [(asset, rows.get(asset.pk)) for asset in Asset.objects.all()]
    if query.text("omitZeroBalances") == "true":
        balances = [(asset, row) for asset, row in balances if row is not None and row.balance]
    is_frozen = Trader.objects.filter(user_id=user_id, frozen_at__isnull=False).exists()
    return order_shapes.account(
        user_id,
        balances,
        fees=fees_of(user_id),
        may_trade=not is_frozen,
        now_ms=to_ms(clock.db_now()),
    )


@endpoint.own(
    router,
    "GET",
    "/account/commission",
    takes=[params.ONE_NEEDED],
    weight=20,
    answers=COMMISSION,
)
def commission(query: Query, caller: Caller) -> dict[str, Any]:
    """What trading costs you in a market."""
    market = symbols.market(query.needed("symbol"))
    return order_shapes.commission(market, fees_of(caller.user_id))


@endpoint.own(router, "GET", "/rateLimit/order", weight=40, answers=COUNTS)
def order_limits(_: Query, caller: Caller) -> list[dict[str, Any]]:
    """How many orders you have placed of those you may place."""
    return order_counts.counted(caller.user_id)


def fees_of(user_id: int) -> Fees:
    """What trading costs a user now."""
    with connection.cursor() as cursor:
        cursor.execute(FEES, [user_id])
        maker, taker = cursor.fetchone()
    return Fees(maker_bps=maker, taker_bps=taker)


def _check_span(query: Query) -> None:
    start, end = query.moment("startTime"), query.moment("endTime")
    if start is not None and end is not None and end - start > DAY:
        errors.fail(errors.TOO_LONG_APART)


def _of_time(found: "QuerySet[Row]", query: Query, column: str) -> "QuerySet[Row]":
    start, end = query.moment("startTime"), query.moment("endTime")
    if start is not None:
        found = found.filter(**{f"{column}__gte": start})
    if end is not None:
        found = found.filter(**{f"{column}__lt": end + params.MS})
    return found


def _page(found: "QuerySet[Row]", key: str, limit: int, *, is_forward: bool) -> Iterable[Row]:
    """The first rows, or the newest ones; oldest first either way."""
    if is_forward:
        return found.order_by(key)[:limit]
    return reversed(found.order_by(f"-{key}")[:limit])
