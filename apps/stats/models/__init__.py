"""The rows of statistics: chains, bridges, activity."""

<<<<<<< HEAD
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
=======
from apps.stats.models.collectors import Collector
from apps.stats.models.published import Published

__all__ = ["Collector", "Published"]
>>>>>>> main
