"""The simulated reference price: a slow random walk that is drawn back to where it began."""

import random
from dataclasses import dataclass, replace
from decimal import Decimal

from moonx.core import money
from moonx.core.money import EXACT

PARTS = 1_000_000  # a step is so many millionths of the price
SPREAD_PPM = 60  # the standard deviation of one second's step
PULL = 0.00005  # of the distance from home is walked back each second
LONGEST_STEP_S = 60.0  # after a pause the price goes on, it does not jump
FARTHEST_PPM = 150_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Where the price is: `offset_ppm` millionths away from `home`, on the market's tick."""

    home: Decimal
    tick: Decimal
    offset_ppm: int = 0

    @property
    def price(self) -> Decimal:
        """The present reference price."""
        raw = EXACT.divide(EXACT.multiply(self.home, Decimal(PARTS + self.offset_ppm)), PARTS)
        return EXACT.subtract(raw, EXACT.remainder(raw, self.tick))

    def step(self, rng: random.Random, *, elapsed_s: float) -> "Walk":
        """Where it is after a while."""
        span_s = min(max(elapsed_s, 0.0), LONGEST_STEP_S)
        drift = -self.offset_ppm * PULL * span_s
        moved = self.offset_ppm + round(drift + rng.gauss(0.0, SPREAD_PPM * span_s**0.5))
        return replace(self, offset_ppm=max(-FARTHEST_PPM, min(FARTHEST_PPM, moved)))


def walk_from(last: Decimal | None, *, home: Decimal, tick: Decimal) -> Walk:
    """A walk that goes on from the last price, if there is one within its bounds."""
    if last is None:
        return Walk(home=home, tick=tick)
    share = money.divide(EXACT.multiply(last, Decimal(PARTS)), home, places=0)
    offset = max(-FARTHEST_PPM, min(FARTHEST_PPM, int(share) - PARTS))
    return Walk(home=home, tick=tick, offset_ppm=offset)
