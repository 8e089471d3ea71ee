"""The rows of statistics: chains, bridges, activity."""

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
    "ChainHeader",
    "ChainHour",
    "ChainReorg",
    "ChainSample",
    "ChainSlice",
    "ChainVolume",
    "ChainWatch",
    "Collector",
    "ProviderAnswer",
    "Published",
]
