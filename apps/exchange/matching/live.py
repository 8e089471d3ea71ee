"""An order while it is matched: whole numbers only, so that nothing rounds and nothing is slow.

Prices are counted in ticks (0 is none), quantities in steps, quote amounts in atoms of its asset.
"""

from dataclasses import dataclass
from datetime import datetime

from apps.exchange.vocabulary import (
    STOPS,
    OrderStatus,
    OrderType,
    Reason,
    SelfTrade,
    Stage,
    TimeInForce,
)


@dataclass(slots=True, kw_only=True, eq=False)
class Live:
    """An order's state, changed by the batch that loaded it.

    `held` is in atoms for a buy and in steps for a sell. `budget` is the quote amount of an order
    by amount; its `quantity` is what it has filled. `held_before` is what it held when the batch
    began, `freed` what it gave back since otherwise than by trading. `rank` decides between equal
    prices.
    """

    id: int
    owner: int
    is_buy: bool
    type: OrderType
    time_in_force: TimeInForce
    self_trade: SelfTrade
    price: int
    stop: int
    quantity: int
    budget: int | None
    filled: int
    prevented: int
    quote: int
    taken: int
    fee: int
    held: int
    held_before: int
    maker_ppm: int
    taker_ppm: int
    expires_at: datetime | None
    stage: Stage
    rank: int
    base_account: int
    quote_account: int
    status: OrderStatus = OrderStatus.NEW
    reason: Reason = Reason.NONE
    freed: int = 0
    is_frozen: bool = False

    @property
    def remaining(self) -> int:
        """Steps that are still to be filled."""
        return self.quantity - self.filled - self.prevented

    @property
    def is_stop(self) -> bool:
        """Whether it waits for a price before it enters the book."""
        return self.type in STOPS

    @property
    def rises(self) -> bool:
        """Whether a stop waits for the price to rise to it; otherwise for it to fall."""
        return self.is_buy == (self.type is OrderType.STOP_LOSS_LIMIT)

    @property
    def may_rest(self) -> bool:
        """Whether what is left of it stays in the book."""
        return self.type is not OrderType.MARKET and self.time_in_force in LASTING

    def is_expired(self, now: datetime) -> bool:
        """Whether its time is over; an order ends at the very moment it names."""
        return self.expires_at is not None and self.expires_at <= now

    def end(self, status: OrderStatus, reason: Reason = Reason.NONE) -> None:
        """It is over, and what it still held is free."""
        self.status, self.reason, self.stage = status, reason, Stage.DONE
        self.freed, self.held = self.freed + self.held, 0
        if self.budget is not None:
            self.quantity = self.filled


LASTING = {TimeInForce.GTC, TimeInForce.GTD}
