"""Markets change: what they accept, how they are called."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from apps.exchange.models import Market, MarketStatus, Ticker

STOPPED = {MarketStatus.HALT, MarketStatus.BREAK}


def save(market: Market, *, now: datetime) -> None:
    """Stores an edited market.

    The moment at which it stopped trading is kept, because its ticker stands still from then on.
    Its ticker counts as changed, so that subscribers see the new status and label.
    """
    if market.status not in STOPPED:
        market.halted_at = None
    elif market.halted_at is None:
        market.halted_at = now
    with transaction.atomic():
        market.save()
        Ticker.objects.filter(market=market).update(version=F("version") + 1)
