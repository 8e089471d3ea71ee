"""Holes of the last day: filled by the runs that follow, newest first, by whole minutes."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from apps.stats.activity import holes, scanning, storing, windows
from apps.stats.activity.backfilling import BackfillRefused
from apps.stats.models import ActivityLeaf
from apps.stats.tests.made_chain import NOON, NOON_S, MadeChain, senders, transactions

pytestmark = pytest.mark.django_db

CHAIN = "made"
HOUR_S = 3600


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def scanned(*, every_s: int, hours: int = 3) -> MadeChain:
    """A chain of some hours, of which the first scan has seen the last one."""
    chain, rng = MadeChain(), random.Random(every_s)  # noqa: S311
    while chain.head.time_s < NOON_S + hours * HOUR_S:
        chain.grow(1, rng, every_s=every_s, people=200)
    scan(chain)
    return chain


def scan(chain: MadeChain) -> None:
    scanning.scan(CHAIN, chain, now=moment(chain.head.time_s + 1), batch=500)


def check_equal(chain: MadeChain, start_s: int) -> None:
    end = moment(chain.head.time_s)
    found = windows.activity(CHAIN, moment(start_s), end, end)
    blocks = chain.within(start_s, chain.head.time_s)
    assert (found.senders, found.transactions) == (len(senders(blocks)), transactions(blocks))
    assert found.coverage == 1


def fill_all(chain: MadeChain, since: datetime, *, batch: int) -> int:
    runs = 0
    while holes.fill_newest(CHAIN, chain, since=since, batch=batch):
        runs += 1
    return runs


@pytest.mark.parametrize(("every_s", "batch"), [(12, 100), (300, 3), (7, 5), (12, 10_000)])
def test_runs_fill_in_what_lies_before_the_first_scan_newest_first(
    every_s: int, batch: int
) -> None:
    chain = scanned(every_s=every_s)
    first = ActivityLeaf.objects.earliest("bucket_start").first_block
    assert holes.fill_newest(CHAIN, chain, since=NOON, batch=batch) <= 10 * batch
    hole = storing.newest_hole(CHAIN, since_s=NOON_S)
    assert hole is None or hole[1] < first - 1
    fill_all(chain, NOON, batch=batch)
    check_equal(chain, NOON_S)


def test_a_gap_that_begins_in_the_middle_of_a_minute_is_closed_to_both_sides() -> None:
    chain, rng = MadeChain(), random.Random(1)  # noqa: S311
    chain.grow(20, rng, every_s=12)
    scan(chain)
    chain.grow(300, rng, every_s=400)
    scan(chain)
    assert storing.newest_hole(CHAIN, since_s=NOON_S) is not None
    assert fill_all(chain, NOON, batch=40) > 3
    check_equal(chain, NOON_S)


def test_half_a_minute_does_not_take_the_place_of_its_other_half() -> None:
    chain = MadeChain()
    chain.mine(NOON_S + 10, [(1, 2)])
    scan(chain)
    for second in (20, 30, 40, 90, 100_000):
        chain.mine(NOON_S + second, [(second, 3)])
    scan(chain)
    assert storing.newest_hole(CHAIN, since_s=NOON_S) == (2, 5)
    assert holes.fill_newest(CHAIN, chain, since=NOON, batch=3) == 1
    assert holes.fill_newest(CHAIN, chain, since=NOON, batch=3) == 3
    check_equal(chain, NOON_S)


def test_what_is_before_the_moment_is_left_alone() -> None:
    chain = scanned(every_s=12)
    since_s = NOON_S + HOUR_S + 30
    assert fill_all(chain, moment(since_s), batch=50) > 1
    check_equal(chain, since_s)
    first = ActivityLeaf.objects.earliest("bucket_start").bucket_start
    assert first == moment(NOON_S + HOUR_S)


def test_nothing_is_asked_where_there_is_no_hole() -> None:
    chain = scanned(every_s=12)
    fill_all(chain, NOON, batch=500)
    chain.dies_after = 0
    assert holes.fill_newest(CHAIN, chain, since=NOON) == 0
    assert holes.fill_newest("other", chain, since=NOON) == 0


def test_blocks_of_another_fork_are_not_filled_in() -> None:
    chain = scanned(every_s=60)
    other = MadeChain()
    for block in chain.blocks[1:]:
        other.mine(block.header.time_s, [(1, 2)])
    with pytest.raises(BackfillRefused, match="another chain than what is stored"):
        holes.fill_newest(CHAIN, other, since=NOON - timedelta(hours=1))
