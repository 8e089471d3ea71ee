"""Orders: placed with their hold, ended exactly once; what happens between is matching."""

from apps.exchange.orders.canceling import cancel, cancel_all, expire_now
from apps.exchange.orders.expiring import Expired, expire_due
from apps.exchange.orders.freezing import freeze, unfreeze
from apps.exchange.orders.placing import check, place
from apps.exchange.orders.refusals import (
    DuplicateOrder,
    ExpiryPassed,
    Filter,
    FilterFailed,
    Frozen,
    InsufficientBalance,
    MalformedOrder,
    MarketClosed,
    OrderRefused,
    UnknownOrder,
)
from apps.exchange.orders.request import NewOrder

__all__ = [
    "DuplicateOrder",
    "Expired",
    "ExpiryPassed",
    "Filter",
    "FilterFailed",
    "Frozen",
    "InsufficientBalance",
    "MalformedOrder",
    "MarketClosed",
    "NewOrder",
    "OrderRefused",
    "UnknownOrder",
    "cancel",
    "cancel_all",
    "check",
    "expire_due",
    "expire_now",
    "freeze",
    "place",
    "unfreeze",
]
