"""One market as the demo traders remember it between two looks at the server."""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from apps.exchange.demo.people import MAKERS, TAKERS
from apps.exchange.demo.quoting import Purse, Resting, View
from apps.exchange.demo.wandering import Walk
from apps.exchange.models import Market, Side

Balances = Mapping[str, Mapping[str, str]]
OPEN = {"NEW", "PARTIALLY_FILLED"}


@dataclass(kw_only=True)
class Desk:
    """What rests in a market, where the reference price is, and until when nothing is done."""

    market: Market
    walk: Walk
    rng: random.Random
    walked_s: float
    seen_s: float = float("-inf")
    closed_until_s: float = float("-inf")
    resting: dict[int, Resting] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def symbol(self) -> str:
        """The market's."""
        return self.market.symbol

    def go_on(self, now_s: float) -> None:
        """The reference price wanders to the present."""
        self.walk = self.walk.step(self.rng, elapsed_s=now_s - self.walked_s)
        self.walked_s = now_s

    def see(self, trader: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """These are all of a trader's open orders, as the API lists them."""
        for order_id in [i for i, order in self.resting.items() if order.trader == trader]:
            self.forget(order_id)
        for row in rows:
            self.note(trader, row)

    def placed(self, trader: str, row: Mapping[str, Any]) -> None:
        """An order was placed: what stood before its worst fill is not there any more."""
        prices = [Decimal(fill["price"]) for fill in row.get("fills", ())]
        is_buy = Side(row["side"]) is Side.BUY
        for order in list(self.resting.values()) if prices else ():
            is_other = (order.side is Side.SELL) is is_buy
            if is_other and (order.price < max(prices) if is_buy else order.price > min(prices)):
                self.forget(order.order_id)
        self.note(trader, row)

    def note(self, trader: str, row: Mapping[str, Any]) -> None:
        """An order as the API tells of it; remembered while it is open."""
        if row["status"] not in OPEN:
            return
        order_id = int(row["orderId"])
        self.resting[order_id] = Resting(
            order_id=order_id,
            trader=trader,
            side=Side(row["side"]),
            price=Decimal(row["price"]),
        )
        if row.get("goodTillDate"):
            self.ends[order_id] = int(row["goodTillDate"])

    def forget(self, order_id: int) -> None:
        """The order is not open any more."""
        self.resting.pop(order_id, None)
        self.ends.pop(order_id, None)

    def drop_ended(self, now_ms: int) -> None:
        """Forgets orders whose time is over."""
        for order_id in [i for i, end_ms in self.ends.items() if end_ms <= now_ms]:
            self.forget(order_id)

    def view(self, balances: Mapping[str, Balances]) -> View:
        """What the traders whose balances are given see."""
        return View(
            symbol=self.symbol,
            tick=self.market.tick_size,
            step=self.market.step_size,
            reference=self.walk.price,
            makers=MAKERS,
            takers=TAKERS,
            purses={name: self._purse(rows) for name, rows in balances.items()},
            resting=list(self.resting.values()),
        )

    def _purse(self, rows: Balances) -> Purse:
        base, base_total = _have(rows, self.market.base.symbol)
        quote, quote_total = _have(rows, self.market.quote.symbol)
        return Purse(base=base, quote=quote, base_total=base_total, quote_total=quote_total)


def _have(rows: Balances, asset: str) -> tuple[Decimal, Decimal]:
    """What is free of an asset, and all of it."""
    row = rows.get(asset)
    if row is None:
        return Decimal(0), Decimal(0)
    free = Decimal(row["free"])
    return free, free + Decimal(row["locked"])
