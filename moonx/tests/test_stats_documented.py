"""What statistics tell, over HTTP and over the socket, is what the documents say."""

import random
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator

from apps.stats import watch
from apps.stats.activity import scanning, telling
from apps.stats.chains import telling as chain_telling
from apps.stats.tests.made_chain import MadeChain
from apps.stats.tests.test_api_health import bridge_event, chain_event, keep, overview_of
from apps.stats.tests.test_api_history import asked_for, looked_at
from moonx.core import clock, topics
from moonx.core.chains import registry
from moonx.core.chains.blocks import Header
from moonx.documents.merged import asyncapi, openapi

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

# One for all: each new one builds the chain of middleware anew.
CLIENT = Client()


@pytest.fixture
def _known() -> None:
    """Something is known of everything."""
    keep("chain:rei", chain_event())
    keep("bridge:lifi:ethereum:base:1000", bridge_event())
    keep("overview", overview_of(3))
    asked_for([30, 20])
    looked_at([30, 20])
    chain = MadeChain(start_s=round((clock.db_now() - timedelta(minutes=70)).timestamp()))
    chain.grow(60, random.Random(1), every_s=60)  # noqa: S311
    scanning.scan("rei", chain, now=clock.db_now(), batch=100)
    telling.tell(registry.find("rei"), now=clock.db_now())


@pytest.mark.usefixtures("_known")
@pytest.mark.parametrize("query", [{"chain": "rei"}, {"chain": "base", "step": "1h"}])
def test_every_answer_has_the_documented_form(query: dict[str, Any]) -> None:
    document = openapi()
    for path, item in document["paths"].items():
        if "/stats/" not in path:
            continue
        content = item["get"]["responses"][200]["content"]["application/json"]["schema"]
        schema = {**content, "components": document["components"]}
        answer = CLIENT.get(path.replace("{chain}", query["chain"]), query).json()
        faults = [error.message for error in Draft202012Validator(schema).iter_errors(answer)]
        assert not faults, (path, faults)


def form(message: str) -> Draft202012Validator:
    """What the socket's document says of a message's data."""
    document = asyncapi()
    payload = next(
        one["payload"]["$ref"]
        for one in document["components"]["messages"].values()
        if one["name"] == message
    )
    _, pushed = document["components"]["schemas"][payload.rpartition("/")[2]]["allOf"]
    return Draft202012Validator(
        {**pushed["properties"]["data"], "components": document["components"]}
    )


@pytest.mark.usefixtures("_known")
def test_every_snapshot_of_a_channel_has_the_documented_form() -> None:
    chain_id = registry.find("rei").chain_id
    told = set()
    for channel in (f"chain:{chain_id}", f"activity:{chain_id}", "bridges", "overview"):
        for name, data, _ in topics.snapshot(topics.Route(channel)):
            assert not [error.message for error in form(name).iter_errors(data)], (channel, data)
            told.add(name)
    assert told >= {
        *("stats.chain_performance_updated", "stats.bridge_latency_updated"),
        *("stats.overview_updated", "activity.updated"),
    }


def test_a_head_has_the_documented_form() -> None:
    header = Header(
        number=7,
        hash=bytes(32),
        parent_hash=bytes(32),
        time_s=1_764_168_000,
        gas_used=1,
        gas_limit=100,
        base_fee_wei=None,
        transaction_count=3,
    )
    data = chain_telling.head_data(registry.find("rei"), header, now=clock.db_now())
    assert not list(form("chain.head").iter_errors(data))


def test_channels_name_a_chain_by_its_id_alone() -> None:
    watch.register()
    for name in ("chain", "activity"):
        for wrong in ("rei", "0", "luna"):
            with pytest.raises(topics.UnknownTopic):
                topics.find(f"{name}:{wrong}")
