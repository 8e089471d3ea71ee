"""The schedule in the admin: when each known task runs, and a way to run it now."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django_celery_beat import admin as _beat_admin
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
    SolarSchedule,
)
from kombu.exceptions import OperationalError
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget

from moonx import schedule
from moonx.celery import app
from moonx.core import paces
from moonx.core.staff import button, column
from moonx.settings.env import QUEUES

assert _beat_admin  # noqa: S101 - imported for its registrations, which are replaced here

for _model in (PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)

# A run asked for by hand waits at most this long for a worker.
LONGEST_WAIT_S = 300


class EntryForm(forms.ModelForm):  # type: ignore[type-arg]
    """An entry for one of the known tasks; it expires within its period."""

    task = forms.ChoiceField(
        choices=[(name, name) for name in schedule.known_tasks()],
        widget=UnfoldAdminSelectWidget,
        help_text="Only tasks of the schedule can be run.",
    )
    queue = forms.ChoiceField(
        choices=[(name, name) for name in QUEUES],
        widget=UnfoldAdminSelectWidget,
        help_text="A worker must serve it.",
    )

    class Meta:
        model = PeriodicTask
        fields = ("name", "task", "queue", "enabled", "interval", "crontab", "description")
        labels: ClassVar[dict[str, str]] = {"interval": "Interval", "crontab": "Calendar"}
        help_texts: ClassVar[dict[str, str]] = {
            "name": "How the admin and the logs call it.",
            "enabled": "Off: beat does not send it.",
            "interval": "Either this…",
            "crontab": "…or this. All calendars should be UTC.",
            "description": "Why it differs from the default, for whoever comes next.",
        }

    def clean(self) -> dict[str, Any]:
        """Refuses what is not a known task, and anything but exactly one schedule."""
        data = super().clean() or {}
        if data.get("task") and data["task"] not in schedule.known_tasks():
            raise ValidationError({"task": f"{data['task']} is not a task of the schedule."})
        if bool(data.get("interval")) == bool(data.get("crontab")):
            raise ValidationError("Choose an interval or a calendar, one of the two.")
        return data


class StateFilter(admin.SimpleListFilter):
    """On time or late."""

    title = "state"
    parameter_name = "state"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("late", "late"), ("off", "off")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[PeriodicTask]) -> QuerySet[PeriodicTask]:
        match self.value():
            case "late":
                return queryset.filter(pk__in=[row.pk for row in schedule.overdue()])
            case "off":
                return queryset.filter(enabled=False)
        return queryset


@admin.register(PeriodicTask)
class EntryAdmin(ModelAdmin):
    """The entries of beat. Saving one takes effect within five seconds."""

    form = EntryForm
    list_display = ("name", "state", "runs", "default", "queue_", "last_sent", "times")
    list_filter = (StateFilter, "queue")
    list_select_related = ("interval", "crontab")
    list_fullwidth = True
    search_fields = ("name", "task")
    ordering = ("name",)
    actions = ("run_selected", "enable", "disable")
    actions_row = ("run_one",)
    actions_detail = ("run_one",)
    readonly_fields = ("last_run_at", "total_run_count", "expire_seconds")
    fieldsets = (
        (None, {"fields": ("name", "task", "queue", "enabled", "description")}),
        ("When", {"fields": ("interval", "crontab")}),
        ("Seen", {"fields": ("last_run_at", "total_run_count", "expire_seconds")}),
    )

    def save_model(self, request: HttpRequest, obj: PeriodicTask, form: Any, change: bool) -> None:
        """A message never outlives its period: the next one does the same work."""
        obj.expire_seconds = _expiry_s(obj)
        super().save_model(request, obj, form, change)

    @column(label={"on time": "success", "late": "danger", "off": "warning"})
    def state(self, row: PeriodicTask) -> str:
        if not row.enabled:
            return "off"
        return "late" if schedule.is_overdue(row) else "on time"

    @column(description="runs")
    def runs(self, row: PeriodicTask) -> str:
        return schedule.describe(row)

    @column(description="by default")
    def default(self, row: PeriodicTask) -> str:
        try:
            return str(schedule.find(row.task).when)
        except KeyError:
            return "—"

    @column(description="queue", ordering="queue")
    def queue_(self, row: PeriodicTask) -> str:
        return row.queue or "—"

    @column(description="last sent", ordering="last_run_at")
    def last_sent(self, row: PeriodicTask) -> str:
        return f"{row.last_run_at:%Y-%m-%d %H:%M:%S}" if row.last_run_at else "—"

    @column(description="times", ordering="total_run_count")
    def times(self, row: PeriodicTask) -> int:
        return int(row.total_run_count)

    @admin.action(description="Run now", permissions=["change"])
    def run_selected(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Sends each selected task once."""
        self._send(request, queryset)

    @button("Run now", path="run-now")
    def run_one(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Sends the task once."""
        self._send(request, PeriodicTask.objects.filter(pk=object_id))
        return redirect(
            request.headers.get("Referer")
            or reverse("admin:django_celery_beat_periodictask_changelist")
        )

    def _send(self, request: HttpRequest, rows: Iterable[PeriodicTask]) -> None:
        for row in rows:
            try:
                waits_s = send_now(row)
            except UnknownTask as error:
                self.message_user(request, str(error), messages.ERROR)
            except OperationalError:
                self.message_user(
                    request, f"{row.name} was not sent: the broker does not answer.", messages.ERROR
                )
            else:
                self.log_change(request, row, "Run now.")
                self.message_user(
                    request,
                    f"{row.name} was sent once to queue {row.queue}. It is dropped if no worker "
                    f"takes it within {waits_s} s.",
                    messages.SUCCESS,
                )

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Lets beat send them again."""
        known = queryset.filter(task__in=schedule.known_tasks())
        count = known.update(enabled=True)
        PeriodicTasks.update_changed()
        self.message_user(request, f"{count} enabled.", messages.SUCCESS)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Stops beat from sending them."""
        count = queryset.update(enabled=False)
        PeriodicTasks.update_changed()
        self.message_user(request, f"{count} disabled.", messages.SUCCESS)


class UnknownTask(Exception):
    """A row that names a task which the schedule does not know. Permanent."""


def send_now(row: PeriodicTask) -> int:
    """Sends the row's task once; returns for how many seconds the message is good.

    Raises UnknownTask, and kombu's OperationalError where the broker does not answer.
    """
    if row.task not in schedule.known_tasks():
        raise UnknownTask(f"{row.task} is not a task of the schedule and was not sent.")
    app.loader.import_default_modules()
    waits_s = min(_expiry_s(row), LONGEST_WAIT_S)
    app.tasks[row.task].apply_async(queue=row.queue, expires=waits_s, retry=False)
    return waits_s


def _expiry_s(row: PeriodicTask) -> int:
    return max(1, int(paces.period_of(row) / timedelta(seconds=1)))


@admin.register(IntervalSchedule)
class IntervalAdmin(ModelAdmin):
    """Paces that entries can use."""

    list_display = ("__str__", "every", "period")


@admin.register(CrontabSchedule)
class CalendarAdmin(ModelAdmin):
    """Calendars that entries can use."""

    list_display = (
        *("human_readable", "minute", "hour", "day_of_month", "month_of_year"),
        *("day_of_week", "timezone"),
    )
    readonly_fields = ("human_readable",)
