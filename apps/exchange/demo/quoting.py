"""What demo traders want to do next in one market: a function of what they see.

Makers keep a ladder on both sides of the reference price, and take back what the price came too
near to or went too far from; takers now and then hit it. All of it is made up, none of it is
advice.
"""

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.exchange.vocabulary import OrderType, Side, TimeInForce
from moonx.core import money
from moonx.core.money import EXACT

MILLION = Decimal(1_000_000)
# Where a ladder's levels begin, in millionths away from the reference; the last one is its end.
LEVELS = (100, 250, 450, 700, 1_000, 1_400, 1_900, 2_500, 3_200, 4_100, 5_200, 6_500, 8_000)
TOO_NEAR = LEVELS[0] // 2
TOO_FAR = 10_000
MOST_A_LEVEL = 2
MOST_OPEN = 50
LEAST_LEVELS = 3  # below which a side is left alone by takers
TAKE_CHANCE = 0.15
IOC_SHARE, BY_AMOUNT_SHARE, GTD_SHARE = 0.25, 0.2, 0.25
GTD_S = (30, 300)
LEVEL_VALUE = (
    400,
    1_200,
)  # of a maker's order nearest the price, in quote; farther ones are larger
TAKE_VALUE = (40, 1_500)
LOW_SHARE = Decimal("0.1")  # of its first funds: below, a trader is refilled
RESERVE = Decimal("1.01")  # a buy holds its fee too


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """What a trader may use of both assets, and what it has of them with open orders."""

    base: Decimal
    quote: Decimal
    base_total: Decimal
    quote_total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """An open order of a demo trader."""

    order_id: int
    trader: str
    side: Side
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What they see. Traders without a purse do nothing for now."""

    symbol: str
    tick: Decimal
    step: Decimal
    reference: Decimal
    makers: Sequence[str]
    takers: Sequence[str]
    purses: Mapping[str, Purse]
    resting: Sequence[Resting]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Take this order back."""

    order: Resting


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Send this order; a MARKET order has no price, and a quantity or an `amount` of quote."""

    trader: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    amount: Decimal | None = None
    lives_s: int | None = None


Intent = Cancel | Place


def decide(view: View, rng: random.Random) -> list[Intent]:
    """What to do, the most urgent first. Whoever acts decides anew after each of them."""
    takes = list(_takes(view, rng)) if rng.random() < TAKE_CHANCE else []
    return [
        *map(_canceled, too_near(view)),
        *takes,
        *map(_canceled, superfluous(view)),
        *_missing(view, rng),
    ]


def distance(order: Resting, reference: Decimal) -> int:
    """How many millionths an order lies away from the price, on its own side of it."""
    gap = reference - order.price if order.side is Side.BUY else order.price - reference
    return int(money.divide(EXACT.multiply(gap, MILLION), reference, places=0))


def too_near(view: View) -> list[Resting]:
    """Orders that the price came too near to, or passed."""
    return [order for order in view.resting if distance(order, view.reference) < TOO_NEAR]


def superfluous(view: View) -> list[Resting]:
    """Orders that are too far away, too many on their level, or too many in all; oldest first."""
    orders = sorted(view.resting, key=lambda order: order.order_id)
    levels = _by_level(orders, view.reference).values()
    useless = {o.order_id for o in orders if distance(o, view.reference) > TOO_FAR}
    useless |= {o.order_id for level in levels for o in level[: max(0, len(level) - MOST_A_LEVEL)]}
    kept = [order for order in orders if order.order_id not in useless]
    return [
        *(order for order in orders if order.order_id in useless),
        *kept[: max(0, len(kept) - MOST_OPEN)],
    ]


def low(view: View, funds: Mapping[str, tuple[Decimal, Decimal]]) -> list[tuple[str, bool]]:
    """Who runs out of an asset: trader, and whether it is the base. `funds` is what each began
    with, base and quote."""
    found = []
    for trader, purse in view.purses.items():
        base, quote = funds[trader]
        if purse.base_total < base * LOW_SHARE:
            found.append((trader, True))
        if purse.quote_total < quote * LOW_SHARE:
            found.append((trader, False))
    return found


def _canceled(order: Resting) -> Cancel:
    return Cancel(order=order)


def _missing(view: View, rng: random.Random) -> Iterator[Place]:
    """One order for each level that has none, the nearest first, both sides in turn."""
    if len(view.resting) >= MOST_OPEN:
        return
    taken = _by_level(view.resting, view.reference)
    for level in range(len(LEVELS) - 1):
        for side in (Side.BUY, Side.SELL):
            if not taken.get((side, level)):
                yield from _quote(view, rng, side, level)


def _by_level(
    orders: Sequence[Resting], reference: Decimal
) -> dict[tuple[Side, int], list[Resting]]:
    """Orders by side and level; those beyond the ladder count for none."""
    found: defaultdict[tuple[Side, int], list[Resting]] = defaultdict(list)
    for order in orders:
        level = bisect_right(LEVELS, distance(order, reference)) - 1
        if level < len(LEVELS) - 1:
            found[order.side, max(level, 0)].append(order)
    return found


def _quote(view: View, rng: random.Random, side: Side, level: int) -> Iterator[Place]:
    price = _priced(view, side, rng.randrange(LEVELS[level], LEVELS[level + 1]))
    value = Decimal(rng.randint(*LEVEL_VALUE)) * (2 + level) / 2
    quantity = _quantity(view, value, price)
    # The makers take turns; where one cannot pay the next one does.
    ordered = [*view.makers[level % 2 :], *view.makers[: level % 2]]
    trader = _who_can(view, ordered, side, quantity=quantity, price=price)
    if trader is None or not quantity:
        return
    is_gtd = rng.random() < GTD_SHARE
    yield Place(
        trader=trader,
        side=side,
        type=OrderType.LIMIT if is_gtd else OrderType.LIMIT_MAKER,
        time_in_force=TimeInForce.GTD if is_gtd else None,
        price=price,
        quantity=quantity,
        lives_s=rng.randint(*GTD_S) if is_gtd else None,
    )


def _takes(view: View, rng: random.Random) -> Iterator[Place]:
    trader = rng.choice(list(view.takers))
    if trader not in view.purses:
        return
    side = Side.BUY if rng.random() < _wish_to_buy(view.purses[trader], view) else Side.SELL
    opposite = Side.SELL if side is Side.BUY else Side.BUY
    if sum(order.side is opposite for order in view.resting) < LEAST_LEVELS:
        return
    value = Decimal(rng.randint(*TAKE_VALUE))
    quantity = _quantity(view, value, view.reference)
    if not quantity or not _can(view, trader, side, quantity=quantity, price=view.reference):
        return
    kind = rng.random()
    if kind < IOC_SHARE:
        limit = _priced(view, opposite, LEVELS[3])
        yield Place(
            trader=trader,
            side=side,
            type=OrderType.LIMIT,
            quantity=quantity,
            price=limit,
            time_in_force=TimeInForce.IOC,
        )
    elif kind < IOC_SHARE + BY_AMOUNT_SHARE:
        yield Place(trader=trader, side=side, type=OrderType.MARKET, amount=value)
    else:
        yield Place(trader=trader, side=side, type=OrderType.MARKET, quantity=quantity)


def _wish_to_buy(purse: Purse, view: View) -> float:
    """Who has more quote than base rather buys, and the other way round: nobody runs out."""
    base = EXACT.multiply(purse.base_total, view.reference)
    whole = base + purse.quote_total
    share = float(money.divide(purse.quote_total, whole, places=4)) if whole else 0.5
    return min(0.9, max(0.1, share))


def _priced(view: View, side: Side, away_ppm: int) -> Decimal:
    """The price on the tick that lies so far below the reference, or above it for a sell."""
    share = MILLION - away_ppm if side is Side.BUY else MILLION + away_ppm
    raw = EXACT.divide(EXACT.multiply(view.reference, share), MILLION)
    down = EXACT.subtract(raw, EXACT.remainder(raw, view.tick))
    return down if side is Side.BUY or down == raw else down + view.tick


def _quantity(view: View, value: Decimal, price: Decimal) -> Decimal:
    """What `value` is at that price, in whole steps."""
    steps = money.divide(value, EXACT.multiply(price, view.step), places=0)
    return EXACT.multiply(steps, view.step)


def _who_can(
    view: View, traders: Sequence[str], side: Side, *, quantity: Decimal, price: Decimal
) -> str | None:
    able = (t for t in traders if _can(view, t, side, quantity=quantity, price=price))
    return next(able, None)


def _can(view: View, trader: str, side: Side, *, quantity: Decimal, price: Decimal) -> bool:
    purse = view.purses.get(trader)
    if purse is None:
        return False
    if side is Side.SELL:
        return purse.base >= quantity
    return purse.quote >= EXACT.multiply(EXACT.multiply(quantity, price), RESERVE)
