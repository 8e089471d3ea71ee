"""Assets and markets in the admin: opening a market, halting it, letting it trade again."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from apps.exchange import candles, markets
from apps.exchange.admin.cells import amount, at, plain
from apps.exchange.markets import MarketUnchanged
from apps.exchange.models import Account, Asset, Market, MarketStatus, Order
from moonx.core import money
from moonx.core.locks import LockBusy
from moonx.core.staff import (
    ReasonForm,
    Table,
    TablesMixin,
    column,
    leave_dialog,
    link,
    page_of,
    reasoned_button,
)

STATUS_COLOURS = {
    MarketStatus.TRADING: "success",
    MarketStatus.POST_ONLY: "info",
    MarketStatus.HALT: "danger",
    MarketStatus.BREAK: "warning",
}
ONE_LINE = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
INCREMENT_HELP = (
    "Price × quantity must be exact in the quote asset: the decimals of tick and step together may "
    "not exceed its decimals."
)
INCREMENTS = ("tick_size", "step_size", "min_notional")
LIMITS = ("max_quantity", "max_market_quantity", "price_up", "price_down")
# What an amount must be, where zero or less makes no sense.
LEAST = {"min_notional": Decimal(0), "price_up": Decimal(1)}


@admin.register(Asset)
class AssetAdmin(ModelAdmin):
    """What is traded and paid with."""

    formfield_overrides = ONE_LINE
    list_display = ("symbol", "name", "decimals")
    search_fields = ("symbol", "name")

    def get_readonly_fields(self, _request: HttpRequest, obj: Asset | None = None) -> Any:
        """Amounts that stand would mean something else with other decimals."""
        if obj is None:
            return ()
        is_used = Account.objects.filter(asset=obj).exists()
        return ("symbol", "decimals") if is_used else ("symbol",)


class MarketForm(forms.ModelForm):  # type: ignore[type-arg]
    """A market's fields, amounts without trailing zeros, each fault said at its field."""

    class Meta:
        model = Market
        fields = (
            *("symbol", "base", "quote", "status", "label"),
            *INCREMENTS,
            *LIMITS,
            *("collar_bps", "max_open_orders", "recorded_until"),
        )
        labels: ClassVar[dict[str, str]] = {
            "max_market_quantity": "Max quantity at any price",
            "price_up": "Highest price",
            "price_down": "Lowest price",
            "collar_bps": "Collar",
        }
        help_texts: ClassVar[dict[str, str]] = {
            "symbol": "Base and quote in one word, such as ETHUSDC. It never changes.",
            "status": "TRADING accepts orders, POST_ONLY only those that rest; HALT and BREAK "
            "accept none and keep the ticker of the last 24 hours before they began.",
            "tick_size": f"The smallest step of a price, such as 0.01. {INCREMENT_HELP}",
            "step_size": f"The smallest step of a quantity. {INCREMENT_HELP}",
            "min_notional": "The smallest price × quantity of an order, in the quote asset.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in (*INCREMENTS, *LIMITS):
            if isinstance(self.initial.get(name), Decimal):
                self.initial[name] = money.plain(self.initial[name])

    def clean(self) -> dict[str, Any]:
        """Refuses increments and limits that make no sense, each with a sentence of its own."""
        data = super().clean() or {}
        for name in (*INCREMENTS, *LIMITS):
            value = data.get(name)
            if value is None:
                continue
            least = LEAST.get(name)
            if value <= 0 and least is None:
                self.add_error(name, "It must be above zero.")
            elif least is not None and value < least:
                self.add_error(name, f"It must be at least {least}.")
        if (data.get("price_down") or 0) > 1:
            self.add_error("price_down", "It must be at most 1: the last price itself.")
        if data.get("base") and data.get("base") == data.get("quote"):
            self.add_error("quote", "A market trades two assets.")
        return data


class ResumeForm(ReasonForm):
    """How a market trades again, and why."""

    post_only = forms.BooleanField(
        required=False,
        label="Only orders that rest, at first",
        widget=UnfoldBooleanSwitchWidget,
        help_text="The book fills again before anybody takes from it (POST_ONLY).",
    )


@admin.register(Market)
class MarketAdmin(TablesMixin, ModelAdmin):
    """Pairs, their increments and limits."""

    form = MarketForm
    formfield_overrides = ONE_LINE
    list_display = ("symbol", "state", "base", "quote", "last", "tick", "step", "label", "why")
    list_filter = ("status",)
    list_select_related = ("base", "quote", "ticker")
    search_fields = ("symbol", "label")
    autocomplete_fields = ("base", "quote")
    actions_detail = ("halt", "resume")
    add_fieldsets = (
        (None, {"fields": ("symbol", ("base", "quote"), "status", "label")}),
        ("Increments", {"fields": INCREMENTS}),
        (
            "Limits of an order",
            {"fields": (LIMITS[:2], LIMITS[2:], ("collar_bps", "max_open_orders"))},
        ),
    )
    fieldsets = (
        (None, {"fields": (("base", "quote"), ("state", "since"), "why", "label")}),
        *add_fieldsets[1:],
        ("Record", {"fields": ("recorded_until",)}),
    )

    tick, step = amount("tick_size", title="tick"), amount("step_size", title="step")
    since = at("halted_at", title="stopped since")

    def get_readonly_fields(self, _request: HttpRequest, obj: Market | None = None) -> Any:
        return ("base", "quote", "state", "since", "why") if obj else ()

    def save_model(self, _request: HttpRequest, obj: Market, form: Any, change: bool) -> None:
        markets.save(obj, now=candles.present(), edited=form.changed_data if change else None)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            answer: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except LockBusy:
            text = "The market is busy: nothing was changed. Try again."
            self.message_user(request, text, messages.ERROR)
            return redirect(request.path)
        return answer

    def tables(self, row: Market) -> Sequence[Table]:
        """Where to go from here."""
        count = Order.objects.filter(market=row).exclude(stage="done").count()
        query = {"market__id__exact": row.pk}
        return [
            Table(
                title="Behind this market",
                headers=("What", "Where"),
                rows=[
                    (
                        "Open orders",
                        link(f"{count:,}", "exchange_order_changelist", open="yes", **query),
                    ),
                    ("All orders", link("list", "exchange_order_changelist", **query)),
                    ("Trades", link("list", "exchange_trade_changelist", **query)),
                ],
            )
        ]

    @column(description="status", ordering="status", label=STATUS_COLOURS)
    def state(self, market: Market) -> str:
        return market.status

    @column(description="halted because")
    def why(self, market: Market) -> str:
        return market.halt_reason or "—"

    @column(description="last price", ordering="ticker__last")
    def last(self, market: Market) -> str:
        ticker = getattr(market, "ticker", None)
        return plain(ticker.last if ticker else None)

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> Sequence[Any]:
        """What can follow from how the market stands."""
        market = self.get_object(request, str(object_id))
        if market is None:
            return ()
        paths = {"halt"} if market.status in markets.OPEN else {"resume"}
        if market.status == MarketStatus.POST_ONLY:
            paths.add("resume")
        found: Sequence[Any] = super().get_actions_detail(request, object_id)
        return [each for each in found if each.path in paths]

    @reasoned_button(
        "Halt trading",
        path="halt",
        permission="change",
        text="Orders stay in the book and can be canceled; none is taken or filled until the "
        "market is resumed.",
        variant=ActionVariant.DANGER,
    )
    def halt(self, request: HttpRequest, form: ReasonForm, object_id: int) -> HttpResponse:
        """Stops a market."""
        return self._move(request, form, object_id, is_halt=True)

    @reasoned_button(
        "Resume trading",
        path="resume",
        permission="change",
        text="Orders are taken and filled again, at once.",
        form=ResumeForm,
        variant=ActionVariant.SUCCESS,
    )
    def resume(self, request: HttpRequest, form: ReasonForm, object_id: int) -> HttpResponse:
        """Lets a market trade again."""
        return self._move(request, form, object_id, is_halt=False)

    def _move(
        self, request: HttpRequest, form: ReasonForm, object_id: int, *, is_halt: bool
    ) -> HttpResponse:
        market = self.get_object(request, str(object_id))
        if market is not None:
            self._try_to_move(request, form, market, is_halt=is_halt)
        return leave_dialog(request, page_of("exchange_market_change", object_id))

    def _try_to_move(
        self, request: HttpRequest, form: ReasonForm, market: Market, *, is_halt: bool
    ) -> None:
        reason, by = form.cleaned_data["reason"], request.user.get_username()
        try:
            if is_halt:
                moved = markets.halt(market, reason=reason, by=by)
            else:
                post_only = form.cleaned_data["post_only"]
                moved = markets.resume(market, reason=reason, by=by, post_only=post_only)
        except MarketUnchanged as cause:
            self.message_user(request, str(cause), messages.WARNING)
        except LockBusy:
            text = f"{market} is busy and was left as it is. Try again."
            self.message_user(request, text, messages.ERROR)
        else:
            self.log_change(request, moved, f"{moved.status}: {reason}")
            self.message_user(request, f"{moved} is in {moved.status}.", messages.SUCCESS)
