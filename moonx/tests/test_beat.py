"""Beat itself: what it does when the clock does not do what clocks do."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import PeriodicTask

from moonx import schedule
from moonx.beat import Scheduler
from moonx.celery import app

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def beat() -> Iterator[Scheduler]:
    """Beat with its table as it stands, a moment after everything ran."""
    schedule.install()
    PeriodicTask.objects.update(last_run_at=datetime.now(UTC))
    found = Scheduler(app)
    yield found
    found._finalize.cancel()


def waits_s(beat: Scheduler, task: str) -> float:
    return float(beat.schedule[task].is_due().next)


def test_beat_goes_on_when_the_clock_was_set_back_an_hour(beat: Scheduler) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    for entry in beat.schedule.values():
        entry.last_run_at = entry.model.last_run_at = ahead
    beat._dirty = set(beat.schedule)
    assert waits_s(beat, "exchange.update_tickers") > 3600
    beat.tick()
    assert waits_s(beat, "exchange.update_tickers") <= 5
    assert waits_s(beat, "exchange.close_candles_1m") <= 60
    assert not PeriodicTask.objects.filter(last_run_at__gt=datetime.now(UTC)).exists()


def test_beat_that_starts_after_the_clock_was_set_back_goes_on_too() -> None:
    schedule.install()
    PeriodicTask.objects.update(last_run_at=datetime.now(UTC) + timedelta(hours=1))
    beat = Scheduler(app)
    beat.tick()
    assert waits_s(beat, "exchange.update_tickers") <= 5
    beat._finalize.cancel()


def test_beat_keeps_its_count_while_the_clock_runs_as_it_should(beat: Scheduler) -> None:
    entries = dict(beat.schedule)
    beat.tick()
    assert all(beat.schedule[name] is entry for name, entry in entries.items())
