"""The rows of statistics: chains, bridges, activity."""

from apps.stats.models.collectors import Collector
from apps.stats.models.published import Published

__all__ = ["Collector", "Published"]
