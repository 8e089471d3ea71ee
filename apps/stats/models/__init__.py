"""The rows of statistics: chains, bridges, activity."""

from apps.stats.models.published import Published

__all__ = ["Published"]
