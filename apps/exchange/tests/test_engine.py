"""The pure heart of matching: what orders do to each other, in ticks, steps and atoms."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.exchange import holds
from apps.exchange.matching.engine import decide
from apps.exchange.matching.live import Live
from apps.exchange.matching.sides import Shallow, Side
from apps.exchange.models import (
    MarketStatus,
    OrderType,
    SelfTrade,
    Stage,
    TimeInForce,
)
from apps.exchange.tests.engine_orders import (
    NOW,
    by_amount,
    hold_of,
    order,
    resting,
    rules,
    run,
    traded,
)


def test_better_prices_trade_first_and_then_who_came_first() -> None:
    late, early = resting("sell", 10, 3, rank=9), resting("sell", 10, 3, rank=8)
    dear, cheap = resting("sell", 11, 3), resting("sell", 9, 3)
    decision = run([order("buy", 11, 8)], [late, early, dear, cheap])
    assert [match.maker for match in decision.matches] == [cheap, early, late]
    assert traded(decision) == [(9, 3), (10, 3), (10, 2)]


def test_a_trade_happens_at_the_makers_price() -> None:
    assert traded(run([order("buy", 20, 1)], [resting("sell", 10, 1)])) == [(10, 1)]
    assert traded(run([order("sell", 5, 1)], [resting("buy", 10, 1)])) == [(10, 1)]


def test_what_a_limit_order_does_not_fill_rests() -> None:
    taker = order("buy", 10, 5)
    run([taker], [resting("sell", 10, 2)])
    assert (taker.status, taker.stage, taker.remaining) == ("PARTIALLY_FILLED", "book", 3)


def test_orders_that_arrive_together_meet_each_other() -> None:
    first, second = order("sell", 10, 2), order("buy", 10, 2)
    assert traded(run([first, second])) == [(10, 2)]
    assert (first.status, second.status) == ("FILLED", "FILLED")


@pytest.mark.parametrize("lasting", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_an_immediate_order_does_not_fill_expires(lasting: TimeInForce) -> None:
    taker = order("buy", 10, 5, time_in_force=lasting)
    maker = resting("sell", 10, 2)
    decision = run([taker], [maker])
    assert (taker.status, taker.reason, taker.held) == ("EXPIRED", "unfilled", 0)
    filled = 2 if lasting is TimeInForce.IOC else 0
    assert (taker.filled, maker.filled, len(decision.matches)) == (filled, filled, filled // 2)


def test_an_order_to_be_filled_whole_takes_several_makers() -> None:
    taker = order("buy", 11, 5, time_in_force=TimeInForce.FOK)
    decision = run([taker], [resting("sell", 10, 2), resting("sell", 11, 3)])
    assert (traded(decision), taker.status) == ([(10, 2), (11, 3)], "FILLED")


def test_an_order_to_be_filled_whole_does_not_count_ones_own_orders() -> None:
    taker = order("buy", 10, 3, time_in_force=TimeInForce.FOK, owner=7)
    own = resting("sell", 10, 2, owner=7)
    decision = run([taker], [own, resting("sell", 10, 2)])
    assert (taker.status, own.stage, decision.matches) == ("EXPIRED", "book", [])


@pytest.mark.parametrize("gone", [{"expires_at": NOW}, {"is_frozen": True}])
def test_an_own_order_that_is_over_keeps_no_order_from_being_filled_whole(
    gone: dict[str, Any],
) -> None:
    taker = order("buy", 10, 2, time_in_force=TimeInForce.FOK, owner=7)
    taker.self_trade = SelfTrade.EXPIRE_TAKER
    decision = run([taker], [resting("sell", 9, 5, owner=7, **gone), resting("sell", 10, 2)])
    assert (traded(decision), taker.status) == ([(10, 2)], "FILLED")


def test_a_post_only_order_that_would_take_is_rejected_and_one_that_would_not_rests() -> None:
    takes = order("buy", 10, 1, type=OrderType.LIMIT_MAKER)
    rests = order("buy", 9, 1, type=OrderType.LIMIT_MAKER)
    decision = run([takes, rests], [resting("sell", 10, 1)])
    assert (takes.status, takes.reason, takes.held) == ("REJECTED", "wouldTake", 0)
    assert (rests.stage, decision.accepted) == ("book", [rests])


def test_an_expired_order_fills_nothing_although_nobody_swept_it() -> None:
    gone = resting("sell", 10, 1, expires_at=NOW)
    stays = resting("sell", 10, 1, rank=gone.rank + 1, expires_at=NOW + timedelta(microseconds=1))
    decision = run([order("buy", 10, 2)], [gone, stays])
    assert [match.maker for match in decision.matches] == [stays]
    assert (gone.status, gone.reason, gone.held) == ("EXPIRED", "time", 0)


def test_an_order_that_expired_on_its_way_is_not_matched() -> None:
    late = order("buy", 10, 1, expires_at=NOW)
    decision = run([late], [resting("sell", 10, 1)])
    assert (late.status, late.reason, decision.matches) == ("EXPIRED", "time", [])


def test_an_expired_order_stands_in_no_post_only_orders_way() -> None:
    maker = order("buy", 10, 1, type=OrderType.LIMIT_MAKER)
    run([maker], [resting("sell", 10, 1, expires_at=NOW)])
    assert maker.stage == "book"


@pytest.mark.parametrize("status", [MarketStatus.HALT, MarketStatus.BREAK])
def test_a_closed_market_rejects_what_arrived(status: MarketStatus) -> None:
    late = order("buy", 10, 1)
    decision = run([late], [resting("sell", 10, 1)], status=status)
    assert (late.status, late.reason, decision.matches) == ("REJECTED", "marketClosed", [])


def test_a_post_only_market_takes_no_order_that_takes() -> None:
    takes, rests = order("buy", 10, 1), order("buy", 9, 1)
    run([takes, rests], [resting("sell", 10, 1)], status=MarketStatus.POST_ONLY)
    assert (takes.status, rests.stage) == ("REJECTED", "book")


def test_a_frozen_owners_order_is_rejected() -> None:
    frozen = order("buy", 10, 1, is_frozen=True)
    run([frozen], [resting("sell", 10, 1)])
    assert (frozen.status, frozen.reason) == ("REJECTED", "frozen")


def test_a_frozen_owners_orders_make_no_trade_either() -> None:
    frozen = resting("sell", 10, 1, is_frozen=True)
    stopped = stop("buy", 10, 11, LOSS, stage=Stage.STOPPED, is_frozen=True)
    makers = [frozen, resting("sell", 10, 1, rank=frozen.rank + 1)]
    decision = run([order("buy", 10, 1)], makers, [stopped], last_price=9)
    assert [match.maker for match in decision.matches] == makers[1:]
    assert {(o.status, o.reason, o.held) for o in (frozen, stopped)} == {("CANCELED", "frozen", 0)}


def test_an_order_by_amount_is_as_large_as_the_market_allows_at_most() -> None:
    taker = by_amount("buy", 10, budget=10**6)
    decision = run([taker], [resting("sell", 9, 50)], most_steps=7)
    assert (traded(decision), taker.status) == ([(9, 7)], "FILLED")


def test_a_market_order_on_an_empty_book_expires_without_fills() -> None:
    taker = order("buy", 0, 1, type=OrderType.MARKET, time_in_force=TimeInForce.IOC, held=0)
    decision = run([taker])
    assert (taker.status, decision.matches) == ("EXPIRED", [])


# Stops


def stop(side: str, at: int, price: int, kind: OrderType, **changes: Any) -> Live:
    return order(side, price, 1, type=kind, stop=at, **changes)


LOSS, PROFIT = OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT


@pytest.mark.parametrize(
    ("side", "kind", "at", "quiet", "reached"),
    [
        ("buy", LOSS, 12, 11, 12),
        ("sell", LOSS, 8, 9, 8),
        ("buy", PROFIT, 8, 9, 8),
        ("sell", PROFIT, 12, 11, 12),
    ],
)
def test_a_stop_enters_when_a_trade_reaches_its_price(
    side: str, kind: OrderType, at: int, quiet: int, reached: int
) -> None:
    for price, stage in ((quiet, "stopped"), (reached, "book")):
        waiting = stop(side, at, 1 if side == "buy" else 99, kind, stage=Stage.STOPPED)
        run([order("sell", price, 1), order("buy", price, 1)], stops=[waiting], last_price=10)
        assert waiting.stage == stage


def test_a_stop_enters_right_after_the_order_whose_trade_reached_it() -> None:
    waiting = stop("buy", 12, 20, LOSS, stage=Stage.STOPPED)
    makers = [resting("sell", 12, 1), resting("sell", 13, 1)]
    decision = run([order("buy", 12, 1), order("buy", 13, 1)], makers, [waiting], last_price=10)
    assert [match.taker.id for match in decision.matches][1] == waiting.id


def test_a_stop_that_would_enter_at_once_is_rejected() -> None:
    early = stop("buy", 10, 20, LOSS)
    run([early], last_price=10)
    assert (early.status, early.reason, early.held) == ("REJECTED", "wouldTrigger", 0)


def test_stops_set_each_other_off() -> None:
    first = stop("buy", 12, 13, LOSS, stage=Stage.STOPPED)
    second = stop("buy", 13, 14, LOSS, stage=Stage.STOPPED)
    makers = [resting("sell", price, 1) for price in (12, 13, 14)]
    decision = run([order("buy", 12, 1)], makers, [second, first], last_price=10)
    assert traded(decision) == [(12, 1), (13, 1), (14, 1)]


# Two orders of one owner


@pytest.mark.parametrize(
    ("mode", "taker_ends", "maker_ends"),
    [
        (SelfTrade.EXPIRE_TAKER, "EXPIRED_IN_MATCH", "NEW"),
        (SelfTrade.EXPIRE_MAKER, "NEW", "EXPIRED_IN_MATCH"),
        (SelfTrade.EXPIRE_BOTH, "EXPIRED_IN_MATCH", "EXPIRED_IN_MATCH"),
        (SelfTrade.DECREMENT, "NEW", "EXPIRED_IN_MATCH"),
    ],
)
def test_nobody_trades_with_himself(mode: SelfTrade, taker_ends: str, maker_ends: str) -> None:
    taker = order("buy", 10, 3, owner=7, self_trade=mode)
    maker = resting("sell", 10, 2, owner=7)
    decision = run([taker], [maker])
    assert (decision.matches, taker.status, maker.status) == ([], taker_ends, maker_ends)


def test_decrementing_takes_the_smaller_quantity_from_both_and_frees_its_hold() -> None:
    taker = order("buy", 10, 3, owner=7, self_trade=SelfTrade.DECREMENT)
    maker = resting("sell", 10, 2, owner=7)
    run([taker], [maker, resting("sell", 10, 9, rank=maker.rank + 1)])
    assert (taker.prevented, taker.filled, taker.held, maker.held) == (2, 1, 0, 0)


# Holds and fees


def test_the_residual_of_a_partly_filled_buy_is_what_its_remainder_needs() -> None:
    # 3 at 10.01, fees of 0.05 % and 0.1 %, 8 decimals; one filled at 10.00 as maker.
    unit = 10**6  # a tick of 0.01 and a step of 1, in 10^-8
    hold = holds.needed(3 * 1001 * unit, ppm=1000)
    assert hold == 3006003000
    fee = holds.fee(taken=0, made=1000 * unit, taker_ppm=1000, maker_ppm=500)
    left = min(hold - 1000 * unit - fee, holds.needed(2 * 1001 * unit, ppm=1000))
    assert (fee, left) == (500000, 2004002000)


def test_a_better_price_frees_what_it_saves() -> None:
    taker = order("buy", 20, 2)
    run([taker], [resting("sell", 10, 1)])
    assert taker.held == hold_of(20, 1)


@settings(max_examples=300, deadline=None)
@given(
    price=st.integers(1, 10**6),
    fills=st.lists(
        st.tuples(st.integers(1, 10**4), st.integers(0, 10**6), st.booleans()), max_size=30
    ),
    taker_ppm=st.integers(0, 100_000),
    maker_ppm=st.integers(0, 100_000),
    unit=st.integers(1, 10**6),
)
def test_a_hold_covers_every_way_of_filling_and_keeps_no_more_than_the_rest_needs(
    price: int, fills: list[tuple[int, int, bool]], taker_ppm: int, maker_ppm: int, unit: int
) -> None:
    quantity = sum(count for count, _, _ in fills)
    most = max(taker_ppm, maker_ppm)
    held = holds.needed(price * quantity * unit, ppm=most)
    taken = made = charged = 0
    for count, better, is_taker in fills:
        quote = max(1, price - better) * count * unit
        taken, made = taken + quote * is_taker, made + quote * (not is_taker)
        total = holds.fee(taken=taken, made=made, taker_ppm=taker_ppm, maker_ppm=maker_ppm)
        quantity -= count
        held = min(
            held - quote - (total - charged), holds.needed(price * quantity * unit, ppm=most)
        )
        charged = total
        assert held >= price * quantity * unit
    assert charged == holds.fee(taken=taken, made=made, taker_ppm=taker_ppm, maker_ppm=maker_ppm)


# What was not read


def test_a_book_that_was_not_read_deep_enough_is_asked_for_again() -> None:
    asks = Side([resting("sell", 10, 1)], is_bids=False, is_complete=False)
    bids = Side([], is_bids=True, is_complete=True)
    with pytest.raises(Shallow):
        decide([order("buy", 10, 2)], bids=bids, asks=asks, stops=[], rules=rules())


KINDS = st.sampled_from(["limit", "ioc", "fok", "maker", "stop"])


@st.composite
def flows(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [
        {
            "side": draw(st.sampled_from(["buy", "sell"])),
            "price": draw(st.integers(5, 15)),
            "quantity": draw(st.integers(1, 9)),
            "kind": draw(KINDS),
            "owner": draw(st.integers(1, 3)),
            "self_trade": draw(st.sampled_from(list(SelfTrade))),
            "stop": draw(st.integers(5, 15)),
        }
        for _ in range(draw(st.integers(1, 25)))
    ]


def made(flow: list[dict[str, Any]]) -> list[Live]:
    kinds: dict[str, dict[str, Any]] = {
        "limit": {},
        "ioc": {"time_in_force": TimeInForce.IOC},
        "fok": {"time_in_force": TimeInForce.FOK},
        "maker": {"type": OrderType.LIMIT_MAKER},
        "stop": {"type": OrderType.STOP_LOSS_LIMIT},
    }
    return [
        order(
            one["side"],
            one["price"],
            one["quantity"],
            id=number,
            owner=one["owner"],
            self_trade=one["self_trade"],
            **kinds[one["kind"]] | ({"stop": one["stop"]} if one["kind"] == "stop" else {}),
        )
        for number, one in enumerate(flow, 1)
    ]


@settings(max_examples=200, deadline=None)
@given(flow=flows(), cut=st.integers(0, 25))
def test_the_outcome_does_not_depend_on_how_orders_were_batched(
    flow: list[dict[str, Any]], cut: int
) -> None:
    whole, parts = made(flow), made(flow)
    all_at_once = run(whole)
    trades = traded(all_at_once)
    first = run(parts[:cut])
    last = first.matches[-1].price if first.matches else None
    rested = [o for o in parts[:cut] if o.stage is Stage.BOOK]
    for rank, one in enumerate(sorted(rested, key=lambda o: o.rank)):
        one.rank = rank
    waiting = [o for o in parts[:cut] if o.stage is Stage.STOPPED]
    second = run(parts[cut:], rested, waiting, last_price=last)
    assert traded(first) + traded(second) == trades
    assert [(o.status, o.filled, o.held, o.stage) for o in parts] == [
        (o.status, o.filled, o.held, o.stage) for o in whole
    ]
