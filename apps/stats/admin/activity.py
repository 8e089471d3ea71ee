"""Who was active on chains: how far each was scanned, and what is stored of it."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from django.contrib import admin

from apps.stats.admin.cells import ago, number
from apps.stats.models import (
    ActivityCursor,
    ActivityDay,
    ActivityLeaf,
    ActivityRecord,
    ActivityRollup,
)
from moonx.core.cells import at, second
from moonx.core.staff import ReadOnlyAdmin, Table, TablesMixin, column, link

SHOWN = 20


@admin.register(ActivityCursor)
class ActivityCursorAdmin(TablesMixin, ReadOnlyAdmin):
    """Scans of chains: their last block, their faults, their forks."""

    list_display = ("chain", "block", "updated", "checked", "faults", "reorgs", "deepest_reorg")
    block = number("last_block", title="last block")
    exclude: ClassVar[list[str]] = ["last_hash"]

    @column(description="got through", ordering="updated_at")
    def updated(self, row: ActivityCursor) -> str:
        return ago(row.updated_at)

    @column(description="at the head", ordering="checked_at")
    def checked(self, row: ActivityCursor) -> str:
        return ago(row.checked_at)

    @column(description="faults")
    def faults(self, row: ActivityCursor) -> str:
        return ", ".join(f"{count:,} {kind}" for kind, count in row.errors.items()) or "none"

    def tables(self, row: Any) -> Sequence[Table]:
        """The newest minutes and hours that are stored of the chain."""
        leaves = ActivityLeaf.objects.filter(chain=row.chain).order_by("-bucket_start")
        rollups = ActivityRollup.objects.filter(chain=row.chain).order_by("-start")
        columns = ("first_block", "last_block", "transactions")
        return [
            Table(
                title="Minutes",
                headers=("Minute", "State", "First block", "Last block", "Transactions"),
                rows=_rows(leaves.values_list("bucket_start", "state", *columns)[:SHOWN]),
                empty="Nothing was scanned yet.",
            ),
            Table(
                title="Hours and days",
                headers=(
                    *("Start", "Span", "First block", "Last block", "Transactions"),
                    *("Senders", "Participants"),
                ),
                rows=_rows(
                    rollups.values_list(
                        "start", "span", *columns, "sender_count", "participant_count"
                    )[:SHOWN]
                ),
                empty="No hour is over and final yet.",
                more=link("Days that are over", "stats_activityday_changelist", q=row.chain),
            ),
        ]


def _rows(found: Iterable[tuple[Any, ...]]) -> list[tuple[str, ...]]:
    return [
        (second(start), word, *(f"{value:,}" for value in values)) for start, word, *values in found
    ]


@admin.register(ActivityDay)
class ActivityDayAdmin(ReadOnlyAdmin):
    """Days that are over, the latest first; kept for ever."""

    list_display = ("chain", "day", "senders_", "participants_", "transactions_", "covered_s")
    list_filter = ("chain",)
    search_fields = ("=chain",)
    senders_, participants_ = number("senders"), number("participants")
    transactions_ = number("transactions")
    exclude: ClassVar[list[str]] = ["senders_sketch", "participants_sketch"]


@admin.register(ActivityRecord)
class ActivityRecordAdmin(ReadOnlyAdmin):
    """Runs of 1,200 blocks, the latest first."""

    list_display = (
        "chain",
        "first",
        "last",
        "begun",
        "ended",
        "blocks",
        "senders_",
        "participants_",
    )
    list_filter = ("chain",)
    ordering = ("-end_time",)
    first, last = number("first_block"), number("last_block")
    begun, ended = at("start_time", title="from"), at("end_time", title="to", ordering="end_time")
    senders_, participants_ = number("senders"), number("participants")
