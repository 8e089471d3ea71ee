"""Histories over HTTP: within what is kept, as many points as are told, refused with a sentence."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.stats.api import history_paths, remembered
from apps.stats.models import BridgeSample, ChainSample
from moonx.core import clock
from moonx.core.intervals import to_ms

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

# One for all: each new one builds the chain of middleware anew.
CLIENT = Client()

DAY_MS = 86_400_000
MINUTE = timedelta(minutes=1)
BRIDGES = "/api/v1/stats/bridges/history"


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    remembered.forget()


def get(path: str, **query: Any) -> Any:
    return CLIENT.get(path, query)


def asked_for(minutes_ago: Sequence[int], *, provider: str = "lifi", size: int = 100) -> None:
    """A quote that took as many ms as it lies minutes back."""
    now = clock.db_now()
    BridgeSample.objects.bulk_create(
        BridgeSample(
            provider=provider,
            source="ethereum",
            target="base",
            asset="USDC",
            size=size,
            latency_ms=back,
            simulated=True,
            verdict="healthy",
            sampled_at=now - back * MINUTE,
        )
        for back in minutes_ago
    )


def test_each_request_is_a_point_of_its_bridges_series() -> None:
    asked_for([30, 20, 10])
    asked_for([15], provider="relay", size=1000)
    found = get(BRIDGES).json()
    assert found["step"] == "raw"
    assert found["to"] - found["from"] == DAY_MS
    lifi, relay = found["series"]
    assert (lifi["provider"], lifi["from"], lifi["to"], lifi["size"]) == (
        *("lifi", "ethereum", "base"),
        "100",
    )
    assert [point["latencyMs"]["p50"] for point in lifi["points"]] == [30, 20, 10]
    assert relay["size"] == "1000"


@pytest.mark.parametrize(
    ("query", "sizes"),
    [
        ({"provider": "relay"}, ["1000"]),
        ({"corridor": "ethereum-base", "size": 100}, ["100"]),
        ({"corridor": "base-ethereum"}, []),
    ],
)
def test_series_are_chosen_by_provider_corridor_and_size(
    query: dict[str, Any], sizes: list[str]
) -> None:
    asked_for([30])
    asked_for([15], provider="relay", size=1000)
    assert [one["size"] for one in get(BRIDGES, **query).json()["series"]] == sizes


def test_the_newest_points_are_told_where_a_limit_leaves_some_out() -> None:
    asked_for([30, 20, 10])
    (series,) = get(BRIDGES, limit=2).json()["series"]
    assert [point["latencyMs"]["p50"] for point in series["points"]] == [20, 10]


def test_a_long_window_is_told_by_the_hour() -> None:
    asked_for([30, 20, 10])
    now_ms = to_ms(clock.db_now())
    found = get(BRIDGES, **{"from": now_ms - 3 * DAY_MS}).json()
    assert found["step"] == "1h"
    assert found["from"] % 3_600_000 == 0
    assert sum(point["latencyMs"]["n"] for point in found["series"][0]["points"]) == 3


def test_too_many_points_are_told_by_the_hour_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_paths, "MOST_POINTS", 2)
    asked_for([3, 2, 1])
    assert get(BRIDGES).json()["step"] == "1h"
    refused = get(BRIDGES, step="raw")
    assert refused.status_code == 400
    assert "more than 2 points" in refused.json()["message"]


def looked_at(minutes_ago: Sequence[int]) -> None:
    """A look at REI whose block time was as many ms as it lies minutes back."""
    now = clock.db_now()
    ChainSample.objects.bulk_create(
        ChainSample(
            chain="rei",
            at=now - back * MINUTE,
            verdict="healthy",
            samples=1,
            healthy=1,
            blocks=20,
            block_times={},
            elapsed_ms=60_000,
            transactions=90,
            gas_used=Decimal(1),
            gas_limit=Decimal(100),
            reorgs=0,
            reorg_depth=0,
            reorgs1h=0,
            reorgs1h_depth=0,
            simulated=False,
            p50_ms=back,
            n=300,
            tps=Decimal("1.5"),
        )
        for back in minutes_ago
    )


CHAIN = "/api/v1/stats/chains/{}/history"


@pytest.mark.parametrize("name", ["rei", "47805"])
def test_each_look_at_a_chain_is_a_point_of_its_history(name: str) -> None:
    looked_at([30, 20, 10])
    found = get(CHAIN.format(name)).json()
    assert (found["chain"], found["chainId"], found["step"]) == ("rei", 47_805, "raw")
    assert [point["blockTimeMs"]["p50"] for point in found["points"]] == [30, 20, 10]
    assert [point["tps"] for point in found["points"]] == ["1.50"] * 3


def test_the_newest_looks_are_told_where_a_limit_leaves_some_out() -> None:
    looked_at([300, 200, 100])
    points = get(CHAIN.format("rei"), limit=2).json()["points"]
    assert [point["blockTimeMs"]["p50"] for point in points] == [200, 100]
    hours = get(CHAIN.format("rei"), limit=3, step="1h").json()
    assert hours["to"] - hours["from"] <= 3 * 3_600_000
    assert sum(point["samples"] for point in hours["points"]) <= 2


def test_a_history_that_did_not_change_is_not_sent_again() -> None:
    looked_at([30])
    window = {"from": 0, "to": to_ms(clock.db_now()) - 1}
    window["from"] = window["to"] - DAY_MS
    first = get(CHAIN.format("rei"), **window)
    headers = {"If-None-Match": first["ETag"]}
    again = CLIENT.get(CHAIN.format("rei"), window, headers=headers)
    assert again.status_code == 304
    looked_at([20])
    assert CLIENT.get(CHAIN.format("rei"), window, headers=headers).status_code == 200


def test_a_history_of_no_chain_is_refused() -> None:
    assert get(CHAIN.format("luna")).status_code == 404
    assert CLIENT.delete(CHAIN.format("rei")).status_code == 405


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"from": -8 * DAY_MS, "step": "raw"}, "samples are kept for 7 days"),
        ({"from": -91 * DAY_MS}, "hourly points are kept for 90 days"),
        ({"from": -1, "to": -2}, "from: must be before to"),
        ({"to": DAY_MS}, "to: lies 23 hours ahead"),
    ],
)
def test_a_window_outside_what_is_kept_is_refused(query: dict[str, Any], sentence: str) -> None:
    now_ms = to_ms(clock.db_now())
    moved = {name: now_ms + at if isinstance(at, int) else at for name, at in query.items()}
    for path in (BRIDGES, CHAIN.format("rei")):
        refused = get(path, **moved)
        assert refused.status_code == 400
        assert sentence in refused.json()["message"]


@pytest.mark.parametrize(
    "query",
    [{"step": "5m"}, {"limit": 0}, {"limit": 10**9}, {"size": -1}, {"corridor": "a"}, {"to": "x"}],
)
def test_absurd_wishes_are_refused_by_name(query: dict[str, Any]) -> None:
    refused = get(BRIDGES, **query)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith(next(iter(query)))
