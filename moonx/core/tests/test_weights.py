"""Weight is counted at one server; a process that counts ahead of it stays within the limit."""

from typing import Any

import pytest

from moonx.core import valkey, weights

pytestmark = pytest.mark.usefixtures("clean_valkey")

ADDRESS = "192.0.2.9"


@pytest.fixture(autouse=True)
def _limited(settings: Any) -> None:
    weights.forget()
    settings.ENV = settings.ENV.model_copy(
        update={"rate_limit_weight_per_minute": 1_000, "rate_limit_enabled": True}
    )


def elsewhere(weight: int) -> None:
    """Another process counts."""
    (key,) = valkey.client().keys(valkey.key(f"weight:{ADDRESS}:*"))
    valkey.client().incrby(key, weight)


def test_nothing_is_counted_ahead_of_a_server_that_was_not_asked() -> None:
    assert not weights.spent_ahead(ADDRESS, 1)
    assert weights.spend_of(ADDRESS, 1) == 1
    assert weights.spent_ahead(ADDRESS, 1)
    assert not weights.spent_ahead("192.0.2.10", 1)


def test_a_fiftieth_of_the_limit_is_counted_ahead_and_then_at_the_server() -> None:
    weights.spend_of(ADDRESS, 1)
    assert [weights.spent_ahead(ADDRESS, 5) for _ in range(5)] == [True] * 4 + [False]
    elsewhere(100)
    assert weights.spend_of(ADDRESS, 5) == 126


def test_near_the_limit_nothing_is_counted_ahead() -> None:
    weights.spend_of(ADDRESS, 1)
    elsewhere(988)
    assert weights.spend_of(ADDRESS, 1) == 990
    assert weights.spent_ahead(ADDRESS, 10)
    assert not weights.spent_ahead(ADDRESS, 1)
    with pytest.raises(weights.UsedUp):
        weights.spend_of(ADDRESS, 1)


def test_what_the_server_said_a_while_ago_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    weights.spend_of(ADDRESS, 1)
    monkeypatch.setattr(weights, "AHEAD_S", -1.0)
    assert not weights.spent_ahead(ADDRESS, 1)


def test_addresses_that_came_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MOST_ADDRESSES", 1)
    weights.spend_of(ADDRESS, 1)
    weights.spend_of("192.0.2.10", 1)
    assert not weights.spent_ahead(ADDRESS, 1)
    assert weights.spent_ahead("192.0.2.10", 1)
