"""What is read of blocks, receipts and logs, and how a node's JSON becomes it; pure.

A node may answer anything: each function raises Malformed for what is not of the documented form.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

QUANTITY = re.compile(r"0x[0-9a-f]{1,64}", re.IGNORECASE)
LARGEST_PLAIN = 2**63 - 1  # numbers, times and gas are kept in 64-bit columns
BLOOM_BYTES = 256

T = TypeVar("T")


class Malformed(ValueError):
    """Not what nodes answer by their documents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A block without its transactions; `base_fee_wei` is None on chains that know none."""

    number: int
    hash: bytes
    parent_hash: bytes
    time_s: int
    gas_used: int
    gas_limit: int
    base_fee_wei: int | None
    transaction_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Who sent to whom in a block: 20 bytes each, one per transaction in the block's order; a
    recipient is None where a contract is created."""

    header: Header
    senders: tuple[bytes, ...]
    recipients: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What a contract said in a transaction; `index` counts over the whole block."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    transaction_hash: bytes
    transaction_index: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction; `has_failed` is None before Byzantium, where no node knows, and
    the price is None where a node does not tell it."""

    transaction_hash: bytes
    transaction_index: int
    block_number: int
    block_hash: bytes
    sender: bytes
    recipient: bytes | None
    created: bytes | None
    has_failed: bool | None
    gas_used: int
    gas_price_wei: int | None
    bloom: bytes
    logs: tuple[Log, ...]

    @property
    def fee_wei(self) -> int | None:
        """Paid for gas; what a rollup takes for its settlement layer is not in it."""
        return None if self.gas_price_wei is None else self.gas_used * self.gas_price_wei


def quantity(value: Any, *, most: int = 2**256 - 1) -> int:
    """The number of a quantity such as `0x1b4`, at most `most`."""
    if not isinstance(value, str) or not QUANTITY.fullmatch(value):
        raise Malformed("a quantity is not of the form 0x1b4")
    found = int(value, 16)
    if found > most:
        raise Malformed("a quantity is too large")
    return found


def plain(value: Any) -> int:
    """A quantity that fits 63 bits: a block's number, a time, gas."""
    return quantity(value, most=LARGEST_PLAIN)


def octets(value: Any, *, size: int | None = None) -> bytes:
    """The bytes of `0x…`, exactly `size` of them where that is given."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise Malformed("data does not begin with 0x")
    try:
        found = bytes.fromhex(value[2:])
    except ValueError:
        raise Malformed("data is not hexadecimal") from None
    # fromhex forgives spaces: they would make other data of the same length.
    if len(found) * 2 + 2 != len(value) or (size is not None and len(found) != size):
        raise Malformed("data has another length than it must")
    return found


def header(block: Any) -> Header:
    """The header of a block as `eth_getBlockByNumber` answers it, with transactions or hashes."""
    block = _object(block, what="a block")
    fee = block.get("baseFeePerGas")
    return Header(
        number=plain(block.get("number")),
        hash=octets(block.get("hash"), size=32),
        parent_hash=octets(block.get("parentHash"), size=32),
        time_s=plain(block.get("timestamp")),
        gas_used=plain(block.get("gasUsed")),
        gas_limit=plain(block.get("gasLimit")),
        base_fee_wei=None if fee is None else quantity(fee),
        transaction_count=len(_list(block.get("transactions"), what="transactions")),
    )


def traffic(block: Any) -> Traffic:
    """Who sent to whom in a block with whole transactions."""
    found = header(block)
    transactions = [_object(each, what="a transaction") for each in block["transactions"]]
    for transaction in transactions:
        if octets(transaction.get("blockHash"), size=32) != found.hash:
            raise Malformed("a transaction is of another block")
    return Traffic(
        header=found,
        senders=tuple(octets(each.get("from"), size=20) for each in transactions),
        recipients=tuple(_or_none(each.get("to"), _address) for each in transactions),
    )


def transaction_hashes(block: Any) -> tuple[bytes, ...]:
    """The hashes of a block that was asked for without whole transactions."""
    listed = _list(_object(block, what="a block").get("transactions"), what="transactions")
    return tuple(octets(each, size=32) for each in listed)


def receipt(value: Any) -> Receipt:
    """A transaction's receipt."""
    value = _object(value, what="a receipt")
    status = value.get("status")
    price = value.get("effectiveGasPrice")
    return Receipt(
        transaction_hash=octets(value.get("transactionHash"), size=32),
        transaction_index=plain(value.get("transactionIndex")),
        block_number=plain(value.get("blockNumber")),
        block_hash=octets(value.get("blockHash"), size=32),
        sender=octets(value.get("from"), size=20),
        recipient=_or_none(value.get("to"), _address),
        created=_or_none(value.get("contractAddress"), _address),
        has_failed=None if status is None else quantity(status) == 0,
        gas_used=plain(value.get("gasUsed")),
        gas_price_wei=None if price is None else quantity(price),
        bloom=octets(value.get("logsBloom"), size=BLOOM_BYTES),
        logs=logs(value.get("logs")),
    )


def receipts(value: Any) -> tuple[Receipt, ...]:
    """A block's receipts, in the order of its transactions, which all must be there."""
    found = tuple(receipt(each) for each in _list(value, what="receipts"))
    if [each.transaction_index for each in found] != list(range(len(found))):
        raise Malformed("receipts are missing or out of order")
    if len({each.block_hash for each in found}) > 1:
        raise Malformed("receipts are of several blocks")
    return found


def logs(value: Any) -> tuple[Log, ...]:
    """Logs as `eth_getLogs` and receipts hold them; one that a reorg removed is left out."""
    listed = [_object(each, what="a log") for each in _list(value, what="logs")]
    return tuple(_log(each) for each in listed if each.get("removed") is not True)


def bloom_of(found: Sequence[Receipt]) -> bytes:
    """The bloom of a block: its receipts' blooms, one over the other."""
    together = 0
    for each in found:
        together |= int.from_bytes(each.bloom)
    return together.to_bytes(BLOOM_BYTES)


def _log(value: Mapping[str, Any]) -> Log:
    topics = _list(value.get("topics"), what="topics")
    if len(topics) > 4:
        raise Malformed("a log has more than four topics")
    return Log(
        address=octets(value.get("address"), size=20),
        topics=tuple(octets(each, size=32) for each in topics),
        data=octets(value.get("data")),
        block_number=plain(value.get("blockNumber")),
        block_hash=octets(value.get("blockHash"), size=32),
        transaction_hash=octets(value.get("transactionHash"), size=32),
        transaction_index=plain(value.get("transactionIndex")),
        index=plain(value.get("logIndex")),
    )


def _address(value: Any) -> bytes:
    return octets(value, size=20)


def _or_none(value: Any, read: Callable[[Any], T]) -> T | None:
    return None if value is None else read(value)


def _object(value: Any, *, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Malformed(f"{what} is no object")
    return value


def _list(value: Any, *, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed(f"{what} is no list")
    return value
