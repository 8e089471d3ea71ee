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

__all__ = [
    "ActivityCursor",
    "ActivityDay",
    "ActivityLeaf",
    "ActivityRecord",
    "ActivityRollup",
    "LeafState",
    "Span",
]
