"""Statistics on the admin's first page: circuits, chains, bridges, scans, collectors."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils.timesince import timesince
from django_celery_beat.models import PeriodicTask

from apps.stats import freshness, publishing
from apps.stats.admin.collectors import state_of
from apps.stats.bridges import corridors
from apps.stats.bridges.telling import is_told_gone
from apps.stats.freshness import Kind
from apps.stats.models import ActivityCursor, Collector
from apps.stats.vocabulary import Verdict
from moonx.admin.cards import Card, listed, named
from moonx.core import paces
from moonx.core.chains import registry
from moonx.core.resilience.circuit import CircuitState
from moonx.core.resilience.models import Circuit
from moonx.core.staff import link

# A scan is due every 15 s: after so many that brought nothing it is late.
SCAN_LATE_AFTER = timedelta(minutes=1)
BEAT = "django_celery_beat_periodictask"


def cards(*, now: datetime) -> list[Card]:
    """The questions about statistics, in the order of their urgency."""
    return [
        _circuits(),
        _chains(now=now),
        _bridges(now=now),
        _scans(now=now),
    ]


def _circuits() -> Card:
    rows = Circuit.objects.exclude(state=CircuitState.CLOSED)
    return Card(
        title="Open circuits",
        figure=str(len(rows)),
        sentence=named(map(str, rows)) or "Every provider is asked.",
        link=listed("core_circuit", "state=open" if rows else ""),
        is_fine=not rows,
    )


def _chains(*, now: datetime) -> Card:
    """Chains that are on and do not do well, or of which that is not known."""
    rows, after = publishing.newest("chain:"), freshness.after(Kind.CHAINS)
    shown = {
        chain.slug: freshness.verdict(row.payload, now=now, after=after) if row else None
        for chain in registry.enabled()
        for row in [rows.get(f"chain:{chain.slug}")]
    }
    return _unwell("chain", shown, fine="Every chain that is on does.", idle="No chain is on.")


def _bridges(*, now: datetime) -> Card:
    """Bridges that are watched and do not do well, or of which that is not known."""
    after = freshness.after(Kind.BRIDGES)
    shown = {
        subject.removeprefix("bridge:"): freshness.verdict(row.payload, now=now, after=after)
        for subject, row in sorted(publishing.newest("bridge:").items())
        if not is_told_gone(row)
    }
    idle = "" if corridors.watched() else "No bridge is watched."
    return _unwell("bridge", shown, fine="Every bridge quotes.", idle=idle)


def _unwell(kind: str, shown: Mapping[str, Verdict | None], *, fine: str, idle: str) -> Card:
    """How many are neither healthy nor degraded; those of which nothing is known are told apart.

    None is the verdict of what nobody looked at yet. `idle` says why there is nothing to look at;
    "" where there is.
    """
    ill = [name for name, verdict in shown.items() if verdict is Verdict.UNHEALTHY]
    unknown = [name for name, verdict in shown.items() if verdict is Verdict.UNKNOWN]
    unseen = [name for name, verdict in shown.items() if verdict is None]
    parts = [
        named(ill),
        f"{len(unknown)} unknown: {named(unknown)}" if unknown else "",
        f"not looked at yet: {named(unseen)}" if unseen else "",
    ]
    missing = [*ill, *unknown, *unseen]
    nothing_wrong = fine if shown else idle or "Not looked at yet."
    return Card(
        title=f"Unhealthy {kind}s",
        figure=str(len(missing)),
        sentence="; ".join(filter(None, parts)) or nothing_wrong,
        link=listed("stats_published", f"kind={kind}" + ("&verdict=unhealthy" if ill else "")),
        is_fine=bool(shown or idle) and not missing,
    )


def _scans(*, now: datetime) -> Card:
    """Scans of chains that are on and did not get through for a while, or ever."""
    slugs = [chain.slug for chain in registry.enabled()]
    fresh = Q(updated_at__gte=now - SCAN_LATE_AFTER)
    known = set(ActivityCursor.objects.filter(fresh, pk__in=slugs).values_list("pk", flat=True))
    late = [slug for slug in slugs if slug not in known]
    return Card(
        title="Late activity scan",
        figure=str(len(late)),
        sentence=named(late) or "Every chain that is on is scanned.",
        link=listed("stats_activitycursor"),
        is_fine=not late,
    )


def collectors(*, now: datetime) -> dict[str, Any]:
    """Each collector by whom it asks: how it fares, and where to run it now."""
    rows = list(Collector.objects.all())
    entries = _entries(row.name for row in rows)
    return {
        "headers": [
            *("Collector", "Provider", "State", "Last success", "Last failure", "Late by"),
            "Schedule",
        ],
        "rows": [
            [
                row.name,
                row.provider,
                state_of(row),
                _ago(row.last_success_at, now=now),
                f"{row.last_fault}, {_ago(row.last_failure_at, now=now)}"
                if row.last_failure_at
                else "—",
                _late(row, entries.get(row.name), now=now),
                _run_now(entries.get(row.name)),
            ]
            for row in rows
        ],
    }


def _entries(names: Iterable[str]) -> dict[str, PeriodicTask]:
    rows = PeriodicTask.objects.filter(name__in=set(names)).select_related("interval", "crontab")
    return {row.name: row for row in rows}


def _late(row: Collector, entry: PeriodicTask | None, *, now: datetime) -> str:
    """By how much its next success is overdue, by the schedule as it is."""
    if entry is None or not entry.enabled:
        return "off"
    if row.last_success_at is None:
        return "never had any"
    overdue = now - row.last_success_at - paces.period_of(entry, now=now)
    return f"{overdue.total_seconds():.0f} s" if overdue > timedelta(0) else "—"


def _run_now(entry: PeriodicTask | None) -> str:
    if entry is None:
        return "—"
    return link("Run now", f"{BEAT}_run_one", entry.pk)


def _ago(moment: datetime | None, *, now: datetime) -> str:
    return f"{timesince(moment, now)} ago" if moment else "never"
