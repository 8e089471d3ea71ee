"""Where a chain stands, by what several providers say of it; pure.

A provider may lag, dream of blocks that are not there, or follow another fork. The rules are those
of eRPC (velocity gate, greedy clusters, the dominant one's minimum) and proxyd (forks are told by
hash, and one block of difference is no fork).
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from moonx.core.upstream.faults import Fault

CLUSTER_MS = 2_500  # heads seen within so much of chain time are one: calls do not end together
NARROWEST, WIDEST = 2, 10
GATE_FACTOR, GATE_BLOCKS = 2, 5  # a chain makes at most twice its blocks, and five
HELD_MS = 60_000  # a head that went back is believed after a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderHead:
    """What one provider says of its newest block, or why it says nothing.

    `anchor_hash` is its block at the number that all were asked for; None where it has none.
    Without a finalized block from the node, `finalized` is reckoned and has no time.
    """

    provider: str
    number: int | None
    hash: bytes | None
    time_s: int | None
    finalized: int | None
    finalized_time_s: int | None
    latency_ms: int
    fault: Fault | None
    parent_hash: bytes | None = None
    anchor_hash: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The head that was agreed on, and when it was first seen."""

    number: int
    hash: bytes | None
    parent_hash: bytes | None
    seen_ms: int

    @property
    def anchor(self) -> int:
        """Where forks are told: one block below, for one block of difference is no fork."""
        return max(0, self.number - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What providers agree on. `tip` is None where none answers.

    `forked` have other blocks than the others, `lagging` are behind, `dreaming` ahead of what the
    chain can have made. With `is_split` two halves have different blocks: nobody can say which of
    them is the chain, so nothing may be decided by it.
    """

    tip: Tip | None
    finalized: int | None
    agreed: frozenset[str] = frozenset()
    lagging: frozenset[str] = frozenset()
    forked: frozenset[str] = frozenset()
    dreaming: frozenset[str] = frozenset()
    is_split: bool = False


def agree(
    heads: Sequence[ProviderHead], *, block_time_ms: int, before: Tip | None, now_ms: int
) -> Agreement:
    """The consensus head: the least of the largest group, never behind `before` for a while."""
    speaking = [head for head in heads if head.number is not None]
    if not speaking:
        return Agreement(tip=before, finalized=None)
    possible = _possible(speaking, block_time_ms=block_time_ms, before=before, now_ms=now_ms)
    same, is_split = _same_fork(possible, before=before)
    group = dominant(same, width=width(block_time_ms))
    tip = _monotone(_least(group, now_ms=now_ms), before=before, now_ms=now_ms)
    finals = [head.finalized for head in group if head.finalized is not None]
    names = _names(group)
    return Agreement(
        tip=tip,
        finalized=min(finals, default=None),
        agreed=names,
        lagging=_names(head for head in same if (head.number or 0) < tip.number) - names,
        forked=_names(possible) - _names(same),
        dreaming=_names(speaking) - _names(possible),
        is_split=is_split,
    )


def width(block_time_ms: int) -> int:
    """How many blocks apart two heads of one group may be: more where blocks come faster."""
    return min(WIDEST, max(NARROWEST, -(-CLUSTER_MS // block_time_ms)))


def dominant(heads: Collection[ProviderHead], *, width: int) -> list[ProviderHead]:
    """The largest group of heads that are close to each other; of two as large, the higher."""
    groups: list[list[ProviderHead]] = []
    for head in sorted(heads, key=lambda each: each.number or 0, reverse=True):
        if groups and (groups[-1][0].number or 0) - (head.number or 0) <= width:
            groups[-1].append(head)
        else:
            groups.append([head])
    return max(groups, key=len, default=[])


def _possible(
    heads: Sequence[ProviderHead], *, block_time_ms: int, before: Tip | None, now_ms: int
) -> Sequence[ProviderHead]:
    """Without those that are further than the chain can be; all, where that would leave none."""
    if before is None:
        return heads
    made = GATE_FACTOR * max(0, now_ms - before.seen_ms) // block_time_ms
    limit = before.number + made + GATE_BLOCKS
    return [head for head in heads if (head.number or 0) <= limit] or heads


def _same_fork(
    heads: Sequence[ProviderHead], *, before: Tip | None
) -> tuple[Sequence[ProviderHead], bool]:
    """Those that have the block that most have, and whether there is no most.

    Where two halves differ, the one that kept what was agreed before is believed.
    """
    votes = Counter(head.anchor_hash for head in heads if head.anchor_hash is not None)
    if len(votes) < 2:
        return heads, False
    (first, most), (_, second) = votes.most_common(2)
    is_split = most == second
    kept = before.parent_hash if before is not None else None
    if is_split and kept is not None and votes[kept] == most:
        first, is_split = kept, False
    if is_split:
        return heads, True
    return [head for head in heads if head.anchor_hash in {None, first}], False


def _least(group: Sequence[ProviderHead], *, now_ms: int) -> Tip:
    least = min(group, key=lambda head: head.number or 0)
    return Tip(
        number=least.number or 0,
        hash=least.hash,
        parent_hash=least.parent_hash,
        seen_ms=now_ms,
    )


def _monotone(tip: Tip, *, before: Tip | None, now_ms: int) -> Tip:
    """A head does not go back because another provider was asked; a chain that did is believed
    once nobody has been further for a minute."""
    if before is None or tip.number > before.number:
        return tip
    if tip.number == before.number:
        return replace(tip, seen_ms=before.seen_ms)
    return tip if now_ms - before.seen_ms > HELD_MS else before


def _names(heads: Iterable[ProviderHead]) -> frozenset[str]:
    return frozenset(head.provider for head in heads)
