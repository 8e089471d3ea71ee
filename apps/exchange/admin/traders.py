"""Who trades, in the admin: fee tiers, freezes, API keys."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from unfold.admin import ModelAdmin, StackedInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.enums import ActionVariant

from apps.exchange import keys, orders
from apps.exchange.admin.cells import at
from apps.exchange.models import ApiKey, FeeTier, Trader
from moonx.core import logs
from moonx.core.locks import LockBusy
from moonx.core.staff import (
    ReadOnlyAdmin,
    ReasonForm,
    SteppedSearch,
    column,
    leave_dialog,
    link,
    page_of,
    reasoned_button,
)

log = logs.get("moonx.operators")

FREEZE = "exchange.change_trader"


class FeeTierForm(forms.ModelForm):  # type: ignore[type-arg]
    """A tier; its fees apply to orders that are placed from then on."""

    class Meta:
        model = FeeTier
        fields = ("name", "maker_fee_bps", "taker_fee_bps", "is_default")
        labels = {"maker_fee_bps": "Maker fee", "taker_fee_bps": "Taker fee"}
        help_texts = {
            "maker_fee_bps": "In basis points: 5 is 0.05 %. At most 1,000.",
            "taker_fee_bps": "In basis points. Orders that stand keep the fees they came with.",
        }

    def clean_maker_fee_bps(self) -> Any:
        return self._fee("maker_fee_bps")

    def clean_taker_fee_bps(self) -> Any:
        return self._fee("taker_fee_bps")

    def clean_is_default(self) -> bool:
        """There is one default, always."""
        wanted = bool(self.cleaned_data["is_default"])
        other = FeeTier.objects.filter(is_default=True).exclude(pk=self.instance.pk).first()
        if wanted and other is not None:
            raise forms.ValidationError(f"“{other}” is the default: only one tier can be.")
        if not wanted and self.instance.is_default and "is_default" in self.initial:
            raise forms.ValidationError("Who has no tier needs one: this stays the default.")
        return wanted

    def _fee(self, name: str) -> Any:
        fee = self.cleaned_data[name]
        if not 0 <= fee <= 1_000:
            raise forms.ValidationError("A fee lies between 0 and 1,000 basis points.")
        return fee


@admin.register(FeeTier)
class FeeTierAdmin(ModelAdmin):
    """What trading costs."""

    form = FeeTierForm
    list_display = ("name", "maker_fee_bps", "taker_fee_bps", "is_default")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The default cannot go: who has no tier has that one."""
        is_allowed: bool = super().has_delete_permission(request, obj)
        return is_allowed and not (isinstance(obj, FeeTier) and obj.is_default)


class FreezeButtons(ModelAdmin):
    """Freeze and unfreeze on a page whose row has a user's number."""

    actions_detail = ("freeze", "unfreeze")

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> Sequence[Any]:
        """One of the two, by how the user stands."""
        if self.get_object(request, str(object_id)) is None:
            return ()
        frozen = Trader.objects.filter(user=object_id, frozen_at__isnull=False).exists()
        needless = "freeze" if frozen else "unfreeze"
        found: Sequence[Any] = super().get_actions_detail(request, object_id)
        return [each for each in found if each.path != needless]

    @reasoned_button(
        "Freeze trading",
        path="freeze",
        permission="freeze",
        text="Open orders are canceled. The user places no orders and is debited nothing until "
        "this is lifted; signing in and reading go on.",
        variant=ActionVariant.DANGER,
    )
    def freeze(self, request: HttpRequest, form: ReasonForm, object_id: int) -> HttpResponse:
        """Freezes the user."""
        user, reason = self._user(request, object_id), form.cleaned_data["reason"]
        try:
            count = orders.freeze(user.pk, reason=reason)
        except LockBusy:
            text = f"{user} is frozen, but a market is busy: orders are still open. Freeze again."
            self.message_user(request, text, messages.ERROR)
        else:
            text = f"{user} is frozen; {count} open orders were canceled."
            self.message_user(request, text, messages.SUCCESS)
        self._note(request, user, f"Frozen: {reason}")
        return leave_dialog(request, self._page(object_id))

    @reasoned_button(
        "Unfreeze",
        path="unfreeze",
        permission="freeze",
        text="The user may place orders again. What was canceled stays so.",
    )
    def unfreeze(self, request: HttpRequest, form: ReasonForm, object_id: int) -> HttpResponse:
        """Lifts the freeze."""
        user = self._user(request, object_id)
        if orders.unfreeze(user.pk):
            self._note(request, user, f"Unfrozen: {form.cleaned_data['reason']}")
            self.message_user(request, f"{user} may trade again.", messages.SUCCESS)
        else:
            self.message_user(request, f"{user} was not frozen.", messages.WARNING)
        return leave_dialog(request, self._page(object_id))

    def has_freeze_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Who may freeze, on whichever page."""
        return request.user.has_perm(FREEZE)

    def _user(self, request: HttpRequest, object_id: int) -> User:
        if self.get_object(request, str(object_id)) is None:
            raise Http404
        return User.objects.get(pk=object_id)

    def _note(self, request: HttpRequest, user: User, text: str) -> None:
        row = Trader.objects.get(pk=user.pk) if self.model is Trader else user
        self.log_change(request, row, text)
        by = request.user.get_username()
        log.warning("an operator changed a trader", user=user.pk, what=text, by=by)

    def _page(self, object_id: int) -> str:
        return page_of(f"{self.opts.app_label}_{self.opts.model_name}_change", object_id)


class FrozenFilter(admin.SimpleListFilter):
    """Frozen or free."""

    title = "trading"
    parameter_name = "state"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("frozen", "frozen"), ("free", "free")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Trader]) -> QuerySet[Trader]:
        match self.value():
            case "frozen":
                return queryset.filter(frozen_at__isnull=False)
            case "free":
                return queryset.filter(frozen_at__isnull=True)
        return queryset


@admin.register(Trader)
class TraderAdmin(SteppedSearch, FreezeButtons):
    """Users with a tier of their own, and those who are or were frozen."""

    list_display = ("user", "fee_tier", "state", "since", "freeze_reason")
    list_filter = (FrozenFilter, "fee_tier")
    list_select_related = ("user", "fee_tier")
    search_fields = ("user__username",)
    search_help_text = "A user's name, in full."
    ordering = ("user__username",)
    fields = ("owner", "fee_tier", "since", "freeze_reason")
    readonly_fields = ("owner", "since", "freeze_reason")

    since = at("frozen_at", title="frozen since")

    @column(description="trading", label={"free": "success", "frozen": "danger"})
    def state(self, trader: Trader) -> str:
        return "frozen" if trader.frozen_at else "free"

    @column(description="user")
    def owner(self, trader: Trader) -> str:
        return link(trader.user, "auth_user_change", trader.pk)

    def has_add_permission(self, *_args: Any, **_options: Any) -> bool:
        """Who needs a tier gets it on the user's own page."""
        return False

    def has_delete_permission(self, *_args: Any, **_options: Any) -> bool:
        return False


class TraderInline(StackedInline):
    """Trading, on a user's page."""

    model = Trader
    verbose_name = verbose_name_plural = "trading"
    fields = ("fee_tier", "since", "freeze_reason")
    readonly_fields = ("since", "freeze_reason")
    can_delete = False

    since = at("frozen_at", title="frozen since")


class StandingFilter(admin.SimpleListFilter):
    """Keys that sign, or revoked ones."""

    title = "state"
    parameter_name = "state"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("active", "active"), ("revoked", "revoked")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        match self.value():
            case "active":
                return queryset.filter(revoked_at__isnull=True)
            case "revoked":
                return queryset.filter(revoked_at__isnull=False)
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(SteppedSearch, ReadOnlyAdmin):
    """Keys that sign requests. Their secrets are shown to nobody, not even here."""

    list_display = ("label", "owner", "begins", "state", "may_trade", "made", "used")
    list_filter = (StandingFilter, ("owner", AutocompleteSelectFilter), "may_trade")
    list_filter_submit = True
    list_select_related = ("owner",)
    search_fields = ("key", "owner__username")
    search_help_text = "A whole key, or an owner's name."
    actions_detail = ("revoke",)
    fields = (
        ("label", "user"),
        ("begins", "state"),
        ("may_trade", "networks"),
        ("made", "used"),
        "revoked",
    )
    readonly_fields = ("user", "networks")

    made = at("created_at", title="made")
    used, revoked = at("last_used_at", title="last used"), at("revoked_at")

    @column(description="key")
    def begins(self, row: ApiKey) -> str:
        return f"{row.key[:8]}…"

    @column(label={"active": "success", "revoked": "danger"})
    def state(self, row: ApiKey) -> str:
        return "revoked" if row.revoked_at else "active"

    @column(description="owner")
    def user(self, row: ApiKey) -> str:
        return link(row.owner, "auth_user_change", row.owner_id)

    @column(description="usable from")
    def networks(self, row: ApiKey) -> str:
        return ", ".join(row.addresses) or "anywhere"

    def get_actions_detail(self, request: HttpRequest, object_id: int) -> Sequence[Any]:
        """Only what stands can be revoked."""
        row = self.get_object(request, str(object_id))
        if row is None or row.revoked_at:
            return ()
        found: Sequence[Any] = super().get_actions_detail(request, object_id)
        return found

    @reasoned_button(
        "Revoke key",
        path="revoke",
        permission="revoke",
        text="Requests signed with it are refused from now on. It cannot be undone.",
        variant=ActionVariant.DANGER,
    )
    def revoke(self, request: HttpRequest, form: ReasonForm, object_id: int) -> HttpResponse:
        """Ends the key."""
        row = self.get_object(request, str(object_id))
        if row is None:
            raise Http404
        if keys.revoke(row.owner_id, row.key):
            self.log_change(request, row, f"Revoked: {form.cleaned_data['reason']}")
            self.message_user(request, f"{row.label} is revoked.", messages.SUCCESS)
        else:
            self.message_user(request, f"{row.label} was revoked already.", messages.WARNING)
        return leave_dialog(request, page_of("exchange_apikey_change", object_id))

    def has_revoke_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Who may revoke keys, although nobody edits one."""
        return request.user.has_perm("exchange.change_apikey")
