"""The parameters of an order: which go together, as Binance demands it of each order type."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from apps.exchange.api import errors, params
from apps.exchange.api.errors import ApiError
from apps.exchange.api.params import DECIMAL, NUMBER, WORD, Param, Query
from apps.exchange.models import Market, OrderType, SelfTrade, Side, TimeInForce
from apps.exchange.orders import NewOrder

CLIENT_ID = "^[a-zA-Z0-9-_]{1,36}$"


class ResponseType(StrEnum):
    """How much an answer to a new order tells."""

    ACK = "ACK"
    RESULT = "RESULT"
    FULL = "FULL"


SIDE = Param(name="side", legal=WORD, required=True, text="`BUY` or `SELL`.")
TYPE = Param(name="type", legal=WORD, required=True, text=f"One of {', '.join(OrderType)}.")
TIF = Param(
    name="timeInForce",
    legal=WORD,
    text=f"One of {', '.join(TimeInForce)}; GTD ends at `goodTillDate`.",
)
QUANTITY = Param(name="quantity", legal=DECIMAL, text="How much of the base asset.")
QUOTE = Param(
    name="quoteOrderQty", legal=DECIMAL, text="MARKET only: how much of the quote asset instead."
)
PRICE = Param(name="price", legal=DECIMAL, text="The limit.")
STOP = Param(name="stopPrice", legal=DECIMAL, text="From which last price on it works.")
TILL = Param(name="goodTillDate", legal=NUMBER, text="Ours, for GTD: until when it stands, ms.")
NEW_ID = Param(
    name="newClientOrderId", legal=CLIENT_ID, text="Your name of it, good once in a market."
)
RESPONSE = Param(
    name="newOrderRespType",
    legal=WORD,
    text="`ACK`, `RESULT` or `FULL`. MARKET and LIMIT: FULL by default, others ACK.",
)
SELF_TRADE = Param(
    name="selfTradePreventionMode",
    legal=WORD,
    text=f"Who yields where you would trade with yourself: {', '.join(SelfTrade)}; "
    "EXPIRE_MAKER by default.",
)
PLACED = (
    *(params.ONE_NEEDED, SIDE, TYPE, TIF, QUANTITY, QUOTE, PRICE, STOP, TILL, NEW_ID),
    *(RESPONSE, SELF_TRADE),
)

# What Binance takes and we do not; each is refused by name.
ABSENT: dict[str, ApiError] = {
    "icebergQty": ApiError(-1013, "Iceberg orders are not supported for this symbol."),
    "trailingDelta": ApiError(-1013, "Trailing stop orders are not supported for this symbol."),
    "pegPriceType": ApiError(-1013, "Pegged orders are not supported for this symbol."),
    "pegOffsetType": ApiError(-1013, "Pegged orders are not supported for this symbol."),
    "pegOffsetValue": ApiError(-1013, "Pegged orders are not supported for this symbol."),
    "strategyId": errors.not_required("strategyId"),
    "strategyType": errors.not_required("strategyType"),
}
UNSUPPORTED = tuple(
    Param(name=name, legal=r"^[\x21-\x7e]{1,64}$", text="Not supported.") for name in ABSENT
)
ABSENT_TYPES = {
    "STOP_LOSS": ApiError(-1013, "Stop loss orders are not supported for this symbol."),
    "TAKE_PROFIT": ApiError(-1013, "Take profit orders are not supported for this symbol."),
}

LIMITED = {"timeInForce", "quantity", "price"}
NEEDED: dict[OrderType, set[str]] = {
    OrderType.LIMIT: LIMITED,
    OrderType.MARKET: set(),
    OrderType.LIMIT_MAKER: {"quantity", "price"},
    OrderType.STOP_LOSS_LIMIT: LIMITED | {"stopPrice"},
    OrderType.TAKE_PROFIT_LIMIT: LIMITED | {"stopPrice"},
}
# In the order in which Binance names what is missing.
CONDITIONAL = ("timeInForce", "quantity", "price", "stopPrice", "quoteOrderQty")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A new order as it was asked for, and how much of it the answer tells."""

    order: NewOrder
    response: ResponseType


def asked(query: Query, market: Market) -> Asked:
    """The order in a request's parameters; ApiError for the first thing wrong with them."""
    refuse_unsupported(query)
    side = query.choice("side", Side, ApiError(*errors.BAD_SIDE))
    kind = _type(query)
    lasts = query.choice("timeInForce", TimeInForce, ApiError(*errors.BAD_TIF))
    _check_fields(query, kind, lasts)
    for name, places in (("quantity", market.base.decimals), ("price", market.quote.decimals)):
        _check_amount(query, name, places=places)
    for name in ("quoteOrderQty", "stopPrice"):
        _check_amount(query, name, places=market.quote.decimals)
    assert side is not None  # noqa: S101 - a required parameter
    order = NewOrder(
        side=side,
        type=kind,
        time_in_force=lasts,
        price=query.amount("price"),
        quantity=query.amount("quantity"),
        quote_order_quantity=query.amount("quoteOrderQty"),
        stop_price=query.amount("stopPrice"),
        self_trade=query.choice("selfTradePreventionMode", SelfTrade, _no_mode())
        or SelfTrade.EXPIRE_MAKER,
        client_order_id=query.text("newClientOrderId") or "",
        expires_at=query.moment("goodTillDate"),
    )
    return Asked(order=order, response=_response(query, kind))


def refuse_unsupported(query: Query) -> None:
    """Raises what Binance says of a parameter that this market does not take."""
    for name, fault in ABSENT.items():
        if name in query:
            raise ApiError(fault.code, fault.message)


def _type(query: Query) -> OrderType:
    text = query.text("type") or ""
    if text in ABSENT_TYPES:
        raise ApiError(ABSENT_TYPES[text].code, ABSENT_TYPES[text].message)
    kind = query.choice("type", OrderType, ApiError(*errors.BAD_TYPE))
    assert kind is not None  # noqa: S101 - a required parameter
    return kind


def _check_fields(query: Query, kind: OrderType, lasts: TimeInForce | None) -> None:
    needed = NEEDED[kind]
    may = needed | ({"quantity", "quoteOrderQty"} if kind is OrderType.MARKET else set())
    _check_each(query, needed=needed, may=may)
    if kind is OrderType.MARKET:
        _check_one_of_two(query)
    if (lasts is TimeInForce.GTD) != ("goodTillDate" in query):
        wrong = errors.missing if lasts is TimeInForce.GTD else errors.not_required
        raise wrong("goodTillDate")


def _check_each(query: Query, *, needed: Iterable[str], may: Iterable[str]) -> None:
    for name in CONDITIONAL:
        if name in needed and name not in query:
            raise errors.missing(name)
    for name in CONDITIONAL:
        if name not in may and name in query:
            raise errors.not_required(name)


def _check_one_of_two(query: Query) -> None:
    given = [name for name in ("quantity", "quoteOrderQty") if name in query]
    if not given:
        raise errors.neither("quantity", "quoteOrderQty")
    if len(given) > 1:
        errors.fail(errors.BAD_COMBINATION)


def _check_amount(query: Query, name: str, *, places: int) -> None:
    text = query.text(name)
    if text is None:
        return
    if len(text.partition(".")[2].rstrip("0")) > places:
        raise errors.too_precise(name)
    if not Decimal(text):
        raise ApiError(-1013, f"Invalid {name}.")


def _no_mode() -> ApiError:
    return errors.invalid("selfTradePreventionMode")


def _response(query: Query, kind: OrderType) -> ResponseType:
    chosen = query.choice("newOrderRespType", ResponseType, errors.invalid("newOrderRespType"))
    usual = {OrderType.MARKET, OrderType.LIMIT}
    return chosen or (ResponseType.FULL if kind in usual else ResponseType.ACK)
