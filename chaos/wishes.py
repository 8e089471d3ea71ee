"""Orders that somebody might want, made up by a random number generator, in ticks and steps."""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

TYPES = {
    "LIMIT": 54,
    "MARKET": 16,
    "LIMIT_MAKER": 12,
    "STOP_LOSS_LIMIT": 9,
    "TAKE_PROFIT_LIMIT": 9,
}
LASTING = {"GTC": 45, "GTD": 27, "IOC": 14, "FOK": 14}
SELF_TRADES = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")
MIDDLE, SPREAD = 1_000, 12  # ticks around which everything happens
LARGEST = 40  # steps
LIVES_S = ((0.05, 1.0), (1.0, 15.0))  # of GTD orders: half of them are short


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An order in a market's units. `amount` is in steps at the middle price, for MARKET orders by
    amount; `lasts_s` is how long a GTD order lives."""

    side: str
    type: str
    time_in_force: str | None
    self_trade: str
    price: int | None
    stop_price: int | None
    quantity: int | None
    amount: float | None
    lasts_s: float | None

    def plain(self) -> dict[str, Any]:
        """As JSON carries it."""
        return asdict(self)


def wish(rng: random.Random, *, lives_s: Sequence[tuple[float, float]] = LIVES_S) -> Wish:
    """Any order: of each type, side and time in force, near enough to the others to meet them."""
    kind = _any(rng, TYPES)
    is_market = kind == "MARKET"
    lasting = None if kind in ("MARKET", "LIMIT_MAKER") else _any(rng, LASTING)
    by_amount = is_market and rng.random() < 0.5
    price = round(rng.gauss(MIDDLE, SPREAD))
    return Wish(
        side=rng.choice(("BUY", "SELL")),
        type=kind,
        time_in_force=lasting,
        self_trade=rng.choice(SELF_TRADES),
        price=None if is_market else price,
        stop_price=price + rng.randint(-SPREAD, SPREAD) if kind.endswith("_LIMIT") else None,
        quantity=None if by_amount else rng.randint(1, LARGEST),
        amount=rng.uniform(0.3, LARGEST) if by_amount else None,
        lasts_s=rng.uniform(*rng.choice(lives_s)) if lasting == "GTD" else None,
    )


def _any(rng: random.Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]
