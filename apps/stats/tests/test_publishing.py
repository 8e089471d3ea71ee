"""Samples are kept and told: once, in order, with their number."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, connections

from apps.stats import publishing
from apps.stats.changes import DeadBand
from apps.stats.models import Published
from apps.stats.publishing import News
from moonx.core.events import StatsOverviewUpdated
from moonx.core.models import OutboxEvent

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
BANDS = {"active24h": DeadBand(relative=Decimal("0.1"))}


def news(*, healthy: int = 1, active: int | None = 100, at: datetime = NOW) -> News:
    event = StatsOverviewUpdated(
        seq=0,
        heartbeat=False,
        as_of=at,
        chains={"healthy": healthy},
        bridges={},
        active24h=active,
        volume24h=None,
        tvl=None,
        simulated=False,
        simulated_bridges=False,
    )
    return News(subject="overview", event=event, bands=BANDS)


def told() -> list[dict[str, Any]]:
    return [event.payload for event in OutboxEvent.objects.order_by("id")]


@pytest.mark.django_db
def test_the_first_sample_is_kept_and_told_under_number_one() -> None:
    (event,) = publishing.publish([news()], now=NOW)
    assert event.seq == 1
    row = Published.objects.get()
    assert row.payload == row.told == told()[0]
    assert (row.seq, row.as_of, row.published_at) == (1, NOW, NOW)


@pytest.mark.django_db
def test_a_sample_that_is_no_news_is_kept_but_not_told() -> None:
    publishing.publish([news()], now=NOW)
    later = NOW + timedelta(minutes=1)
    assert publishing.publish([news(active=105, at=later)], now=later) == []
    row = Published.objects.get()
    assert (row.payload["active24h"], row.told["active24h"]) == (105, 100)
    assert (row.payload["seq"], row.as_of, row.published_at) == (1, later, NOW)
    assert len(told()) == 1


@pytest.mark.django_db
def test_a_change_is_measured_from_what_was_told() -> None:
    for minute, active in enumerate((100, 106, 112)):
        at = NOW + timedelta(minutes=minute)
        publishing.publish([news(active=active, at=at)], now=at)
    assert [(one["seq"], one["active24h"]) for one in told()] == [(1, 100), (2, 112)]


@pytest.mark.django_db
def test_a_heartbeat_says_that_it_is_one() -> None:
    publishing.publish([news()], now=NOW)
    at = NOW + timedelta(minutes=5)
    publishing.publish([news(at=at)], now=at)
    assert [(one["seq"], one["heartbeat"]) for one in told()] == [(1, False), (2, True)]


@pytest.mark.django_db
@pytest.mark.parametrize("age_s", [0, 60])
def test_a_sample_that_is_not_newer_is_left_out(age_s: int) -> None:
    publishing.publish([news()], now=NOW)
    assert publishing.publish([news(healthy=7, at=NOW - timedelta(seconds=age_s))], now=NOW) == []
    assert Published.objects.get().payload["chains"] == {"healthy": 1}
    assert len(told()) == 1


@pytest.mark.django_db
def test_any_number_of_subjects_takes_as_many_statements_as_one() -> None:
    def statements(count: int) -> int:
        many = [News(subject=f"{count}:{n}", event=news().event, bands=BANDS) for n in range(count)]
        connection.force_debug_cursor = True
        before = len(connection.queries_log)
        publishing.publish(many, now=NOW)
        connection.force_debug_cursor = False
        return len(connection.queries_log) - before

    assert statements(40) == statements(1)


def test_of_all_who_tell_one_change_at_once_one_tells_it(committed_db: None) -> None:
    def tell(n: int) -> int:
        try:
            at = NOW + timedelta(milliseconds=n)
            return len(publishing.publish([news(healthy=5, at=at)], now=at))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(tell, range(40))) == 1
    assert [one["seq"] for one in told()] == [1]


def test_changes_of_many_writers_are_numbered_without_gap_or_repeat(committed_db: None) -> None:
    def tell(n: int) -> None:
        try:
            at = NOW + timedelta(milliseconds=n)
            publishing.publish([news(healthy=n, at=at)], now=at)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(40)))
    numbers = [one["seq"] for one in told()]
    assert numbers == list(range(1, len(numbers) + 1))
    moments = [one["asOf"] for one in told()]
    assert moments == sorted(moments)
