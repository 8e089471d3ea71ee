"""Days that are over, what is kept of them, and what goes."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from apps.stats.activity import (
    records,
    retention,
    rolling,
    scanning,
    sealing,
    sets,
    sketches,
    storing,
    windows,
)
from apps.stats.models import ActivityCursor, ActivityDay, ActivityLeaf, ActivityRollup, Span
from apps.stats.tests.made_chain import (
    NOON,
    NOON_S,
    MadeChain,
    address,
    participants,
    senders,
    transactions,
)
from moonx.core import clock
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.django_db

CHAIN = "made"
MIDNIGHT_S = NOON_S + 12 * 3600
DAY = NOON.date() + timedelta(days=1)


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def two_days() -> MadeChain:
    """Half a day, a whole day, and some of the next one, all scanned and all but the end final."""
    chain, rng = MadeChain(start_s=NOON_S), random.Random(7)  # noqa: S311
    for until_s in (NOON_S + 1800, NOON_S + 20 * 3600, NOON_S + 38 * 3600):
        while chain.head.time_s < until_s:
            chain.grow(1, rng, every_s=600, people=60)
        scanning.scan(CHAIN, chain, now=moment(chain.head.time_s + 1), batch=500)
    return chain


def seal(chain: MadeChain) -> int:
    return sealing.seal_days(CHAIN, now=moment(chain.head.time_s + 60))


def test_a_day_that_is_over_is_sealed_once_with_its_totals() -> None:
    chain = two_days()
    assert (seal(chain), seal(chain)) == (2, 0)
    day = ActivityDay.objects.get(chain=CHAIN, day=DAY)
    blocks = chain.within(MIDNIGHT_S, MIDNIGHT_S + 86_400)
    assert (day.senders, day.participants) == (len(senders(blocks)), len(participants(blocks)))
    assert (day.transactions, day.blocks) == (transactions(blocks), len(blocks))
    assert day.gas_used == sum(block.header.gas_used for block in blocks)
    assert day.covered_s == 86_400
    half = ActivityDay.objects.get(chain=CHAIN, day=NOON.date())
    assert half.covered_s == 43_200


def test_a_day_whose_blocks_may_still_change_is_not_sealed() -> None:
    chain = two_days()
    ActivityLeaf.objects.filter(bucket_start__gte=moment(MIDNIGHT_S + 80_000)).update(
        state="provisional"
    )
    assert seal(chain) == 1
    assert not ActivityDay.objects.filter(day=DAY).exists()


def test_a_sealed_day_is_sealed_anew_when_a_leaf_of_it_changed() -> None:
    chain = two_days()
    seal(chain)
    ActivityDay.objects.update(senders=1)
    number = chain.within(MIDNIGHT_S + 7200, MIDNIGHT_S + 9000)[0].header.number
    leaf = storing.of_block(CHAIN, number)
    assert leaf is not None
    storing.put(CHAIN, [leaf], final=10**9)
    assert seal(chain) == 1
    blocks = chain.within(MIDNIGHT_S, MIDNIGHT_S + 86_400)
    assert ActivityDay.objects.get(day=DAY).senders == len(senders(blocks))


def test_a_day_with_a_hole_counts_the_blocks_that_are_known() -> None:
    chain = two_days()
    hole_s = MIDNIGHT_S + 7200
    ActivityLeaf.objects.filter(
        bucket_start__gte=moment(hole_s), bucket_start__lt=moment(hole_s + 7200)
    ).delete()
    ActivityRollup.objects.all().delete()
    seal(chain)
    day = ActivityDay.objects.get(day=DAY)
    known = [
        block
        for block in chain.within(MIDNIGHT_S, MIDNIGHT_S + 86_400)
        if not hole_s <= block.header.time_s < hole_s + 7200
    ]
    assert (day.blocks, day.transactions) == (len(known), transactions(known))


def test_a_chain_that_stopped_in_the_middle_of_a_day_loses_nothing_of_it() -> None:
    chain, rng = MadeChain(start_s=NOON_S), random.Random(3)  # noqa: S311
    while chain.head.time_s < NOON_S + 1800:
        chain.grow(1, rng, every_s=120, people=60)
    scanning.scan(CHAIN, chain, now=moment(chain.head.time_s + 1), batch=500)
    retention.prune(now=NOON + timedelta(days=6))
    assert not ActivityDay.objects.exists()
    retention.prune(now=NOON + timedelta(days=7))
    day = ActivityDay.objects.get(chain=CHAIN, day=NOON.date())
    assert (day.senders, day.blocks) == (len(senders(chain.blocks)), len(chain.blocks))
    assert retention.prune(now=NOON + timedelta(days=7)).numbers["sealed"] == 0


def test_the_sets_of_a_day_that_nobody_sealed_do_not_go() -> None:
    chain = two_days()
    later = clock.db_now() + timedelta(days=9)
    opened = sealing.oldest_open(now=later)
    assert opened == moment(NOON_S)
    retention.prune(now=later)
    assert sealing.oldest_open(now=later) is None
    assert ActivityDay.objects.count() == 3
    assert chain.head.number == ActivityDay.objects.latest("day").last_block


def test_days_merge_to_about_as_many_as_there_were_over_all_of_them() -> None:
    chain = two_days()
    seal(chain)
    found = sealing.estimated(CHAIN, first=NOON.date(), last=DAY)
    blocks = chain.within(NOON_S, MIDNIGHT_S + 86_400)
    assert not sketches.disagree(exact=len(senders(blocks)), estimated=found.senders)
    assert not sketches.disagree(exact=len(participants(blocks)), estimated=found.participants)
    assert found.transactions == transactions(blocks)
    assert (found.days, found.of_days) == (2, 2)
    assert found.coverage == Decimal("0.75")
    summed = sum(ActivityDay.objects.values_list("senders", flat=True))
    assert summed > 1.2 * found.senders


def test_a_week_begins_on_monday_and_a_month_on_its_first() -> None:
    week = sealing.week(CHAIN, date(2026, 11, 26))
    assert (week.first, week.last) == (date(2026, 11, 23), date(2026, 11, 29))
    month = sealing.month(CHAIN, date(2028, 2, 10))
    assert (month.first, month.last) == (date(2028, 2, 1), date(2028, 2, 29))
    assert (month.senders, month.days, month.of_days, month.coverage) == (0, 0, 29, 0)
    with pytest.raises(windows.WindowRefused):
        sealing.estimated(CHAIN, first=DAY, last=DAY - timedelta(days=1))


def test_an_exact_count_that_its_sketch_denies_raises_an_alarm() -> None:
    hashes = sets.of_numbers(sets.distinct(address(number) for number in range(3000)))
    sealing._checked_sketch(hashes, what="senders")
    assert not OutboxEvent.objects.exists()
    doubled = sets.of_numbers([*hashes.tolist(), *hashes.tolist()])
    sealing._checked_sketch(doubled, what="senders")
    event = OutboxEvent.objects.get()
    assert event.name == "system.alert"
    assert "6000 senders were counted" in event.payload["message"]


def test_old_records_go_and_days_ahead_are_made_by_the_daily_run() -> None:
    chain = two_days()
    later = moment(NOON_S + 11 * 86_400)
    outcome = retention.prune(now=later)
    assert outcome.numbers["records"] == 1
    assert outcome.numbers["sealed"] == ActivityDay.objects.count() == 3
    assert retention.is_ready(now=clock.db_now())
    assert not records.history(CHAIN)["records"]
    assert ActivityCursor.objects.get(chain=CHAIN).last_block == chain.head.number


def test_an_hour_is_rolled_up_only_when_the_chain_went_past_it() -> None:
    chain = MadeChain(final_depth=0)
    chain.mine(NOON_S + 60, [(1, 2)])
    scanning.scan(CHAIN, chain, now=moment(NOON_S + 61))
    assert rolling.roll_missing(CHAIN, Span.HOUR) == 0
    chain.mine(NOON_S + 3600, [(1, 2)])
    scanning.scan(CHAIN, chain, now=moment(NOON_S + 3601))
    assert rolling.roll_missing(CHAIN, Span.HOUR) == 0  # the scan did it
    hour = ActivityRollup.objects.get(chain=CHAIN, span=Span.HOUR)
    assert (hour.start, hour.first_block, hour.last_block) == (NOON, 0, 1)
    assert storing.last_bucket_before(CHAIN, NOON_S) is None
