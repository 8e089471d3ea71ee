"""A desk on the trading floor: a process that places and cancels for all owners, notes what it was
promised, and is killed in the middle of it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from apps.exchange import matching, orders
from apps.exchange.models import Market, Order
from apps.exchange.orders import NewOrder, placing
from chaos import wishes
from chaos.floor import market_of, order_of
from chaos.promises import Notebook
from chaos.trading_bugs import TradingBug, plant
from moonx.core import clock
from moonx.core.locks import LockBusy

REMEMBERED = 200  # orders that a desk may cancel later
AT_ONCE = 16  # orders at most between two matches of a desk


@dataclass(slots=True, kw_only=True)
class Desk:
    """One desk: its notes, its name, and what it remembers."""

    name: str
    notes: Notebook
    rng: random.Random
    markets: dict[str, Market]
    owners: list[int]
    number: int = 0
    known: list[tuple[str, int, int]] = field(default_factory=list)

    def act(self) -> None:
        """One thing that clients or the schedule do."""
        draw = self.rng.random()
        if draw < 0.63:
            self.place_some()
        elif draw < 0.95 and self.known:
            self.cancel()
        elif draw < 0.965:
            self.cancel_all()
        elif draw < 0.99:
            orders.expire_due()
        else:
            matching.sweep()

    def place_some(self) -> None:
        """Places any orders, for any owners, in any market. All but the last only arrive, as if
        their placers were gone by then: whoever matches next takes them, in batches as under load.
        """
        for _ in range(self.rng.randint(0, AT_ONCE - 1)):
            self._place(_arrive)
        self._place(orders.place)

    def _place(self, call: Callable[[Market, int, NewOrder], Order]) -> None:
        symbol, owner = self.rng.choice(list(self.markets)), self.rng.choice(self.owners)
        wish, key = wishes.wish(self.rng), self._key("p")
        self.notes.intend(key, "place", symbol=symbol, owner=owner)
        market = self.markets[symbol]
        new = order_of(market, wish, client_order_id=key)
        self._ask(key, lambda: told(market, call(market, owner, new)))

    def cancel(self) -> None:
        """Cancels an order that may be done by now, now and then one of somebody else."""
        symbol, owner, order_id = self.rng.choice(self.known)
        if self.rng.random() < 0.05:
            owner = self.rng.choice(self.owners)
        key = self._key("c")
        self.notes.intend(key, "cancel", owner=owner, order_id=order_id)
        market = self.markets[symbol]
        self._ask(key, lambda: told(market, orders.cancel(market, owner, order_id=order_id)))

    def cancel_all(self) -> None:
        """Cancels all of an owner's orders in a market."""
        symbol, owner = self.rng.choice(list(self.markets)), self.rng.choice(self.owners)
        key = self._key("a")
        self.notes.intend(key, "cancel_all", symbol=symbol, owner=owner)
        market = self.markets[symbol]
        self._ask(key, lambda: {"ids": [one.pk for one in orders.cancel_all(market, owner)]})

    def _ask(self, key: str, call: Callable[[], dict[str, Any]]) -> None:
        try:
            answer = call()
        except (orders.OrderRefused, orders.UnknownOrder, LockBusy) as refusal:
            answer = {"refused": type(refusal).__name__}
        except Exception as error:  # noqa: BLE001 - the run counts it as a fault of the product
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        self.notes.told(key, **answer)
        if "order_id" in answer:
            self._remember(answer)

    def _remember(self, answer: dict[str, Any]) -> None:
        self.known.append((answer["symbol"], answer["owner"], answer["order_id"]))
        del self.known[:-REMEMBERED]

    def _key(self, kind: str) -> str:
        self.number += 1
        return f"{self.name}-{kind}{self.number}"


def _arrive(market: Market, owner: int, new: NewOrder) -> Order:
    """The order as its placer knew it who was gone before it was matched."""
    return Order(
        pk=placing.accept(market, owner, new),
        owner_id=owner,
        filled_quantity=Decimal(0),
        filled_quote=Decimal(0),
        fee=Decimal(0),
    )


def told(market: Market, order: Order) -> dict[str, Any]:
    """What a client is told of an order."""
    return {
        "order_id": order.pk,
        "symbol": market.symbol,
        "owner": order.owner_id,
        "status": order.status,
        "filled": str(order.filled_quantity),
        "quote": str(order.filled_quote),
        "fee": str(order.fee),
    }


def settles(*, bug: str) -> tuple[float, str]:
    """In a child: what the schedule does next, the sweeps; how many seconds it took, and the
    database's moment up to which every order whose time was over has been ended."""
    plant(TradingBug(bug))
    began_s = time.monotonic()
    while True:
        swept_at = clock.db_now()
        try:
            matching.sweep()
            orders.expire_due()
        except LockBusy:
            continue
        return time.monotonic() - began_s, swept_at.isoformat()


def works(
    *, name: str, folder: str, seed: int, owners: list[int], symbols: list[str], bug: str
) -> None:
    """In a child: acts until it is killed."""
    plant(TradingBug(bug))
    desk = Desk(
        name=name,
        notes=Notebook(Path(folder) / f"{name}.jsonl"),
        rng=random.Random(seed),
        markets={symbol: market_of(symbol) for symbol in symbols},
        owners=owners,
    )
    while True:
        desk.act()
