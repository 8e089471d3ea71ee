"""What users see of their own: open orders, fills and balances, each on a channel of theirs.

`orders` and `trades` without a market tell the same in the words of the former services.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.exchange.models import OPEN, Account, Order, OrderStatus, Side
from moonx.core import clock, events, topics
from moonx.core.events import (
    OrderAccepted,
    OrderFact,
    OrderPartiallyFilled,
    OwnTradeBusted,
    OwnTradeExecuted,
)
from moonx.core.topics import Namespace

ORDERS, TRADES, BALANCES = "orders@me", "trades@me", "balances@me"
TAPE = 50  # fills that a new subscriber is shown

Data = dict[str, Any]
Shot = Callable[[int], topics.Snapshot]
Retell = Callable[[str, Data], tuple[str, Data]]

# Each market's newest are found by index; the newest of all are among them.
FILLS = """
SELECT f.owner_id AS user_id, m.symbol, b.symbol AS base_asset, q.symbol AS quote_asset,
  f.seq AS trade_id, f.order_id, f.side, f.is_maker, coalesce(c.new_price, f.price) AS price,
  f.quantity, coalesce(c.new_quote_quantity, f.quote_quantity) AS quote_quantity,
  coalesce(CASE WHEN f.is_maker THEN c.maker_fee ELSE c.taker_fee END, f.fee) AS fee,
  q.symbol AS fee_asset, f.executed_at AS time
FROM exchange_market m
CROSS JOIN LATERAL (
  SELECT * FROM exchange_fill f WHERE f.owner_id = %(owner)s AND f.market_id = m.id
    AND NOT EXISTS (SELECT FROM exchange_amendment a
      WHERE a.market_id = m.id AND a.seq = f.seq AND a.kind = 'bust')
  ORDER BY f.seq DESC LIMIT %(limit)s
) f
LEFT JOIN LATERAL (
  SELECT * FROM exchange_amendment a WHERE a.market_id = m.id AND a.seq = f.seq
  ORDER BY a.epoch DESC LIMIT 1
) c ON true
JOIN exchange_asset b ON b.id = m.base_id
JOIN exchange_asset q ON q.id = m.quote_id
ORDER BY f.executed_at DESC, f.id DESC LIMIT %(limit)s
"""


def register() -> None:
    """Makes the channels known to the gateway."""
    for name, snapshot in ((ORDERS, open_orders), (TRADES, last_fills), (BALANCES, balances)):
        topics.register(_namespace(name, snapshot))
    topics.register(_namespace("orders", open_orders, alias_of=ORDERS, retell=order_update))
    topics.register(_namespace("trades", last_fills, alias_of=TRADES, retell=trade_update))


def _namespace(
    name: str, snapshot: Shot, *, alias_of: str = "", retell: Retell | None = None
) -> Namespace:
    return Namespace(
        name=name,
        public=False,
        arity=0,
        check=_any,
        snapshot=lambda args: snapshot(int(args[0])),
        alias_of=alias_of,
        retell=retell,
    )


def _any(_: Sequence[str]) -> None:
    """The channels of every user exist."""


def open_orders(owner_id: int) -> topics.Snapshot:
    """The user's open orders, oldest first, as their events tell them."""
    rows = Order.objects.filter(OPEN, owner_id=owner_id).order_by("id")
    facts = map(order_fact, rows.select_related("market__base", "market__quote"))
    return [(fact.name, fact.payload()) for fact in facts]


def order_fact(order: Order) -> OrderFact:
    """The event that an open order would make now; reads its market and both assets."""
    partly = order.status == OrderStatus.PARTIALLY_FILLED
    market = order.market
    return (OrderPartiallyFilled if partly else OrderAccepted)(
        user_id=order.owner_id,
        order_id=order.pk,
        client_order_id=order.client_order_id,
        symbol=market.symbol,
        base_asset=market.base.symbol,
        quote_asset=market.quote.symbol,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        status=order.status,
        price=order.price,
        stop_price=order.stop_price,
        quantity=order.quantity,
        quote_order_quantity=order.quote_order_quantity,
        filled_quantity=order.filled_quantity,
        prevented_quantity=order.prevented_quantity,
        filled_quote=order.filled_quote,
        fee=order.fee,
        fee_asset=market.quote.symbol,
        self_trade=order.self_trade,
        expires_at=order.expires_at,
        reason=order.reason,
        created_at=order.created_at,
        updated_at=order.updated_at,
    )


def last_fills(owner_id: int) -> topics.Snapshot:
    """The user's last fills over all markets that stand, oldest first, as they stand."""
    with connection.cursor() as cursor:
        cursor.execute(FILLS, {"owner": owner_id, "limit": TAPE})
        names = [column.name for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    facts = [OwnTradeExecuted(**row) for row in reversed(rows)]
    return [(fact.name, fact.payload()) for fact in facts]


def balances(owner_id: int) -> topics.Snapshot:
    """What the user has of each asset, as it stands: no event tells that nothing changed."""
    now = clock.db_now()
    rows = Account.objects.filter(owner_id=owner_id).select_related("asset")
    return [
        (
            "balance.updated",
            events.wire(
                {
                    "user_id": owner_id,
                    "asset": row.asset.symbol,
                    "balance": row.balance,
                    "held": row.held,
                    "available": (row.balance or Decimal(0)) - row.held,
                    "time": now,
                }
            ),
        )
        for row in rows.order_by("asset__symbol")
    ]


def order_update(_: str, order: Data) -> tuple[str, Data]:
    """An order's event in the words of the former services, our fields beside theirs."""
    amounts = _swapped(order, base=order["filledQuantity"], quote=order["filledQuote"])
    return "order_update", {**order, **amounts, "status": order["status"].lower()}


def trade_update(name: str, fill: Data) -> tuple[str, Data]:
    """A fill's event in the words of the former services, our fields beside theirs.

    They had no word for a fill that does not stand: it comes under ours, or it would count twice.
    """
    if name == OwnTradeBusted.name:
        return name, fill
    amounts = _swapped(fill, base=fill["quantity"], quote=fill["quoteQuantity"])
    return "trade_update", {**fill, **amounts, "txHash": None}


def _swapped(data: Data, *, base: str, quote: str) -> Data:
    """What was given and what was got; nothing of it happened on a chain."""
    given, got = (data["quoteAsset"], quote), (data["baseAsset"], base)
    if data["side"] == Side.SELL:
        given, got = got, given
    return {
        "tokenIn": given[0],
        "tokenOut": got[0],
        "amountIn": given[1],
        "amountOut": got[1],
        "chainId": None,
    }
