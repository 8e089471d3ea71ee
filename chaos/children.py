"""What the spine's children do for the rest of their lives: relay facts, execute trades."""

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal

from apps.exchange import trades
from apps.exchange.models import Market, TradeSource
from apps.realtime import relay
from chaos.bugs import Bug, plant, relay_with
from moonx.core import valkey


def relays(bug: str) -> None:
    """A relay, perhaps one with a bug."""
    dsn = os.environ["DATABASE_URL"]
    if Bug(bug).is_relays:
        _aloud(lambda: relay_with(Bug(bug), dsn))
    _aloud(lambda: relay.run(dsn=dsn, client=valkey.client(), stop=threading.Event()))


def writes(symbol: str, bug: str) -> None:
    """Executes trades of one market, perhaps with a bug."""
    plant(Bug(bug))
    market = Market.objects.select_related("base", "quote").get(symbol=symbol)
    rng = random.Random()
    while True:
        _aloud(lambda: trades.record(market, _some(rng), source=TradeSource.MATCHED))
        time.sleep(0.01)


def _some(rng: random.Random) -> list[trades.NewTrade]:
    return [
        trades.NewTrade(
            price=Decimal(rng.randint(100, 200)) / 100,
            quantity=Decimal(rng.randint(1, 9)),
            is_buyer_maker=rng.random() < 0.5,
        )
        for _ in range(rng.randint(1, 4))
    ]


def _aloud(work: Callable[[], object]) -> None:
    """An error ends the child; the rows are judged anyway, so it is only said."""
    try:
        work()
    except Exception as error:
        print(f"a child of the spine ended: {error!r}", file=sys.stderr, flush=True)
        raise
