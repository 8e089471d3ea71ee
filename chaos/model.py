"""What a market must do, written to be obviously right and nothing else: no database, no indexes,
no batches. One order after the other against a plain list, in fractions that never round.

It shares no code with the product, whose rows are compared with it order by order.
"""

import copy
import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction

BUY, SELL = "BUY", "SELL"
STOPS = ("STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
BPS = 10_000


@dataclass(slots=True, kw_only=True, eq=False)
class Paper:
    """An order on paper. `place` is arrived, stopped, book or done."""

    id: int
    owner: int
    side: str
    type: str
    time_in_force: str
    self_trade: str
    price: Fraction | None
    stop_price: Fraction | None
    quantity: Fraction
    amount: Fraction | None  # of quote, for an order by amount
    maker_bps: Fraction
    taker_bps: Fraction
    held: Fraction
    expires_at: datetime | None
    filled: Fraction = Fraction(0)
    prevented: Fraction = Fraction(0)
    quote: Fraction = Fraction(0)
    taken: Fraction = Fraction(0)
    fee: Fraction = Fraction(0)
    status: str = "NEW"
    reason: str = ""
    place: str = "arrived"

    @property
    def buys(self) -> bool:
        return self.side == BUY

    @property
    def left(self) -> Fraction:
        """What is still to be filled."""
        return self.quantity - self.filled - self.prevented

    @property
    def rises(self) -> bool:
        """A stop-loss buys into a rise and sells into a fall, a take-profit the other way round."""
        return (self.type == "STOP_LOSS_LIMIT") == self.buys

    def accepts(self, price: Fraction) -> bool:
        assert self.price is not None
        return price <= self.price if self.buys else price >= self.price

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def end(self, status: str, reason: str = "") -> None:
        self.status, self.reason, self.place, self.held = status, reason, "done", Fraction(0)
        if self.amount is not None:
            self.quantity = self.filled


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFill:
    """A trade on paper."""

    taker: int
    maker: int
    price: Fraction
    quantity: Fraction
    taker_fee: Fraction
    maker_fee: Fraction


@dataclass(slots=True, kw_only=True)
class PaperMarket:
    """A market on paper. `atoms` is how many parts the quote asset has: 10^decimals."""

    step: Fraction
    atoms: int
    status: str = "TRADING"
    last: Fraction | None = None
    orders: dict[int, Paper] = field(default_factory=dict)
    book: list[Paper] = field(default_factory=list)  # in the order in which they came to rest
    stops: list[Paper] = field(default_factory=list)
    fills: list[PaperFill] = field(default_factory=list)

    def arrive(self, order: Paper, now: datetime) -> None:
        """An order comes, and whatever it triggers."""
        self.orders[order.id] = order
        self._take(order, now)

    def cancel(self, order_id: int, *, status: str = "CANCELED", reason: str = "user") -> bool:
        """Ends an open order; False where there is none."""
        order = self.orders.get(order_id)
        if order is None or order.place == "done":
            return False
        order.end(status, reason)
        self._forget_the_done()
        return True

    def expire(self, now: datetime) -> list[int]:
        """Ends every order whose time is over, wherever it waits."""
        over = [o for o in self.orders.values() if o.place != "done" and o.is_over(now)]
        for order in over:
            order.end("EXPIRED", "time")
        self._forget_the_done()
        return [order.id for order in over]

    def _forget_the_done(self) -> None:
        self.book = [order for order in self.book if order.place == "book"]
        self.stops = [order for order in self.stops if order.place == "stopped"]

    # One order, and the stops that its trades reach

    def _take(self, order: Paper, now: datetime) -> None:
        before = len(self.fills)
        self._enter(order, now)
        self._forget_the_done()
        prices = [fill.price for fill in self.fills[before:]]
        reached = [stop for stop in self.stops if any(_reaches(stop, p) for p in prices)]
        self.stops = [stop for stop in self.stops if stop not in reached]
        for stop in sorted(reached, key=lambda one: one.id):
            self._take(stop, now)

    def _enter(self, order: Paper, now: datetime) -> None:
        is_new = order.place == "arrived"
        if order.is_over(now):
            order.end("EXPIRED", "time")
        elif self.status in ("HALT", "BREAK"):
            order.end("REJECTED", "marketClosed")
        elif is_new and order.type in STOPS:
            self._wait(order)
        elif order.price is None:
            order.end("EXPIRED", "unfilled")
        elif self._must_not_take(order) and self._best(order, now) is not None:
            order.end("REJECTED", "wouldTake")
        elif order.time_in_force == "FOK" and not self._would_fill(order, now):
            order.end("EXPIRED", "unfilled")
        else:
            self._trade(order, now)

    def _wait(self, stop: Paper) -> None:
        if self.last is not None and _reaches(stop, self.last):
            stop.end("REJECTED", "wouldTrigger")
        else:
            stop.place = "stopped"
            self.stops.append(stop)

    def _must_not_take(self, order: Paper) -> bool:
        return order.type == "LIMIT_MAKER" or self.status == "POST_ONLY"

    def _would_fill(self, order: Paper, now: datetime) -> bool:
        """Tries it on a copy of the book."""
        trial = replace(self, book=[copy.copy(o) for o in self.book], stops=[], fills=[])
        copied = copy.copy(order)
        trial._trade(copied, now)
        return copied.filled == copied.quantity

    # Trading

    def _best(self, order: Paper, now: datetime) -> Paper | None:
        """The order that would trade next with it; those that are over end on the way."""
        others = [o for o in self.book if o.side != order.side and o.place == "book"]
        # The best price first; the sort is stable, so among equals whoever came first.
        others.sort(key=lambda other: _price(other) * (1 if order.buys else -1))
        for other in others:
            if not order.accepts(_price(other)):
                return None
            if not other.is_over(now):
                return other
            other.end("EXPIRED", "time")
        return None

    def _trade(self, order: Paper, now: datetime) -> None:
        order.place = "book"
        while order.place == "book" and (maker := self._best(order, now)) is not None:
            quantity = min(self._wanted(order, _price(maker)), maker.left)
            if quantity == 0:  # an order by amount with too little left for one more step
                order.end(*(("FILLED",) if order.filled else ("EXPIRED", "unfilled")))
            elif maker.owner == order.owner:
                self._prevent(order, maker, quantity)
            else:
                self._fill(order, maker, quantity)
        if order.place == "book":
            if order.type != "MARKET" and order.time_in_force in ("GTC", "GTD"):
                self.book.append(order)
            else:
                order.end("EXPIRED", "unfilled")

    def _wanted(self, order: Paper, price: Fraction) -> Fraction:
        """How much the order takes at a price: of one by amount, the most steps it can pay."""
        if order.amount is None:
            return order.left
        if not order.buys:
            steps = (order.amount - order.quote) / price // self.step
            return min(steps * self.step, order.held)
        steps = order.held / price // self.step
        while steps and self._cost(order, price * steps * self.step) > order.held:
            steps -= 1
        return steps * self.step

    def _cost(self, order: Paper, quote: Fraction) -> Fraction:
        return quote + self._fee(order, taken=quote) - order.fee

    def _fee(self, order: Paper, *, taken: Fraction, made: Fraction = Fraction(0)) -> Fraction:
        """The fee of everything the order has filled, and of this too; rounded up once."""
        taken_in_all = order.taken + taken
        made_in_all = order.quote - order.taken + made
        exact = (taken_in_all * order.taker_bps + made_in_all * order.maker_bps) / BPS
        return Fraction(math.ceil(exact * self.atoms), self.atoms)

    def _fill(
        self, taker: Paper, maker: Paper, quantity: Fraction, *, at: Fraction | None = None
    ) -> None:
        price = at or _price(maker)
        quote = price * quantity
        taker_fee = self._fee(taker, taken=quote) - taker.fee
        maker_fee = self._fee(maker, taken=Fraction(0), made=quote) - maker.fee
        taker.taken += quote
        self._book_fill(taker, quantity, quote, taker_fee)
        self._book_fill(maker, quantity, quote, maker_fee)
        self.last = price
        self.fills.append(
            PaperFill(
                taker=taker.id,
                maker=maker.id,
                price=price,
                quantity=quantity,
                taker_fee=taker_fee,
                maker_fee=maker_fee,
            )
        )

    def _book_fill(self, order: Paper, quantity: Fraction, quote: Fraction, fee: Fraction) -> None:
        order.filled += quantity
        order.quote += quote
        order.fee += fee
        order.status = "PARTIALLY_FILLED"
        if order.amount is not None:
            order.quantity = order.filled
        order.held -= quote + fee if order.buys else quantity
        self._free_surplus(order)
        if order.amount is None and order.left == 0:
            order.end("FILLED")

    def _free_surplus(self, order: Paper) -> None:
        """A buy holds no more than what is left of it can cost with the larger fee."""
        if order.buys and order.amount is None:
            notional = order.left * _price(order)
            fee = math.ceil(notional * max(order.maker_bps, order.taker_bps) * self.atoms / BPS)
            order.held = min(order.held, notional + Fraction(fee, self.atoms))

    # Two orders of one owner

    def _prevent(self, taker: Paper, maker: Paper, quantity: Fraction) -> None:
        mode = taker.self_trade
        if mode == "DECREMENT":
            self._lose(maker, quantity)
            if taker.amount is None:
                self._lose(taker, quantity)
            elif maker.place == "book":
                taker.end("EXPIRED_IN_MATCH", "selfTrade")
        if mode in ("EXPIRE_MAKER", "EXPIRE_BOTH"):
            maker.end("EXPIRED_IN_MATCH", "selfTrade")
        if mode in ("EXPIRE_TAKER", "EXPIRE_BOTH"):
            taker.end("EXPIRED_IN_MATCH", "selfTrade")

    def _lose(self, order: Paper, quantity: Fraction) -> None:
        order.prevented += quantity
        if not order.buys:
            order.held -= quantity
        self._free_surplus(order)
        if order.left == 0:
            order.end("EXPIRED_IN_MATCH", "selfTrade")


def _price(order: Paper) -> Fraction:
    assert order.price is not None
    return order.price


def _reaches(stop: Paper, price: Fraction) -> bool:
    assert stop.stop_price is not None
    return price >= stop.stop_price if stop.rises else price <= stop.stop_price


def changes_of(market: PaperMarket) -> dict[tuple[int, str], Fraction]:
    """What the fills add to each owner's base and quote, and to the house's fees (owner 0)."""
    found: dict[tuple[int, str], Fraction] = {}

    def add(owner: int, asset: str, amount: Fraction) -> None:
        found[owner, asset] = found.get((owner, asset), Fraction(0)) + amount

    for fill in market.fills:
        for order_id, fee in ((fill.taker, fill.taker_fee), (fill.maker, fill.maker_fee)):
            order = market.orders[order_id]
            sign = 1 if order.buys else -1
            add(order.owner, "base", sign * fill.quantity)
            add(order.owner, "quote", -sign * fill.quantity * fill.price - fee)
            add(0, "quote", fee)
    return found
