"""Freezing: an owner places no orders and is debited nothing until an operator lifts it."""

from apps.exchange.models import OPEN, Market, Order, Reason, Trader
from apps.exchange.orders.canceling import cancel_all
from moonx.core import clock


def freeze(owner_id: int, *, reason: str) -> int:
    """Freezes the owner and cancels what is open; returns how many orders that were.

    The flag commits first: an order that is placed meanwhile either sees it, or is refused by the
    match, or is among those that are canceled here.
    """
    Trader.objects.update_or_create(
        user_id=owner_id, defaults={"frozen_at": clock.db_now(), "freeze_reason": reason}
    )
    markets = Order.objects.filter(OPEN, owner_id=owner_id).values("market_id")
    return sum(
        len(cancel_all(market, owner_id, reason=Reason.FROZEN))
        for market in Market.objects.filter(pk__in=markets)
    )


def unfreeze(owner_id: int) -> bool:
    """Lifts the freeze; False where there was none."""
    frozen = Trader.objects.filter(user_id=owner_id, frozen_at__isnull=False)
    return frozen.update(frozen_at=None, freeze_reason="") == 1
