"""How each collector fares, by whom it asks."""

from django.contrib import admin

from apps.stats.admin.cells import ago, lasting, number
from apps.stats.models import Collector
from moonx.core.cells import NOTHING
from moonx.core.staff import ReadOnlyAdmin, column, link


@admin.register(Collector)
class CollectorAdmin(ReadOnlyAdmin):
    """Collectors and providers: when all went well last, and when not."""

    list_display = (
        *("name", "provider", "state", "success", "failure", "last_fault", "duration", "late"),
        *("good", "bad", "schedule"),
    )
    list_filter = ("name", "provider")
    ordering = ("name", "provider")

    duration = lasting("last_duration_ms", title="took", ordering="last_duration_ms")
    late = lasting("last_late_ms", title="late by", ordering="last_late_ms")
    good, bad = number("successes"), number("failures")

    @column(description="state", label={"fine": "success", "failing": "danger", "new": "info"})
    def state(self, row: Collector) -> str:
        """Failing while the last that came of it was a failure."""
        return state_of(row)

    @column(description="last success", ordering="last_success_at")
    def success(self, row: Collector) -> str:
        return ago(row.last_success_at)

    @column(description="last failure", ordering="last_failure_at")
    def failure(self, row: Collector) -> str:
        return ago(row.last_failure_at) if row.last_failure_at else NOTHING

    @column(description="schedule")
    def schedule(self, row: Collector) -> str:
        return link("run now or change", "django_celery_beat_periodictask_changelist", q=row.name)


def state_of(row: Collector) -> str:
    """`failing` after a run of which nothing came, `fine` after another."""
    if row.last_success_at is None:
        return "failing" if row.last_failure_at else "new"
    is_worse = row.last_failure_at is not None and row.last_failure_at > row.last_success_at
    return "failing" if is_worse else "fine"
