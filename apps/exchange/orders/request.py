"""An order as it is asked for, and whether its fields go together."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import uuid4

from apps.exchange.models import OrderType, SelfTrade, Side, TimeInForce
from apps.exchange.orders.refusals import MalformedOrder
from apps.exchange.vocabulary import STOPS

LONGEST_CLIENT_ID = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """What somebody wants to buy or sell. MARKET takes a quantity or an amount of quote.

    Without a client order id one is made up; without a time in force a limit order is GTC.
    """

    side: Side
    type: OrderType
    time_in_force: TimeInForce | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    quote_order_quantity: Decimal | None = None
    stop_price: Decimal | None = None
    self_trade: SelfTrade = SelfTrade.EXPIRE_MAKER
    client_order_id: str = ""
    expires_at: datetime | None = None

    @property
    def is_market(self) -> bool:
        """Whether it takes any price up to the collar."""
        return self.type is OrderType.MARKET

    @property
    def lasts(self) -> TimeInForce:
        """Its time in force: MARKET is immediate, a limit order stays unless it says otherwise."""
        if self.is_market:
            return TimeInForce.IOC
        return self.time_in_force or TimeInForce.GTC


def made_up_id() -> str:
    """A client order id for who sent none."""
    return uuid4().hex[:22]


def check_form(new: NewOrder) -> None:
    """Raises MalformedOrder for the first field that is missing or does not go with the others."""
    if len(new.client_order_id) > LONGEST_CLIENT_ID:
        raise MalformedOrder("newClientOrderId", "The client order id is too long.")
    _check_amounts(new)
    _check_price(new)
    _check_time(new)


def _check_amounts(new: NewOrder) -> None:
    _need_positive(new.quantity, "quantity")
    _need_positive(new.quote_order_quantity, "quoteOrderQty")
    if new.is_market:
        if (new.quantity is None) == (new.quote_order_quantity is None):
            raise MalformedOrder("quantity", "A MARKET order takes quantity or quoteOrderQty.")
    elif new.quantity is None:
        raise MalformedOrder("quantity", "The order needs a quantity.")
    elif new.quote_order_quantity is not None:
        raise MalformedOrder("quoteOrderQty", "Only MARKET orders take quoteOrderQty.")


def _check_price(new: NewOrder) -> None:
    _need_positive(new.price, "price")
    _need_positive(new.stop_price, "stopPrice")
    if new.is_market == (new.price is not None):
        text = "A MARKET order has no price." if new.is_market else "The order needs a price."
        raise MalformedOrder("price", text)
    if (new.type in STOPS) != (new.stop_price is not None):
        text = "The order needs a stopPrice." if new.type in STOPS else "Only stop orders have one."
        raise MalformedOrder("stopPrice", text)


def _check_time(new: NewOrder) -> None:
    if new.time_in_force is not None and new.type in {OrderType.MARKET, OrderType.LIMIT_MAKER}:
        raise MalformedOrder("timeInForce", f"{new.type.value} orders have no timeInForce.")
    if (new.lasts is TimeInForce.GTD) != (new.expires_at is not None):
        raise MalformedOrder("goodTillDate", "GTD orders have a goodTillDate, others have none.")


def _need_positive(value: Decimal | None, field: str) -> None:
    if value is not None and value <= 0:
        raise MalformedOrder(field, f"{field} must be above zero.")
