"""What the pages of the admin share: rows that are only read, tables of what stands behind them,
links, counts that cost nothing, and buttons that ask for a reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from django import forms
from django.contrib.admin.utils import unquote
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

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


class ReasonForm(BaseDialogForm):
    """Asks why, for whoever reads the history later."""

    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the history of this row.",
    )


def reasoned_button(
    title: str,
    *,
    path: str,
    permission: str,
    text: str,
    form: type[ReasonForm] = ReasonForm,
    variant: ActionVariant = ActionVariant.DEFAULT,
) -> Callable[[Button], Button]:
    """A method `(request, form, object_id)` as a button that acts only once a reason is given.

    It shows to those whom the admin's `has_<permission>_permission` lets, and answers 403 to all
    others.
    """
    return cast(
        "Callable[[Button], Button]",
        action(
            description=title,
            url_path=path,
            permissions=[permission],
            variant=variant,
            dialog={
                "title": title,
                "description": text,
                "form_class": form,
                "form_submit_text": title,
            },
        ),
    )


def leave_dialog(request: HttpRequest, address: str) -> HttpResponse:
    """Where the browser goes after a dialog: htmx would put a redirect's page into the dialog."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": address})
    return redirect(address)


def page_of(view: str, *args: Any, **query: Any) -> str:
    """The address of a page of the admin, such as `exchange_order_change`."""
    address = reverse(f"admin:{view}", args=args)
    return f"{address}?{urlencode(query)}" if query else address


def link(text: Any, view: str, *args: Any, **query: Any) -> str:
    """`text` as a link to a page of the admin."""
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500 hover:underline" href="{}">{}</a>',
        page_of(view, *args, **query),
        text,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows behind a row, below its page; `more` is a line under it, such as a link to all."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str = "None."
    more: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """As the table component takes it."""
        return {"headers": self.headers, "rows": self.rows}


class TablesMixin(ModelAdmin):
    """A page with tables below its fields."""

    change_form_outer_after_template = "core/tables.html"

    def tables(self, row: Any) -> Sequence[Table]:
        """What stands behind the row."""
        raise NotImplementedError

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        tables = self.tables(row) if row is not None else ()
        answer: HttpResponse = super().change_view(
            request, object_id, form_url, {**(extra_context or {}), "tables": tables}
        )
        return answer


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


class SteppedSearch(ModelAdmin):
    """A search that tries one field after the other, in full, and stops at the first that is found:
    each step is a look-up in an index, which all of them at once would not be."""

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        for field in self.get_search_fields(request):
            try:
                found = queryset.filter(**{field: term})
            except ValueError:  # no number
                continue
            if found.exists():
                return found, False
        return queryset.none(), False


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
