"""What Valkey lets through: each fact once, of each state only what is newer."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from moonx.core import push, valkey
from moonx.core.push import State

pytestmark = pytest.mark.usefixtures("clean_valkey")

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def publish_facts(start: int, end: int, *topics: str) -> bytes:
    pairs = [part for topic in topics for part in (topic, '{"id":"x"')]
    keys = [valkey.key("position"), valkey.key("seq")]
    result: bytes = valkey.client().eval(
        push.PUBLISH_FACTS, 2, *keys, start, end, valkey.key("t:"), *pairs
    )
    return result


def state(version: int, **data: Any) -> State:
    return State(
        topic="ticker:X", name="ticker.updated", version=version, data=data, source_time=NOW
    )


def test_facts_enter_only_at_the_stored_position() -> None:
    valkey.client().set(valkey.key("position"), 10)
    assert publish_facts(10, 12, "a", "b") == b"ok"
    assert publish_facts(10, 12, "a", "b") == b"12"
    assert valkey.client().hgetall(valkey.key("seq")) == {b"a": b"1", b"b": b"1"}


def test_a_missing_position_is_told_apart() -> None:
    assert publish_facts(0, 1, "a") == b"missing"


def test_a_state_that_is_not_newer_is_refused() -> None:
    assert push.publish_states([state(2, last="2")], now=NOW) == 1
    assert push.publish_states([state(1, last="1"), state(2, last="2")], now=NOW) == 0
    assert push.pushed_versions(["ticker:X", "ticker:Y"]) == {"ticker:X": 2}


def test_the_frame_is_the_client_message_and_seq_counts_per_topic() -> None:
    push.publish_states([state(1, last="1"), state(2, last="2")], now=NOW)
    stored = valkey.client().hget(valkey.key("state:ticker:X"), "frame")
    frame = json.loads(stored or b"")
    assert frame["seq"] == 2
    assert frame["type"] == "ticker.updated"
    assert frame["channel"] == "ticker:X"
    assert frame["data"] == {"last": "2"}
    assert frame["sourceTs"] == frame["pubTs"] == 1_795_435_200_000


def test_states_of_an_alias_share_its_topic_and_keep_apart_by_key() -> None:
    alias = [
        State(
            topic="prices",
            key=f"prices:{name}",
            channel=f"ticker:{name}",
            name="price_update",
            version=1,
            data={},
            source_time=NOW,
        )
        for name in ("X", "Y")
    ]
    assert push.publish_states(alias, now=NOW) == 2
    assert valkey.client().hget(valkey.key("seq"), "prices") == b"2"
