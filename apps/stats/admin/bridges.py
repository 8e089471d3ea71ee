"""What bridges answered."""

from typing import ClassVar

from django.contrib import admin

from apps.stats.admin.cells import lasting, verdict
from apps.stats.models import BridgeHour, BridgeSample
from moonx.core.cells import NOTHING, at
from moonx.core.staff import ReadOnlyAdmin, column


@admin.register(BridgeSample)
class BridgeSampleAdmin(ReadOnlyAdmin):
    """Requests for quotes, the latest first; kept for 7 days."""

    list_display = (
        *("provider", "source", "target", "asset", "size", "at_", "outcome", "latency"),
        *("verdict_", "simulated"),
    )
    list_filter = ("provider", "source", "target", "size", "fault", "simulated")
    at_, verdict_ = at("sampled_at", title="time", ordering="sampled_at"), verdict()
    latency = lasting("latency_ms", title="took", ordering="latency_ms")

    @column(description="outcome", label={"quote": "success"})
    def outcome(self, row: BridgeSample) -> str:
        return row.fault or "quote"


@admin.register(BridgeHour)
class BridgeHourAdmin(ReadOnlyAdmin):
    """Hours of bridges, the latest first; kept for 90 days."""

    list_display = ("provider", "source", "target", "size", "hour_", "outcomes", "simulated")
    list_filter = ("provider", "source", "target", "size", "simulated")
    hour_ = at("hour", title="hour", ordering="hour")
    exclude: ClassVar[list[str]] = ["latencies_ms"]

    @column(description="outcomes")
    def outcomes(self, row: BridgeHour) -> str:
        told = [f"{count:,} {fault or 'quotes'}" for fault, count in sorted(row.counts.items())]
        return ", ".join(told) or NOTHING
