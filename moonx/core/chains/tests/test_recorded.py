"""The recorded block: every fact that is known of it, by the reader's own functions."""

from collections import Counter
from functools import cache

from moonx.core.chains import blocks
from moonx.core.chains.blocks import Receipt, Traffic
from moonx.core.chains.tests import recorded
from moonx.core.chains.transfers import Standard, transfers


@cache
def traffic() -> Traffic:
    return blocks.traffic(recorded.block())


@cache
def receipts() -> tuple[Receipt, ...]:
    return blocks.receipts(recorded.receipts())


def test_its_header_says_what_it_used() -> None:
    header = traffic().header
    assert (header.number, header.transaction_count) == (17_000_000, 102)
    assert header.gas_used == 9_160_778
    assert header.base_fee_wei == 20_582_738_913
    assert header.time_s == 0x6430AE13
    assert header.hash.hex() == "96cfa0fb5e50b0a3f6cc76f3299cfbf48f17e8b41798d1394474e67ec8a97e9f"


def test_who_took_part_is_counted_once() -> None:
    senders = set(traffic().senders)
    assert len(senders) == 96
    assert len(senders | {each for each in traffic().recipients if each}) == 173


def test_block_and_receipts_name_the_same_people() -> None:
    found = receipts()
    assert tuple(each.sender for each in found) == traffic().senders
    assert tuple(each.recipient for each in found) == traffic().recipients
    assert {each.block_hash for each in found} == {traffic().header.hash}
    assert sum(each.gas_used for each in found) == traffic().header.gas_used


def test_what_failed_and_what_was_paid_add_up() -> None:
    assert sum(each.has_failed is True for each in receipts()) == 6
    assert sum(each.fee_wei or 0 for each in receipts()) == 220_872_919_006_082_422


def test_logs_and_transfers_of_tokens_are_all_found() -> None:
    logs = [log for each in receipts() for log in each.logs]
    assert [log.index for log in logs] == list(range(237))
    counted = Counter(each.standard for each in transfers(logs))
    assert counted == {Standard.ERC20: 93, Standard.ERC721: 19}


def test_the_receipts_blooms_make_the_blocks() -> None:
    assert blocks.bloom_of(receipts()) == blocks.octets(recorded.block()["logsBloom"])
