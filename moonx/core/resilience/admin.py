"""Circuits in the admin: how they stand, what they did, and the operators' say in it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django import db
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.timesince import timesince
from unfold.enums import ActionVariant

from moonx.core import clock, logs
from moonx.core.resilience import operating
from moonx.core.resilience.circuit import CircuitState
from moonx.core.resilience.models import Circuit, CircuitEvent
from moonx.core.staff import (
    ReadOnlyAdmin,
    ReasonForm,
    Table,
    TablesMixin,
    column,
    leave_dialog,
    link,
    page_of,
    reasoned_button,
)

log = logs.get("moonx.operators")

OPERATE = "core.change_circuit"
SHOWN = 20
LABELS = {"closed": "success", "half open": "warning", "open": "danger", "held open": "danger"}

Operation = Callable[..., bool]


class StateFilter(admin.SimpleListFilter):
    """By state; what an operator holds open is open too."""

    title = "state"
    parameter_name = "state"
    STATES: ClassVar[dict[str, CircuitState]] = {
        "open": CircuitState.OPEN,
        "half-open": CircuitState.HALF_OPEN,
        "closed": CircuitState.CLOSED,
    }

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(name, name.replace("-", " ")) for name in (*self.STATES, "held")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Circuit]) -> QuerySet[Circuit]:
        if self.value() == "held":
            return queryset.filter(is_held=True)
        state = self.STATES.get(self.value() or "")
        return queryset.filter(state=state.value) if state else queryset


@admin.register(Circuit)
class CircuitAdmin(TablesMixin, ReadOnlyAdmin):
    """Every circuit that was ever asked to let a call through; the open ones first."""

    list_display = ("provider", "chain", "kind", "stands", "since_", "next_call", "why", "level")
    list_filter = (StateFilter, "provider", "chain", "kind")
    search_fields = ("provider", "chain")
    ordering = (F("state").desc(), "provider", "chain", "kind")
    fields = (
        ("provider", "chain", "kind"),
        ("stands", "since_", "next_call"),
        ("why", "level", "version"),
    )
    readonly_fields = ("stands", "since_", "next_call", "why")
    actions_detail = ("open", "close", "reset")

    @column(description="state", ordering="state", label=LABELS)
    def stands(self, row: Circuit) -> str:
        if row.is_held:
            return "held open"
        return row.state.replace("_", " ").lower()

    @column(description="for", ordering="since")
    def since_(self, row: Circuit) -> str:
        return timesince(row.since, clock.db_now())

    @column(description="next call")
    def next_call(self, row: Circuit) -> str:
        """When a call is let through to see whether the provider is well again."""
        if row.is_held:
            return "never, until an operator closes it"
        if row.state != CircuitState.OPEN.value:
            return "—"
        left = row.since + timedelta(milliseconds=row.wait_ms) - clock.db_now()
        return f"in {max(0, round(left.total_seconds()))} s"

    @column(description="opened by")
    def why(self, row: Circuit) -> str:
        """The rule that opened it, with what it saw in the minute before."""
        if not row.trip:
            return "—"
        seen = f": {row.failures} of {row.calls} failed, {row.slow} slow" if row.calls else ""
        return f"{row.trip}{seen}"

    def tables(self, row: Circuit) -> Sequence[Table]:
        """The last changes."""
        changes = CircuitEvent.objects.filter(circuit=row).order_by("-id")[:SHOWN]
        return [
            Table(
                title="Changes",
                headers=("Time (UTC)", "From", "To", "Opened by", "Wait", "By", "Reason"),
                rows=[
                    (
                        f"{one.created_at:%Y-%m-%d %H:%M:%S}",
                        *(one.from_state, one.to_state, one.trip or "—"),
                        f"{one.wait_ms / 1000:.0f} s" if one.wait_ms else "—",
                        *(one.by or "the rules", one.reason or "—"),
                    )
                    for one in changes
                ],
                empty="It never changed.",
                more=link("All changes", "core_circuitevent_changelist", circuit__key=row.key),
            )
        ]

    def has_operate_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Who may open, close and reset, although nobody edits a row."""
        return request.user.has_perm(OPERATE)

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> Sequence[Any]:
        """What would change something as the circuit stands."""
        row = self.get_object(request, unquote(str(object_id)))
        if row is None:
            return ()
        needless = {"open"} if row.is_held else set()
        needless |= {"close"} if row.state == CircuitState.CLOSED.value else set()
        found: Sequence[Any] = super().get_actions_detail(request, object_id)
        return [each for each in found if each.path not in needless]

    @reasoned_button(
        "Open",
        path="open",
        permission="operate",
        text="No call is let through, and none probes, until somebody closes or resets it.",
        variant=ActionVariant.DANGER,
    )
    def open(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Keeps all calls away."""
        return self._operate(request, form, object_id, operating.hold_open, "held open")

    @reasoned_button(
        "Close",
        path="close",
        permission="operate",
        text="Calls come back step by step within half a minute. If the provider still fails, it "
        "opens again, for longer.",
    )
    def close(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Lets calls come back."""
        return self._operate(request, form, object_id, operating.close, "closed")

    @reasoned_button(
        "Reset",
        path="reset",
        permission="operate",
        text="All calls are let through at once, and past openings and failures are forgotten.",
    )
    def reset(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Begins anew."""
        return self._operate(request, form, object_id, operating.reset, "reset")

    def _operate(
        self, request: HttpRequest, form: ReasonForm, object_id: str, act: Operation, done: str
    ) -> HttpResponse:
        row = self.get_object(request, unquote(str(object_id)))
        if row is None:
            raise Http404
        by, reason = request.user.get_username(), form.cleaned_data["reason"]
        self._act(request, row, lambda: act(row.target, by=by, reason=reason), done, reason)
        return leave_dialog(request, page_of("core_circuit_change", quote(row.key)))

    def _act(
        self, request: HttpRequest, row: Circuit, act: Callable[[], bool], done: str, reason: str
    ) -> None:
        try:
            has_changed = act()
        except db.Error:
            log.exception("circuit not changed", circuit=row.key)
            text = f"{row} could not be changed: the database is busy. Try again."
            self.message_user(request, text, messages.ERROR)
            return
        if has_changed:
            self.log_change(request, row, f"{done.capitalize()}: {reason}")
            self.message_user(request, f"{row} is {done}.", messages.SUCCESS)
        else:
            self.message_user(request, f"{row} was {done} already.", messages.WARNING)


class ByFilter(admin.SimpleListFilter):
    """Changes by operators, or by the rules."""

    title = "by"
    parameter_name = "by"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("operators", "operators"), ("rules", "the rules")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[CircuitEvent]) -> QuerySet[CircuitEvent]:
        match self.value():
            case "operators":
                return queryset.exclude(by="")
            case "rules":
                return queryset.filter(by="")
        return queryset


@admin.register(CircuitEvent)
class CircuitEventAdmin(ReadOnlyAdmin):
    """What circuits did, the latest first."""

    list_display = (
        *("created_at", "circuit", "from_state", "to_state", "trip", "seen"),
        *("wait", "by_", "reason"),
    )
    list_filter = (ByFilter, "to_state", "trip")
    list_select_related = ("circuit",)
    search_fields = ("circuit__provider", "circuit__chain")
    ordering = ("-id",)

    @column(description="failed, slow")
    def seen(self, row: CircuitEvent) -> str:
        """The calls of the minute before it opened."""
        return f"{row.failures} and {row.slow} of {row.calls}" if row.calls else "—"

    @column(description="wait")
    def wait(self, row: CircuitEvent) -> str:
        return f"{row.wait_ms / 1000:.0f} s" if row.wait_ms else "—"

    @column(description="by")
    def by_(self, row: CircuitEvent) -> str:
        return row.by or "the rules"

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """The link from a circuit to all of its changes."""
        is_allowed: bool = super().lookup_allowed(lookup, value, request)
        return is_allowed or lookup == "circuit__key"
