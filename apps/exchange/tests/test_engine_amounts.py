"""Orders by amount: what they buy, sell and cost."""

from hypothesis import given
from hypothesis import strategies as st

from apps.exchange import holds
from apps.exchange.tests.engine_orders import by_amount, resting, run, traded


def test_a_buy_by_amount_never_costs_more_than_the_amount_fee_included() -> None:
    taker = by_amount("buy", 10, budget=10_000)
    decision = run([taker], [resting("sell", 9, 5), resting("sell", 10, 50)])
    assert sum(m.quote + m.taker_fee for m in decision.matches) <= 10_000
    assert traded(decision) == [(9, 5), (10, 5)]
    assert (taker.status, taker.quantity, taker.held) == ("FILLED", 10, 0)


def test_a_sell_by_amount_brings_at_most_the_amount() -> None:
    taker = by_amount("sell", 9, budget=5_000, held=6)
    decision = run([taker], [resting("buy", 10, 50)])
    assert (traded(decision), taker.status, taker.quantity) == ([(10, 5)], "FILLED", 5)


def test_what_an_order_by_amount_finds_no_one_for_expires() -> None:
    taker = by_amount("buy", 10, budget=10_000)
    run([taker], [resting("sell", 9, 1)])
    assert (taker.status, taker.filled, taker.held) == ("EXPIRED", 1, 0)


@given(
    budget=st.integers(0, 10**9),
    taken=st.integers(0, 10**9),
    unit=st.integers(1, 10**6),
    ppm=st.integers(0, 200_000),
)
def test_an_amount_buys_as_many_steps_as_it_pays_for_and_not_one_less(
    budget: int, taken: int, unit: int, ppm: int
) -> None:
    def fee(more: int) -> int:
        return holds.fee(taken=taken + more, made=0, taker_ppm=ppm, maker_ppm=0)

    def costs(steps: int) -> int:
        return steps * unit + fee(steps * unit) - fee(0)

    steps = holds.affordable(budget, taken=taken, paid=fee(0), unit=unit, ppm=ppm)
    assert costs(steps) <= budget < costs(steps + 1)


def test_what_the_rounding_of_a_fee_took_too_much_is_used_by_the_next_fill() -> None:
    """0.013048 at 10 bps: 0.06 at 0.1001 cost 0.006013, and 0.007035 pay 0.07 at 0.1004 just so."""
    taker = by_amount("buy", 1045, budget=13_048)
    decision = run([taker], [resting("sell", 1001, 6), resting("sell", 1004, 9)], unit=1)
    assert traded(decision) == [(1001, 6), (1004, 7)]
    assert (taker.quote + taker.fee, taker.status) == (13_048, "FILLED")
