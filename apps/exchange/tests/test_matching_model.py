"""Matching against a naive model that shares no code with it: the same orders, order by order."""

import copy
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from apps.exchange import holds
from apps.exchange.matching.engine import Match, Rules, decide
from apps.exchange.matching.live import Live
from apps.exchange.matching.sides import Shallow, Side
from apps.exchange.models import MarketStatus, OrderType, SelfTrade, Stage, TimeInForce
from chaos import wishes
from chaos.model import Paper, PaperFill, PaperMarket
from chaos.wishes import Wish

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
UNIT = 7  # atoms that a step costs at a tick: fees round nearly always
ATOMS = 10**4
MAKER_PPM, TAKER_PPM = 500, 1000


def live_of(wish: Wish, *, number: int, owner: int, now: datetime, best: int | None) -> Live:
    """The order as its placer would have stored it, the collar taken from the best price."""
    is_buy, price = wish.side == "BUY", wish.price or 0
    if wish.type == "MARKET":
        price = 0 if best is None else best + (40 if is_buy else -40)
    budget = None if wish.amount is None else round(wish.amount * wishes.MIDDLE * UNIT)
    quantity = wish.quantity or 0
    if budget is None:
        buy_hold = holds.needed(price * quantity * UNIT, ppm=TAKER_PPM)
        held = buy_hold if is_buy else quantity
    else:
        held = budget if is_buy else -(-budget // ((price or 1) * UNIT))
    return Live(
        id=number,
        owner=owner,
        is_buy=is_buy,
        type=OrderType(wish.type),
        time_in_force=TimeInForce(wish.time_in_force or "GTC"),
        self_trade=SelfTrade(wish.self_trade),
        price=price,
        stop=wish.stop_price or 0,
        quantity=quantity,
        budget=budget,
        filled=0,
        prevented=0,
        quote=0,
        taken=0,
        fee=0,
        held=held if price else 0,
        held_before=0,
        maker_ppm=MAKER_PPM,
        taker_ppm=TAKER_PPM,
        expires_at=None if wish.lasts_s is None else now + timedelta(seconds=wish.lasts_s),
        stage=Stage.ARRIVED,
        rank=0,
        base_account=0,
        quote_account=0,
    )


def paper_of(live: Live) -> Paper:
    return Paper(
        id=live.id,
        owner=live.owner,
        side="BUY" if live.is_buy else "SELL",
        type=live.type.value,
        time_in_force=live.time_in_force.value,
        self_trade=live.self_trade.value,
        price=Fraction(live.price) if live.price else None,
        stop_price=Fraction(live.stop) if live.stop else None,
        quantity=Fraction(live.quantity * UNIT, ATOMS),
        amount=None if live.budget is None else Fraction(live.budget, ATOMS),
        maker_bps=Fraction(MAKER_PPM, 100),
        taker_bps=Fraction(TAKER_PPM, 100),
        held=Fraction(live.held, ATOMS) if live.is_buy else Fraction(live.held * UNIT, ATOMS),
        expires_at=live.expires_at,
    )


@dataclass
class Engine:
    """The product's pure function over orders that are kept in memory as its rows would be."""

    rng: random.Random
    orders: dict[int, Live] = field(default_factory=dict)
    matches: list[Match] = field(default_factory=list)
    last: int | None = None
    status: MarketStatus = MarketStatus.TRADING
    shallow: int = 0

    def take(self, arrived: list[Live], now: datetime) -> None:
        """One batch; the book is read less deep than it is, now and then."""
        depth = self.rng.choice((1, 3, 10_000))
        while True:
            trial = {number: copy.copy(live) for number, live in self.orders.items()}
            new = [copy.copy(live) for live in arrived]
            try:
                self._decide(trial, new, now, depth)
            except Shallow:
                self.shallow += 1
                depth *= 8
                continue
            return

    def _decide(self, trial: dict[int, Live], new: list[Live], now: datetime, depth: int) -> None:
        rules = Rules(now=now, status=self.status, last_price=self.last, unit=UNIT)
        stops = [live for live in trial.values() if live.stage is Stage.STOPPED]
        bids, asks = (self._side(trial, is_bids=is_bids, depth=depth) for is_bids in (True, False))
        decision = decide(new, bids=bids, asks=asks, stops=stops, rules=rules)
        self.orders = {**trial, **{live.id: live for live in new}}
        for live in decision.touched.values():
            live.rank = (
                live.rank if live.rank < 2**62 else live.rank - 2**62 + 10_000 * len(self.orders)
            )
        self.matches += decision.matches
        self.last = self.matches[-1].price if self.matches else None

    def _side(self, trial: dict[int, Live], *, is_bids: bool, depth: int) -> Side:
        resting = [o for o in trial.values() if o.stage is Stage.BOOK and o.is_buy == is_bids]
        sign = -1 if is_bids else 1
        resting.sort(key=lambda o: (sign * o.price, o.rank))
        return Side(resting[:depth], is_bids=is_bids, is_complete=len(resting) < depth)

    def best(self, *, for_buy: bool) -> int | None:
        """The best opposite price, as a placer would see it."""
        prices = [
            live.price
            for live in self.orders.values()
            if live.stage is Stage.BOOK and live.is_buy != for_buy
        ]
        return (min if for_buy else max)(prices, default=None)


def told(fill: PaperFill) -> tuple[object, ...]:
    return (fill.taker, fill.maker, fill.price, fill.quantity, fill.taker_fee, fill.maker_fee)


def matched(match: Match) -> tuple[object, ...]:
    quantity = Fraction(match.quantity * UNIT, ATOMS)
    fees = Fraction(match.taker_fee, ATOMS), Fraction(match.maker_fee, ATOMS)
    return (match.taker.id, match.maker.id, match.price, quantity, *fees)


def standing(order: Paper) -> tuple[object, ...]:
    return (
        order.status,
        order.reason,
        order.place,
        order.filled,
        order.prevented,
        order.quote,
        order.taken,
        order.fee,
        order.held,
        order.quantity,
    )


def stands(live: Live) -> tuple[object, ...]:
    step, atom = Fraction(UNIT, ATOMS), Fraction(1, ATOMS)
    held = live.held * (atom if live.is_buy else step)
    money = (live.quote * atom, live.taken * atom, live.fee * atom)
    amounts = (live.filled * step, live.prevented * step, *money, held, live.quantity * step)
    return (live.status.value, live.reason.value, live.stage.value, *amounts)


def play(seed: int, *, count: int = 60) -> tuple[Engine, PaperMarket]:
    """The same random orders to both, the engine in batches, each batch compared."""
    rng = random.Random(seed)  # noqa: S311
    engine = Engine(rng)
    paper = PaperMarket(step=Fraction(UNIT, ATOMS), atoms=ATOMS)
    number, now = 0, NOW
    while number < count:
        now += timedelta(seconds=rng.uniform(0.01, 2))
        engine.status = MarketStatus(rng.choice(["TRADING"] * 18 + ["HALT", "POST_ONLY"]))
        paper.status = engine.status.value
        batch = []
        for _ in range(rng.randint(1, 7)):
            number += 1
            some = wishes.wish(rng)
            best = engine.best(for_buy=some.side == "BUY")
            batch.append(live_of(some, number=number, owner=rng.randint(1, 4), now=now, best=best))
        if rng.random() < 0.1:
            now += timedelta(seconds=3)
        for live in batch:
            paper.arrive(paper_of(live), now)
        engine.take(batch, now)
        compare(engine, paper)
    return engine, paper


def compare(engine: Engine, paper: PaperMarket) -> None:
    assert [matched(match) for match in engine.matches] == [told(fill) for fill in paper.fills]
    for number, live in engine.orders.items():
        assert stands(live) == standing(paper.orders[number]), number


@pytest.mark.parametrize("seeds", [range(start, start + 40) for start in range(0, 200, 40)])
def test_engine_and_model_agree_on_every_order(seeds: range) -> None:
    engines = [play(seed)[0] for seed in seeds]
    # It is no comparison where nothing happens.
    ends = {(o.type, o.status) for engine in engines for o in engine.orders.values()}
    assert len(ends) >= 20
    assert sum(len(engine.matches) for engine in engines) > 500
    assert any(engine.shallow for engine in engines)
