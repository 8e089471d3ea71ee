"""Orders, fills and balances in the shapes that Binance gives them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.exchange.api.order_params import ResponseType
from apps.exchange.api.shapes import PLACES, ZERO, writers
from apps.exchange.models import (
    Account,
    Asset,
    Fill,
    Market,
    Order,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from moonx.core import money
from moonx.core.intervals import to_ms

NO_DISCOUNT = {
    "enabledForAccount": False,
    "enabledForSymbol": False,
    "discountAsset": None,
    "discount": "0.00000000",
}
NO_LIST = -1  # orders come alone, not in lists
STOPS = {OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What trading costs a user, in basis points."""

    maker_bps: Decimal
    taker_bps: Decimal


def exact(amount: Decimal) -> str:
    """The amount with eight decimals, or as many as it needs."""
    return money.plain(amount, places=max(PLACES, money.decimals(amount)))


def placed(
    market: Market, order: Order, fills: Iterable[Fill], response: ResponseType
) -> dict[str, Any]:
    """The answer to a new order."""
    shape = {**_named(market, order), "transactTime": to_ms(order.updated_at)}
    if response is ResponseType.ACK:
        return shape
    shape |= _amounts(market, order)
    shape |= {"workingTime": _working_time(order), "selfTradePreventionMode": order.self_trade}
    shape |= _conditional(market, order)
    if response is ResponseType.FULL:
        shape["fills"] = [_fill_of_order(market, fill) for fill in fills]
    return shape


def canceled(market: Market, order: Order, *, request_id: str) -> dict[str, Any]:
    """The answer to a cancel, which bears an id of its own."""
    return {
        "symbol": market.symbol,
        "origClientOrderId": order.client_order_id,
        "orderId": order.pk,
        "orderListId": NO_LIST,
        "clientOrderId": request_id,
        "transactTime": to_ms(order.updated_at),
        **_amounts(market, order),
        "selfTradePreventionMode": order.self_trade,
        **_conditional(market, order),
    }


def order(market: Market, row: Order) -> dict[str, Any]:
    """An order as it stands."""
    price, base, _ = writers(market)
    amounts = _amounts(market, row)
    by_quote = amounts.pop("origQuoteOrderQty")
    return {
        **_named(market, row),
        **amounts,
        "stopPrice": price(row.stop_price or ZERO),
        "icebergQty": base(ZERO),
        "time": to_ms(row.created_at),
        "updateTime": to_ms(row.updated_at),
        "isWorking": row.type not in STOPS or row.working_at is not None,
        "workingTime": _working_time(row),
        "origQuoteOrderQty": by_quote,
        "selfTradePreventionMode": row.self_trade,
        **{name: value for name, value in _conditional(market, row).items() if name != "stopPrice"},
    }


def own_trade(market: Market, fill: Fill) -> dict[str, Any]:
    """One's side of a trade."""
    price, base, quote = writers(market)
    return {
        "symbol": market.symbol,
        "id": fill.seq,
        "orderId": fill.order_id,
        "orderListId": NO_LIST,
        "price": price(fill.price),
        "qty": base(fill.quantity),
        "quoteQty": quote(fill.quote_quantity),
        "commission": exact(fill.fee),
        "commissionAsset": market.quote.symbol,
        "time": to_ms(fill.executed_at),
        "isBuyer": fill.side == Side.BUY,
        "isMaker": fill.is_maker,
        "isBestMatch": True,
    }


def account(
    user_id: int,
    balances: Sequence[tuple[Asset, Account | None]],
    *,
    fees: Fees,
    may_trade: bool,
    now_ms: int,
) -> dict[str, Any]:
    """A user's balances and fees."""
    return {
        "makerCommission": int(fees.maker_bps),
        "takerCommission": int(fees.taker_bps),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": rates(fees),
        "canTrade": may_trade,
        "canWithdraw": False,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": True,
        "preventSor": True,
        "updateTime": now_ms,
        "accountType": "SPOT",
        "balances": [_balance(asset, row) for asset, row in balances],
        "permissions": ["SPOT"],
        "uid": user_id,
    }


def commission(market: Market, fees: Fees) -> dict[str, Any]:
    """What trading in a market costs a user."""
    nothing = dict.fromkeys(("maker", "taker", "buyer", "seller"), exact(ZERO))
    return {
        "symbol": market.symbol,
        "standardCommission": rates(fees),
        "specialCommission": nothing,
        "taxCommission": nothing,
        "discount": NO_DISCOUNT,
    }


def order_rates(fees: Fees) -> dict[str, Any]:
    """What an order would cost its owner."""
    standard = rates(fees)
    nothing = {"maker": exact(ZERO), "taker": exact(ZERO)}
    return {
        "standardCommissionForOrder": {name: standard[name] for name in nothing},
        "specialCommissionForOrder": nothing,
        "taxCommissionForOrder": nothing,
        "discount": NO_DISCOUNT,
    }


def rates(fees: Fees) -> dict[str, str]:
    """Fees as parts of one."""
    return {
        "maker": exact(fees.maker_bps.scaleb(-4)),
        "taker": exact(fees.taker_bps.scaleb(-4)),
        "buyer": exact(ZERO),
        "seller": exact(ZERO),
    }


def _balance(asset: Asset, row: Account | None) -> dict[str, str]:
    balance, held = (row.balance or ZERO, row.held) if row else (ZERO, ZERO)
    return {
        "asset": asset.symbol,
        "free": exact(money.EXACT.subtract(balance, held)),
        "locked": exact(held),
    }


def _named(market: Market, row: Order) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "orderId": row.pk,
        "orderListId": NO_LIST,
        "clientOrderId": row.client_order_id,
    }


def _amounts(market: Market, row: Order) -> dict[str, Any]:
    price, base, quote = writers(market)
    is_market = row.type == OrderType.MARKET
    return {
        # What a MARKET order pays at worst is no limit of its owner's.
        "price": price(ZERO if is_market or row.price is None else row.price),
        "origQty": base(row.quantity),
        "executedQty": base(row.filled_quantity),
        "origQuoteOrderQty": exact(row.quote_order_quantity or ZERO),
        "cummulativeQuoteQty": quote(row.filled_quote),
        "status": row.status,
        "timeInForce": TimeInForce.GTC.value if is_market else row.time_in_force,
        "type": row.type,
        "side": row.side,
    }


def _conditional(market: Market, row: Order) -> dict[str, Any]:
    """What only some orders have."""
    price, base, _ = writers(market)
    found: dict[str, Any] = {}
    if row.stop_price is not None:
        found["stopPrice"] = price(row.stop_price)
    if row.expires_at is not None:
        found["goodTillDate"] = to_ms(row.expires_at)
    if row.status == OrderStatus.EXPIRED_IN_MATCH or row.prevented_quantity:
        found["preventedQuantity"] = base(row.prevented_quantity)
    return found


def _working_time(row: Order) -> int:
    return to_ms(row.working_at) if row.working_at else -1


def _fill_of_order(market: Market, fill: Fill) -> dict[str, Any]:
    price, base, _ = writers(market)
    return {
        "price": price(fill.price),
        "qty": base(fill.quantity),
        "commission": exact(fill.fee),
        "commissionAsset": market.quote.symbol,
        "tradeId": fill.seq,
    }
