"""The periodic tasks of statistics: a name, limits, one call."""
