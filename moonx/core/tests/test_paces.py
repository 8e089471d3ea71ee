"""How often tasks run, as operators have it."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from moonx.core import paces

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]
TASK = "stats.chain_performance"


def entry(seconds: int) -> PeriodicTask:
    pace = IntervalSchedule.objects.create(every=seconds, period=IntervalSchedule.SECONDS)
    return PeriodicTask.objects.create(name=TASK, task=TASK, interval=pace)


def test_what_has_no_entry_or_none_that_is_on_has_no_pace() -> None:
    assert paces.of(TASK) == timedelta(0)
    row = entry(60)
    row.enabled = False
    row.save()
    paces.forget()
    assert paces.of(TASK) == timedelta(0)


def test_an_edit_shows_when_the_rows_are_read_again() -> None:
    row = entry(60)
    assert paces.of(TASK) == timedelta(minutes=1)
    row.interval = None
    row.crontab = CrontabSchedule.objects.create(minute="*/10", timezone="UTC")
    row.save()
    assert paces.of(TASK) == timedelta(minutes=1)
    paces.forget()
    assert paces.of(TASK) == timedelta(minutes=10)


def test_a_night_without_runs_is_part_of_the_pace() -> None:
    days = CrontabSchedule.objects.create(minute="0", hour="8-20", timezone="UTC")
    row = PeriodicTask.objects.create(name=TASK, task=TASK, crontab=days)
    for hour, until_next in ((19, 1), (20, 12), (8, 1)):
        row.last_run_at = datetime(2026, 11, 26, hour, tzinfo=UTC)
        row.save()
        paces.forget()
        assert paces.of(TASK) == timedelta(hours=until_next)


def test_rows_are_read_once_for_many_questions() -> None:
    entry(60)
    with CaptureQueriesContext(connection) as asked:
        assert {paces.of(TASK) for _ in range(5)} == {timedelta(minutes=1)}
    assert len(asked) == 1
