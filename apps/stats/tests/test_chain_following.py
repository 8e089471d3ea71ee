"""Headers are followed: what is new, what was replaced, and how deep."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from apps.stats.chains import following
from apps.stats.chains.following import Followed
from apps.stats.tests.headers import START_S, header
from moonx.core.chains.blocks import Header
from moonx.core.upstream.faults import CallFailed, Fault


def blocks(first: int, last: int, *, fork: str = "", on: str | None = None) -> list[Header]:
    """A piece of a fork; the first block follows a block of the fork `on`."""
    return [
        header(n, START_S + 2 * n, fork=fork, parent_fork=on if n == first else None)
        for n in range(first, last + 1)
    ]


@dataclass(slots=True)
class Node:
    """Answers headers, and notes which it was asked for."""

    chain: list[Header]
    asked: list[list[int]] = field(default_factory=list)

    def read(self, numbers: Sequence[int]) -> list[Header]:
        self.asked.append(list(numbers))
        by_number = {one.number: one for one in self.chain}
        return [by_number[number] for number in numbers]

    def follow(self, known: Sequence[Header]) -> Followed:
        return following.follow(known, head=self.chain[-1].number, read=self.read)


def test_at_first_three_hundred_block_times_are_read() -> None:
    node = Node(blocks(1, 1000))
    found = node.follow([])
    assert (found.is_anew, found.reorg, len(found.headers)) == (True, None, 301)
    assert found.headers == found.fresh == node.chain[-301:]


def test_a_young_chain_is_read_from_its_beginning() -> None:
    assert len(Node(blocks(0, 4)).follow([]).headers) == 5


def test_only_what_is_new_is_read() -> None:
    node = Node(blocks(1, 110))
    found = node.follow(blocks(1, 100))
    assert node.asked == [list(range(101, 111))]
    assert (found.fresh, found.headers) == (node.chain[100:], node.chain)
    assert (found.reorg, found.is_anew) == (None, False)


def test_the_same_head_again_is_nothing_new() -> None:
    node = Node(blocks(1, 100))
    found = node.follow(blocks(1, 100))
    assert (found.fresh, found.headers, found.reorg) == ((), node.chain, None)


def test_a_provider_that_is_behind_changes_nothing() -> None:
    known = blocks(1, 100)
    found = Node(blocks(1, 95)).follow(known)
    assert (found.fresh, found.headers, found.reorg) == ((), known, None)


@pytest.mark.parametrize(
    ("depth", "longer_by"),
    [
        (depth, more)
        for depth in (1, 2, 7, 8, 9, 40, 41, 90)
        for more in (-1, 0, 1, 5)
        if depth + more
    ],
)
def test_a_reorganisation_is_as_deep_as_the_blocks_that_are_gone(
    depth: int, longer_by: int
) -> None:
    ancestor = 200 - depth
    fork = blocks(ancestor + 1, 200 + longer_by, fork="b", on="")
    node = Node([*blocks(1, ancestor), *fork])
    found = node.follow(blocks(1, 200))
    assert found.headers == node.chain
    assert found.fresh == fork
    assert found.reorg is not None
    assert (found.reorg.depth, found.reorg.first_number) == (depth, ancestor + 1)
    assert found.reorg.replaced_hash == header(ancestor + 1, 0).hash
    assert not found.is_anew


def test_a_chain_of_which_nothing_is_left_begins_anew() -> None:
    node = Node(blocks(1, 300, fork="b"))
    found = node.follow(blocks(1, 298))
    assert found.is_anew
    assert found.reorg is not None
    assert found.reorg.depth == 298
    assert found.headers[-1] == node.chain[-1]


def test_a_node_that_was_reset_begins_anew() -> None:
    node = Node(blocks(0, 5, fork="b"))
    found = node.follow(blocks(100, 200))
    assert (found.is_anew, found.headers) == (True, node.chain)


def test_what_is_too_far_behind_is_left_behind_and_is_no_reorganisation() -> None:
    node = Node(blocks(1, 1000))
    found = node.follow(blocks(1, 100))
    assert (found.is_anew, found.reorg) == (True, None)
    assert sum(map(len, node.asked)) == 301


def test_headers_that_do_not_hang_together_are_refused() -> None:
    torn = [*blocks(101, 105), *blocks(106, 110, fork="b")]
    with pytest.raises(CallFailed, match="block 106 does not follow") as failure:
        Node([*blocks(1, 100), *torn]).follow(blocks(1, 100))
    assert failure.value.fault is Fault.MALFORMED
