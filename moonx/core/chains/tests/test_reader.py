"""What a reader makes of nodes: honest ones, and those that lie."""

import time
import traceback
from collections.abc import Iterator, Sequence

import pytest

from moonx.core.chains import blocks
from moonx.core.chains.blocks import Traffic
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.lying import Lie, LyingServer
from moonx.core.chains.tests.nodes import chain_row, reader_of
from moonx.core.upstream.faults import CallFailed, Fault

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

SECRET = "s3cr3tkey"


@pytest.fixture
def chain() -> GeneratedChain:
    made = GeneratedChain(first=1_000, transactions=lambda number: number % 7)
    made.mine(120)
    return made


@pytest.fixture
def server(chain: GeneratedChain) -> Iterator[LyingServer]:
    with LyingServer(chain, keep_secret=SECRET) as made:
        yield made


@pytest.fixture
def honest(chain: GeneratedChain) -> Iterator[LyingServer]:
    with LyingServer(chain, keep_secret=SECRET) as made:
        yield made


def people(found: Sequence[Traffic]) -> list[list[tuple[bytes, bytes | None]]]:
    return [list(zip(each.senders, each.recipients, strict=True)) for each in found]


def test_every_sender_and_recipient_is_read_in_order(
    chain: GeneratedChain, server: LyingServer
) -> None:
    numbers = [*range(1_000, 1_121), 1_003]
    found = reader_of(server).traffic(numbers)
    assert people(found) == [chain.pairs(number) for number in numbers]
    assert [each.header.hash for each in found] == [chain.hash(number) for number in numbers]
    assert found == [blocks.traffic(chain.block(number)) for number in numbers]
    headers = reader_of(server).headers(numbers)
    assert headers == [each.header for each in found]
    assert any(pair[1] is None for number in numbers for pair in chain.pairs(number))


def test_a_batch_grows_while_the_node_keeps_up_and_shrinks_when_it_refuses(
    server: LyingServer,
) -> None:
    reader = reader_of(server)
    server.lie(Lie.TOO_LARGE_BATCH, by=7)
    assert len(reader.headers(range(1_000, 1_100))) == 100
    assert server.largest_batch == 20
    server.be_honest()
    for _ in range(30):
        reader.headers(range(1_000, 1_120))
    assert server.largest_batch > 20


@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        (Lie.WRONG_ID, Fault.MALFORMED),
        (Lie.WRONG_TYPES, Fault.MALFORMED),
        (Lie.HTML, Fault.MALFORMED),
        (Lie.HALF_BODY, Fault.MALFORMED),
        (Lie.SERVER_ERROR, Fault.SERVER),
        (Lie.RATE_LIMITED, Fault.RATE_LIMITED),
        (Lie.REDIRECT, Fault.REDIRECTED),
        (Lie.WRONG_CHAIN, Fault.WRONG_CHAIN),
        (Lie.SLOW_DRIP, Fault.TIMEOUT),
        (Lie.HUGE_BODY, Fault.TOO_LARGE),
        (Lie.STALE_HEAD, Fault.NO_RESULT),
        (Lie.GAP, Fault.NO_RESULT),
        (Lie.OTHER_BLOCK, Fault.MALFORMED),
        (Lie.OUT_OF_QUOTA, Fault.AUTHENTICATION),
        (Lie.TOO_OFTEN, Fault.RATE_LIMITED),
        (Lie.ITEM_ERRORS, Fault.SERVER),
    ],
)
def test_a_lie_has_a_class_and_the_next_provider_is_asked(
    lie: Lie, fault: Fault, server: LyingServer, honest: LyingServer, chain: GeneratedChain
) -> None:
    server.lie(lie)
    numbers = range(1_110, 1_121)
    timeout_s = 0.5 if lie is Lie.SLOW_DRIP else 3.0
    begun_s = time.monotonic()
    with pytest.raises(CallFailed) as caught:
        reader_of(server, timeout_s=timeout_s).traffic(numbers)
    assert caught.value.fault is fault
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert caught.value.retry_after_s == (7 if fault is Fault.RATE_LIMITED else 0)
    found = reader_of(server, honest, timeout_s=timeout_s).traffic(numbers)
    assert people(found) == [chain.pairs(number) for number in numbers]
    assert time.monotonic() - begun_s < 5
    assert server.visits == 0


def test_what_a_node_left_out_of_a_batch_is_asked_once_more_alone(
    server: LyingServer, chain: GeneratedChain
) -> None:
    reader = reader_of(server)
    reader.headers([1_000])
    server.lie(Lie.MISSING_IDS, times=1)
    before = server.calls["eth_getBlockByNumber"]
    found = reader.traffic(range(1_000, 1_020))
    assert people(found) == [chain.pairs(number) for number in range(1_000, 1_020)]
    assert server.calls["eth_getBlockByNumber"] - before == 20 + 7
    server.lie(Lie.MISSING_IDS)
    with pytest.raises(CallFailed, match=r"left out 2 of 7 answers") as caught:
        reader.traffic(range(1_000, 1_020))
    assert caught.value.fault is Fault.MALFORMED


def test_a_provider_of_another_chain_is_off_until_it_is_right_and_says_what_to_correct(
    server: LyingServer,
) -> None:
    server.lie(Lie.WRONG_CHAIN)
    reader = reader_of(server)
    for _ in range(3):
        with pytest.raises(CallFailed, match=r"id 31338, not 31337 \(local\).*RPC_URL_LOCAL"):
            reader.headers([1_000])
    assert server.requests == 1
    assert [head.fault for head in reader.heads()] == [Fault.WRONG_CHAIN]
    server.be_honest()
    assert [head.fault for head in reader.heads()] == [None]
    assert reader.headers([1_000])


def test_a_chain_is_asked_for_its_id_once(server: LyingServer) -> None:
    reader = reader_of(server)
    for _ in range(5):
        reader.headers([1_000])
    assert server.calls["eth_chainId"] == 1


def test_every_reason_is_told_when_no_provider_can(
    server: LyingServer, honest: LyingServer
) -> None:
    server.lie(Lie.SERVER_ERROR)
    honest.close()
    with pytest.raises(CallFailed) as caught:
        reader_of(server, honest).headers([1_000])
    assert caught.value.fault is Fault.SERVER
    assert all(f":{each.port}" in str(caught.value) for each in (server, honest))


def test_a_node_that_does_not_listen_is_passed_over(
    server: LyingServer, honest: LyingServer
) -> None:
    server.close()
    assert reader_of(server, honest).headers([1_000])[0].number == 1_000


@pytest.mark.parametrize("without", [frozenset[str](), frozenset({"eth_getBlockReceipts"})])
def test_receipts_come_whole_or_one_by_one_and_which_is_probed_once(
    without: frozenset[str], chain: GeneratedChain
) -> None:
    with LyingServer(chain, without=without) as server:
        reader = reader_of(server)
        for number in (1_112, 1_113, 1_120):
            found = reader.receipts(number)
            assert found == blocks.receipts(chain.receipts(number))
            assert [(each.sender, each.recipient) for each in found] == chain.pairs(number)
        assert server.calls["eth_getBlockReceipts"] == (1 if without else 3)
        assert (server.calls["eth_getTransactionReceipt"] > 0) is bool(without)


def test_logs_of_any_range_are_all_there(chain: GeneratedChain) -> None:
    truth = [log for number in range(1_000, 1_121) for log in blocks.logs(chain.logs(number))]
    assert len(truth) > 100
    with LyingServer(chain, most_blocks=13) as server:
        reader = reader_of(server)
        for _ in range(2):
            assert reader.logs(first=1_000, last=1_120, addresses=[truth[0].address]) == truth
        topics = [None, {truth[5].topics[1]}]
        some = [log for log in truth if log.topics[1] == truth[5].topics[1]]
        assert reader.logs(first=1_000, last=1_120, addresses=[], topics=topics) == some


def test_logs_that_nobody_asked_for_are_not_believed(
    server: LyingServer, chain: GeneratedChain
) -> None:
    server.lie(Lie.UNASKED_LOGS)
    with pytest.raises(CallFailed, match="not asked for") as caught:
        reader_of(server).logs(first=1_000, last=1_100, addresses=[b"a" * 20])
    assert caught.value.fault is Fault.MALFORMED


def test_with_every_circuit_open_the_least_bad_provider_is_asked_all_the_same(
    server: LyingServer, honest: LyingServer
) -> None:
    reader = reader_of(server, honest)
    for each in (server, honest):
        each.lie(Lie.SERVER_ERROR)
    for _ in range(6):
        with pytest.raises(CallFailed):
            reader.headers([1_000])
    asked = server.requests + honest.requests
    with pytest.raises(CallFailed):
        reader.headers([1_000])
    assert server.requests + honest.requests == asked + 1
    for each in (server, honest):
        each.be_honest()
    assert reader.headers([1_000])[0].number == 1_000


def test_heads_are_asked_side_by_side(server: LyingServer, honest: LyingServer) -> None:
    reader = reader_of(server, honest)
    reader.heads()
    server.latency_s = honest.latency_s = 0.3
    begun_s = time.monotonic()
    heads = reader.heads()
    assert time.monotonic() - begun_s < 0.5
    assert [head.number for head in heads] == [1_120, 1_120]
    assert [head.finalized for head in heads] == [1_056, 1_056]
    assert all(head.latency_ms >= 300 for head in heads)
    assert heads[0].finalized_time_s == (server.chain.time_ms(1_056)) // 1000


def test_a_chain_without_the_finalized_tag_counts_its_depth(server: LyingServer) -> None:
    row = chain_row()
    row.has_finalized_tag, row.finality_depth = False, 3
    (head,) = reader_of(server, chain=row).heads()
    assert (head.finalized, head.finalized_time_s) == (1_117, None)


def test_who_is_behind_or_elsewhere_is_asked_last(
    server: LyingServer, honest: LyingServer, chain: GeneratedChain
) -> None:
    with LyingServer(chain) as third:
        for lie in (Lie.STALE_HEAD, Lie.OTHER_FORK, Lie.SERVER_ERROR):
            reader = reader_of(server, honest, third)
            server.lie(lie, by=12)
            reader.heads()
            before = server.requests
            assert reader.traffic([1_110])[0].header.hash == chain.hash(1_110)
            assert server.requests == before
            server.be_honest()
            reader.heads()
            reader.traffic([1_110])
            assert server.requests > before + 1


def test_a_fork_is_told_by_hash_though_its_head_is_as_high(
    server: LyingServer, honest: LyingServer, chain: GeneratedChain
) -> None:
    with LyingServer(chain) as third:
        reader = reader_of(server, honest, third)
        before = reader.agree(reader.heads(), before=None, now_ms=0).tip
        server.lie(Lie.OTHER_FORK, by=12)
        agreed = reader.agree(reader.heads(), before=before, now_ms=2_000)
        assert agreed.forked == {f"127.0.0.1:{server.port}"}
        assert not agreed.is_split
        assert agreed.tip is not None
        assert agreed.tip.hash == chain.hash(1_120)


def test_blocks_below_a_second_have_their_times(chain: GeneratedChain) -> None:
    quick = GeneratedChain(block_time_ms=250, transactions=1)
    quick.mine(40)
    with LyingServer(quick) as server:
        found = reader_of(server, chain=chain_row(block_time_ms=250)).headers(range(41))
    assert [each.time_s - quick.begins_s for each in found] == [n // 4 for n in range(41)]
