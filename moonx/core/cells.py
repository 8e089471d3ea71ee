"""Cells that the admin's lists of all apps share: moments, and the dash for what there is not."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from moonx.core.staff import column

NOTHING = "—"


def second(value: datetime | None) -> str:
    """A time to the second, UTC."""
    return NOTHING if value is None else f"{value:%Y-%m-%d %H:%M:%S}"


def millisecond(value: datetime | None) -> str:
    """A time to the millisecond, UTC."""
    return NOTHING if value is None else f"{second(value)}.{value.microsecond // 1000:03}"


def at(
    name: str,
    *,
    title: str = "",
    ordering: str = "",
    show: Callable[[datetime | None], str] = second,
) -> Callable[[Any, Any], str]:
    """The method of an admin that shows a moment of its row."""

    @column(description=title or name.removesuffix("_at").replace("_", " "), ordering=ordering)
    def cell(_admin: Any, row: Any) -> str:
        return show(getattr(row, name))

    return cell
