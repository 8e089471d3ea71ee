"""The HTTP interfaces of the exchange: as Binance Spot has them, and a data feed for charts."""

from ninja import Router

from apps.exchange.api import endpoint, key_paths, ledger_paths, trading, udf, views, window_paths
from apps.exchange.api.errors import install, no_such_path
from apps.exchange.api.signing import SCHEME_TEXTS

routers: tuple[Router, ...] = (views.router, window_paths.router, trading.router)
for _router in routers:
    endpoint.refuse_other_methods(_router)
endpoint.refuse_other_methods(udf.router, manner=udf.LIBRARY)

own_routers: dict[str, Router] = {
    "/api-keys": key_paths.router,
    "/ledger": ledger_paths.router,
}

__all__ = ["SCHEME_TEXTS", "install", "no_such_path", "own_routers", "routers", "udf"]
