"""Following a chain: forks, liars, two scanners, runs cut off; always what brute force says."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.stats.activity import cursors, records, scanning, windows
from apps.stats.activity.scanning import Place
from apps.stats.models import ActivityCursor, ActivityLeaf, LeafState
from apps.stats.tests.made_chain import (
    NOON_S,
    MadeChain,
    participants,
    senders,
    transactions,
)
from moonx.core.upstream.faults import CallFailed, Fault

pytestmark = pytest.mark.django_db

CHAIN = "made"


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def scan(chain: MadeChain, **more: float) -> scanning.Scanned:
    now = moment(chain.head.time_s + more.pop("later_s", 2))
    return scanning.scan(CHAIN, chain, now=now, batch=int(more.pop("batch", 7)), **more)


def cursor() -> ActivityCursor:
    return ActivityCursor.objects.get(chain=CHAIN)


def check_equal(chain: MadeChain, *, since_s: int = NOON_S) -> None:
    """Counts of a window over all that was scanned are those of brute force."""
    end_s = chain.head.time_s + 1
    found = windows.activity(CHAIN, moment(since_s), moment(end_s), moment(end_s))
    blocks = chain.within(since_s, end_s)
    assert found.senders == len(senders(blocks))
    assert found.participants == len(participants(blocks))
    assert found.transactions == transactions(blocks)
    assert found.last_block == chain.head.number


def grown(blocks: int = 60, *, seed: int = 1) -> tuple[MadeChain, random.Random]:
    chain, rng = MadeChain(), random.Random(seed)  # noqa: S311
    chain.grow(blocks, rng)
    return chain, rng


def test_a_first_scan_begins_with_the_whole_minute_an_hour_behind_the_head() -> None:
    chain, _ = grown(600)
    assert chain.head.time_s - NOON_S > 5000
    scan(chain)
    first = ActivityLeaf.objects.filter(chain=CHAIN).earliest("bucket_start")
    since_s = (chain.head.time_s - 3600) // 60 * 60
    assert first.first_block == chain.within(since_s, chain.head.time_s)[0].header.number
    check_equal(chain, since_s=since_s)


def test_a_minute_of_several_blocks_and_several_scans_is_one_leaf() -> None:
    chain = MadeChain()
    for second in (12, 24, 24, 24, 36, 59, 60):
        chain.mine(NOON_S + second, [(second, 7), (7, None)])
        scan(chain)
    leaves = ActivityLeaf.objects.filter(chain=CHAIN).order_by("bucket_start")
    assert [(leaf.first_block, leaf.last_block) for leaf in leaves] == [(0, 6), (7, 7)]
    check_equal(chain)


def test_a_scan_done_twice_changes_nothing() -> None:
    chain, _ = grown()
    scan(chain)
    before = list(ActivityLeaf.objects.order_by("bucket_start").values_list("digest", "state"))
    version = cursor().version
    done = scan(chain)
    assert (done.blocks, done.depth, done.is_at_head) == (0, 0, True)
    assert cursor().version == version
    after = list(ActivityLeaf.objects.order_by("bucket_start").values_list("digest", "state"))
    assert after == before


@pytest.mark.parametrize("depth", [1, 3, 12, 40])
def test_a_fork_replaces_what_it_took_back(depth: int) -> None:
    chain, rng = grown(100)
    chain.final_depth = 50
    scan(chain)
    chain.fork(depth)
    chain.grow(depth + 2, rng)
    done = scan(chain, batch=500)
    assert done.depth == depth
    assert (cursor().reorgs, cursor().deepest_reorg) == (1, depth)
    check_equal(chain)


def test_minutes_that_only_the_old_branch_had_are_gone() -> None:
    chain = MadeChain(final_depth=3)
    for second in (12, 75, 130):
        chain.mine(NOON_S + second, [(second, 1)])
    scan(chain)
    chain.fork(2)
    chain.mine(NOON_S + 200, [(2, 3)])
    chain.mine(NOON_S + 260, [(4, 5)])
    scan(chain)
    minutes = ActivityLeaf.objects.order_by("bucket_start").values_list("bucket_start", flat=True)
    assert [start.timestamp() - NOON_S for start in minutes] == [0, 180, 240]
    check_equal(chain)


def test_a_fork_to_a_head_of_the_same_height_is_noticed() -> None:
    chain, rng = grown()
    scan(chain)
    chain.fork(1)
    chain.grow(1, rng)
    assert scan(chain).depth == 1
    check_equal(chain)


def test_a_fork_deeper_than_what_is_compared_goes_back_to_the_last_final_block() -> None:
    chain, rng = grown(400, seed=3)
    chain.final_depth = 200
    scan(chain)
    final = cursor().final_block
    chain.fork(150)
    chain.grow(160, rng)
    scan(chain, batch=500)
    assert final is not None
    assert cursor().deepest_reorg == 400 - final
    check_equal(chain, since_s=(chain.head.time_s - 1800) // 60 * 60)


def test_a_head_that_goes_back_on_the_same_chain_is_no_fork() -> None:
    chain, rng = grown()
    scan(chain)
    chain.told_tip = chain.tip_of(50)
    done = scan(chain)
    assert (done.blocks, done.depth, done.is_at_head) == (0, 0, False)
    assert cursor().last_block == 60
    chain.told_tip = None
    chain.grow(5, rng)
    scan(chain)
    assert cursor().reorgs == 0
    check_equal(chain)


def test_final_blocks_are_given_up_only_after_the_providers_deny_them_for_two_minutes() -> None:
    chain, rng = grown(100)
    scan(chain)
    chain.fork(40)
    chain.grow(45, rng)
    for later_s in (10, 100):
        with pytest.raises(CallFailed, match="was final"):
            scan(chain, later_s=later_s)
    assert cursor().last_block == 100
    assert cursor().errors == {cursors.PAST_FINALITY: 2}
    scan(chain, later_s=140, batch=500)
    assert cursor().deepest_reorg == 40
    check_equal(chain)


def test_a_chain_that_began_anew_is_followed_anew() -> None:
    chain, rng = grown(100)
    scan(chain)
    anew = MadeChain(start_s=chain.head.time_s + 100)
    anew.grow(200, rng)
    with pytest.raises(CallFailed):
        scan(anew)
    scan(anew, later_s=200, batch=500)
    start, end = moment(NOON_S), moment(anew.head.time_s + 1)
    found = windows.activity(CHAIN, start, end, end)
    assert found.transactions == transactions(anew.blocks)
    assert {row["endBlock"] for row in records.history(CHAIN)["records"]} == {200}


def test_a_node_that_mixes_forks_is_not_believed() -> None:
    chain, rng = grown()
    scan(chain)
    chain.grow(3, rng)
    other, _ = grown(63, seed=2)
    chain.blocks[61] = other.blocks[61]
    with pytest.raises(CallFailed, match="block 61 does not follow block 60"):
        scan(chain)
    assert cursor().last_block == 60
    assert cursor().errors == {Fault.MALFORMED: 1}


def test_a_block_that_is_older_than_its_parent_is_not_believed() -> None:
    chain, _ = grown()
    scan(chain)
    chain.mine(NOON_S, [(1, 2)])
    with pytest.raises(CallFailed, match="older than block 60"):
        scan(chain)


def test_a_block_from_the_future_is_not_believed() -> None:
    chain, _ = grown()
    scan(chain)
    chain.mine(chain.head.time_s + 100_000, [(1, 2)])
    with pytest.raises(CallFailed, match="dated more than a day ahead"):
        scanning.scan(CHAIN, chain, now=moment(NOON_S + 3600))


def test_what_went_wrong_is_counted_by_its_class_and_the_next_run_goes_on() -> None:
    chain, _ = grown()
    chain.fails = [Fault.TIMEOUT, Fault.RATE_LIMITED, Fault.TIMEOUT]
    for _ in range(3):
        with pytest.raises(CallFailed):
            scan(chain)
    scan(chain)
    now = moment(chain.head.time_s + 32)
    assert cursors.processing(now=now)[CHAIN] == {
        "status": "idle",
        "lastProcessedBlock": 60,
        "updatedAt": (chain.head.time_s + 2) * 1000,
        "ageSeconds": 30,
        "errors": {"timeout": 2, "rateLimited": 1},
    }


def test_a_run_that_has_no_time_left_is_finished_by_the_next() -> None:
    chain, _ = grown()
    assert not scan(chain, budget_s=0).is_at_head
    assert scan(chain).is_at_head
    check_equal(chain)


def test_whoever_was_away_for_a_day_begins_anew_and_leaves_a_gap() -> None:
    chain, rng = grown()
    scan(chain)
    chain.grow(500, rng, every_s=300)
    chain.grow(100, rng)
    since_s = (chain.head.time_s - 3600) // 60 * 60
    scan(chain)
    assert cursor().reorgs == 0
    end = moment(chain.head.time_s + 1)
    found = windows.activity(CHAIN, moment(NOON_S), end, end)
    assert found.transactions == transactions(chain.blocks[:61] + chain.within(since_s, 1e10))
    assert found.coverage < Decimal("0.1")


def test_blocks_from_before_what_is_kept_are_followed_and_not_stored() -> None:
    chain, _ = grown()
    now = moment(NOON_S + 9 * 86_400)
    scanning.scan(CHAIN, chain, now=now)
    assert cursor().last_block == 60
    assert not ActivityLeaf.objects.exists()


def test_leaves_are_final_once_their_last_block_is_and_the_next_minute_began() -> None:
    chain, _ = grown()
    chain.final_depth = 0
    scan(chain)
    states = dict(ActivityLeaf.objects.values_list("last_block", "state"))
    assert states.pop(60) == LeafState.PROVISIONAL
    assert set(states.values()) == {LeafState.FINAL}


def test_a_scanner_that_finds_the_cursor_moved_stores_nothing() -> None:
    chain, rng = grown()
    scan(chain)
    at = cursors.position(cursor())
    assert at is not None
    chain.grow(4, rng)
    late = chain.traffic(range(61, 65))
    scan(chain)
    place = Place(chain=CHAIN, expected=at, after=at)
    assert scanning.replace_after(place, late, now=moment(NOON_S + 3600)) is False
    check_equal(chain)
