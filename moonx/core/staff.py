"""What the pages of the admin share: rows that are only read, and counts that cost nothing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin
from unfold.decorators import action, display

COUNTED_AT_MOST = 10_000

Cell = TypeVar("Cell", bound=Callable[..., Any])
Button = TypeVar("Button", bound=Callable[..., Any])


def column(
    *, description: str = "", ordering: str = "", label: Mapping[Any, str] | None = None
) -> Callable[[Cell], Cell]:
    """A method as a column: its title, what it sorts by, its values as coloured labels."""
    return cast(
        "Callable[[Cell], Cell]",
        display(description=description or None, ordering=ordering or None, label=label),
    )


def button(title: str, *, path: str) -> Callable[[Button], Button]:
    """A method as a button on a row and on its page, for those who may change the row."""
    return cast(
        "Callable[[Button], Button]",
        action(description=title, url_path=path, permissions=["change"]),
    )


class CheapPaginator(Paginator):  # type: ignore[type-arg]
    """Pages over tables of any size: the whole table's count is PostgreSQL's estimate.

    A filtered list is counted up to 10,000 rows; whoever needs more narrows the filter.
    """

    @cached_property
    def count(self) -> int:
        """An estimate, or an exact number up to 10,000."""
        rows: Any = self.object_list
        if not rows.query.where and (estimate := _estimate(rows.model)) > COUNTED_AT_MOST:
            return estimate
        return int(rows.order_by()[:COUNTED_AT_MOST].count())


def _estimate(model: type[Model]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_class c "
            "WHERE c.oid = %s::regclass OR c.oid IN "
            "(SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass)",
            [model._meta.db_table] * 2,
        )
        row = cursor.fetchone()
    return int(row[0])


class ReadOnlyAdmin(ModelAdmin):
    """Rows that the system writes: nobody adds, changes or deletes them by hand."""

    show_full_result_count = False
    paginator = CheapPaginator
    list_per_page = 50
    list_fullwidth = True
    actions: Sequence[str] | None = None

    def has_add_permission(self, *_args: Any, **_options: Any) -> bool:
        return False

    def has_change_permission(self, *_args: Any, **_options: Any) -> bool:
        return False

    def has_delete_permission(self, *_args: Any, **_options: Any) -> bool:
        return False
