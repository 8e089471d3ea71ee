"""A node may answer anything: what is not of the documented form is refused, never guessed."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonx.core.chains import blocks
from moonx.core.chains.blocks import Log, Malformed
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.transfers import TRANSFER, Standard, transfers

CHAIN = GeneratedChain(first=500, transactions=4)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
READERS = (blocks.header, blocks.traffic, blocks.receipt, blocks.receipts, blocks.logs)


@pytest.mark.parametrize("read", READERS)
@settings(max_examples=40, deadline=None)
@given(value=JSON)
def test_garbage_is_malformed_and_nothing_else(read: Callable[[Any], Any], value: Any) -> None:
    try:
        found = read(value)
    except Malformed:
        return
    assert found == ()  # no receipts and no logs are a fair answer


@settings(max_examples=40, deadline=None)
@given(field=st.sampled_from(sorted(CHAIN.block(500))), value=JSON)
def test_a_block_with_one_wrong_field_is_read_without_it_or_refused(field: str, value: Any) -> None:
    try:
        found = blocks.traffic({**CHAIN.block(500), field: value})
    except Malformed:
        return
    assert found.header.number == 500
    assert len(found.senders) == found.header.transaction_count


@pytest.mark.parametrize("value", ["0x", "1", "0xg", "0x1 ", "-0x1", 5, None, "0x" + "f" * 65])
def test_a_quantity_is_hexadecimal_and_of_bounded_length(value: Any) -> None:
    with pytest.raises(Malformed):
        blocks.quantity(value)


def test_a_number_fits_its_column() -> None:
    assert blocks.plain(hex(2**63 - 1)) == 2**63 - 1
    with pytest.raises(Malformed):
        blocks.plain(hex(2**63))


@pytest.mark.parametrize("value", ["0x1", "0xzz", "11", "0x11 22", None, "0x1111"])
def test_data_is_whole_bytes_of_the_size_asked_for(value: Any) -> None:
    with pytest.raises(Malformed):
        blocks.octets(value, size=1)


def test_receipts_that_are_missing_or_of_other_blocks_are_refused() -> None:
    whole = CHAIN.receipts(500)
    assert len(blocks.receipts(whole)) == 4
    for wrong in (whole[1:], whole[::-1], [*whole, whole[0]]):
        with pytest.raises(Malformed):
            blocks.receipts(wrong)
    with pytest.raises(Malformed):
        blocks.receipts([*whole[:3], {**whole[3], "blockHash": f"0x{'1' * 64}"}])


def test_a_log_that_a_reorg_removed_is_left_out() -> None:
    logs = CHAIN.logs(500)
    assert len(blocks.logs([logs[0], {**logs[1], "removed": True}])) == 1


A, B = (bytes(12) + bytes([n]) * 20 for n in (1, 2))
VALUE = (7).to_bytes(32)


@pytest.mark.parametrize(
    ("topics", "data", "standard"),
    [
        ((TRANSFER, A, B), VALUE, Standard.ERC20),
        ((TRANSFER, A, B, VALUE), b"", Standard.ERC721),
        ((TRANSFER,), A + B + VALUE, Standard.ERC20),  # from before the standards
        ((TRANSFER, A, B), b"", None),
        ((TRANSFER, A, B), VALUE + b"x", None),
        ((TRANSFER, A, B, VALUE), VALUE, None),
        ((TRANSFER, b"f" * 32, B), VALUE, None),
        ((b"o" * 32, A, B), VALUE, None),
        ((), VALUE, None),
    ],
)
def test_a_transfer_is_told_by_the_form_of_its_log(
    topics: tuple[bytes, ...], data: bytes, standard: Standard | None
) -> None:
    log = Log(
        address=b"t" * 20,
        topics=topics,
        data=data,
        block_number=1,
        block_hash=b"h" * 32,
        transaction_hash=b"x" * 32,
        transaction_index=0,
        index=0,
    )
    found = [(each.standard, each.sender, each.recipient, each.value) for each in transfers([log])]
    assert found == ([(standard, A[12:], B[12:], 7)] if standard else [])
