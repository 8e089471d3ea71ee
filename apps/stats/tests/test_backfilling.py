"""Filling in: only what is missing, finished by the next run, and never onto another chain."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.stats.activity import backfilling, finding, scanning, windows
from apps.stats.activity.backfilling import BackfillRefused, backfill, missing
from apps.stats.models import ActivityLeaf, ActivityRollup
from apps.stats.tests.made_chain import NOON, NOON_S, MadeChain, senders, transactions
from moonx.core.upstream.faults import CallFailed, Fault

CHAIN = "made"
in_database = pytest.mark.django_db


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def scanned(hours: int = 4) -> MadeChain:
    """A chain of some hours, of which the first scan has seen the last one."""
    chain, rng = MadeChain(), random.Random(9)  # noqa: S311
    while chain.head.time_s < NOON_S + hours * 3600:
        chain.grow(1, rng, every_s=60, people=200)
    scanning.scan(CHAIN, chain, now=moment(chain.head.time_s + 1), batch=500)
    return chain


def fill(
    chain: MadeChain, start_s: float = NOON_S, end_s: float = 0, *, batch: int = 200
) -> backfilling.Backfilled:
    end = moment(end_s or chain.head.time_s + 1)
    now = moment(chain.head.time_s + 1)
    return backfill(
        CHAIN, chain, start=moment(start_s), end=end, now=now, sleep=lambda _: None, batch=batch
    )


def check_equal(chain: MadeChain, start_s: float = NOON_S) -> None:
    end = moment(chain.head.time_s)
    found = windows.activity(CHAIN, moment(start_s), end, end)
    blocks = chain.within(start_s, chain.head.time_s)
    assert (found.senders, found.transactions) == (len(senders(blocks)), transactions(blocks))
    assert found.coverage == 1


@in_database
def test_what_no_scan_has_seen_is_filled_in_and_only_that() -> None:
    chain = scanned()
    before = set(ActivityLeaf.objects.values_list("digest", flat=True))
    done = fill(chain)
    first = (chain.head.time_s - 3600) // 60 * 60
    assert done.blocks == len(chain.within(0, first))
    check_equal(chain)
    assert before <= set(ActivityLeaf.objects.values_list("digest", flat=True))
    assert ActivityRollup.objects.filter(span="hour").count() >= 3
    assert fill(chain).holes == []


@in_database
def test_a_run_that_was_ended_is_finished_by_the_next() -> None:
    chain = scanned()
    chain.dies_after = 5
    with pytest.raises(CallFailed):
        fill(chain, batch=37)
    chain.dies_after = None
    known = ActivityLeaf.objects.count()
    done = fill(chain)
    assert known > 40
    assert 0 < done.blocks < len(chain.within(0, chain.head.time_s - 3600))
    check_equal(chain)


@in_database
def test_a_part_of_the_past_is_filled_in_by_whole_minutes() -> None:
    chain = scanned()
    fill(chain, NOON_S + 3700, NOON_S + 4321)
    found = windows.activity(
        CHAIN, moment(NOON_S + 3660), moment(NOON_S + 4380), moment(NOON_S + 90_000)
    )
    blocks = chain.within(NOON_S + 3660, NOON_S + 4380)
    assert found.transactions == transactions(blocks)
    assert found.first_block == blocks[0].header.number
    assert found.last_block == blocks[-1].header.number
    fill(chain)
    check_equal(chain)


@in_database
def test_a_dry_run_reads_no_traffic_and_fills_in_nothing() -> None:
    chain = scanned()
    leaves = ActivityLeaf.objects.count()
    now = moment(chain.head.time_s + 1)
    done = backfill(CHAIN, chain, start=NOON, end=now, now=now, dry_run=True)
    assert (done.blocks, len(done.holes)) == (0, 1)
    assert ActivityLeaf.objects.count() == leaves


@in_database
def test_a_call_that_fails_for_the_moment_is_made_three_times() -> None:
    chain = scanned()
    waits: list[float] = []
    now = moment(chain.head.time_s + 1)
    chain.traffic_fails = [Fault.TIMEOUT, Fault.RATE_LIMITED]
    backfill(CHAIN, chain, start=NOON, end=now, now=now, sleep=waits.append)
    assert waits == [1.0, 1.0]
    check_equal(chain)


@in_database
def test_a_call_that_fails_for_good_is_not_made_again() -> None:
    chain = scanned()
    chain.traffic_fails = [Fault.WRONG_CHAIN]
    with pytest.raises(CallFailed):
        fill(chain)


@in_database
def test_blocks_of_another_fork_are_not_filled_in() -> None:
    chain = scanned()
    known = ActivityLeaf.objects.order_by("bucket_start")[0].first_block
    other = MadeChain()
    for block in chain.blocks[1:known]:
        other.mine(block.header.time_s, [(1, 2)])
    other.blocks += chain.blocks[known:]
    with pytest.raises(BackfillRefused, match="another chain than what is stored"):
        fill(other)


@in_database
def test_a_chain_that_was_never_scanned_is_refused() -> None:
    with pytest.raises(BackfillRefused, match=r"run_task stats\.scan_activity"):
        fill(MadeChain())


@in_database
@pytest.mark.parametrize(
    ("start_s", "end_s", "sentence"),
    [
        (NOON_S - 8 * 86_400, NOON_S, "kept since"),
        (NOON_S + 60, NOON_S, "at least a second"),
    ],
)
def test_a_span_that_cannot_be_filled_is_refused(start_s: int, end_s: int, sentence: str) -> None:
    chain = scanned(hours=1)
    with pytest.raises(BackfillRefused, match=sentence):
        fill(chain, start_s, end_s)


@in_database
def test_blocks_that_somebody_else_fills_in_meanwhile_are_not_stored_twice() -> None:
    chain = scanned()
    parent = scanning.before(chain, 10)
    backfilling.fill(CHAIN, chain.blocks[10:20], parent)
    with pytest.raises(BackfillRefused, match="somebody else"):
        backfilling.fill(CHAIN, chain.blocks[10:15], parent)


ranges = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=8)


@given(known=ranges, first=st.integers(0, 50), length=st.integers(0, 40))
def test_what_is_missing_is_each_block_that_no_range_holds(
    known: list[tuple[int, int]], first: int, length: int
) -> None:
    spans = [(start, start + more) for start, more in known]
    found = missing((first, first + length), spans)
    listed = [number for start, stop in found for number in range(start, stop + 1)]
    assert listed == [
        number
        for number in range(first, first + length + 1)
        if not any(start <= number <= stop for start, stop in spans)
    ]


def test_the_first_block_since_a_time_is_found_with_few_calls() -> None:
    chain, rng = MadeChain(), random.Random(4)  # noqa: S311
    chain.grow(3000, rng, every_s=12)
    for back_s in (0, 1, 12, 500, 9000, 10**6):
        chain.asked = 0
        time_s = chain.head.time_s - back_s
        found = finding.first_since(chain, time_s, high=3000)
        expected = next(block for block in chain.blocks if block.header.time_s >= time_s)
        assert found == expected.header.number
        assert chain.asked < 12
