"""The public market data API, as Binance Spot answers it."""

from apps.exchange.api.errors import install, no_such_path
from apps.exchange.api.views import router

__all__ = ["install", "no_such_path", "router"]
