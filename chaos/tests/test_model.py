"""The model by hand: what it is compared with must itself be right."""

import itertools
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from chaos.model import Paper, PaperMarket, changes_of

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
_ids = itertools.count(1)


def market() -> PaperMarket:
    return PaperMarket(step=Fraction(1), atoms=10**8)


def paper(side: str, price: str | None, quantity: str, **changes: Any) -> Paper:
    number = next(_ids)
    values: dict[str, Any] = {
        "id": number,
        "owner": 1000 + number,
        "side": side,
        "type": "LIMIT",
        "time_in_force": "GTC",
        "self_trade": "EXPIRE_MAKER",
        "price": None if price is None else Fraction(price),
        "stop_price": None,
        "quantity": Fraction(quantity),
        "amount": None,
        "maker_bps": Fraction(5),
        "taker_bps": Fraction(10),
        "held": Fraction(10**6),
        "expires_at": None,
    }
    return Paper(**{**values, **changes})


def test_the_worked_example_unlocks_what_is_left_and_not_an_atom_more() -> None:
    where = market()
    buy = paper("BUY", "10.01", "3", maker_bps=Fraction(5), held=Fraction("30.06003"))
    where.arrive(buy, NOW)
    where._fill(paper("SELL", "10.00", "1"), buy, Fraction(1), at=Fraction(10))
    assert (buy.filled, buy.fee, buy.held) == (1, Fraction("0.005"), Fraction("20.04002"))


def test_price_comes_before_time_and_time_before_anything_else() -> None:
    where = market()
    first, cheap, second = (paper("SELL", price, "1") for price in ("10", "9", "10"))
    for order in (first, cheap, second):
        where.arrive(order, NOW)
    where.arrive(paper("BUY", "10", "3"), NOW)
    assert [fill.maker for fill in where.fills] == [cheap.id, first.id, second.id]


def test_an_order_is_over_at_the_very_moment_that_it_names() -> None:
    where = market()
    where.arrive(paper("SELL", "10", "1", expires_at=NOW), NOW - timedelta(microseconds=1))
    taker = paper("BUY", "10", "1", time_in_force="IOC")
    where.arrive(taker, NOW)
    assert (taker.status, where.fills) == ("EXPIRED", [])


@pytest.mark.parametrize(("quantity", "status"), [("3", "FILLED"), ("4", "EXPIRED")])
def test_fill_or_kill_fills_whole_or_touches_nothing(quantity: str, status: str) -> None:
    where = market()
    for price in ("10", "11"):
        where.arrive(paper("SELL", price, "1.5"), NOW)
    taker = paper("BUY", "11", quantity, time_in_force="FOK")
    where.arrive(taker, NOW)
    assert (taker.status, len(where.fills)) == (status, 2 if status == "FILLED" else 0)


def test_a_stop_enters_right_after_the_order_that_reached_it() -> None:
    where = market()
    makers = [paper("SELL", price, "1") for price in ("10", "11")]
    stop = paper("BUY", "11", "1", type="STOP_LOSS_LIMIT", stop_price=Fraction(10))
    for order in (*makers, stop):
        where.arrive(order, NOW)
    where.arrive(paper("BUY", "10", "1"), NOW)
    assert [(fill.taker, fill.price) for fill in where.fills][1] == (stop.id, 11)


def test_decrement_takes_from_both_and_ends_who_has_nothing_left() -> None:
    where = market()
    maker = paper("SELL", "10", "2", owner=7)
    taker = paper("BUY", "10", "5", owner=7, self_trade="DECREMENT")
    for order in (maker, taker):
        where.arrive(order, NOW)
    assert (maker.status, taker.status) == ("EXPIRED_IN_MATCH", "NEW")
    assert (taker.prevented, taker.left, where.fills) == (2, 3, [])


def test_an_amount_buys_the_most_steps_that_it_can_pay_with_their_fee() -> None:
    where = market()
    where.arrive(paper("SELL", "10", "9"), NOW)
    held = Fraction("20.02")  # two of them and the fee, not an atom more
    taker = paper("BUY", "10", "0", type="MARKET", time_in_force="IOC", amount=held, held=held)
    where.arrive(taker, NOW)
    assert (taker.filled, taker.fee, taker.status) == (2, Fraction("0.02"), "FILLED")


def test_what_fills_add_to_everybody_sums_to_nothing() -> None:
    where = market()
    where.arrive(paper("SELL", "10", "3"), NOW)
    where.arrive(paper("BUY", "12", "2"), NOW)
    totals: dict[str, Fraction] = {}
    for (_, asset), amount in changes_of(where).items():
        totals[asset] = totals.get(asset, Fraction(0)) + amount
    assert totals == {"base": 0, "quote": 0}
