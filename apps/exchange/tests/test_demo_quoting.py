"""What demo traders decide: pure rules over made-up books, prices and clocks."""

import random
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.exchange.demo import quoting
from apps.exchange.demo.markets import TRADED, Pair
from apps.exchange.demo.pace import Bucket
from apps.exchange.demo.people import FUNDS, MAKERS, TAKERS
from apps.exchange.demo.quoting import Cancel, Place, Purse, Resting, View, decide
from apps.exchange.demo.traders import MOST_A_SECOND, RATE, SIZE, spelled
from apps.exchange.demo.wandering import FARTHEST_PPM, Walk, walk_from
from apps.exchange.models import OrderType, Side, TimeInForce
from moonx.core import money

ETH = TRADED[0]


def dice(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a simulation


def purse(base: str = "1000", quote: str = "1000000") -> Purse:
    return Purse(
        base=Decimal(base),
        quote=Decimal(quote),
        base_total=Decimal(base),
        quote_total=Decimal(quote),
    )


def view(
    *resting: Resting,
    pair: Pair = ETH,
    reference: Decimal | None = None,
    purses: dict[str, Purse] | None = None,
) -> View:
    return View(
        symbol=pair.symbol,
        tick=pair.tick,
        step=pair.step,
        reference=reference or pair.home,
        makers=MAKERS,
        takers=TAKERS,
        purses=purses or dict.fromkeys((*MAKERS, *TAKERS), purse()),
        resting=resting,
    )


def order(number: int, side: Side, price: str, trader: str = MAKERS[0]) -> Resting:
    return Resting(order_id=number, trader=trader, side=side, price=Decimal(price))


@given(
    rate=st.floats(0.5, 50),
    size=st.integers(1, 5),
    gaps=st.lists(st.floats(0, 2), max_size=60),
)
def test_a_bucket_gives_at_most_its_size_and_its_rate(
    rate: float, size: int, gaps: list[float]
) -> None:
    bucket, now, given_at = Bucket(rate=rate, size=size, tokens=size, at_s=0.0), 0.0, []
    for gap in gaps:
        now += gap
        if (left := bucket.take(now)) is not None:
            bucket = left
            given_at.append(now)
        else:
            assert bucket.wait_s(now) > 0
    for n, start in enumerate(given_at):
        for m, end in enumerate(given_at[n:], start=1):
            assert m <= size + rate * (end - start) + 1e-6


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    empty = Bucket(rate=10, size=1, tokens=0, at_s=100.0)
    assert empty.take(50.0) is None


def test_the_demo_never_sends_more_than_five_orders_in_any_second() -> None:
    assert RATE * 1.0 + SIZE <= MOST_A_SECOND
    bucket, sent = Bucket(rate=RATE, size=SIZE, tokens=SIZE, at_s=0.0), []
    for tick in range(10_000):  # asks every millisecond
        if (left := bucket.take(tick / 1000)) is not None:
            bucket = left
            sent.append(tick)
    assert max(sum(t <= u < t + 1000 for u in sent) for t in sent) <= 5
    assert len(sent) >= 39, "and uses what it may"


@given(seed=st.integers(), steps=st.lists(st.floats(0, 100), max_size=50))
def test_the_price_wanders_on_the_tick_within_bounds(seed: int, steps: list[float]) -> None:
    rng = dice(seed)
    walk = Walk(home=ETH.home, tick=ETH.tick)
    for elapsed_s in steps:
        walk = walk.step(rng, elapsed_s=elapsed_s)
        assert money.on_grid(walk.price, step=ETH.tick)
        assert abs(walk.price / ETH.home - 1) <= Decimal(FARTHEST_PPM + 1) / 10**6


def test_the_same_seed_walks_the_same_way() -> None:
    def prices(seed: int) -> list[Decimal]:
        rng, walk, found = dice(seed), Walk(home=ETH.home, tick=ETH.tick), []
        for _ in range(20):
            walk = walk.step(rng, elapsed_s=1)
            found.append(walk.price)
        return found

    assert prices(7) == prices(7) != prices(8)


def test_the_price_goes_on_where_the_last_trade_left_it() -> None:
    walk = walk_from(Decimal("3030.00"), home=ETH.home, tick=ETH.tick)
    assert walk.price == Decimal("3030.00")
    assert walk_from(None, home=ETH.home, tick=ETH.tick).price == ETH.home


def test_a_walk_is_slow() -> None:
    rng, walk = dice(1), Walk(home=ETH.home, tick=ETH.tick)
    before = walk.price
    after = walk.step(rng, elapsed_s=1).price
    assert abs(after / before - 1) < Decimal("0.001")


@pytest.mark.parametrize("pair", TRADED, ids=lambda pair: pair.symbol)
def test_an_empty_book_gets_a_ladder_on_both_sides_that_cannot_cross(pair: Pair) -> None:
    placed = [i for i in decide(view(pair=pair), dice(1)) if isinstance(i, Place)]
    levels = len(quoting.LEVELS) - 1
    assert Counter(i.side for i in placed) == {Side.BUY: levels, Side.SELL: levels}
    assert {i.trader for i in placed} == set(MAKERS)
    bids = [i.price for i in placed if i.side is Side.BUY and i.price]
    asks = [i.price for i in placed if i.side is Side.SELL and i.price]
    assert max(bids) < pair.home < min(asks)
    assert placed[0].price == max(bids)


@given(seed=st.integers(), pair=st.sampled_from(TRADED))
def test_every_order_keeps_the_markets_rules(seed: int, pair: Pair) -> None:
    rng = dice(seed)
    resting = [
        order(n, side, str(pair.home + sign * n * pair.home / 1000))
        for n in range(1, 5)
        for side, sign in ((Side.BUY, -1), (Side.SELL, 1))
    ]
    reference = Walk(home=pair.home, tick=pair.tick).step(rng, elapsed_s=60).price
    for intent in decide(view(*resting, pair=pair, reference=reference), rng):
        if isinstance(intent, Cancel):
            continue
        assert intent.price is None or money.on_grid(intent.price, step=pair.tick)
        assert intent.quantity is None or money.on_grid(intent.quantity, step=pair.step)
        value = intent.amount or (intent.quantity or 0) * (intent.price or reference)
        assert value >= 5
        assert (intent.type is OrderType.MARKET) == (intent.price is None)
        assert (intent.time_in_force is TimeInForce.GTD) == (intent.lives_s is not None)


def test_orders_that_the_price_passed_are_taken_back_first() -> None:
    passed = order(1, Side.BUY, "3010")
    fine = order(2, Side.BUY, "2999")
    intents = decide(view(passed, fine), dice(1))
    assert intents[0] == Cancel(order=passed)
    assert Cancel(order=fine) not in intents


def test_what_the_price_left_far_behind_is_taken_back() -> None:
    far = order(1, Side.SELL, "3100")
    assert Cancel(order=far) in decide(view(far), dice(1))


def test_a_crowded_level_loses_its_oldest_order() -> None:
    crowd = [order(n, Side.BUY, "2999.50") for n in (5, 3, 9)]
    assert [o.order_id for o in quoting.superfluous(view(*crowd))] == [3]


@given(seed=st.integers())
def test_a_full_book_grows_no_further(seed: int) -> None:
    rng = dice(seed)
    crowd = [
        order(n, side, str(ETH.home + sign * Decimal(n % 24 + 1)))
        for n in range(70)
        for side, sign in ((Side.BUY, -1), (Side.SELL, 1))
    ]
    intents = decide(view(*crowd), rng)
    assert not any(isinstance(i, Place) and i.type is OrderType.LIMIT_MAKER for i in intents)
    canceled = sum(isinstance(i, Cancel) for i in intents)
    assert len(crowd) - canceled <= quoting.MOST_OPEN


def test_takers_leave_a_thin_side_alone() -> None:
    lonely = order(1, Side.SELL, "3001")
    for seed in range(200):
        intents = decide(view(lonely), dice(seed))
        assert not any(isinstance(i, Place) and i.type is OrderType.MARKET for i in intents)


def test_nobody_sells_what_it_has_not() -> None:
    poor = dict.fromkeys((*MAKERS, *TAKERS), purse(base="0"))
    for seed in range(50):
        intents = decide(view(purses=poor), dice(seed))
        assert not any(isinstance(i, Place) and i.side is Side.SELL for i in intents)


def test_who_has_mostly_base_rather_sells() -> None:
    asks = [order(n, Side.SELL, str(3001 + n)) for n in range(4)]
    bids = [order(n + 9, Side.BUY, str(2999 - n)) for n in range(4)]
    rich = dict.fromkeys((*MAKERS, *TAKERS), purse(base="1000", quote="20000"))
    sides = Counter(
        intent.side
        for seed in range(400)
        for intent in decide(view(*asks, *bids, purses=rich), dice(seed))
        if isinstance(intent, Place) and intent.trader in TAKERS
    )
    assert sides[Side.SELL] > 5 * sides[Side.BUY] > 0


def test_who_pauses_does_nothing() -> None:
    only = {MAKERS[0]: purse()}
    for seed in range(50):
        placed = [i for i in decide(view(purses=only), dice(seed)) if isinstance(i, Place)]
        assert {i.trader for i in placed} == {MAKERS[0]}


def test_a_tenth_of_the_first_funds_is_when_a_trader_is_refilled() -> None:
    begun = {MAKERS[0]: (Decimal(100), Decimal(1000))}
    assert quoting.low(view(purses={MAKERS[0]: purse("9", "1000")}), begun) == [(MAKERS[0], True)]
    assert quoting.low(view(purses={MAKERS[0]: purse("10", "99")}), begun) == [(MAKERS[0], False)]
    assert quoting.low(view(purses={MAKERS[0]: purse("10", "100")}), begun) == []


def test_an_order_is_spelled_without_what_it_has_not() -> None:
    intent = Place(
        trader=TAKERS[0], side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.0100")
    )
    assert spelled(intent) == {"side": "BUY", "type": "MARKET", "quantity": "0.01"}


def test_the_traders_can_pay_for_their_ladders_many_times_over() -> None:
    ladder = sum(Decimal(3_000) * (2 + level) / 2 for level in range(len(quoting.LEVELS)))
    for name in MAKERS:
        assert FUNDS[name]["USDC"] > 50 * ladder
