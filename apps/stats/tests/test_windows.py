"""Windows: exact on any chain and at any edge, and never more sure than what is known allows."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.stats.activity import gathering, rolling, scanning, windows
from apps.stats.activity.windows import WindowRefused
from apps.stats.models import ActivityRollup, Span
from apps.stats.tests.made_chain import (
    NOON,
    NOON_S,
    MadeChain,
    participants,
    senders,
    transactions,
)

pytestmark = pytest.mark.django_db

CHAIN = "made"
numbers = itertools.count()
seeds = st.integers(min_value=0, max_value=2**32)


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def scan(chain: MadeChain, name: str = CHAIN) -> bool:
    """Whether it came to the head."""
    now = moment(chain.head.time_s + 1)
    return scanning.scan(name, chain, now=now, batch=500).is_at_head


def ask(start_s: float, end_s: float, *, name: str = CHAIN) -> windows.Activity:
    return windows.activity(name, moment(start_s), moment(end_s), moment(NOON_S + 172_800))


def check_equal(chain: MadeChain, start_s: float, end_s: float, *, name: str = CHAIN) -> None:
    found, blocks = ask(start_s, end_s, name=name), chain.within(start_s, end_s)
    told = (found.senders, found.participants, found.transactions)
    assert told == (len(senders(blocks)), len(participants(blocks)), transactions(blocks))
    assert found.first_block == (blocks[0].header.number if blocks else None)
    assert found.last_block == (blocks[-1].header.number if blocks else None)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=seeds, data=st.data())
def test_any_window_of_any_chain_with_forks_is_what_brute_force_says(
    seed: int, data: st.DataObject
) -> None:
    rng, name = random.Random(seed), f"made{next(numbers)}"  # noqa: S311
    chain = MadeChain(final_depth=rng.choice((0, 3, 20)))
    every_s, people = rng.choice((1, 3, 12, 60, 400)), rng.choice((3, 60))
    known_s = 0
    for _ in range(rng.randrange(1, 5)):
        chain.fork(min(rng.randrange(5), chain.final_depth, len(chain.blocks) - 1))
        chain.grow(rng.randrange(6, 40), rng, every_s=every_s, people=people)
        scan(chain, name)
        known_s = known_s or max(NOON_S, (chain.head.time_s - 3600) // 60 * 60)
    length_s = chain.head.time_s - known_s + 30
    for _ in range(3):
        start_s = known_s + data.draw(st.integers(0, length_s))
        check_equal(chain, start_s, start_s + data.draw(st.integers(1, length_s)), name=name)


def hours_of_blocks(hours: int) -> MadeChain:
    """A chain scanned from its first minute on, with a block every three minutes or so."""
    chain, rng = MadeChain(start_s=NOON_S), random.Random(5)  # noqa: S311
    for next_s in (NOON_S + 1800, *range(NOON_S + 12 * 3600, NOON_S + hours * 3600, 12 * 3600)):
        while chain.head.time_s < next_s:
            chain.grow(1, rng, every_s=180, people=120)
        scan(chain)
    while chain.head.time_s < NOON_S + hours * 3600:
        chain.grow(1, rng, every_s=180, people=120)
    assert scan(chain)
    return chain


def test_adding_up_the_hours_is_wrong_and_their_union_is_right() -> None:
    chain = hours_of_blocks(26)
    hours = ActivityRollup.objects.filter(chain=CHAIN, span=Span.HOUR).order_by("start")[1:25]
    start_s = round(hours[0].start.timestamp())
    summed = sum(hour.sender_count for hour in hours)
    exact = len(senders(chain.within(start_s, start_s + 86_400)))
    assert ask(start_s, start_s + 86_400).senders == exact
    assert summed > 3 * exact


def test_hours_rolled_up_are_used_and_edges_come_from_leaves() -> None:
    chain = hours_of_blocks(6)
    assert ActivityRollup.objects.filter(chain=CHAIN, span=Span.HOUR).count() >= 5
    for start_s, length_s in ((1, 3600 * 5), (1799, 9000), (3600, 7200), (3599, 7202), (3601, 1)):
        check_equal(chain, NOON_S + start_s, NOON_S + start_s + length_s)
    for _ in range(2):
        parts = gathering.of_times(CHAIN, start_s=NOON_S + 1800, end_s=NOON_S + 5 * 3600 + 1800)
        assert len(parts.senders) < 80  # four hours, and an hour of leaves at the edges
    ActivityRollup.objects.all().delete()
    check_equal(chain, NOON_S + 1, NOON_S + 3600 * 5)


def test_a_day_rolled_up_stands_for_its_hours() -> None:
    chain = hours_of_blocks(38)
    midnight_s = NOON_S + 12 * 3600
    assert rolling.roll_missing(CHAIN, Span.DAY) == 2  # half a day, and a whole one
    found = gathering.of_times(CHAIN, start_s=midnight_s, end_s=midnight_s + 86_400)
    assert len(found.senders) == 1
    check_equal(chain, midnight_s, midnight_s + 86_400)
    check_equal(chain, midnight_s - 1, midnight_s + 86_401)


def test_a_window_holds_its_first_second_and_not_its_last() -> None:
    chain = MadeChain()
    for second, who in ((60, 1), (61, 2), (61, 3), (62, 4)):
        chain.mine(NOON_S + second, [(who, who)])
    scan(chain)
    assert ask(NOON_S + 61, NOON_S + 62).senders == 2
    assert ask(NOON_S + 60.001, NOON_S + 62).senders == 2
    assert ask(NOON_S + 60, NOON_S + 62.001).senders == 4
    assert ask(NOON_S + 63, NOON_S + 64).senders == 0


def test_a_creation_counts_its_sender_alone() -> None:
    chain = MadeChain()
    chain.mine(NOON_S + 60, [(1, None), (1, 2)])
    scan(chain)
    found = ask(NOON_S + 60, NOON_S + 61)
    assert (found.senders, found.participants, found.transactions) == (1, 2, 2)


def test_what_lies_between_two_known_blocks_is_covered_also_where_minutes_have_none() -> None:
    chain = MadeChain()
    for second in (100, 1000, 1030):
        chain.mine(NOON_S + second, [(1, 2)])
    scan(chain)
    assert ask(NOON_S, NOON_S + 1030).coverage == 1
    assert ask(NOON_S + 200, NOON_S + 900).coverage == 1
    assert ask(NOON_S - 1030, NOON_S + 1030).coverage == Decimal("0.5")


def test_what_follows_the_newest_block_is_covered_until_a_minute_before_it_was_last_seen() -> None:
    chain = MadeChain()
    chain.mine(NOON_S + 100, [(1, 2)])
    scanning.scan(CHAIN, chain, now=moment(NOON_S + 500))
    assert ask(NOON_S, NOON_S + 440).coverage == 1
    assert ask(NOON_S, NOON_S + 880).coverage == Decimal("0.5")


def test_coverage_is_rounded_down() -> None:
    chain = MadeChain()
    chain.mine(NOON_S + 50_000, [(1, 2)])
    scanning.scan(CHAIN, chain, now=moment(NOON_S + 50_001))
    assert ask(NOON_S + 1, NOON_S + 50_001).coverage == Decimal("0.9999")


def test_a_chain_that_was_never_scanned_has_no_coverage_and_nobody() -> None:
    found = ask(NOON_S, NOON_S + 60, name="unknown")
    assert (found.senders, found.coverage, found.first_block) == (0, 0, None)
    assert not found.is_known
    assert set(found.counts().values()) == {None}


def test_nobody_was_active_in_a_window_that_is_known_to_be_quiet() -> None:
    chain = MadeChain()
    for second in (100, 1000):
        chain.mine(NOON_S + second, [(1, 2)])
    scan(chain)
    assert ask(NOON_S + 200, NOON_S + 900).wire()["senders"] == 0


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (NOON, NOON, "at least a second"),
        (NOON, NOON - timedelta(hours=1), "at least a second"),
        (NOON, NOON + timedelta(microseconds=1), "Activity"),
        (NOON - timedelta(days=9), NOON, "kept since"),
        (NOON, NOON + timedelta(days=2), "future"),
    ],
)
def test_a_window_that_cannot_be_answered_is_refused(
    start: datetime, end: datetime, sentence: str
) -> None:
    if sentence == "Activity":
        assert windows.activity(CHAIN, start, end, NOON + timedelta(days=1)).exact
        return
    with pytest.raises(WindowRefused, match=sentence):
        windows.activity(CHAIN, start, end, NOON + timedelta(days=1))


def test_an_answer_is_json_of_strings_and_milliseconds() -> None:
    chain = MadeChain()
    chain.mine(NOON_S + 60, [(1, 2), (3, 2)])
    scan(chain)
    assert ask(NOON_S, NOON_S + 120).wire() == {
        "chain": CHAIN,
        "from": NOON_S * 1000,
        "to": (NOON_S + 120) * 1000,
        "senders": 2,
        "participants": 3,
        "transactions": 2,
        "coverage": "0.5000",
        "exact": True,
        "hll": 2,
        "hllError": "0.008125",
        "firstBlock": 0,
        "lastBlock": 1,
        "asOf": (NOON_S + 61) * 1000,
    }


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


@given(spans=spans, start=st.integers(0, 60), length=st.integers(1, 60))
def test_covered_seconds_are_those_that_lie_in_a_span(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    end = start + length
    one_by_one = sum(
        any(begin <= second < stop for begin, stop in spans) for second in range(start, end)
    )
    assert gathering.covered_s(spans, start_s=start, end_s=end) == one_by_one
