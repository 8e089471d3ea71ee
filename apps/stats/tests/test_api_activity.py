"""Activity over HTTP: what brute force says of any window, or a sentence why there is no answer."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.test import Client

from apps.stats.activity import backfilling, scanning, sketches, telling
from apps.stats.api import remembered
from apps.stats.tests.made_chain import MadeChain, participants, senders, transactions
from moonx.core import clock
from moonx.core.chains import registry
from moonx.core.intervals import to_ms

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

# One for all: each new one builds the chain of middleware anew.
CLIENT = Client()

HOUR_S = 3_600
DAY_MS = 86_400_000


def get(path: str, if_none_match: str = "", **query: Any) -> Any:
    headers = {"If-None-Match": if_none_match} if if_none_match else {}
    spelled = {name.removesuffix("_"): value for name, value in query.items()}
    return CLIENT.get(path, spelled, headers=headers)


def activity(**query: Any) -> Any:
    return get("/api/v1/stats/activity", **query)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    remembered.forget()


@pytest.fixture
def scanned() -> MadeChain:
    """A chain whose blocks of the last two hours and a bit are stored as those of REI."""
    start = clock.db_now() - timedelta(hours=2, minutes=10)
    chain = MadeChain(start_s=round(start.timestamp()))
    chain.grow(220, random.Random(5), every_s=40)  # noqa: S311
    scan(chain)
    return chain


def scan(chain: MadeChain) -> None:
    scanning.scan("rei", chain, now=clock.db_now(), batch=300)


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def test_any_window_is_what_brute_force_says(scanned: MadeChain) -> None:
    end_s = scanned.head.time_s - 60
    start_s = end_s - 1_800
    found = activity(chain="rei", from_=start_s * 1000, to=end_s * 1000).json()
    blocks = scanned.within(start_s, end_s)
    assert (found["from"], found["to"]) == (start_s * 1000, end_s * 1000)
    assert found["senders"] == len(senders(blocks))
    assert found["participants"] == len(participants(blocks))
    assert found["transactions"] == transactions(blocks)
    assert (found["firstBlock"], found["lastBlock"]) == (
        blocks[0].header.number,
        blocks[-1].header.number,
    )
    assert (found["exact"], found["coverage"]) == (True, "1")
    assert not sketches.disagree(exact=found["senders"], estimated=found["hll"])
    assert found["hllError"] == format(sketches.ERROR, "f")
    assert found["lastProcessedBlock"] == scanned.head.number


def test_hours_are_the_last_24_and_the_running_one_and_do_not_add_up(scanned: MadeChain) -> None:
    found = get("/api/v1/stats/activity/hours", chain="rei").json()
    hours = found["hours"]
    assert len(hours) == 25
    assert [b["time"] - a["time"] for a, b in pairwise(hours)] == [HOUR_S * 1000] * 24
    # A first scan begins an hour behind the head: what is before is not known.
    first = activity(chain="rei").json()["firstBlock"]
    for hour in hours:
        start_s = hour["time"] // 1000
        blocks = scanned.within(start_s, start_s + HOUR_S)
        known = [block for block in blocks if block.header.number >= first]
        assert (hour["senders"] or 0) == len(senders(known))
    summed = sum(hour["senders"] or 0 for hour in hours)
    assert activity(chain="rei").json()["senders"] < summed
    assert (hours[0]["senders"], hours[0]["coverage"]) == (None, "0")


def test_a_chain_is_named_by_slug_or_id_and_by_default_the_setting_says(
    scanned: MadeChain, settings: Any
) -> None:
    chain_id = registry.find("rei").chain_id
    answers = [activity(chain=name).json() for name in ("rei", chain_id, "REI")]
    settings.ENV = settings.ENV.model_copy(update={"default_chain": "rei"})
    answers.append(activity().json())
    assert {(one["chain"], one["chainId"]) for one in answers} == {("rei", chain_id)}
    settings.ENV = settings.ENV.model_copy(update={"default_chain": "base"})
    assert activity().json()["chain"] == "base"


def test_of_a_chain_that_was_never_scanned_nothing_is_known() -> None:
    found = activity(chain="base").json()
    for name in ("senders", "participants", "transactions", "hll", "lastProcessedBlock", "ageMs"):
        assert found[name] is None, name
    assert (found["coverage"], found["isStale"]) == ("0", True)
    former = get("/api/stats/24h", chain="base").json()
    assert (former["dau"], former["lastProcessedBlock"], former["status"]) == (None, None, "idle")
    assert get("/api/stats/history", chain="base").json()["records"] == []


def test_the_former_form_tells_senders_as_dau_and_records_of_blocks(scanned: MadeChain) -> None:
    found = get("/api/stats/24h", chain="rei").json()
    whole = activity(chain="rei").json()
    assert (found["dau"], found["participants"]) == (whole["senders"], whole["participants"])
    assert set(found) == {
        *("chain", "from", "to", "dau", "participants", "transactions", "records"),
        *("coverage", "lastProcessedBlock", "status", "asOf"),
    }
    history = get("/api/stats/history", chain="rei").json()
    assert (history["chain"], history["retentionDays"]) == ("rei", 7)
    assert set(history["records"][0]) == {
        *("startBlock", "endBlock", "startTime", "endTime", "transactions", "uniqueAddresses"),
    }
    assert history["last24"] is None


def test_the_last_24_records_are_merged_as_a_union() -> None:
    chain = MadeChain(start_s=round(clock.db_now().timestamp()) - 3_000)
    chain.grow(2_500, random.Random(6), every_s=1, people=300)  # noqa: S311
    scan(chain)
    blocks = chain.blocks[:2_400]
    assert get("/api/stats/history", chain="rei").json()["last24"] == {
        "startBlock": 0,
        "endBlock": 2_399,
        "startTime": blocks[0].header.time_s * 1000,
        "endTime": blocks[-1].header.time_s * 1000,
        "transactions": transactions(blocks),
        "uniqueAddresses": len(senders(blocks)),
        "records": 2,
    }


def test_the_former_day_is_that_which_the_last_scan_counted(scanned: MadeChain) -> None:
    now = clock.db_now()
    # Told at any second: those of a scan are of that very moment.
    now = now if now.second % 5 or now.microsecond else now + timedelta(milliseconds=1)
    telling.tell(registry.find("rei"), now=now)
    assert get("/api/stats/24h", chain="rei").json()["to"] == to_ms(now)
    assert remembered.activity.cache_info().misses == 0


def test_the_former_day_is_counted_once_for_all_who_ask_at_about_the_same_time(
    scanned: MadeChain,
) -> None:
    assert get("/api/stats/24h", chain="rei").json()["to"] % 5_000 == 0
    assert remembered.activity.cache_info().misses == 1


def test_a_window_is_counted_anew_when_a_hole_of_it_was_filled(scanned: MadeChain) -> None:
    start, end = scanned.blocks[0].header.time_s, scanned.head.time_s
    window = {"chain": "rei", "from_": start * 1000, "to": end * 1000}
    before = activity(**window)
    assert before.json()["firstBlock"] > 0
    now = clock.db_now()
    backfilling.backfill("rei", scanned, start=moment(start), end=now, now=now)
    after = activity(if_none_match=before["ETag"], **window)
    assert after.status_code == 200
    assert after.json()["senders"] == len(senders(scanned.within(start, end)))
    assert (after.json()["firstBlock"], after.json()["coverage"]) == (0, "1")


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/stats/activity",
        "/api/v1/stats/activity/hours",
        "/api/stats/24h",
        "/api/stats/history",
    ],
)
def test_an_unknown_chain_is_refused_with_those_there_are(path: str) -> None:
    answer = get(path, chain="luna")
    assert answer.status_code == 404
    assert answer.json()["code"] == "notFound"
    assert "'luna'" in answer.json()["message"]
    assert "ethereum" in answer.json()["message"]
    for bad in ("", "a-b", "x" * 21, "1' OR"):
        assert get(path, chain=bad).status_code == 400, bad
    assert CLIENT.put(path).status_code == 405


REFUSED = {
    "from: must be before to": {"from": 0, "to": 0},
    "from: must be before": {"from": 1_000, "to": -1_000},
    "to: lies": {"to": 3_600_000},
    "kept since": {"from": -9 * DAY_MS},
    "kept since ": {"from": -20 * DAY_MS, "to": -19 * DAY_MS},
}


@pytest.mark.parametrize(("sentence", "offsets"), REFUSED.items())
def test_a_window_that_cannot_be_answered_is_refused(
    sentence: str, offsets: dict[str, int]
) -> None:
    now_ms = to_ms(clock.db_now())
    answer = get(
        "/api/v1/stats/activity",
        **{name: str(now_ms + offset) for name, offset in offsets.items()},
        chain="rei",
    )
    assert answer.status_code == 400
    assert sentence.strip() in answer.json()["message"]


@pytest.mark.parametrize("query", [{"from": "x"}, {"to": -1}, {"to": 10**18}, {"from": "1.5"}])
def test_what_is_no_time_is_refused_by_name(query: dict[str, Any]) -> None:
    answer = get("/api/v1/stats/activity", **query)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(next(iter(query)))


def test_what_was_counted_stands_until_a_block_changes(scanned: MadeChain) -> None:
    window = {"from_": scanned.head.time_s * 1000 - 600_000, "to": to_ms(clock.db_now())}
    first = activity(chain="rei", **window)
    again = activity(chain="rei", if_none_match=first["ETag"], **window)
    assert again.status_code == 304
    hits = remembered.activity.cache_info().hits
    assert hits == 1
    scanned.fork(3)
    scanned.mine(scanned.head.time_s + 1, [(9_001, 9_002), (9_003, None), (9_004, 1)])
    scan(scanned)
    changed = activity(chain="rei", if_none_match=first["ETag"], **window)
    assert changed.status_code == 200
    blocks = scanned.within(window["from_"] / 1000, window["to"] / 1000)
    assert changed.json()["senders"] == len(senders(blocks))
