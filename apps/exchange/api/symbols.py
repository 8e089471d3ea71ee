"""Markets by symbol, kept for a second: each order would read the same row again otherwise."""

import time
from typing import Any

from django.db.models.signals import post_save

from apps.exchange.api import errors
from apps.exchange.models import Market

# What a market accepts and how far prices may go is read again where the order is placed; a tick
# or a step can only become finer while orders stand.
KEPT_S = 1.0

_kept: dict[str, tuple[float, Market]] = {}


def market(symbol: str) -> Market:
    """The market of that name with its assets, at most a second old; ApiError where there is none.

    A change that this process saves is seen at once.
    """
    found, now = _kept.get(symbol), time.monotonic()
    if found is not None and found[0] > now:
        return found[1]
    row = Market.objects.select_related("base", "quote").filter(symbol=symbol).first()
    if row is None:
        errors.fail(errors.BAD_SYMBOL)
    _kept[symbol] = (now + KEPT_S, row)
    return row


def forget(**_: Any) -> None:
    """Reads every market anew."""
    _kept.clear()


post_save.connect(forget, sender=Market, dispatch_uid="apps.exchange.api.symbols")
