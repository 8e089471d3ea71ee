"""Trades, with both sides' fills and their journals; what operators take back or correct."""

from collections.abc import Callable, Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import RangeDateTimeFilter
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from apps.exchange import amending
from apps.exchange.admin.cells import amount, at, plain, word
from apps.exchange.admin.ledger import entries_of
from apps.exchange.amending import AmendmentRefused, Request, Values
from apps.exchange.models import Amendment, Fill, Journal, Trade
from moonx.core import money
from moonx.core.admin import events_table
from moonx.core.locks import LockBusy
from moonx.core.money import MoneyError
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

AMEND = "exchange.change_trade"


class BustForm(ReasonForm):
    """Why, and what if a side has spent what it got."""

    covers = forms.BooleanField(
        required=False,
        label="The house covers what a side has spent",
        widget=UnfoldBooleanSwitchWidget,
        help_text="It is then owed to the house. Otherwise nothing is done unless both sides have "
        "enough.",
    )


class CorrectionForm(BustForm):
    """What the trade should have been."""

    price = forms.CharField(
        required=False,
        max_length=60,
        widget=UnfoldAdminTextInputWidget,
        help_text="Empty: it stays as it is.",
    )
    quantity = forms.CharField(
        required=False,
        max_length=60,
        widget=UnfoldAdminTextInputWidget,
        help_text="Empty: it stays as it is. That of a matched trade cannot change.",
    )
    field_order = ("price", "quantity", "reason", "covers")

    def clean_price(self) -> Any:
        return _amount(self.cleaned_data["price"], what="the price")

    def clean_quantity(self) -> Any:
        return _amount(self.cleaned_data["quantity"], what="the quantity")


def _amount(text: str, *, what: str) -> Any:
    try:
        return money.parse(text.strip(), what=what) if text.strip() else None
    except MoneyError as error:
        raise forms.ValidationError(f"{error}.") from None


@admin.register(Trade)
class TradeAdmin(TablesMixin, ReadOnlyAdmin):
    """Trades, newest first."""

    list_display = ("seq", "market", "side", "price_", "quantity_", "executed_at", "source")
    list_filter = ("market", "source", ("executed_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("market",)
    search_fields = ("=seq",)
    search_help_text = "A trade's number within its market."
    ordering = ("-id",)
    actions_detail = ("bust", "correct")
    fields = (
        ("market", "seq"),
        ("first_id", "last_id"),
        ("side", "price_"),
        ("quantity_", "quote_quantity_"),
        ("executed_at", "source"),
    )

    @column(label={"buy": "success", "sell": "danger"})
    def side(self, trade: Trade) -> str:
        """The taker's side."""
        return "sell" if trade.is_buyer_maker else "buy"

    price_, quantity_ = amount("price"), amount("quantity")
    quote_quantity_ = amount("quote_quantity")

    def tables(self, row: Trade) -> Sequence[Table]:
        """Both fills, what was done to it, the entries of its journals, its events."""
        journals = _journals(f"{row.market.symbol}:{row.seq}")
        amended = list(Amendment.objects.filter(market=row.market_id, seq=row.seq))
        return [
            fills_of(row),
            *([_amendments(amended)] if amended else ()),
            *(entries_of(journal) for journal in journals),
            *(events_table(j.correlation_id, [row.executed_at]) for j in journals[:1]),
        ]

    @reasoned_button(
        "Bust trade",
        path="bust",
        permission="amend",
        text="The trade is taken back, in public and for good: bars and ticker follow, and what it "
        "moved between its sides is returned, fees included. Its orders stay as they ended.",
        form=BustForm,
        variant=ActionVariant.DANGER,
    )
    def bust(self, request: HttpRequest, form: BustForm, object_id: int) -> HttpResponse:
        """Takes the trade back."""

        def act(trade: Trade, wanted: Request) -> str:
            amendment = amending.bust(trade.market, trade.seq, wanted)
            return page_of("exchange_amendment_change", amendment.pk)

        return self._amend(request, form, object_id, act, "Busted")

    @reasoned_button(
        "Correct trade",
        path="correct",
        permission="amend",
        text="Price or quantity change, in public: bars and ticker follow, and the sides of a "
        "matched trade pay each other the difference.",
        form=CorrectionForm,
    )
    def correct(self, request: HttpRequest, form: CorrectionForm, object_id: int) -> HttpResponse:
        """Gives the trade other values."""
        said = form.cleaned_data

        def act(trade: Trade, wanted: Request) -> str:
            values = Values(price=said["price"], quantity=said["quantity"])
            amending.correct(trade.market, trade.seq, values, wanted)
            return page_of("exchange_trade_change", object_id)

        return self._amend(request, form, object_id, act, "Corrected")

    def has_amend_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Who may bust and correct trades, although nobody edits one."""
        return request.user.has_perm(AMEND)

    def _amend(
        self,
        request: HttpRequest,
        form: BustForm,
        object_id: int,
        act: Callable[[Trade, Request], str],
        done: str,
    ) -> HttpResponse:
        trade = self.get_object(request, str(object_id))
        if trade is None:
            text = "There is no such trade any more."
            self.message_user(request, text, messages.WARNING)
            return leave_dialog(request, page_of("exchange_trade_changelist"))
        reason, by = form.cleaned_data["reason"], request.user.get_username()
        wanted = Request(reason=reason, by=by, covers=form.cleaned_data["covers"])
        page = page_of("exchange_trade_change", object_id)
        try:
            page = act(trade, wanted)
        except AmendmentRefused as refusal:
            self.message_user(request, f"Nothing was changed. {refusal}", messages.ERROR)
        except LockBusy:
            text = f"{trade.market} is busy: nothing was changed. Try again."
            self.message_user(request, text, messages.ERROR)
        else:
            self.log_change(request, trade, f"{done}: {reason}")
            text = f"{done} trade {trade.seq} of {trade.market}."
            self.message_user(request, text, messages.SUCCESS)
        return leave_dialog(request, page)


@admin.register(Amendment)
class AmendmentAdmin(TablesMixin, ReadOnlyAdmin):
    """Trades that were busted or corrected, newest first."""

    list_display = (
        *("seq", "market", "kind_", "price_", "quantity_", "new_price_", "new_quantity_"),
        *("by", "reason", "done"),
    )
    list_filter = ("market", "kind", "source", ("created_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("market",)
    search_fields = ("=seq",)
    search_help_text = "A trade's number within its market."
    ordering = ("-id",)
    fields = (
        ("market", "seq"),
        ("kind_", "epoch"),
        ("price_", "new_price_"),
        ("quantity_", "new_quantity_"),
        ("quote_quantity_", "new_quote_quantity_"),
        ("executed", "source_"),
        ("by", "done"),
        ("reason", "correlation_id"),
    )

    price_, new_price_ = amount("price", title="price before"), amount("new_price")
    quantity_ = amount("quantity", title="quantity before")
    new_quantity_ = amount("new_quantity")
    quote_quantity_ = amount("quote_quantity", title="quote before")
    new_quote_quantity_ = amount("new_quote_quantity", title="new quote")
    executed, done = at("executed_at"), at("created_at", title="amended")
    source_ = word("source")

    @column(description="kind", label={"bust": "danger", "correction": "warning"})
    def kind_(self, amendment: Amendment) -> str:
        return amendment.kind

    def tables(self, row: Amendment) -> Sequence[Table]:
        """The journals about the trade, and what was told of it."""
        journals = _journals(f"{row.market.symbol}:{row.seq}")
        return [
            *(entries_of(journal) for journal in journals),
            events_table(row.correlation_id, [row.created_at]),
        ]


def _journals(source: str) -> Sequence[Journal]:
    """The journals about a trade, in the order in which they were written."""
    kinds = ("trade", "reversal", "correction")
    return list(Journal.objects.filter(kind__in=kinds, source=source).order_by("id"))


def _amendments(amended: Sequence[Amendment]) -> Table:
    return Table(
        title="Corrections",
        headers=("When", "Price before", "Quantity before", "By", "Reason"),
        rows=[
            (
                link(f"{one.created_at:%Y-%m-%d %H:%M:%S}", "exchange_amendment_change", one.pk),
                plain(one.price),
                plain(one.quantity),
                one.by,
                one.reason,
            )
            for one in amended
        ],
    )


def fills_of(trade: Trade) -> Table:
    """What the trade gave each side; trades that were not matched here have none."""
    fills = Fill.objects.filter(market=trade.market_id, seq=trade.seq).select_related("owner")
    return Table(
        title="Fills",
        headers=("Order", "Owner", "Side", "Role", "Price", "Quantity", "Quote", "Fee"),
        rows=[
            (
                link(fill.order_id, "exchange_order_change", fill.order_id),
                link(fill.owner, "auth_user_change", fill.owner_id),
                fill.side,
                "maker" if fill.is_maker else "taker",
                plain(fill.price),
                plain(fill.quantity),
                plain(fill.quote_quantity),
                plain(fill.fee),
            )
            for fill in fills.order_by("is_maker")
        ],
        empty="This trade was not matched here.",
    )
