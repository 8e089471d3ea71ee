"""The rows of statistics: chains, bridges, activity."""

from apps.stats.models.activity import (
    ActivityCursor,
    ActivityDay,
    ActivityLeaf,
    ActivityRecord,
    ActivityRollup,
    LeafState,
    Span,
)
from apps.stats.models.bridges import BridgeHour, BridgeSample
from apps.stats.models.chains import (
    ChainHeader,
    ChainHour,
    ChainReorg,
    ChainSample,
    ChainSlice,
    ChainVolume,
    ChainWatch,
    ProviderAnswer,
)
from apps.stats.models.collectors import Collector
from apps.stats.models.published import Published

__all__ = [
    "ActivityCursor",
    "ActivityDay",
    "ActivityLeaf",
    "ActivityRecord",
    "ActivityRollup",
    "BridgeHour",
    "BridgeSample",
    "ChainHeader",
    "ChainHour",
    "ChainReorg",
    "ChainSample",
    "ChainSlice",
    "ChainVolume",
    "ChainWatch",
    "Collector",
    "LeafState",
    "ProviderAnswer",
    "Published",
    "Span",
]
