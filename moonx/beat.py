"""Beat, from the database: installs the table at its start and shows that it still ticks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from moonx import schedule
from moonx.core import heartbeat, logs
from moonx.core.heartbeat import Pulse

log = logs.get("moonx.beat")

TOLERANCE = timedelta(seconds=2)  # of clocks that are corrected while they run


class Scheduler(DatabaseScheduler):
    """The database scheduler, never busy for more than a few seconds between two ticks."""

    sync_every = 10  # seconds between notes of what was sent; Celery's own are 3 minutes apart
    _pulse: Pulse | None = None

    def setup_schedule(self) -> None:
        """Installs the table instead of Celery's own default entries."""
        done = schedule.install()
        log.info("schedule installed", created=done.created, disabled=done.disabled)
        if settings.ENV.moonx_role == "beat":
            self._pulse = heartbeat.start("beat")

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Sends what is due; returns the seconds until the next tick."""
        if self._pulse is not None:
            self._pulse.alive()
        self._follow_clock(now=datetime.now(UTC))
        return super().tick(*args, **kwargs)

    def _follow_clock(self, *, now: datetime) -> None:
        """Counts anew where the clock was set back: nothing would be due until it has caught up."""
        if all(entry.last_run_at <= now + TOLERANCE for entry in self.schedule.values()):
            return
        log.warning("the clock was set back, beat counts from now", now=now.isoformat())
        self.sync()
        PeriodicTask.objects.filter(last_run_at__gt=now).update(last_run_at=now)
        self._initial_read, self._heap = True, None
