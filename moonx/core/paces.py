"""How often periodic tasks run, by the rows of beat, which operators edit."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from celery.schedules import crontab
from django_celery_beat.models import PeriodicTask

CRON_FIELDS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
REMEMBERED_S = 10.0


@dataclass(frozen=True, slots=True)
class _Read:
    period: timedelta
    at_s: float


_read: dict[str, _Read] = {}


def of(task: str) -> timedelta:
    """How long after a task's last run its next one is due; 0 where nobody runs it.

    So the night counts where a calendar has only days. Read every ten seconds at most: an edit
    shows no later. Raises django.db.Error.
    """
    now_s = time.monotonic()
    known = _read.get(task)
    if known is None or now_s - known.at_s > REMEMBERED_S:
        rows = PeriodicTask.objects.filter(name=task, enabled=True)
        row = rows.select_related("interval", "crontab").first()
        known = _read[task] = _Read(_due_after(row) if row else timedelta(0), now_s)
    return known.period


def forget() -> None:
    """Reads all anew: for tests, whose rows go again."""
    _read.clear()


def _due_after(row: PeriodicTask) -> timedelta:
    last: datetime | None = row.last_run_at
    if row.crontab is None or last is None:
        return period_of(row)
    return next_moment(_fields(row), last) - last


def period_of(row: PeriodicTask, *, now: datetime | None = None) -> timedelta:
    """How long a row's runs lie apart: the gap between its next two."""
    if row.interval is not None:
        every: timedelta = row.schedule.run_every
        return every
    if row.crontab is None:
        return timedelta(0)
    fields = _fields(row)
    first = next_moment(fields, now or datetime.now(UTC))
    return next_moment(fields, first) - first


def _fields(row: PeriodicTask) -> dict[str, str]:
    return {name: getattr(row.crontab, name) for name in CRON_FIELDS}


def next_moment(fields: dict[str, str], after: datetime) -> datetime:
    """The first moment of the calendar that these cron fields describe after another, UTC."""
    calendar = crontab(**fields, nowfun=lambda: after)
    return after + calendar.remaining_estimate(after)
