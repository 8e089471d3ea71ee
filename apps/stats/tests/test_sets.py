"""Sets and sketches of addresses: hashes, unions, and how far an estimate may be off."""

import random
from hashlib import blake2b

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.stats.activity import leaves, sets, sketches
from apps.stats.activity.leaves import Link, NotAChain
from apps.stats.tests.made_chain import MadeChain, address, participants, senders

hashes = st.lists(st.integers(0, 2**64 - 1), max_size=40)


def random_set(count: int, *, seed: int) -> sets.Hashes:
    rng = random.Random(seed)  # noqa: S311
    return sets.from_bytes(rng.randbytes(8 * count))


def test_an_address_is_the_first_8_bytes_of_its_blake2b() -> None:
    expected = blake2b(address(7), digest_size=8).digest()
    assert sets.to_bytes(sets.of_numbers([sets.hash_of(address(7))])) == expected


def test_addresses_that_begin_alike_have_hashes_of_their_own() -> None:
    precompiles = [address(number) for number in range(1, 1000)]
    assert len(sets.distinct(precompiles)) == 999


@pytest.mark.parametrize("wrong", [b"", b"\0" * 19, b"\0" * 32])
def test_what_is_no_address_is_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        sets.hash_of(wrong)


@given(st.lists(hashes, max_size=6))
def test_a_union_holds_what_its_parts_hold_once_and_in_order(parts: list[list[int]]) -> None:
    arrays = [sets.of_numbers(part) for part in parts]
    expected = sorted({number for part in parts for number in part})
    assert sets.union(arrays).tolist() == expected
    assert sets.count(arrays) == len(expected)
    assert sets.from_bytes(sets.to_bytes(sets.union(arrays))).tolist() == expected


@pytest.mark.parametrize("count", [0, 1, 40, 1000, 20_000, 300_000])
def test_an_estimate_is_within_four_standard_errors(count: int) -> None:
    for seed in range(5):
        found = sketches.estimate(sketches.of(random_set(count, seed=seed)))
        assert not sketches.disagree(exact=count, estimated=found)
        assert abs(found - count) <= max(5, 0.0325 * count)


def test_the_errors_of_many_estimates_are_as_large_as_is_told() -> None:
    count = 50_000
    errors = [
        sketches.estimate(sketches.of(random_set(count, seed=seed))) / count - 1
        for seed in range(40)
    ]
    spread = (sum(error * error for error in errors) / len(errors)) ** 0.5
    assert 0.005 < spread < 0.0115


@given(hashes, hashes)
def test_merging_sketches_is_the_sketch_of_the_union(one: list[int], other: list[int]) -> None:
    first, second = sets.of_numbers(one), sets.of_numbers(other)
    merged = sketches.merged([sketches.of(first), sketches.of(second)])
    assert merged.tolist() == sketches.of(sets.union([first, second])).tolist()
    stored = sketches.from_bytes(sketches.to_bytes(merged))
    assert stored.tolist() == merged.tolist()


def test_a_rank_counts_the_zeros_after_the_register_s_bits() -> None:
    low_bits = [(0, 51), (1, 50), (2**49, 1), (2**49 - 1, 2), (2**50 - 1, 1)]
    for rest, rank in low_bits:
        sketch = sketches.of(sets.of_numbers([5 << 50 | rest]))
        assert int(sketch[5]) == rank
        assert int(sketch.sum()) == rank


def test_a_sketch_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="16384 registers"):
        sketches.from_bytes(b"\0" * 4096)


def test_counts_that_chance_does_not_explain_disagree() -> None:
    assert not sketches.disagree(exact=10_000, estimated=10_320)
    assert sketches.disagree(exact=10_000, estimated=10_330)
    assert sketches.disagree(exact=10_000, estimated=9_670)
    assert not sketches.disagree(exact=10, estimated=15)
    assert sketches.disagree(exact=10, estimated=16)


def made(seed: int = 1) -> tuple[MadeChain, list[leaves.Leaf]]:
    chain = MadeChain()
    chain.grow(50, random.Random(seed), every_s=11)  # noqa: S311
    parent = Link(number=-1, hash=bytes(32), time_s=chain.blocks[0].header.time_s)
    return chain, leaves.split(leaves.linked(chain.blocks, parent), parent)


def test_leaves_hold_every_block_once_each_in_its_minute() -> None:
    chain, found = made()
    links = [link for leaf in found for link in leaf.links()]
    assert links == [leaves.link_of(block.header) for block in chain.blocks]
    for leaf in found:
        assert {link.time_s // 60 * 60 for link in leaf.links()} == {leaf.bucket_s}
    assert [leaf.parent for leaf in found[1:]] == [leaf.last for leaf in found[:-1]]


@given(st.integers(0, 60), st.integers(0, 60))
def test_a_cut_of_a_leaf_holds_the_addresses_of_its_blocks(first: int, last: int) -> None:
    chain, found = made()
    cuts = [leaves.within_blocks(leaf, first=first, last=last) for leaf in found]
    parts = [cut for cut in cuts if cut is not None]
    blocks = chain.blocks[first : last + 1]
    assert sets.count([part.senders for part in parts]) == len(senders(blocks))
    both = [one for part in parts for one in (part.senders, part.recipients)]
    assert sets.count(both) == len(participants(blocks))
    assert sum(part.transactions for part in parts) == sum(
        block.header.transaction_count for block in blocks
    )


def test_cut_and_joined_a_leaf_is_what_it_was() -> None:
    _, found = made()
    leaf = max(found, key=lambda one: len(one.blocks))
    middle = leaf.first_block + 2
    start = leaves.upto(leaf, middle)
    rest = leaves.within_blocks(leaf, first=middle + 1, last=10**9)
    assert start is not None
    assert rest is not None
    assert leaves.joined(start, rest).digest == leaf.digest != start.digest
    with pytest.raises(NotAChain):
        leaves.joined(rest, start)
    assert leaves.upto(leaf, leaf.first_block - 1) is None


def test_a_block_that_tells_fewer_senders_than_transactions_is_not_believed() -> None:
    chain, _ = made()
    block = next(block for block in chain.blocks if block.senders)
    short = type(block)(header=block.header, senders=block.senders[1:], recipients=block.recipients)
    parent = leaves.link_of(chain.blocks[block.header.number - 1].header)
    with pytest.raises(NotAChain, match="senders"):
        leaves.linked([short], parent)
