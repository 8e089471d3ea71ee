"""Chains in the admin: their facts, who serves them, and the switch that turns one off."""

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from moonx.core.chains import providers
from moonx.core.chains.models import Chain
from moonx.core.staff import column


@admin.register(Chain)
class ChainAdmin(ModelAdmin):
    """The chains that are known. Which nodes serve them is said by settings, never shown here."""

    formfield_overrides = {models.TextField: {"widget": UnfoldAdminTextInputWidget}}
    list_display = ("name", "slug", "chain_id", "state", "served_by", "native_asset", "pace")
    list_filter = ("is_enabled",)
    search_fields = ("slug", "name", "=chain_id")
    readonly_fields = ("slug", "chain_id", "state", "served_by")
    fieldsets = (
        (None, {"fields": (("slug", "chain_id"), "name", ("state", "served_by"), "is_enabled")}),
        ("Coin", {"fields": (("native_asset", "native_decimals"),)}),
        (
            "Blocks",
            {
                "fields": (
                    ("block_time_ms", "has_steady_blocks"),
                    "confirmations",
                    ("has_finalized_tag", "finality_depth", "finality_ms"),
                )
            },
        ),
        ("Elsewhere", {"fields": ("llama_name", ("multicall_address", "multicall_block"))}),
    )

    def has_add_permission(self, _: HttpRequest) -> bool:
        """A chain needs settings of its own: it comes with a version."""
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        """What was measured of a chain names it: one is turned off, not deleted."""
        return False

    @column(label={"on": "success", "off": "warning", "no URL": "info"})
    def state(self, chain: Chain) -> str:
        """On where operators want it and somebody serves it."""
        if not chain.is_enabled:
            return "off"
        return "on" if providers.of_chain(chain.slug) else "no URL"

    @column(description="served by")
    def served_by(self, chain: Chain) -> str:
        return ", ".join(each.name for each in providers.of_chain(chain.slug)) or "—"

    @column(description="block time", ordering="block_time_ms")
    def pace(self, chain: Chain) -> str:
        return f"{chain.block_time_ms:,} ms"
