"""Runs of 1,200 blocks: exact at edges that cut minutes, merged as a union, true after forks."""

import random
from datetime import UTC, datetime

import pytest

from apps.stats.activity import backfilling, records, scanning, windows
from apps.stats.models import ActivityRecord
from apps.stats.tests.made_chain import NOON, NOON_S, MadeChain, participants, senders, transactions

pytestmark = pytest.mark.django_db

CHAIN = "made"


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def scan(chain: MadeChain) -> None:
    scanning.scan(CHAIN, chain, now=moment(chain.head.time_s + 1), batch=500)


def grown(blocks: int, *, every_s: int = 1) -> tuple[MadeChain, random.Random]:
    """A chain whose blocks lie a second apart or so: all are within the first scan's hour."""
    chain, rng = MadeChain(final_depth=100), random.Random(11)  # noqa: S311
    chain.grow(blocks - 1, rng, every_s=every_s, people=400)
    return chain, rng


def check_equal(chain: MadeChain) -> None:
    told = records.history(CHAIN)["records"]
    for number, record in enumerate(told):
        blocks = chain.blocks[number * 1200 : (number + 1) * 1200]
        assert record == {
            "startBlock": number * 1200,
            "endBlock": blocks[-1].header.number,
            "startTime": blocks[0].header.time_s * 1000,
            "endTime": blocks[-1].header.time_s * 1000,
            "transactions": transactions(blocks),
            "uniqueAddresses": len(senders(blocks)),
        }
    assert told[-1]["endBlock"] == chain.head.number


def test_records_are_what_brute_force_says_also_where_an_edge_cuts_a_minute_and_after_forks() -> (
    None
):
    chain, rng = grown(1150)
    scan(chain)
    check_equal(chain)
    chain.grow(100, rng, every_s=1)
    scan(chain)
    check_equal(chain)
    chain.fork(70)
    chain.grow(10, rng, every_s=1)
    scan(chain)
    assert len(records.history(CHAIN)["records"]) == 1
    check_equal(chain)


def test_whole_records_are_merged_as_a_union() -> None:
    chain, _ = grown(2500)
    scan(chain)
    merged = records.merged(CHAIN, since=NOON)
    blocks = chain.blocks[:2400]
    assert merged is not None
    assert (merged.records, merged.start_block, merged.end_block) == (2, 0, 2399)
    assert merged.unique_addresses == len(senders(blocks))
    assert merged.transactions == transactions(blocks)
    summed = sum(ActivityRecord.objects.filter(blocks=1200).values_list("senders", flat=True))
    assert summed > 1.5 * merged.unique_addresses
    one = records.merged(CHAIN, since=NOON, count=1)
    assert one is not None
    assert (one.start_block, one.records) == (1200, 1)
    assert records.merged(CHAIN, since=moment(chain.head.time_s)) is None


def test_without_a_whole_record_nothing_is_merged() -> None:
    assert records.merged(CHAIN, since=NOON) is None


def test_a_record_with_a_hole_is_not_told_until_it_is_filled() -> None:
    chain, rng = grown(100)
    scan(chain)
    chain.grow(400, rng, every_s=300)
    chain.grow(50, rng, every_s=12)
    assert chain.head.time_s - NOON_S > 86_400
    scan(chain)
    assert records.history(CHAIN)["records"] == []
    start, end = moment(NOON_S), moment(chain.head.time_s)
    backfilling.backfill(CHAIN, chain, start=start, end=end, now=end)
    check_equal(chain)


def test_the_last_day_is_told_as_the_former_service_did() -> None:
    chain, _ = grown(1300)
    scan(chain)
    now = moment(chain.head.time_s + 1)
    assert records.day(CHAIN, now) == {
        "chain": CHAIN,
        "from": (chain.head.time_s + 1 - 86_400) * 1000,
        "to": (chain.head.time_s + 1) * 1000,
        "dau": len(senders(chain.blocks)),
        "participants": len(participants(chain.blocks)),
        "transactions": transactions(chain.blocks),
        "records": 2,
        "coverage": format(windows.share(chain.head.time_s - NOON_S, of_s=86_400), "f"),
        "lastProcessedBlock": chain.head.number,
        "status": "idle",
        "asOf": (chain.head.time_s + 1) * 1000,
    }
