"""Orders in the admin: what became of them, and an operator's way to end one."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.enums import ActionVariant
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.exchange import orders
from apps.exchange.admin.cells import (
    SIDES,
    account_link,
    amount,
    at,
    plain,
    trade_links,
    word,
)
from apps.exchange.models import OPEN, Fill, Order, OrderStatus, Reason, Stage
from apps.exchange.orders import UnknownOrder
from moonx.core import logs
from moonx.core.admin import events_table
from moonx.core.cells import NOTHING, millisecond
from moonx.core.locks import LockBusy
from moonx.core.staff import (
    ReadOnlyAdmin,
    ReasonForm,
    SteppedSearch,
    Table,
    TablesMixin,
    column,
    leave_dialog,
    link,
    page_of,
    reasoned_button,
)

log = logs.get("moonx.operators")

SHOWN_FILLS = 100
CHANGE = "exchange.change_order"
STATUSES = {
    OrderStatus.NEW: "info",
    OrderStatus.PARTIALLY_FILLED: "info",
    OrderStatus.FILLED: "success",
    OrderStatus.CANCELED: "warning",
    OrderStatus.EXPIRED: "warning",
    OrderStatus.EXPIRED_IN_MATCH: "warning",
    OrderStatus.REJECTED: "danger",
}


class OpenFilter(admin.SimpleListFilter):
    """Open orders, which an index of their own finds, or those that are done."""

    title = "open"
    parameter_name = "open"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("yes", "open"), ("no", "done")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        match self.value():
            case "yes":
                return queryset.filter(OPEN)
            case "no":
                return queryset.filter(~OPEN)
        return queryset


class ReasonedActionForm(ActionForm):
    """What to do with the selected rows, and why."""

    reason = forms.CharField(
        required=False,
        max_length=500,
        label="",
        widget=UnfoldAdminTextInputWidget(
            attrs={"placeholder": "Reason", "aria-label": "Reason", "x-show": "action"}
        ),
    )


@admin.register(Order)
class OrderAdmin(TablesMixin, SteppedSearch, ReadOnlyAdmin):
    """Every order, newest first."""

    list_display = (
        *("id", "market", "owner", "side_", "type_", "price_", "quantity_", "filled"),
        *("status_", "reason_", "created"),
    )
    list_filter = (
        OpenFilter,
        ("market", AutocompleteSelectFilter),
        ("owner", AutocompleteSelectFilter),
        *("status", "side", "type", "time_in_force"),
    )
    list_filter_submit = True
    list_select_related = ("market", "owner")
    list_disable_select_all = True
    search_fields = ("pk", "client_order_id", "owner__username")
    search_help_text = "An order's number, a client order id or an owner's name, in full."
    ordering = ("-id",)
    actions = ("cancel_selected",)
    action_form = ReasonedActionForm
    actions_detail = ("cancel", "expire")
    readonly_fields = ("trader", "base", "quote")
    fieldsets = (
        (None, {"fields": (("market", "trader"), ("status_", "reason_"))}),
        (
            "What was asked for",
            {
                "fields": (
                    ("side_", "type_"),
                    ("price_", "quantity_"),
                    ("stop_price_", "quote_order_quantity_"),
                    ("lasts", "ends"),
                    ("self_trade_", "client_order_id"),
                )
            },
        ),
        (
            "What became of it",
            {
                "fields": (
                    ("filled", "filled_quote_"),
                    ("prevented_quantity_", "taken_quote_"),
                    ("fee_", "rates"),
                    ("hold_", "held_"),
                    ("base", "quote"),
                )
            },
        ),
        ("When", {"fields": (("created", "updated"), ("working", "correlation_id"))}),
    )

    price_, stop_price_ = amount("price"), amount("stop_price")
    quantity_, prevented_quantity_ = amount("quantity"), amount("prevented_quantity")
    quote_order_quantity_ = amount("quote_order_quantity")
    filled = amount("filled_quantity", title="filled")
    filled_quote_, taken_quote_ = amount("filled_quote"), amount("taken_quote")
    fee_ = amount("fee")
    hold_ = amount("hold", title="held at first")
    held_ = amount("held", title="held now")
    created = at("created_at")
    working, updated = at("working_at", title="in the book since"), at("updated_at")
    ends = at("expires_at", title="good till")

    @column(description="side", label=SIDES)
    def side_(self, order: Order) -> str:
        return order.side

    @column(description="status", label=STATUSES)
    def status_(self, order: Order) -> str:
        return order.status

    type_, lasts = word("type"), word("time_in_force", title="time in force")
    reason_, self_trade_ = word("reason"), word("self_trade")

    @column(description="maker and taker fee")
    def rates(self, order: Order) -> str:
        return f"{plain(order.maker_fee_bps)} and {plain(order.taker_fee_bps)} bps"

    @column(description="owner")
    def trader(self, order: Order) -> str:
        return link(order.owner, "auth_user_change", order.owner_id)

    @column(description="base account")
    def base(self, order: Order) -> str:
        return account_link(order.base_account)

    @column(description="quote account")
    def quote(self, order: Order) -> str:
        return account_link(order.quote_account)

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> Sequence[Any]:
        """Only what is open can be ended."""
        order = self.get_object(request, str(object_id))
        if order is None or order.stage == Stage.DONE:
            return ()
        found: Sequence[Any] = super().get_actions_detail(request, object_id)
        return found

    def tables(self, row: Order) -> Sequence[Table]:
        """Its fills, each with its trade and journal, and its events."""
        fills = list(Fill.objects.filter(order=row).order_by("seq")[:SHOWN_FILLS])
        moments = [row.created_at, row.updated_at, *(fill.executed_at for fill in fills)]
        return [_fills(row, fills), events_table(row.correlation_id, moments)]

    @reasoned_button(
        "Cancel order",
        path="cancel",
        permission="end",
        text="It leaves the book, and what it holds is free again. The owner is told.",
        variant=ActionVariant.DANGER,
    )
    def cancel(self, request: HttpRequest, form: ReasonForm, object_id: int) -> HttpResponse:
        """Ends one order as canceled."""
        return self._end_one(request, form, object_id, _cancel, "Canceled")

    @reasoned_button(
        "Expire now",
        path="expire",
        permission="end",
        text="It ends as if its time were over, and what it holds is free again.",
    )
    def expire(self, request: HttpRequest, form: ReasonForm, object_id: int) -> HttpResponse:
        """Ends one order as expired."""
        return self._end_one(request, form, object_id, orders.expire_now, "Expired")

    @admin.action(description="Cancel the selected orders", permissions=["end"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        """Ends several orders; those that ended meanwhile are named."""
        reason = request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, "Say why: nothing was canceled.", messages.ERROR)
            return
        ended = [self._end(request, order, reason, _cancel, "Canceled") for order in queryset]
        self.message_user(request, f"{sum(ended)} canceled.", messages.SUCCESS)

    def has_end_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Who may end orders, although nobody edits one."""
        return request.user.has_perm(CHANGE)

    def _end_one(
        self,
        request: HttpRequest,
        form: ReasonForm,
        object_id: int,
        end: Callable[[Order], Order],
        done: str,
    ) -> HttpResponse:
        order = self.get_object(request, str(object_id))
        if order is not None:
            reason = form.cleaned_data["reason"]
            if self._end(request, order, reason, end, done):
                self.message_user(request, f"{done} order {order.pk}.", messages.SUCCESS)
        return leave_dialog(request, page_of("exchange_order_change", object_id))

    def _end(
        self,
        request: HttpRequest,
        order: Order,
        reason: str,
        end: Callable[[Order], Order],
        done: str,
    ) -> bool:
        """Whether it was ended now."""
        try:
            end(order)
        except UnknownOrder:
            text = f"Order {order.pk} is not open any more."
            self.message_user(request, text, messages.WARNING)
            return False
        except LockBusy:
            text = f"{order.market} is busy: order {order.pk} was left as it is. Try again."
            self.message_user(request, text, messages.ERROR)
            return False
        self.log_change(request, order, f"{done}: {reason}")
        by = request.user.get_username()
        log.warning("an operator ended an order", order=order.pk, how=done, reason=reason, by=by)
        return True


def _cancel(order: Order) -> Order:
    return orders.cancel(order.market, order.owner_id, order_id=order.pk, reason=Reason.OPERATOR)


def _fills(order: Order, fills: Sequence[Fill]) -> Table:
    links = trade_links(order.market, [fill.seq for fill in fills])
    return Table(
        title="Fills",
        headers=("Trade", "Journal", "Role", "Price", "Quantity", "Quote", "Fee", "Executed"),
        rows=[
            (
                *links[fill.seq],
                "maker" if fill.is_maker else "taker",
                *(plain(each) for each in (fill.price, fill.quantity, fill.quote_quantity)),
                plain(fill.fee) if fill.fee else NOTHING,
                millisecond(fill.executed_at),
            )
            for fill in fills
        ],
        empty="Nothing of it was filled.",
        more=f"Only the first {SHOWN_FILLS} are shown." if len(fills) == SHOWN_FILLS else "",
    )
