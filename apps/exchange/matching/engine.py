"""What a batch of orders does to a market: a function of values, before anything is written.

Orders are taken one by one, so that the outcome does not depend on how they were batched. A stop
that a trade triggers enters right after the order whose trade it was.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from apps.exchange import holds
from apps.exchange.matching.live import Live
from apps.exchange.matching.sides import Side
from apps.exchange.vocabulary import (
    MOST_STEPS,
    MarketStatus,
    OrderStatus,
    OrderType,
    Reason,
    SelfTrade,
    Stage,
    TimeInForce,
)

# Ranks of orders that come to rest now: behind everything that rests already.
NEW_RANK = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A trade between two orders at the maker's price."""

    taker: Live
    maker: Live
    price: int
    quantity: int
    quote: int
    taker_fee: int
    maker_fee: int

    @property
    def buyer(self) -> Live:
        """The order that buys."""
        return self.taker if self.taker.is_buy else self.maker

    @property
    def seller(self) -> Live:
        """The order that sells."""
        return self.maker if self.taker.is_buy else self.taker


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for the whole batch. `unit` is what one step costs at one tick, in atoms.

    `most_steps` is the largest quantity of an order by amount.
    """

    now: datetime
    status: MarketStatus
    last_price: int | None
    unit: int
    most_steps: int = MOST_STEPS


@dataclass(slots=True)
class Decision:
    """What is to be written. `touched` holds each order that changed, in the order it first did."""

    matches: list[Match] = field(default_factory=list)
    touched: dict[int, Live] = field(default_factory=dict)
    accepted: list[Live] = field(default_factory=list)


def decide(
    arrived: Sequence[Live], *, bids: Side, asks: Side, stops: Iterable[Live], rules: Rules
) -> Decision:
    """Takes every arrived order to where it belongs: filled, resting, waiting or done.

    Changes the orders it is given. Raises Shallow where a side was not read deep enough.
    """
    batch = _Batch(bids=bids, asks=asks, stops=stops, rules=rules)
    queue = deque(arrived)
    while queue:
        batch.take(queue.popleft())
        queue.extendleft(reversed(batch.triggered()))
    return batch.decision


class _Batch:
    """One run of `decide`."""

    def __init__(self, *, bids: Side, asks: Side, stops: Iterable[Live], rules: Rules) -> None:
        self.decision = Decision()
        self._rules = rules
        self._bids, self._asks = bids, asks
        self._last = rules.last_price
        self._traded: list[int] = []
        self._rising: list[tuple[int, int, Live]] = []
        self._falling: list[tuple[int, int, Live]] = []
        self._ranks = iter(range(NEW_RANK, 2 * NEW_RANK))
        for stop in stops:
            self._wait(stop)

    def take(self, order: Live) -> None:
        """Brings one order as far as it goes."""
        is_new = order.stage is Stage.ARRIVED
        self.decision.touched[order.id] = order
        order.rank = next(self._ranks)
        refused = self._refusal(order)
        if refused is not None:
            order.end(*refused)
        elif is_new and order.is_stop:
            order.stage = Stage.STOPPED
            self._wait(order)
        else:
            self._trade(order)
        if is_new and order.status is not OrderStatus.REJECTED:
            self.decision.accepted.append(order)

    def triggered(self) -> list[Live]:
        """The stops that the last order's trades reached, the oldest first."""
        if not self._traded:
            return []
        low, high = min(self._traded), max(self._traded)
        self._traded.clear()
        reached: list[Live] = []
        while self._rising and self._rising[0][0] <= high:
            reached.append(heapq.heappop(self._rising)[2])
        while self._falling and -self._falling[0][0] >= low:
            reached.append(heapq.heappop(self._falling)[2])
        return sorted(reached, key=lambda order: order.id)

    def _wait(self, stop: Live) -> None:
        if stop.rises:
            heapq.heappush(self._rising, (stop.stop, stop.id, stop))
        else:
            heapq.heappush(self._falling, (-stop.stop, stop.id, stop))

    # Before it trades

    def _refusal(self, order: Live) -> tuple[OrderStatus, Reason] | None:
        """How the order ends without having traded; None where it goes on."""
        if order.is_expired(self._rules.now):
            return OrderStatus.EXPIRED, Reason.TIME
        if self._rules.status in {MarketStatus.HALT, MarketStatus.BREAK}:
            return OrderStatus.REJECTED, Reason.MARKET_CLOSED
        if order.is_frozen:
            is_new = order.stage is Stage.ARRIVED
            return OrderStatus.REJECTED if is_new else OrderStatus.CANCELED, Reason.FROZEN
        return self._refused_stop(order) if order.is_stop else self._refused_price(order)

    def _refused_stop(self, order: Live) -> tuple[OrderStatus, Reason] | None:
        if order.stage is Stage.ARRIVED and self._would_trigger(order):
            return OrderStatus.REJECTED, Reason.WOULD_TRIGGER
        return None

    def _refused_price(self, order: Live) -> tuple[OrderStatus, Reason] | None:
        if not order.price:
            return OrderStatus.EXPIRED, Reason.UNFILLED
        may_take = order.type is not OrderType.LIMIT_MAKER
        if may_take and self._rules.status is not MarketStatus.POST_ONLY:
            return None
        if self._reachable(order) is None:
            return None
        return OrderStatus.REJECTED, Reason.WOULD_TAKE

    def _would_trigger(self, stop: Live) -> bool:
        if self._last is None:
            return False
        return self._last >= stop.stop if stop.rises else self._last <= stop.stop

    def _reachable(self, order: Live) -> Live | None:
        """The best order on the other side whose price the order accepts."""
        side = self._asks if order.is_buy else self._bids
        while (best := side.best()) is not None:
            if not _accepts(order, best):
                return None
            if best.is_expired(self._rules.now):
                self._end(best, OrderStatus.EXPIRED, Reason.TIME)
            elif best.is_frozen:
                self._end(best, OrderStatus.CANCELED, Reason.FROZEN)
            else:
                return best
        return None

    # Trading

    def _trade(self, order: Live) -> None:
        order.stage = Stage.BOOK  # it is working from now on
        if order.time_in_force is TimeInForce.FOK and not self._can_fill(order):
            order.end(OrderStatus.EXPIRED, Reason.UNFILLED)
            return
        while order.stage is Stage.BOOK and (maker := self._reachable(order)) is not None:
            quantity = min(self._wanted(order, at=maker.price), maker.remaining)
            if not quantity:  # an order by amount that cannot pay for another step
                self._end_by_amount(order)
            elif maker.owner == order.owner:
                self._prevent(order, maker, quantity=quantity)
            else:
                self._fill(order, maker, quantity=quantity)
        if order.stage is Stage.BOOK:
            self._rest(order)

    @staticmethod
    def _end_by_amount(order: Live) -> None:
        if order.filled:
            order.end(OrderStatus.FILLED)
        else:
            order.end(OrderStatus.EXPIRED, Reason.UNFILLED)

    def _rest(self, order: Live) -> None:
        if order.may_rest:
            (self._bids if order.is_buy else self._asks).add(order)
        else:
            order.end(OrderStatus.EXPIRED, Reason.UNFILLED)

    def _wanted(self, order: Live, *, at: int) -> int:
        """How many steps the order takes at a price (in ticks), whatever is offered."""
        if order.budget is None:
            return order.remaining
        unit = at * self._rules.unit
        most = self._rules.most_steps - order.filled
        if not order.is_buy:
            return min((order.budget - order.quote) // unit, order.held, most)
        steps = holds.affordable(
            order.held, taken=order.taken, paid=order.fee, unit=unit, ppm=order.taker_ppm
        )
        return min(steps, most)

    def _can_fill(self, order: Live) -> bool:
        """Whether the book holds the order's whole quantity at its price, of other owners."""
        missing = order.remaining
        for maker in (self._asks if order.is_buy else self._bids).in_order():
            if not _accepts(order, maker):
                return False
            if maker.is_expired(self._rules.now) or maker.is_frozen:
                continue
            if maker.owner != order.owner:
                missing -= maker.remaining
            elif order.self_trade is not SelfTrade.EXPIRE_MAKER:
                return False
            if missing <= 0:
                return True
        return False

    def _fill(self, taker: Live, maker: Live, *, quantity: int) -> None:
        quote = maker.price * quantity * self._rules.unit
        taker_fee = self._fee_of(taker, taken=quote)
        maker_fee = self._fee_of(maker, made=quote)
        taker.taken += quote
        for order, fee in ((taker, taker_fee), (maker, maker_fee)):
            self._take_fill(order, quantity=quantity, quote=quote, fee=fee)
        self._traded.append(maker.price)
        self._last = maker.price
        self.decision.matches.append(
            Match(
                taker=taker,
                maker=maker,
                price=maker.price,
                quantity=quantity,
                quote=quote,
                taker_fee=taker_fee,
                maker_fee=maker_fee,
            )
        )

    def _fee_of(self, order: Live, *, taken: int = 0, made: int = 0) -> int:
        """By how much the order's fee grows with a fill."""
        grown = holds.fee(
            taken=order.taken + taken,
            made=order.quote - order.taken + made,
            taker_ppm=order.taker_ppm,
            maker_ppm=order.maker_ppm,
        )
        return grown - order.fee

    def _take_fill(self, order: Live, *, quantity: int, quote: int, fee: int) -> None:
        order.filled += quantity
        order.quote += quote
        order.fee += fee
        order.status = OrderStatus.PARTIALLY_FILLED
        if order.budget is not None:
            order.quantity = order.filled
        order.held -= quote + fee if order.is_buy else quantity
        self._release_surplus(order)
        self.decision.touched[order.id] = order
        if order.budget is None and order.remaining == 0:
            order.end(OrderStatus.FILLED)

    def _release_surplus(self, order: Live) -> None:
        """A buy keeps what its remainder can cost at most; a better price sets the rest free."""
        if not order.is_buy or order.budget is not None:
            return
        notional = order.remaining * order.price * self._rules.unit
        ppm = max(order.maker_ppm, order.taker_ppm)
        order.held = min(order.held, holds.needed(notional, ppm=ppm))

    # Two orders of one owner

    def _prevent(self, taker: Live, maker: Live, *, quantity: int) -> None:
        mode = taker.self_trade
        if mode is SelfTrade.DECREMENT:
            self._decrement(taker, maker, quantity)
        if mode in {SelfTrade.EXPIRE_MAKER, SelfTrade.EXPIRE_BOTH}:
            self._end(maker, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
        if mode in {SelfTrade.EXPIRE_TAKER, SelfTrade.EXPIRE_BOTH}:
            self._end(taker, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)

    def _decrement(self, taker: Live, maker: Live, quantity: int) -> None:
        """Both lose what they would have traded; who has nothing left has expired.

        An order by amount has no quantity to lose: it goes on where the other one ended, and
        yields where it did not.
        """
        self._lose(maker, quantity)
        if taker.budget is None:
            self._lose(taker, quantity)
        elif maker.stage is Stage.BOOK:
            self._end(taker, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)

    def _lose(self, order: Live, quantity: int) -> None:
        held = order.held
        order.prevented += quantity
        if not order.is_buy:
            order.held -= quantity
        self._release_surplus(order)
        order.freed += held - order.held
        self.decision.touched[order.id] = order
        if order.remaining == 0:
            order.end(OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)

    def _end(self, order: Live, status: OrderStatus, reason: Reason) -> None:
        order.end(status, reason)
        self.decision.touched[order.id] = order


def _accepts(order: Live, maker: Live) -> bool:
    return maker.price <= order.price if order.is_buy else maker.price >= order.price


def prices(orders: Iterable[Live]) -> Iterator[int]:
    """The prices at which orders are willing to trade."""
    return (order.price for order in orders if order.price)
