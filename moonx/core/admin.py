"""The kernel's rows in the admin: events and their positions, who is alive, circuits."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.timesince import timesince

from moonx.core import clock
from moonx.core.chains.admin import ChainAdmin
from moonx.core.events import Event
from moonx.core.models import Cursor, Heartbeat, OutboxEvent, PublishedEvent
from moonx.core.presence import SILENT_AFTER
from moonx.core.resilience import admin as circuits
from moonx.core.staff import ReadOnlyAdmin, Table, column, link

__all__ = ("ChainAdmin", "circuits", "events_table", "links_of_events")

# An event is published within so much of its commit, but for outages.
PUBLISHED_WITHIN = timedelta(seconds=30)
MOST_MOMENTS = 20
SHOWN = 50

_about: list[Callable[[PublishedEvent], Iterable[str]]] = []


def links_of_events(links: Callable[[PublishedEvent], Iterable[str]]) -> None:
    """Makes an event's page lead to the rows that it is about; each app knows its own."""
    _about.append(links)


def events_table(correlation_id: str, moments: Iterable[datetime]) -> Table:
    """The events of one chain of work that were published right after these moments.

    They are found by time: the table is large, and has no index on what is asked for.
    """
    headers = ("Position", "Name", "Key", "Published")
    more = link("All with this correlation id", "core_publishedevent_changelist", q=correlation_id)
    if not correlation_id:
        return Table(title="Events", headers=headers, rows=(), empty="No correlation id.")
    within = Q()
    for moment in sorted(set(moments))[:MOST_MOMENTS]:
        within |= Q(relayed_at__gte=moment, relayed_at__lte=moment + PUBLISHED_WITHIN)
    rows = PublishedEvent.objects.filter(within, correlation_id=correlation_id)
    return Table(
        title="Events",
        headers=headers,
        rows=[
            (
                link(event.position, "core_publishedevent_change", event.position),
                event.name,
                event.key,
                f"{event.relayed_at:%Y-%m-%d %H:%M:%S.%f}",
            )
            for event in rows.order_by("position")[:SHOWN]
        ],
        empty="None was published near its time.",
        more=more,
    )


def _names(kind: type[Event]) -> set[str]:
    own = {kind.name} if "name" in vars(kind) else set()
    return own.union(*(_names(child) for child in kind.__subclasses__()))


class EventNameFilter(admin.SimpleListFilter):
    """By name: the closed list, which no query has to find out."""

    title = "name"
    parameter_name = "name"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in sorted(_names(Event))]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(name=self.value()) if self.value() else queryset


class AgeFilter(admin.SimpleListFilter):
    """By age; it also spares looking into older days."""

    title = "published within"
    parameter_name = "within"
    SPANS: ClassVar[dict[str, timedelta]] = {
        "10m": timedelta(minutes=10),
        "1h": timedelta(hours=1),
        "1d": timedelta(days=1),
    }

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("10m", "10 minutes"), ("1h", "an hour"), ("1d", "a day")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = self.SPANS.get(self.value() or "")
        return queryset.filter(relayed_at__gte=Now() - span) if span else queryset


@admin.register(PublishedEvent)
class PublishedEventAdmin(ReadOnlyAdmin):
    """What was published, in its order."""

    list_display = ("position", "name", "key", "created_at", "delay", "correlation_id")
    list_filter = (EventNameFilter, AgeFilter)
    search_fields = ("=position", "=key", "=correlation_id")
    search_help_text = "A position, a key such as market:XRPETH, or a correlation id, in full."
    ordering = ("-position",)
    readonly_fields = ("about",)

    @column(description="about")
    def about(self, event: PublishedEvent) -> str:
        """Links to the rows that it is about."""
        found = [(each,) for links in _about for each in links(event)]
        return format_html_join(", ", "{}", found) or "—"

    @column(description="waited")
    def delay(self, event: PublishedEvent) -> str:
        """From the commit's row to the relay's."""
        return f"{(event.relayed_at - event.created_at).total_seconds() * 1000:.0f} ms"


@admin.register(OutboxEvent)
class OutboxEventAdmin(ReadOnlyAdmin):
    """What committed and waits for the relay; empty but for moments."""

    list_display = ("id", "name", "key", "created_at", "correlation_id")
    list_filter = (EventNameFilter,)
    ordering = ("id",)


@admin.register(Cursor)
class CursorAdmin(ReadOnlyAdmin):
    """How far each reader of the published order has come."""

    list_display = ("name", "position", "updated_at")


class StateFilter(admin.SimpleListFilter):
    """Living or silent."""

    title = "state"
    parameter_name = "state"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("living", "living"), ("silent", "silent")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        since = Now() - SILENT_AFTER
        match self.value():
            case "living":
                return queryset.filter(beat_at__gte=since)
            case "silent":
                return queryset.filter(beat_at__lt=since)
        return queryset


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """The processes and when they last reported."""

    list_display = ("role", "host", "pid", "state", "reported", "memory", "uptime")
    list_filter = (StateFilter, "role")
    ordering = ("role", "host")

    @column(label={"living": "success", "silent": "danger"})
    def state(self, row: Heartbeat) -> str:
        """Silent after three missed heartbeats."""
        return "living" if clock.db_now() - row.beat_at <= SILENT_AFTER else "silent"

    @column(description="reported", ordering="beat_at")
    def reported(self, row: Heartbeat) -> str:
        return f"{(clock.db_now() - row.beat_at).total_seconds():.0f} s ago"

    @column(description="memory")
    def memory(self, row: Heartbeat) -> str:
        return f"{row.stats.get('rssBytes', 0) / 2**20:.0f} MiB"

    @column(description="up for", ordering="-started_at")
    def uptime(self, row: Heartbeat) -> str:
        return timesince(row.started_at, clock.db_now())
