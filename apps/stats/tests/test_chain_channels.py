"""What subscribers of chains and of the overview are shown and told."""

import json
from datetime import timedelta

import pytest

from apps.stats import overview
from apps.stats.tests.watching import NOW, fake_chain
from moonx.core import push, topics, valkey
from moonx.core.topics import Route, UnknownTopic

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

BASE = "chain:8453"


def test_a_newcomer_is_shown_how_the_chain_does_and_its_newest_block() -> None:
    made = fake_chain(slug="base", chain_id=8453)
    made.watch(now=NOW)
    told, head = topics.snapshot(Route(BASE))
    assert told[0] == "stats.chain_performance_updated"
    assert told[1] == made.told()
    assert head[0] == "chain.head"
    newest = made.blocks[-1]
    assert head[1]["number"] == newest.number
    assert head[1]["timeMs"] == newest.time_s * 1000
    assert head[1]["hash"] == f"0x{newest.hash.hex()}"
    assert (head[1]["chain"], head[1]["chainId"]) == ("base", 8453)
    assert (head[1]["gasUsedRatio"], head[1]["baseFeeWei"]) == ("0.5000", "7")


def test_before_the_first_look_there_is_nothing_to_show() -> None:
    assert topics.snapshot(Route(BASE)) == []
    assert topics.snapshot(Route("overview")) == []


@pytest.mark.parametrize(
    ("channel", "sentence"),
    [
        ("chain:99", "No chain is called '99'"),
        ("chain:base", "Channels name Base by its id: 8453"),
        ("chain", "takes 1 arguments"),
        ("overview:1", "takes 0 arguments"),
    ],
)
def test_a_channel_that_names_no_chain_is_refused(channel: str, sentence: str) -> None:
    with pytest.raises(UnknownTopic, match=sentence):
        topics.find(channel)


def test_a_new_head_is_pushed_once() -> None:
    made = fake_chain(slug="base", chain_id=8453)
    made.watch(now=NOW)
    key = f"{BASE}:head"
    (version,) = push.pushed_versions([key]).values()
    made.watch(now=NOW + timedelta(seconds=10))
    assert push.pushed_versions([key]) == {key: version}
    made.mine(1, until=NOW + timedelta(seconds=20))
    made.watch(now=NOW + timedelta(seconds=20))
    frame = valkey.client().hget(valkey.key(f"state:{key}"), "frame")
    told = json.loads(frame or b"{}")
    assert (told["channel"], told["type"]) == (BASE, "chain.head")
    assert told["data"]["number"] == made.blocks[-1].number


def test_a_newcomer_is_shown_the_overview() -> None:
    overview.update(now=NOW)
    ((name, data, channel),) = topics.snapshot(Route("overview"))
    assert (name, channel) == ("stats.overview_updated", "overview")
    assert data["asOf"] == round(NOW.timestamp() * 1000)
