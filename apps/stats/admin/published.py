"""What was told of each subject, and what is known of it now."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from apps.stats import freshness
from apps.stats.admin.cells import VERDICTS, ago
from apps.stats.freshness import Kind
from apps.stats.models import Published
from apps.stats.vocabulary import Verdict
from moonx.core import clock
from moonx.core.cells import NOTHING, at
from moonx.core.staff import ReadOnlyAdmin, column


class KindFilter(admin.SimpleListFilter):
    """Chains, bridges or the overview."""

    title = "kind"
    parameter_name = "kind"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("chain", "chains"), ("bridge", "bridges"), ("overview", "overview")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Published]) -> QuerySet[Published]:
        kind = self.value()
        return queryset.filter(subject__startswith=kind) if kind else queryset


class VerdictFilter(admin.SimpleListFilter):
    """By verdict."""

    title = "verdict"
    parameter_name = "verdict"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [(one.value, one.value) for one in Verdict]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Published]) -> QuerySet[Published]:
        return queryset.filter(payload__verdict=self.value()) if self.value() else queryset


class AgeFilter(admin.SimpleListFilter):
    """Chains and bridges that nobody looked at when somebody should have."""

    title = "age"
    parameter_name = "age"

    def lookups(self, *_: Any) -> list[tuple[str, str]]:
        return [("stale", "stale")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Published]) -> QuerySet[Published]:
        if self.value() != "stale":
            return queryset
        now = clock.db_now()
        is_stale = Q()
        for kind in (Kind.CHAINS, Kind.BRIDGES, Kind.OVERVIEW):
            before = now - freshness.after(kind)
            is_stale |= Q(subject__startswith=kind.prefix, as_of__lt=before)
        return queryset.filter(is_stale)


@admin.register(Published)
class PublishedAdmin(ReadOnlyAdmin):
    """Each subject of statistics: its newest sample, and what subscribers were last told."""

    list_display = ("subject", "verdict", "reasons", "sampled", "told_at", "seq", "simulated")
    list_filter = (KindFilter, VerdictFilter, AgeFilter)
    search_fields = ("subject",)
    ordering = ("subject",)

    told_at = at("published_at", title="last told", ordering="published_at")

    @column(description="verdict", label=VERDICTS)
    def verdict(self, row: Published) -> str:
        return str(row.payload.get("verdict", NOTHING))

    @column(description="reasons")
    def reasons(self, row: Published) -> str:
        rules = [str(reason["rule"]) for reason in row.payload.get("reasons", ())]
        return ", ".join(rules) or NOTHING

    @column(description="newest sample", ordering="as_of")
    def sampled(self, row: Published) -> str:
        return ago(row.as_of)

    @column(description="simulated", label={"simulated": "warning"})
    def simulated(self, row: Published) -> str:
        return "simulated" if row.payload.get("simulated") else NOTHING
