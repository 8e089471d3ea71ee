"""What audits found wrong with bars and tickers, and a way to make bars anew."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.exchange import candles
from apps.exchange.admin.cells import at
from apps.exchange.models import Check, Finding
from moonx.core import logs
from moonx.core.intervals import Interval
from moonx.core.locks import LockBusy
from moonx.core.staff import ReadOnlyAdmin, column

log = logs.get("moonx.operators")

REPAIR = "exchange.change_candle"
LONG = {Interval.D1, Interval.W1, Interval.MONTH}


class StandingFilter(admin.SimpleListFilter):
    """Findings that still stand, or that a later look found right."""

    title = "state"
    parameter_name = "state"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("open", "open"), ("resolved", "resolved")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        match self.value():
            case "open":
                return queryset.filter(resolved_at=None)
            case "resolved":
                return queryset.exclude(resolved_at=None)
        return queryset


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    """Findings, the latest first."""

    list_display = (
        *("state", "check_", "market", "interval", "at_", "field", "stored", "expected"),
        *("times", "first", "last"),
    )
    list_filter = (StandingFilter, "check_name", "market", "interval")
    list_select_related = ("market",)
    ordering = ("-id",)
    actions = ("repair",)

    at_ = at("at", title="time", ordering="at")
    first, last = at("first_seen", title="first seen"), at("last_seen", title="last seen")

    @column(description="state", label={"open": "danger", "resolved": "success"})
    def state(self, row: Finding) -> str:
        return "open" if row.resolved_at is None else "resolved"

    @column(description="check")
    def check_(self, row: Finding) -> str:
        return row.check_name

    def has_repair_permission(self, request: HttpRequest) -> bool:
        """Who may have bars made anew."""
        return request.user.has_perm(REPAIR)

    @admin.action(description="Make the bars anew from their trades", permissions=["repair"])
    def repair(self, request: HttpRequest, queryset: QuerySet[Finding]) -> None:
        """Refolds each finding's bar and those above it; the next look says whether that was it."""
        bars = {
            (row.market, Interval(row.interval), row.at)
            for row in queryset.select_related("market__base", "market__quote")
            if row.check_name in {Check.BARS, Check.PARENTS}
        }
        changed = 0
        for market, interval, start in bars:
            if interval in LONG:
                text = (
                    f"A {interval} bar takes too long here: python manage.py backfill_candles "
                    f"{market} --from {start:%Y-%m-%d} --to {interval.shift(start, 1):%Y-%m-%d}"
                )
                self.message_user(request, text, messages.WARNING)
                continue
            try:
                done = candles.backfill(market, start=start, end=interval.shift(start, 1))
            except LockBusy:
                text = f"{market} is busy: its {interval} bar was left as it is. Try again."
                self.message_user(request, text, messages.ERROR)
                continue
            changed += done.total
            log.warning(
                "bars made anew",
                market=market.symbol,
                interval=interval,
                start=start,
                changed=done.total,
                by=request.user.get_username(),
            )
        text = f"{changed} bars changed. What is right now is resolved by the next look."
        self.message_user(request, text, messages.SUCCESS if changed else messages.WARNING)
        if others := queryset.exclude(check_name__in=[Check.BARS, Check.PARENTS]).count():
            text = (
                f"{others} of the findings are not about bars: tickers are computed every five "
                "seconds, and trades that changed are not to be taken for right."
            )
            self.message_user(request, text, messages.WARNING)
