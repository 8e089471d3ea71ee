"""Statistics in the admin: what was told, what it was made of, how the collectors fare."""

from apps.stats.admin import activity, bridges, chains, collectors, published

__all__ = ["activity", "bridges", "chains", "collectors", "published"]
