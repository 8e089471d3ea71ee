"""What several providers' heads come to."""

import pytest

from moonx.core.chains import heads
from moonx.core.chains.batching import BatchSize
from moonx.core.chains.heads import Agreement, ProviderHead, Tip
from moonx.core.upstream.faults import Fault

RIGHT, OTHER = b"r" * 32, b"o" * 32


def says(
    provider: str, number: int | None, *, anchor: bytes | None = RIGHT, finalized: int | None = None
) -> ProviderHead:
    return ProviderHead(
        provider=provider,
        number=number,
        hash=None if number is None else f"{anchor!r}{number}".encode(),
        parent_hash=None if number is None else f"{anchor!r}{number - 1}".encode(),
        time_s=None if number is None else number * 2,
        finalized=finalized,
        finalized_time_s=None,
        latency_ms=10,
        fault=Fault.TIMEOUT if number is None else None,
        anchor_hash=anchor,
    )


def tip(number: int, *, seen_ms: int = 0, parent: bytes = RIGHT) -> Tip:
    return Tip(number=number, hash=b"h", parent_hash=parent, seen_ms=seen_ms)


def agreed(
    *found: ProviderHead, before: Tip | None = None, now_ms: int = 10_000, block_time_ms: int = 2000
) -> Agreement:
    return heads.agree(found, block_time_ms=block_time_ms, before=before, now_ms=now_ms)


def number(agreement: Agreement) -> int | None:
    return agreement.tip.number if agreement.tip else None


@pytest.mark.parametrize(
    ("numbers", "head", "lagging"),
    [
        ([100], 100, ""),
        ([100, 100, 100], 100, ""),
        ([100, 101, 102], 100, ""),  # one group: its least, which all of them have
        ([100, 103], 103, "a"),  # of two as large groups the higher
        ([100, 150, 151], 150, "a"),
        ([100, 101, 150], 100, ""),  # two against one that is far ahead
        ([None, 100, None], 100, ""),
    ],
)
def test_the_head_is_the_least_of_the_largest_group(
    numbers: list[int | None], head: int, lagging: str
) -> None:
    found = agreed(*(says(name, each) for name, each in zip("abc", numbers, strict=False)))
    assert number(found) == head
    assert found.lagging == set(lagging)


@pytest.mark.parametrize(
    ("block_time_ms", "width"),
    [(12_000, 2), (3_000, 2), (2_000, 2), (1_000, 3), (450, 6), (250, 10), (50, 10)],
)
def test_groups_are_wider_where_blocks_come_faster(block_time_ms: int, width: int) -> None:
    assert heads.width(block_time_ms) == width
    found = agreed(says("a", 100), says("b", 100 + width), block_time_ms=block_time_ms)
    assert (number(found), found.lagging) == (100, set())
    found = agreed(says("a", 100), says("b", 101 + width), block_time_ms=block_time_ms)
    assert (number(found), found.lagging) == (101 + width, {"a"})


def test_a_head_that_the_chain_cannot_have_made_is_left_out() -> None:
    # In ten seconds at two seconds a block: ten blocks at most, and five.
    found = agreed(says("a", 100), says("b", 116), before=tip(100))
    assert (number(found), found.dreaming) == (100, {"b"})
    found = agreed(says("a", 100), says("b", 115), before=tip(100))
    assert (number(found), found.dreaming) == (115, set())


def test_where_all_are_far_ahead_the_chain_went_on_without_us() -> None:
    found = agreed(says("a", 9_000), says("b", 9_001), before=tip(100))
    assert (number(found), found.dreaming) == (9_000, set())


def test_a_head_does_not_go_back_until_nobody_has_been_further_for_a_minute() -> None:
    before = tip(105)
    assert number(agreed(says("a", 103), before=before, now_ms=60_000)) == 105
    assert number(agreed(says("a", 103), before=before, now_ms=60_001)) == 103
    stood = agreed(says("a", 105), before=before, now_ms=50_000).tip
    assert stood is not None
    assert stood.seen_ms == 0
    risen = agreed(says("a", 106), before=before, now_ms=50_000).tip
    assert risen is not None
    assert risen.seen_ms == 50_000


def test_with_nobody_answering_the_last_head_stands() -> None:
    found = agreed(says("a", None), says("b", None), before=tip(105))
    assert (number(found), found.finalized, found.agreed) == (105, None, set())
    assert number(agreed(says("a", None))) is None


def test_a_fork_is_told_by_the_block_that_most_have() -> None:
    found = agreed(says("a", 100), says("b", 101, anchor=OTHER), says("c", 100))
    assert (found.forked, found.agreed, found.is_split) == ({"b"}, {"a", "c"}, False)
    assert number(found) == 100


def test_of_two_halves_the_one_that_kept_what_was_agreed_is_believed() -> None:
    found = agreed(says("a", 100, anchor=OTHER), says("b", 101), before=tip(99, parent=RIGHT))
    assert (found.forked, found.is_split, number(found)) == ({"a"}, False, 101)


def test_two_halves_that_nobody_can_tell_apart_are_a_split() -> None:
    found = agreed(says("a", 100, anchor=OTHER), says("b", 101))
    assert (found.forked, found.is_split) == (set(), True)


def test_who_has_no_such_block_yet_is_on_no_fork() -> None:
    found = agreed(says("a", 100), says("b", 101), says("c", 60, anchor=None))
    assert (found.forked, found.lagging) == (set(), {"c"})


def test_the_final_block_is_the_lowest_that_those_who_agree_tell() -> None:
    found = agreed(
        says("a", 100, finalized=90), says("b", 101, finalized=88), says("c", 50, finalized=40)
    )
    assert found.finalized == 88


def grown(size: BatchSize, *, batches: int) -> BatchSize:
    for _ in range(batches):
        size = size.after(took_s=0.1, size=1)
    return size


def test_batches_double_after_five_quick_answers_until_the_first_was_too_much() -> None:
    sizes = [grown(BatchSize(), batches=batches).calls for batches in (4, 5, 10, 15, 20)]
    assert sizes == [20, 40, 80, 100, 100]
    assert grown(grown(BatchSize(), batches=5).after_trouble(), batches=5).calls == 22


def test_batches_grow_by_a_tenth_after_five_quick_answers_and_halve_at_once() -> None:
    size = grown(BatchSize(20, is_new=False), batches=4)
    assert size.calls == 20
    assert grown(size, batches=1).calls == 22
    assert size.after(took_s=1.0, size=1).clean == 0
    assert BatchSize(100, 4, is_new=False).after(took_s=0.1, size=1).calls == 100
    assert BatchSize(1, 4, is_new=False).after(took_s=0.1, size=1).calls == 2
    assert [BatchSize(n).after_trouble().calls for n in (100, 3, 1)] == [50, 1, 1]


def test_a_batch_is_no_larger_than_makes_an_answer_of_four_megabytes() -> None:
    assert BatchSize(100).after(took_s=0.1, size=8 * 2**20).calls == 50
    assert BatchSize(20, 4).after(took_s=0.1, size=4 * 2**20).calls == 20
    assert BatchSize(1).after(took_s=0.1, size=8 * 2**20).calls == 1
