"""Failpoints: where a child dies, what of it stands, and that all of trading survives it."""

from typing import Any

import pytest

from apps.exchange.models import Asset
from chaos import deaths, failpoints
from chaos.failpoints import Failpoint, Moment
from chaos.nursery import Nursery

pytestmark = [
    pytest.mark.usefixtures("committed_db", "clean_valkey"),
    pytest.mark.xdist_group("kills"),
]
TWICE = "chaos.tests.test_failpoints:writes_twice"


def writes_twice(symbol: str) -> None:
    """In a child: two statements, each in a transaction of its own by itself."""
    Asset.objects.create(symbol=symbol, name=symbol)
    Asset.objects.filter(symbol=symbol).update(name="named")


def test_each_statement_is_a_place_to_die_before_and_after(nursery: Nursery) -> None:
    names: dict[tuple[int, Moment], str] = {}
    symbols = iter("ABCDEFGHIJ")
    here: dict[str, Any] = {}

    def arrange() -> dict[str, Any]:
        here["symbol"] = next(symbols)
        return here

    def judge(arguments: Any, failpoint: Failpoint | None) -> None:
        row = Asset.objects.filter(symbol=arguments["symbol"]).first()
        if failpoint is not None:
            names[failpoint.number, failpoint.moment] = "" if row is None else row.name

    done = failpoints.everywhere(nursery, TWICE, arrange=arrange, judge=judge)
    assert len(done.statements) == 2
    assert done.missed == []
    assert names == {
        (1, Moment.BEFORE): "",
        (1, Moment.AFTER): "C",
        (2, Moment.BEFORE): "D",
        (2, Moment.AFTER): "named",
    }


def test_a_function_that_fails_by_itself_is_no_scene(nursery: Nursery) -> None:
    with pytest.raises(RuntimeError, match="fails by itself"):
        failpoints.everywhere(
            nursery,
            TWICE,
            arrange=lambda: {"no": "such argument"},
            judge=lambda *_: None,
        )


@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("an order trades", 9),
        ("an order is canceled", 9),
        ("the sweep matches", 9),
        ("bars close", 31),
        ("a bar is emptied", 31),
        ("a matched trade is corrected", 17),
        ("bars are made anew", 15),
    ],
)
def test_scenes_survive_deaths_at_some_of_their_statements(
    nursery: Nursery, name: str, every: int
) -> None:
    found, done = deaths.run(nursery, names={name: deaths.ALL[name]}, every=every)
    assert found.ok, found.sentences
    assert done.count >= 4
