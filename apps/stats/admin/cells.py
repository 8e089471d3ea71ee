"""Cells of the lists of statistics: durations, numbers, verdicts."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.utils.timesince import timesince

from moonx.core import clock
from moonx.core.cells import NOTHING
from moonx.core.staff import column

VERDICTS = {
    "healthy": "success",
    "degraded": "warning",
    "unhealthy": "danger",
    "unknown": "info",
}


def ago(value: datetime | None, *, now: datetime | None = None) -> str:
    """How long ago a moment was, in words."""
    return "never" if value is None else f"{timesince(value, now or clock.db_now())} ago"


def lasting(name: str, *, title: str, ordering: str = "") -> Callable[[Any, Any], str]:
    """The method of an admin that shows a duration of its row, which is kept in ms."""

    @column(description=title, ordering=ordering)
    def cell(_admin: Any, row: Any) -> str:
        value = getattr(row, name)
        return NOTHING if value is None else f"{value:,} ms"

    return cell


def number(name: str, *, title: str = "") -> Callable[[Any, Any], str]:
    """The method of an admin that shows a number of its row."""

    @column(description=title or name.replace("_", " "), ordering=name)
    def cell(_admin: Any, row: Any) -> str:
        value = getattr(row, name)
        return NOTHING if value is None else f"{value:,}"

    return cell


def verdict(name: str = "verdict") -> Callable[[Any, Any], str]:
    """The method of an admin that shows the verdict of its row as a label."""

    @column(description="verdict", label=VERDICTS, ordering=name)
    def cell(_admin: Any, row: Any) -> str:
        return str(getattr(row, name) or "unknown")

    return cell
