"""Following a chain by its headers: what is new, and what was replaced; decided purely.

Who follows says how to read headers; whatever that raises goes through.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from apps.stats.chains.figures import BLOCKS
from moonx.core.chains.blocks import Header
from moonx.core.upstream.faults import CallFailed, Fault

KEPT = BLOCKS + 1  # headers; a block time lies between two
STEPS = (8, 32, 128)  # headers that are read to find where two chains part; none parts deeper

Read = Callable[[Sequence[int]], Sequence[Header]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorg:
    """Blocks that we had seen and that are no longer on the chain, from `first_number` on."""

    depth: int
    first_number: int
    replaced_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A chain after one more reading, ascending; `fresh` are the headers that are new of it.

    Where nothing of what was known is left, `is_anew`.
    """

    headers: Sequence[Header]
    fresh: Sequence[Header]
    reorg: Reorg | None = None
    is_anew: bool = False


def follow(known: Sequence[Header], *, head: int, read: Read) -> Followed:
    """The chain up to the block `head`, which continues the `known` headers or replaces some.

    What is too far behind is left behind. Raises CallFailed where the headers that were read do not
    hang together.
    """
    if not known or head - known[-1].number > BLOCKS:
        headers = _linked(read(range(max(0, head - BLOCKS), head + 1)))
        return Followed(headers=headers, fresh=headers, is_anew=True)
    first = min(head, known[-1].number + 1)
    if first < known[0].number:
        return _parted(known, _linked(read(range(max(0, head - BLOCKS), head + 1))))
    fresh = _linked(read(range(first, head + 1)))
    if fresh[0] == known[first - known[-1].number - 1] and first <= known[-1].number:
        return Followed(headers=known, fresh=())  # a provider that is behind the one before
    return _joined(known, fresh, read=read)


def _joined(known: Sequence[Header], fresh: Sequence[Header], *, read: Read) -> Followed:
    """The known chain and the fresh one, joined where they part; read further back to find it."""
    by_number = {one.number: one for one in known}
    for step in (0, *STEPS):
        if step:
            first = fresh[0].number
            numbers = range(max(0, first - step), first)
            fresh = _linked([*read(numbers), *fresh]) if numbers else fresh
        for index, header in enumerate(fresh):
            below = by_number.get(header.number - 1)
            if below and below.hash == header.parent_hash and not _is_known(header, by_number):
                return _from(known, below, fresh[index:])
    return _parted(known, fresh)


def _is_known(header: Header, by_number: dict[int, Header]) -> bool:
    known = by_number.get(header.number)
    return known is not None and known.hash == header.hash


def _from(known: Sequence[Header], ancestor: Header, fresh: Sequence[Header]) -> Followed:
    kept = [one for one in known if one.number <= ancestor.number]
    gone = [one for one in known if one.number > ancestor.number]
    return Followed(headers=[*kept, *fresh], fresh=fresh, reorg=_reorg(gone))


def _parted(known: Sequence[Header], fresh: Sequence[Header]) -> Followed:
    """Nothing of what was known is on the chain any more."""
    return Followed(headers=fresh, fresh=fresh, reorg=_reorg(known), is_anew=True)


def _reorg(gone: Sequence[Header]) -> Reorg | None:
    if not gone:
        return None
    return Reorg(depth=len(gone), first_number=gone[0].number, replaced_hash=gone[0].hash)


def _linked(headers: Iterable[Header]) -> list[Header]:
    found = list(headers)
    for before, after in pairwise(found):
        if (after.number, after.parent_hash) != (before.number + 1, before.hash):
            message = f"block {after.number} does not follow the block before it"
            raise CallFailed(message, fault=Fault.MALFORMED)
    if not found:
        raise CallFailed("no headers came", fault=Fault.MALFORMED)
    return found
