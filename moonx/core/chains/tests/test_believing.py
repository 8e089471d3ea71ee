"""What of a node's answers counts for it and against it, and what it is asked again."""

import time
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from moonx.core import abreast
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.lying import Lie, LyingServer
from moonx.core.chains.pool import LOOK
from moonx.core.chains.tests.nodes import reader_of
from moonx.core.resilience import CallClass, CircuitState, Target, Trip, standings, state_of
from moonx.core.upstream.faults import CallFailed, Fault

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

SECRET = "s3cr3tkey"
TWENTY = range(1_000, 1_020)


@pytest.fixture
def chain() -> GeneratedChain:
    made = GeneratedChain(first=1_000, transactions=2)
    made.mine(120)
    return made


@pytest.fixture
def server(chain: GeneratedChain) -> Iterator[LyingServer]:
    with LyingServer(chain, keep_secret=SECRET) as made:
        yield made


@pytest.fixture
def honest(chain: GeneratedChain) -> Iterator[LyingServer]:
    with LyingServer(chain) as made:
        yield made


def target(server: LyingServer) -> Target:
    return Target(provider=f"127.0.0.1:{server.port}", chain="local", kind=CallClass.READ)


@pytest.mark.parametrize(
    "lie",
    [Lie.ITEM_ERRORS, Lie.WRONG_TYPES, Lie.OTHER_BLOCK, Lie.MISSING_IDS, Lie.WRONG_CHAIN],
)
def test_five_answers_in_a_row_that_are_of_no_use_open_the_circuit(
    lie: Lie, server: LyingServer
) -> None:
    reader = reader_of(server)
    reader.headers([1_000])
    server.lie(lie, by=20)
    for _ in range(5):
        if lie is Lie.WRONG_CHAIN:
            reader.heads()
            continue
        with pytest.raises(CallFailed):
            reader.headers(TWENTY)
    assert state_of([target(server)]) == {target(server): CircuitState.OPEN}


def test_a_block_that_is_not_there_yet_is_no_failure_of_the_node(server: LyingServer) -> None:
    reader = reader_of(server)
    for _ in range(6):
        with pytest.raises(CallFailed, match="has no block 5,000"):
            reader.headers([5_000])
    assert state_of([target(server)]) == {target(server): CircuitState.CLOSED}


@pytest.mark.parametrize("lie", [Lie.ITEM_ERRORS, Lie.ITEMS_TOO_LARGE])
def test_only_what_failed_for_a_moment_is_asked_once_more(lie: Lie, server: LyingServer) -> None:
    reader = reader_of(server)
    reader.headers([1_000])
    asked = server.calls["eth_getBlockByNumber"]
    server.lie(lie, by=3, times=1)
    assert [each.number for each in reader.headers(TWENTY)] == list(TWENTY)
    assert server.calls["eth_getBlockByNumber"] == asked + 20 + 3
    before = server.requests
    reader.headers(TWENTY)
    assert server.requests == before + (2 if lie is Lie.ITEMS_TOO_LARGE else 1)


def test_who_asked_too_often_does_not_ask_again_in_pieces(server: LyingServer) -> None:
    reader = reader_of(server)
    reader.headers([1_000])
    server.lie(Lie.TOO_OFTEN)
    before = server.requests
    with pytest.raises(CallFailed) as caught:
        reader.headers(TWENTY)
    assert (caught.value.fault, caught.value.retry_after_s) == (Fault.RATE_LIMITED, 7)
    assert server.requests == before + 1


@pytest.mark.parametrize("of_the_key", range(1, len(SECRET) + 1))
def test_no_part_of_a_key_is_told_where_a_message_is_cut(
    of_the_key: int, server: LyingServer
) -> None:
    behind = 160 - of_the_key - len(f" http://127.0.0.1:{server.port}/")
    server.lie(Lie.ECHO, by=behind)
    with pytest.raises(CallFailed) as caught:
        reader_of(server).headers([1_000])
    assert "xxx http://127.0.0.1" in str(caught.value)
    assert f"/{SECRET[:1]}" not in str(caught.value)
    assert len(str(caught.value)) < 220


def test_a_block_without_receipts_yet_turns_no_method_off(server: LyingServer) -> None:
    reader = reader_of(server)
    server.lie(Lie.NOT_YET)
    with pytest.raises(CallFailed) as caught:
        reader.receipts(5_000)
    assert caught.value.fault is Fault.NO_RESULT
    assert reader.receipts(1_112)
    assert server.calls["eth_getTransactionReceipt"] == 0


def open_by_rate(server: LyingServer) -> None:
    reader = reader_of(server)
    for number in range(1_000, 1_012):
        if number % 3:
            server.lie(Lie.SERVER_ERROR, times=1)
        try:
            reader.headers([number])
        except CallFailed:
            continue
    assert standings([target(server)])[target(server)].trip is Trip.RATE


def test_whom_rates_alone_closed_off_is_asked_when_the_others_fail(
    chain: GeneratedChain, server: LyingServer, honest: LyingServer
) -> None:
    with LyingServer(chain) as third, LyingServer(chain) as fourth:
        shut = (server, honest, third)
        for each in shut:
            open_by_rate(each)
        fourth.lie(Lie.SERVER_ERROR)
        before = sum(each.requests for each in shut)
        reader = reader_of(*shut, fourth)
        assert reader.headers([1_000])[0].number == 1_000
        assert sum(each.requests for each in shut) == before + 2  # its chain, and the header


def test_a_chain_with_one_provider_tells_a_head_as_soon_as_it_is_back(server: LyingServer) -> None:
    reader = reader_of(server)
    server.lie(Lie.SERVER_ERROR)
    for _ in range(6):
        assert reader.heads()[0].fault is Fault.SERVER
    assert state_of([target(server)]) == {target(server): CircuitState.OPEN}
    server.be_honest()
    assert [head.number for head in reader.heads()] == [1_120]


def test_heads_are_one_request_whatever_a_slow_moment_taught(server: LyingServer) -> None:
    reader = reader_of(server, timeout_s=0.2)
    reader.heads()
    server.latency_s = 0.4
    assert reader.heads()[0].fault is Fault.TIMEOUT
    server.latency_s = 0.0
    time.sleep(0.3)  # until the late answer is counted
    before = server.requests
    assert reader.heads()[0].number == 1_120
    assert server.requests == before + 1
    server.lie(Lie.TOO_LARGE_BATCH, by=1)
    assert reader.heads()[0].number == 1_120


def test_a_range_of_logs_is_cut_as_the_node_suggests(chain: GeneratedChain) -> None:
    with LyingServer(chain, most_blocks=13) as server:
        assert len(reader_of(server).logs(first=1_000, last=1_120, addresses=[])) > 100
        # 121 are refused, five of 13 answered, 20 refused, and the rest answered.
        assert server.calls["eth_getLogs"] == 1 + 5 + 1 + 5


def test_what_one_node_answers_says_nothing_of_another(
    chain: GeneratedChain, honest: LyingServer
) -> None:
    with LyingServer(chain, most_blocks=13) as narrow:
        reader = reader_of(narrow, honest)
        reader.logs(first=1_000, last=1_120, addresses=[])
    reader.logs(first=1_000, last=1_120, addresses=[])
    assert honest.calls["eth_getLogs"] == 1


def test_a_node_that_is_too_slow_for_logs_is_given_half_once(
    server: LyingServer, honest: LyingServer
) -> None:
    reader = reader_of(server, honest, timeout_s=0.2)
    reader.headers([1_000])
    server.latency_s = 0.4
    assert reader.logs(first=1_000, last=1_120, addresses=[])
    time.sleep(0.5)  # until the late answers are counted
    assert (server.calls["eth_getLogs"], honest.calls["eth_getLogs"]) == (2, 1)


def test_a_read_that_failed_everywhere_for_a_moment_is_tried_again(
    server: LyingServer, honest: LyingServer
) -> None:
    reader = reader_of(server, honest, patience=LOOK)
    for each in (server, honest):
        each.lie(Lie.SERVER_ERROR, times=1)
    assert reader.headers([1_000])[0].number == 1_000
    honest.lie(Lie.SERVER_ERROR)
    before = honest.requests
    with pytest.raises(CallFailed):
        reader_of(honest, patience=LOOK).headers([1_000])
    assert honest.requests == before + 2


@pytest.mark.parametrize("lie", [Lie.HTML, Lie.GAP, Lie.TOO_OFTEN])
def test_what_no_second_try_would_mend_is_not_tried_again(lie: Lie, server: LyingServer) -> None:
    reader = reader_of(server, patience=LOOK)
    reader.headers([1_000])
    server.lie(lie)
    before = server.requests
    with pytest.raises(CallFailed):
        reader.headers([1_003])
    assert server.requests == before + 1


def test_threads_know_on_whose_behalf_they_ask() -> None:
    asking: ContextVar[str] = ContextVar("asking")
    asking.set("a request")
    assert abreast.each(lambda _: asking.get(""), [1, 2, 3], most=2) == ["a request"] * 3
