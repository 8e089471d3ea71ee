"""The blocks of one minute: who sent, who received, block by block, so that any cut stays exact.

A block belongs to the minute of its timestamp, on chains with a block every twelve seconds as on
those with four a second, where neighbours share a timestamp. Within a leaf the hashes stand block
after block, each block's distinct and in order: a window may begin in the middle of a minute, and a
record of so many blocks may end there. Times are whole seconds, as in blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from apps.stats.activity import sets
from apps.stats.activity.sets import Hashes
from moonx.core.chains.blocks import Header, Traffic

MINUTE_S = 60
HASH_BYTES = 32
# What a leaf keeps of each of its blocks, 60 bytes as stored.
BLOCK = np.dtype(
    [
        ("time_s", "<i8"),
        ("gas_used", "<u8"),
        ("hash", f"V{HASH_BYTES}"),
        ("transactions", "<u4"),
        ("senders", "<u4"),
        ("recipients", "<u4"),
    ]
)
Blocks = NDArray[np.void]


class NotAChain(Exception):
    """Blocks that do not follow one another: a provider mixed forks up, or made them up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A block that the next one must follow: its number, hash and time."""

    number: int
    hash: bytes
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """Neighbouring blocks of one minute, from the first one of the minute that is known.

    `parent` is the block before the first: between the two nothing happened, so from its time to
    that of the leaf's last block everything is known. Senders and recipients are those of all
    blocks, one block after the other.
    """

    parent: Link
    blocks: Blocks
    senders: Hashes
    recipients: Hashes

    @property
    def bucket_s(self) -> int:
        """The start of the minute."""
        return minute_of(int(self.blocks["time_s"][0]))

    @property
    def first_block(self) -> int:
        return self.parent.number + 1

    @property
    def last(self) -> Link:
        """The last block."""
        return self.link(len(self.blocks) - 1)

    @property
    def transactions(self) -> int:
        return int(self.blocks["transactions"].sum(dtype=np.int64))

    @property
    def gas_used(self) -> int:
        return int(self.blocks["gas_used"].sum(dtype=np.uint64))

    @property
    def digest(self) -> bytes:
        """BLAKE2b over all that the leaf holds: equal where a chain is read twice."""
        hashed = blake2b(self.first_block.to_bytes(8, "little"), digest_size=16)
        for part in (self.parent.hash, self.blocks, self.senders, self.recipients):
            hashed.update(part if isinstance(part, bytes) else part.tobytes())
        return hashed.digest()

    def link(self, index: int) -> Link:
        """One of the leaf's blocks, by its place."""
        block = self.blocks[index]
        return Link(
            number=self.first_block + index,
            hash=block["hash"].tobytes(),
            time_s=int(block["time_s"]),
        )

    def links(self) -> Iterator[Link]:
        """All blocks of the leaf."""
        return (self.link(index) for index in range(len(self.blocks)))


def minute_of(time_s: int) -> int:
    """The start of the minute of a time."""
    return time_s // MINUTE_S * MINUTE_S


def linked(traffic: Sequence[Traffic], parent: Link) -> list[Traffic]:
    """The blocks that follow the parent and one another; what comes after a break is left out.

    Raises NotAChain for a block whose time is before its parent's, or that counts another number of
    transactions than it tells senders of: no honest node tells that.
    """
    found: list[Traffic] = []
    for block in traffic:
        header = block.header
        if (header.number, header.parent_hash) != (parent.number + 1, parent.hash):
            break
        _check(block, parent)
        found.append(block)
        parent = link_of(header)
    return found


def _check(block: Traffic, parent: Link) -> None:
    number = block.header.number
    if block.header.time_s < parent.time_s:
        raise NotAChain(f"block {number} says that it is older than block {parent.number}")
    if not len(block.senders) == len(block.recipients) == block.header.transaction_count:
        raise NotAChain(
            f"block {number} has {block.header.transaction_count} transactions, "
            f"{len(block.senders)} senders and {len(block.recipients)} recipients"
        )


def link_of(header: Header) -> Link:
    """What the next block must follow."""
    return Link(number=header.number, hash=header.hash, time_s=header.time_s)


def split(traffic: Sequence[Traffic], parent: Link) -> list[Leaf]:
    """Blocks that follow the parent and one another, as one leaf a minute."""
    leaves = []
    for _, group in groupby(traffic, key=lambda block: minute_of(block.header.time_s)):
        blocks = list(group)
        leaves.append(_leaf(blocks, parent))
        parent = link_of(blocks[-1].header)
    return leaves


def _leaf(traffic: Sequence[Traffic], parent: Link) -> Leaf:
    senders, recipients, rows = list[int](), list[int](), []
    for block in traffic:
        # A creation has no recipient: what it creates did nothing yet.
        sent = sets.distinct(block.senders)
        received = sets.distinct(one for one in block.recipients if one is not None)
        senders += sent
        recipients += received
        header = block.header
        counts = (header.transaction_count, len(sent), len(received))
        rows.append((header.time_s, header.gas_used, header.hash, *counts))
    return Leaf(
        parent=parent,
        blocks=np.array(rows, dtype=BLOCK),
        senders=sets.of_numbers(senders),
        recipients=sets.of_numbers(recipients),
    )


def joined(first: Leaf, second: Leaf) -> Leaf:
    """Two leaves of one minute as one; raises NotAChain unless the second follows the first."""
    if first.last != second.parent or first.bucket_s != second.bucket_s:
        raise NotAChain(f"block {second.first_block} does not follow {first.last.number}")
    return replace(
        first,
        blocks=np.concatenate([first.blocks, second.blocks]),
        senders=np.concatenate([first.senders, second.senders]),
        recipients=np.concatenate([first.recipients, second.recipients]),
    )


def upto(leaf: Leaf, number: int) -> Leaf | None:
    """The leaf without the blocks after `number`; None where that is all of them."""
    return within_blocks(leaf, first=leaf.first_block, last=number)


def within_blocks(leaf: Leaf, *, first: int, last: int) -> Leaf | None:
    """The blocks from `first` to `last`; None where the leaf has none of them."""
    start = max(first - leaf.first_block, 0)
    return _cut(leaf, start, min(last - leaf.first_block + 1, len(leaf.blocks)))


def within_times(leaf: Leaf, *, start_s: int, end_s: int) -> Leaf | None:
    """The blocks of [start, end); None where the leaf has none of them."""
    start, stop = np.searchsorted(leaf.blocks["time_s"], (start_s, end_s))
    return _cut(leaf, int(start), int(stop))


def _cut(leaf: Leaf, start: int, stop: int) -> Leaf | None:
    if start >= stop:
        return None
    if (start, stop) == (0, len(leaf.blocks)):
        return leaf
    return Leaf(
        parent=leaf.link(start - 1) if start else leaf.parent,
        blocks=leaf.blocks[start:stop],
        senders=leaf.senders[_span(leaf.blocks["senders"], start, stop)],
        recipients=leaf.recipients[_span(leaf.blocks["recipients"], start, stop)],
    )


def _span(counts: NDArray[np.uint32], start: int, stop: int) -> slice:
    """Where the hashes of these blocks stand among those of all."""
    before = int(counts[:start].sum(dtype=np.int64))
    return slice(before, before + int(counts[start:stop].sum(dtype=np.int64)))
