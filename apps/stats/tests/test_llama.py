"""DefiLlama's figures of chains, against the bodies of its documentation."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from apps.stats import llama
from apps.stats.chains import volumes
from apps.stats.llama import Figures, Locked, Said
from apps.stats.models import Collector
from apps.stats.tests.answering import Answering, Says
from apps.stats.tests.watching import NOW
from moonx.core.resilience import limits
from moonx.core.resilience.budget import declared
from moonx.core.upstream.faults import CallFailed, Fault
from moonx.core.upstream.names import Service
from moonx.simulator.tests import examples
from moonx.simulator.tests.server import Simulator


@dataclass(frozen=True)
class Chain:
    slug: str
    chain_id: int
    llama_name: str


ETHEREUM = Chain("ethereum", 1, "Ethereum")
OPTIMISM = Chain("optimism", 10, "OP Mainnet")
REI = Chain("rei", 47805, "REI")
LOCAL = Chain("local", 31337, "")


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as running:
        running.says = Says(status=404, body=b"Not found")
        running.paths["/v2/chains"] = Says(body=examples.raw("defillama__v2_chains"))
        volume = Says(body=examples.raw("defillama__overview_dexs_chain"))
        running.paths["/overview/dexs/Ethereum"] = volume
        yield running


@pytest.fixture
def asked(server: Answering, settings: Any, clean_valkey: None, committed_db: None) -> Answering:
    """DefiLlama is that server."""
    settings.ENV = settings.ENV.model_copy(update={"defillama_base_url": server.url})
    return server


def test_the_documented_answers_are_read_exactly(server: Answering) -> None:
    endpoint = server.endpoint(Service.DEFILLAMA)
    assert llama.volume(endpoint, "Ethereum") == Decimal(800_000_000)
    assert llama.locked(endpoint) == [
        Locked(name="Ethereum", chain_id=1, tvl_usd=Decimal("65998652431.40"))
    ]


def test_years_of_data_are_left_out_and_names_are_spelled_for_an_address(server: Answering) -> None:
    server.paths["/overview/dexs/OP%20Mainnet"] = server.paths["/overview/dexs/Ethereum"]
    llama.volume(server.endpoint(Service.DEFILLAMA), "OP Mainnet")
    flags = {"excludeTotalDataChart": "true", "excludeTotalDataChartBreakdown": "true"}
    assert server.asked[0].query == flags


def test_a_chain_is_known_by_its_id_and_by_its_name_only_without_one() -> None:
    listed = [
        Locked(name="Ethereum", chain_id=99, tvl_usd=Decimal(1)),
        Locked(name="Another name", chain_id=1, tvl_usd=Decimal(2)),
        Locked(name="rei", chain_id=None, tvl_usd=Decimal(3)),
    ]
    assert llama.locked_in(ETHEREUM, listed) == Decimal(2)
    assert llama.locked_in(REI, listed) == Decimal(3)
    assert llama.locked_in(OPTIMISM, listed) is None


def test_a_value_of_zero_is_a_value() -> None:
    assert llama.locked_in(REI, [Locked(name="REI", chain_id=47805, tvl_usd=Decimal(0))]) == 0


def test_one_odd_row_costs_no_other(server: Answering) -> None:
    rows = [
        None,
        {"name": 5, "tvl": 1},
        {"name": "Nan", "tvl": None},
        {"name": "Minus", "tvl": -1},
        {"name": "Text", "tvl": "12"},
        {"name": "Fine", "tvl": 12.345, "chainId": None},
    ]
    server.paths["/v2/chains"].body = json.dumps(rows).encode()
    found = llama.locked(server.endpoint(Service.DEFILLAMA))
    assert found == [Locked(name="Fine", chain_id=None, tvl_usd=Decimal("12.34"))]


@pytest.mark.parametrize(
    "body", [b"[]", b"{}", b"<html>", b'{"total24h": null}', b'{"total24h": "5"}', b'{"total24h":']
)
def test_a_volume_that_is_none_is_malformed(server: Answering, body: bytes) -> None:
    server.paths["/overview/dexs/Ethereum"].body = body
    with pytest.raises(CallFailed) as failed:
        llama.volume(server.endpoint(Service.DEFILLAMA), "Ethereum")
    assert failed.value.fault is Fault.MALFORMED


def test_chains_that_it_knows_are_asked_for_at_once(asked: Answering) -> None:
    assert llama.volumes([ETHEREUM, LOCAL]).figures == {
        "ethereum": Figures(
            volume24h_usd=Decimal(800_000_000),
            tvl_usd=Decimal("65998652431.40"),
            simulated=False,
        )
    }
    assert sorted(one.path for one in asked.asked) == ["/overview/dexs/Ethereum", "/v2/chains"]


def test_what_fails_is_left_out_and_costs_nothing_else(asked: Answering) -> None:
    asked.paths["/overview/dexs/Ethereum"] = Says(status=500)
    (found,) = llama.volumes([ETHEREUM, OPTIMISM]).figures.items()
    assert found == (
        "ethereum",
        Figures(volume24h_usd=None, tvl_usd=Decimal("65998652431.40"), simulated=False),
    )
    assert [one.path for one in asked.asked].count("/overview/dexs/Ethereum") == 2
    assert limits.of(llama.TARGET.provider).budget == declared(per_minute=llama.PER_MINUTE)
    asked.paths["/v2/chains"] = Says(status=502, body=b"Internal error")
    assert llama.volumes([ETHEREUM]).figures == {}
    assert llama.volumes([LOCAL]) == Said(figures={})


def test_how_its_calls_went_is_told_to_operators(asked: Answering) -> None:
    volumes.collect(now=NOW)
    row = Collector.objects.get(name="stats.collect_all", provider="defillama")
    # Ethereum's volume and the list of what is locked came; no other chain was found.
    assert (row.successes, row.failures > 0, row.last_success_at) == (2, True, NOW)


def test_the_simulator_s_figures_are_marked(
    settings: Any, clean_valkey: None, committed_db: None
) -> None:
    with Simulator() as simulator:
        settings.ENV = settings.ENV.model_copy(update={"simulator_url": simulator.url})
        found = llama.volumes([ETHEREUM, OPTIMISM, REI, LOCAL]).figures
    assert found.keys() == {"ethereum", "optimism", "rei"}
    assert all(one.simulated for one in found.values())
    assert all(one.volume24h_usd and one.tvl_usd for one in found.values())
