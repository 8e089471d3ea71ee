"""Days that are over, over HTTP: exact each, and merged to about as many as brute force says."""

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.stats.activity import scanning, sealing, sets, sketches
from apps.stats.api import remembered
from apps.stats.models import ActivityDay
from apps.stats.tests.made_chain import MadeChain, address, participants, senders, transactions
from moonx.core import clock
from moonx.core.intervals import to_ms

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

# One for all: each new one builds the chain of middleware anew.
CLIENT = Client()

DAY = timedelta(days=1)
DAY_S, DAY_MS = 86_400, 86_400_000


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    remembered.forget()


def get(if_none_match: str = "", **query: Any) -> Any:
    headers = {"If-None-Match": if_none_match} if if_none_match else {}
    spelled = {name.removesuffix("_"): value for name, value in query.items()}
    return CLIENT.get("/api/v1/stats/activity/days", spelled, headers=headers)


def midnight() -> datetime:
    """When today began."""
    return clock.db_now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture
def sealed() -> MadeChain:
    """A chain of the last two whole days and a bit of today, scanned as REI's and sealed."""
    start_s, end_s = round((midnight() - 2 * DAY).timestamp()), round(clock.db_now().timestamp())
    chain, rng = MadeChain(start_s=start_s), random.Random(7)  # noqa: S311
    # A scan that finds more than a day behind itself begins anew near the head.
    for until_s in (start_s + 1_800, *range(start_s + 20 * 3_600, end_s, 20 * 3_600), end_s):
        while chain.head.time_s + 600 < until_s:
            chain.grow(1, rng, every_s=600, people=60)
        seen_at = datetime.fromtimestamp(chain.head.time_s + 1, UTC)
        scanning.scan("rei", chain, now=seen_at, batch=500)
    return chain


def row(day: date, *people: int) -> ActivityDay:
    """A sealed day of REI on which so many were active, each by their number."""
    hashes = sets.of_numbers(sets.distinct(address(number) for number in people))
    sketch = sketches.to_bytes(sketches.of(hashes))
    return ActivityDay(
        chain="rei",
        day=day,
        blocks=10,
        first_block=1,
        last_block=10,
        transactions=len(people),
        gas_used=Decimal(1),
        senders=len(people),
        participants=len(people),
        covered_s=DAY_S,
        senders_sketch=sketch,
        participants_sketch=sketch,
        sealed_at=clock.db_now(),
    )


def test_a_day_that_is_over_is_what_brute_force_says(sealed: MadeChain) -> None:
    assert sealing.seal_days("rei", now=clock.db_now()) >= 1
    found = get(chain="rei").json()
    assert (found["chain"], found["chainId"]) == ("rei", 47_805)
    yesterday = found["days"][-1]
    start_s = round((midnight() - DAY).timestamp())
    blocks = sealed.within(start_s, start_s + DAY_S)
    assert yesterday == {
        "day": (midnight() - DAY).date().isoformat(),
        "time": start_s * 1000,
        "senders": len(senders(blocks)),
        "participants": len(participants(blocks)),
        "transactions": transactions(blocks),
        "coverage": "1",
        "exact": True,
    }


def test_weeks_and_months_are_unions_that_are_called_estimates_with_their_error() -> None:
    monday = date(2026, 10, 12)
    people = {monday: range(300), monday + DAY: range(200, 600), monday - DAY: range(1_000, 1_050)}
    ActivityDay.objects.bulk_create(row(day, *numbers) for day, numbers in people.items())
    end_ms = to_ms(datetime(2026, 10, 20, tzinfo=UTC))
    found = get(chain="rei", from_=end_ms - 30 * DAY_MS, to=end_ms).json()
    assert [one["day"] for one in found["days"]] == ["2026-10-11", "2026-10-12", "2026-10-13"]
    week, month = found["week"], found["month"]
    for span, exact, days, of_days in ((week, 600, 2, 7), (month, 650, 3, 31)):
        assert (span["estimated"], span["error"]) == (True, "0.008125")
        for name in ("senders", "participants"):
            assert not sketches.disagree(exact=exact, estimated=span[name])
        assert (span["days"], span["ofDays"]) == (days, of_days)
    assert 0 < float(month["coverage"]) < float(week["coverage"]) <= 2 / 7
    assert (week["transactions"], month["transactions"]) == (700, 750)
    assert week["from"] == to_ms(datetime(2026, 10, 12, tzinfo=UTC))
    assert week["to"] - week["from"] == 7 * DAY_MS
    assert month["from"] == to_ms(datetime(2026, 10, 1, tzinfo=UTC))
    assert month["to"] == to_ms(datetime(2026, 11, 1, tzinfo=UTC))


def test_a_day_is_told_where_it_begins_in_the_window() -> None:
    ActivityDay.objects.bulk_create(row(date(2026, 10, number), 1) for number in (11, 12, 13))
    start_ms = to_ms(datetime(2026, 10, 12, tzinfo=UTC))
    for shift_from, shift_to, told in ((0, 1, [12]), (1, DAY_MS, []), (0, DAY_MS + 1, [12, 13])):
        found = get(chain="rei", from_=start_ms + shift_from, to=start_ms + shift_to).json()
        assert [one["day"] for one in found["days"]] == [f"2026-10-{day}" for day in told]


def test_where_no_day_is_over_nothing_is_known_which_is_not_nobody() -> None:
    found = get(chain="base").json()
    assert found["days"] == []
    for span in (found["week"], found["month"]):
        assert (span["senders"], span["participants"], span["transactions"]) == (None, None, None)
        assert (span["days"], span["estimated"]) == (0, True)


def test_a_day_that_is_sealed_or_sealed_anew_is_another_answer() -> None:
    yesterday = (midnight() - DAY).date()
    ActivityDay.objects.bulk_create([row(yesterday, 1)])
    first = get(chain="rei")
    assert get(first["ETag"], chain="rei").status_code == 304
    ActivityDay.objects.update(senders=5, sealed_at=clock.db_now())
    changed = get(first["ETag"], chain="rei")
    assert changed.status_code == 200
    assert changed.json()["days"][0]["senders"] == 5
    ActivityDay.objects.bulk_create([row(yesterday - DAY, 1)])
    assert len(get(changed["ETag"], chain="rei").json()["days"]) == 2


@pytest.mark.parametrize(
    ("offsets", "sentence"),
    [
        ({"from": -367 * DAY_MS, "to": 0}, "from: ask for at most 366 days"),
        ({"from": -1_000, "to": -1_000}, "from: must be before to"),
        ({"to": 3_600_000}, "to: lies"),
    ],
)
def test_a_range_that_is_absurd_is_refused(offsets: dict[str, int], sentence: str) -> None:
    now_ms = to_ms(clock.db_now())
    moved: dict[str, Any] = {name: now_ms + offset for name, offset in offsets.items()}
    answer = get(chain="rei", **moved)
    assert answer.status_code == 400
    assert sentence in answer.json()["message"]


def test_who_is_unknown_or_asks_otherwise_is_refused() -> None:
    assert get(chain="luna").status_code == 404
    assert get(from_="x").json()["message"].startswith("from")
    assert CLIENT.post("/api/v1/stats/activity/days").status_code == 405
