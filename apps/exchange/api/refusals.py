"""Why an order was not placed, or not cancelled, in Binance's codes and sentences."""

from collections.abc import Iterator
from contextlib import contextmanager

from apps.exchange import orders
from apps.exchange.api import errors
from apps.exchange.api.errors import ApiError
from apps.exchange.models import Order, OrderStatus, Reason
from moonx.core.locks import LockBusy

REJECTED = {
    Reason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    Reason.WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
    Reason.MARKET_CLOSED: (-1013, "Market is closed."),
    Reason.FROZEN: (-2010, "This account may not place or cancel orders."),
}
BUSY = "Server is currently overloaded with other requests. Please try again in a few minutes."


@contextmanager
def told() -> Iterator[None]:
    """Turns what orders refuse inside the block into what the API answers."""
    try:
        yield
    except orders.OrderRefused as refusal:
        raise of(refusal) from None
    except orders.UnknownOrder:
        raise ApiError(*errors.UNKNOWN_ORDER) from None
    except LockBusy:
        raise ApiError(-1008, BUSY, status=503) from None


def of(refusal: orders.OrderRefused) -> ApiError:
    """What the API answers to a refusal."""
    match refusal:
        case orders.FilterFailed():
            return ApiError(-1013, f"Filter failure: {refusal.rule.value}")
        case orders.MalformedOrder():
            return errors.invalid(refusal.field)
        case orders.MarketClosed():
            return ApiError(-1013, str(refusal))
        case orders.Frozen():
            return ApiError(*REJECTED[Reason.FROZEN])
    return ApiError(-2010, str(refusal))


def raise_rejected(order: Order) -> None:
    """Raises where only the match could say that the order cannot stand; its row says so too."""
    if order.status == OrderStatus.REJECTED:
        raise ApiError(*REJECTED.get(Reason(order.reason), (-2010, "Order was rejected.")))
