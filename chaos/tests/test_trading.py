"""Slices of the trading runs: seconds each, and seeded bugs are found."""

import pytest

from chaos import races, trading
from chaos.nursery import Nursery
from chaos.trading_bugs import TELLTALES, TradingBug

pytestmark = [
    pytest.mark.usefixtures("usual_fees", "clean_valkey"),
    pytest.mark.xdist_group("kills"),
]
FOUND_SOON = (
    TradingBug.UNLOCK_TWICE,
    TradingBug.FLOAT,
    TradingBug.LOST_WAKE_UP,
    TradingBug.CANCEL_OF_FILLED,
    TradingBug.LAST_COME_FIRST,
)


def test_rows_facts_promises_and_model_agree_although_desks_are_killed(nursery: Nursery) -> None:
    found, run = trading.run(nursery, n=150, seed=1)
    assert found.ok, found.sentences
    assert run.placed >= 150
    assert run.kills > 5


@pytest.mark.parametrize("bug", FOUND_SOON)
def test_a_careless_exchange_is_found_out(nursery: Nursery, bug: TradingBug) -> None:
    assert trading.hunt(nursery, bug, n=120, seed=2)


def test_every_bug_has_its_telltale() -> None:
    assert set(TELLTALES) == set(TradingBug) - {TradingBug.NONE}


def test_fill_cancel_and_expiry_have_one_winner_and_a_balance_is_spent_once(
    nursery: Nursery,
) -> None:
    found, done = races.run(nursery, n=30, seed=1, rounds=2, clients=16)
    assert found.ok, found.sentences
    assert done.raced == 30
