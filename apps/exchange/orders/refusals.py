"""Why an order is refused before it exists. Nothing of it is stored.

OrderRefused (permanent: the order must change, or the market or the account must)
├── FilterFailed          a rule of the market; `rule` names it
├── MalformedOrder        fields that do not go together
├── MarketClosed          the market accepts no such order now
├── ExpiryPassed          it would have expired already
├── InsufficientBalance   there is less than it would hold
├── DuplicateOrder        its client order id was used before
└── Frozen                the account places no orders
UnknownOrder              no such open order of this owner (permanent)
"""

from enum import StrEnum


class Filter(StrEnum):
    """The rules of a market, by the names that clients know."""

    PRICE = "PRICE_FILTER"
    LOT_SIZE = "LOT_SIZE"
    MARKET_LOT_SIZE = "MARKET_LOT_SIZE"
    NOTIONAL = "NOTIONAL"
    PERCENT_PRICE = "PERCENT_PRICE_BY_SIDE"
    MAX_NUM_ORDERS = "MAX_NUM_ORDERS"


class OrderRefused(Exception):
    """The order was not placed; the message is for whoever sent it."""


class FilterFailed(OrderRefused):
    """The order breaks a rule of its market."""

    def __init__(self, rule: Filter, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class MalformedOrder(OrderRefused):
    """A field is missing, or does not go with the others; `field` is its name."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class MarketClosed(OrderRefused):
    """The market accepts no such order now."""


class ExpiryPassed(OrderRefused):
    """The order would have expired before it came."""


class InsufficientBalance(OrderRefused):
    """The account has less than the order would hold."""


class DuplicateOrder(OrderRefused):
    """The owner has used the client order id in this market."""


class Frozen(OrderRefused):
    """The account places no orders until an operator lifts that."""


class UnknownOrder(Exception):
    """The owner has no such open order."""
