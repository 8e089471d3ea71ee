"""Chains watched through real connections to nodes that are honest, lie, or are gone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from apps.stats.chains import collecting
from apps.stats.models import ChainReorg, Published
from apps.stats.tests.watching import NOW
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.lying import Lie, LyingServer
from moonx.core.chains.reader import Reader
from moonx.core.chains.tests.nodes import chain_row, reader_of

# Circuits are written from the threads that ask.
pytestmark = pytest.mark.usefixtures("committed_db")

MINUTE = timedelta(minutes=1)
BLOCKS = 400


@pytest.fixture
def chain() -> GeneratedChain:
    """A chain whose newest block is of now."""
    made = GeneratedChain(begins_s=int(NOW.timestamp()) - 2 * (BLOCKS - 1))
    made.mine(BLOCKS - 1)
    return made


@pytest.fixture
def first(chain: GeneratedChain) -> Iterator[LyingServer]:
    with LyingServer(chain) as made:
        yield made


@pytest.fixture
def second(chain: GeneratedChain) -> Iterator[LyingServer]:
    with LyingServer(chain) as made:
        yield made


def watch(reader: Reader, *, now: datetime = NOW) -> dict[str, Any]:
    """What is told of the chain after a look."""
    done = collecting.collect([chain_row()], now=now, reader_of=lambda _: reader)
    assert done.failed == []
    payload: dict[str, Any] = Published.objects.get(subject="chain:local").payload
    return payload


def states(told: dict[str, Any]) -> list[str]:
    return [one["state"] for one in told["providers"]]


def causes(told: dict[str, Any]) -> list[str]:
    return [one.get("cause", one["rule"]) for one in told["reasons"]]


def test_a_chain_of_two_honest_nodes_is_healthy(
    chain: GeneratedChain, first: LyingServer, second: LyingServer
) -> None:
    told = watch(reader_of(first, second))
    assert (told["verdict"], told["reasons"], states(told)) == ("healthy", [], ["ok", "ok"])
    assert told["blockTimeMs"] == {"p50": 2000, "p95": 2000, "p99": 2000, "n": 300}
    assert (told["tps"], told["head"], told["finalityLagMs"]) == ("2.50", chain.head, 128_000)


@pytest.mark.parametrize(
    ("lie", "state", "cause"),
    [
        (Lie.STALE_HEAD, "lagging", "lagBlocks"),
        (Lie.OTHER_FORK, "excluded", "forked"),
        (Lie.WRONG_CHAIN, "wrongChain", "wrongChain"),
        (Lie.HTML, "failing", "malformed"),
        (Lie.HALF_BODY, "failing", "malformed"),
        (Lie.WRONG_TYPES, "failing", "malformed"),
        (Lie.SERVER_ERROR, "failing", "server"),
        (Lie.REDIRECT, "failing", "redirected"),
    ],
)
def test_a_node_that_lies_is_told_by_name_beside_a_healthy_chain(
    first: LyingServer, second: LyingServer, lie: Lie, state: str, cause: str
) -> None:
    with LyingServer(first.chain) as third:
        reader = reader_of(first, second, third)
        watch(reader)
        first.lie(lie)
        first.chain.mine(30)
        told = watch(reader, now=NOW + MINUTE)
    assert (told["verdict"], states(told)) == ("healthy", [state, "ok", "ok"])
    assert causes(told) == [cause]
    assert told["head"] == first.chain.head
    assert not ChainReorg.objects.exists()


def test_a_node_that_limits_us_is_not_called_ill(first: LyingServer, second: LyingServer) -> None:
    reader = reader_of(first, second)
    watch(reader)
    first.lie(Lie.RATE_LIMITED)
    first.chain.mine(30)
    told = watch(reader, now=NOW + MINUTE)
    assert (told["verdict"], states(told)) == ("healthy", ["unknown", "ok"])
    # A look asks several things at once: once one of them was refused, others are held back.
    assert causes(told) in (["rateLimited"], ["heldBack"])


def test_with_one_node_gone_the_other_is_enough(first: LyingServer, second: LyingServer) -> None:
    reader = reader_of(first, second)
    first.close()
    told = watch(reader)
    assert (told["verdict"], states(told)) == ("healthy", ["failing", "ok"])
    assert told["blockTimeMs"]["n"] == 300


def test_with_every_node_gone_what_was_known_stays_and_grows_old(first: LyingServer) -> None:
    reader = reader_of(first)
    before = watch(reader)
    first.close()
    for minute in range(1, 8):
        told = watch(reader, now=NOW + minute * MINUTE)
        assert told["verdict"] == "unknown"
        assert told["headAgeMs"] >= minute * 60_000
    same = ("blockTimeMs", "tps", "gasUsedRatio", "baseFeeWei", "head", "sampledAt")
    assert {name: told[name] for name in same} == {name: before[name] for name in same}
    assert causes(told)[0] == "noData"


def test_a_reorganisation_that_all_nodes_follow_is_counted(
    chain: GeneratedChain, first: LyingServer, second: LyingServer
) -> None:
    reader = reader_of(first, second)
    watch(reader)
    chain.reorg(3)
    chain.mine(30)
    told = watch(reader, now=NOW + MINUTE)
    assert told["reorgs1h"] == {"count": 1, "maxDepth": 3}
    assert causes(told) == ["reorgDepth"]


def test_a_node_that_goes_back_to_a_snapshot_is_believed_after_a_while(
    chain: GeneratedChain, first: LyingServer
) -> None:
    reader = reader_of(first)
    watch(reader)
    chain.shorten(10)
    chain.seed += 1
    chain.mine(5, late_ms=60_000)
    assert watch(reader, now=NOW + MINUTE)["reorgs1h"]["count"] == 0
    chain.mine(30)
    assert watch(reader, now=NOW + 2 * MINUTE)["reorgs1h"] == {"count": 1, "maxDepth": 10}


def test_a_node_whose_clock_is_ahead_is_a_reason_and_no_negative_age(first: LyingServer) -> None:
    told = watch(reader_of(first), now=NOW - timedelta(seconds=30))
    assert (told["verdict"], told["headAgeMs"], causes(told)) == ("degraded", 0, ["clockSkew"])
