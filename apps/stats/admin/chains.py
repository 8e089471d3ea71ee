"""What was seen of chains."""

from typing import ClassVar

from django.contrib import admin

from apps.stats.admin.cells import lasting, number, verdict
from apps.stats.models import (
    ChainHour,
    ChainReorg,
    ChainSample,
    ChainVolume,
    ChainWatch,
    ProviderAnswer,
)
from moonx.core.cells import at
from moonx.core.staff import ReadOnlyAdmin


@admin.register(ChainWatch)
class ChainWatchAdmin(ReadOnlyAdmin):
    """Each chain as it stood at the last look."""

    list_display = ("chain", "looked", "sampled", "final", "finality", "is_alarmed")
    looked, sampled = at("looked_at", title="looked at"), at("sampled_at", title="answered")
    final, finality = number("finalized"), lasting("finality_lag_ms", title="finality lag")


@admin.register(ChainSample)
class ChainSampleAdmin(ReadOnlyAdmin):
    """Looks at chains, the latest first; kept for 7 days."""

    list_display = (
        *("chain", "at_", "verdict_", "head_", "age", "p50", "p95", "tps", "gas_used_ratio"),
        *("reorgs", "simulated"),
    )
    list_filter = ("chain", "verdict", "simulated")
    at_, verdict_ = at("at", title="time", ordering="at"), verdict()
    head_, age = number("head"), lasting("head_age_ms", title="head age")
    p50, p95 = lasting("p50_ms", title="block time p50"), lasting("p95_ms", title="p95")
    exclude: ClassVar[list[str]] = ["block_times"]


@admin.register(ChainHour)
class ChainHourAdmin(ReadOnlyAdmin):
    """Hours of chains, the latest first; kept for 90 days."""

    list_display = ("chain", "hour_", "verdict_", "samples", "healthy", "blocks_", "transactions_")
    list_filter = ("chain", "verdict", "simulated")
    hour_, verdict_ = at("hour", title="hour", ordering="hour"), verdict()
    blocks_, transactions_ = number("blocks"), number("transactions")
    exclude: ClassVar[list[str]] = ["block_times"]


@admin.register(ChainReorg)
class ChainReorgAdmin(ReadOnlyAdmin):
    """Blocks that had been seen and were replaced, the latest first."""

    list_display = ("chain", "seen", "depth", "first", "is_past_finality")
    list_filter = ("chain", "is_past_finality")
    seen, first = at("seen_at", title="seen", ordering="seen_at"), number("first_number")
    exclude: ClassVar[list[str]] = ["replaced_hash"]


@admin.register(ChainVolume)
class ChainVolumeAdmin(ReadOnlyAdmin):
    """What is traded on chains and locked in them."""

    list_display = ("chain", "volume24h_usd", "tvl_usd", "told", "simulated")
    told = at("as_of", title="told")


@admin.register(ProviderAnswer)
class ProviderAnswerAdmin(ReadOnlyAdmin):
    """Calls to providers for a chain's head, the latest first."""

    list_display = ("chain", "provider", "at_", "latency", "fault")
    list_filter = ("chain", "provider", "fault")
    at_ = at("at", title="time", ordering="at")
    latency = lasting("latency_ms", title="took", ordering="latency_ms")
