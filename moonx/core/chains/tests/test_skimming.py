"""Blocks out of raw bytes: as the parser reads them, or not at all."""

import json
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonx.core.chains import blocks, skimming
from moonx.core.chains.blocks import Traffic
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.tests import recorded

CHAIN = GeneratedChain(first=500, transactions=lambda number: number % 6, people=9)
CHAIN.mine(12)

Json = dict[str, Any]


def answer(results: Sequence[Json], *, id_behind: bool = False) -> bytes:
    """A batch's answer, compact as nodes send it; the ids count from 7."""
    replies: list[Json] = [
        {"jsonrpc": "2.0", "result": result, "id": number}
        if id_behind
        else {"jsonrpc": "2.0", "id": number, "result": result}
        for number, result in enumerate(results, 7)
    ]
    return json.dumps(replies, separators=(",", ":")).encode()


def wanted(results: Sequence[Json]) -> dict[int, int]:
    return {number: int(result["number"], 16) for number, result in enumerate(results, 7)}


def parsed(results: Sequence[Json]) -> dict[int, Traffic]:
    return {number: blocks.traffic(result) for number, result in enumerate(results, 7)}


def reordered(value: Any, order: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key], order) for key in sorted(value, key=order)}
    return [reordered(each, order) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("id_behind", [False, True])
def test_the_recorded_block_is_skimmed_as_it_is_parsed(id_behind: bool) -> None:
    results = [recorded.block(), CHAIN.block(500), CHAIN.block(505)]
    found = skimming.traffic(answer(results, id_behind=id_behind), wanted(results))
    assert found == parsed(results)


@settings(max_examples=25, deadline=None)
@given(
    numbers=st.lists(st.integers(500, 512), min_size=1, max_size=5),
    salt=st.integers(0, 10**6),
    id_behind=st.booleans(),
)
def test_in_any_order_of_fields_what_is_skimmed_is_what_is_parsed(
    numbers: list[int],
    salt: int,
    id_behind: bool,
) -> None:
    results = [
        reordered(CHAIN.block(number), lambda key: crc32(f"{key}{salt}".encode()))
        for number in numbers
    ]
    found = skimming.traffic(answer(results, id_behind=id_behind), wanted(results))
    assert found in (None, parsed(results))


# As nodes write a transaction; only the order matters here.
GETH = "blockHash blockNumber from gas gasPrice hash input nonce to transactionIndex value type"
ANVIL = "type chainId nonce gas to value accessList input r s hash blockHash blockNumber from"
ALPHABET = sorted(CHAIN.block(509)["transactions"][0])
ORDERS = {"geth": GETH.split(), "anvil": ANVIL.split(), "alphabet": ALPHABET}


@pytest.mark.parametrize("node", sorted(ORDERS))
def test_the_orders_in_which_nodes_write_are_all_skimmed(node: str) -> None:
    places = {name: place for place, name in enumerate(ORDERS[node])}
    results = [CHAIN.block(509), CHAIN.block(504)]
    for result in results:
        result["transactions"] = [
            reordered(each, lambda name: places.get(name, 99)) for each in result["transactions"]
        ]
    assert skimming.traffic(answer(results), wanted(results)) == parsed(results)


def changed(**fields: Any) -> list[Json]:
    return [CHAIN.block(503), {**CHAIN.block(504), **fields}]


def in_transaction(**fields: Any) -> list[Json]:
    block = CHAIN.block(509)
    block["transactions"][2] |= fields
    return [block]


@pytest.mark.parametrize(
    "results",
    [
        changed(number="0x1"),
        changed(number=504),
        changed(baseFeePerGas=7),
        changed(gasUsed=None),
        changed(timestamp="17"),
        changed(timestamp="0xfffffffffffffffff"),
        changed(hash="0x12"),
        [{**CHAIN.block(509), "hash": f"0x{'0' * 64}"}],
        [CHAIN.block(509, is_whole=False)],
        changed(extra={"from": "0x" + "11" * 20}),
        changed(extra={"number": "0x1f8"}),
        changed(transactions=None),
        in_transaction(to="nobody"),
        in_transaction(to="0x1234"),
        in_transaction(**{"from": "0x" + "zz" * 20}),
        in_transaction(**{"from": None}),
        in_transaction(blockHash=f"0x{'0' * 64}"),
    ],
)
def test_what_is_odd_is_left_to_the_parser(results: list[Json]) -> None:
    numbers = {number: 503 + number - 7 for number in range(7, 7 + len(results))}
    if len(results) == 1:
        numbers = {7: 509}
    assert skimming.traffic(answer(results), numbers) is None


def test_what_is_no_answer_to_this_batch_is_left_to_the_parser() -> None:
    results = [CHAIN.block(503), CHAIN.block(504)]
    body, right = answer(results), wanted(results)
    assert skimming.traffic(body, right) is not None
    assert skimming.traffic(body, {7: 503}) is None
    assert skimming.traffic(body, {7: 503, 9: 504}) is None
    assert skimming.traffic(body[:-1], right) is None
    assert skimming.traffic(body[: len(body) // 2], right) is None
    assert skimming.traffic(body.replace(b'"result":', b'"result": '), right) is not None
    assert skimming.traffic(json.dumps(json.loads(body), indent=1).encode(), right) is None
    assert skimming.traffic(b'[{"jsonrpc":"2.0","id":7,"result":null}]', {7: 503}) is None
    assert skimming.traffic(b"<html>", right) is None


def with_lists(number: int) -> Json:
    """A block in which lists of objects stand where an answer may be cut off."""
    block = CHAIN.block(number)
    access = [{"address": "0x" + "22" * 20, "storageKeys": ["0x" + "33" * 32]}]
    places = {name: place for place, name in enumerate([*ORDERS["geth"], "accessList"])}
    block["transactions"] = [
        reordered({**each, "input": "0x", "accessList": access}, lambda name: places.get(name, 99))
        for each in block["transactions"]
    ]
    return {**block, "withdrawals": [{"index": "0x1", "amount": "0x2"}]}


@pytest.mark.parametrize("id_behind", [False, True])
@pytest.mark.parametrize("numbers", [[500], [501, 504]])
def test_an_answer_that_was_cut_off_is_never_skimmed(numbers: list[int], id_behind: bool) -> None:
    results = [with_lists(number) for number in numbers]
    body, right = answer(results, id_behind=id_behind), wanted(results)
    assert skimming.traffic(body, right) == parsed(results)
    cuts = [size for size in range(len(body)) if skimming.traffic(body[:size], right) is not None]
    assert cuts == []


def test_a_recipient_is_of_its_own_transaction_or_nothing_is_skimmed() -> None:
    block = CHAIN.block(500)
    first, second = block["transactions"]
    del first["to"]
    second["calls"] = [{"to": "0x" + "44" * 20}]
    assert skimming.traffic(answer([block]), {7: 500}) is None


@pytest.mark.parametrize(
    ("right", "odd"),
    [
        (b'"to":null', b'"to":nullish'),
        (b'"from":"', b'"from": "'),
        (b'"transactionIndex":', b'"transactionIndeks":'),
        (b'"blockHash":"0x', b'"blockHash":"0x0'),
    ],
)
def test_what_is_spelled_otherwise_is_left_to_the_parser(right: bytes, odd: bytes) -> None:
    block = CHAIN.block(500)
    block["transactions"][0]["to"] = None
    body = answer([block])
    assert right in body
    assert skimming.traffic(body, {7: 500}) is not None
    assert skimming.traffic(body.replace(right, odd, 1), {7: 500}) is None


@pytest.mark.parametrize("letter", [b"o", b"u"])
def test_an_answer_made_of_what_is_searched_for_is_not_searched(letter: bytes) -> None:
    body = b'[{"id":7,"result":{"x":"' + letter * 2_000_000 + b'"}}]'
    tracemalloc.start()
    found = skimming.traffic(body, {7: 500})
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found is None
    assert most_bytes < 2 * len(body)
