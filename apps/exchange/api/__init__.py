"""The HTTP interface of the exchange: market data, orders and accounts as Binance Spot has them."""

from ninja import Router

from apps.exchange.api import endpoint, key_paths, ledger_paths, trading, views
from apps.exchange.api.errors import install, no_such_path
from apps.exchange.api.signing import SCHEME_TEXTS

routers: tuple[Router, ...] = (views.router, trading.router)
for _router in routers:
    endpoint.refuse_other_methods(_router)

own_routers: dict[str, Router] = {
    "/api-keys": key_paths.router,
    "/ledger": ledger_paths.router,
}

__all__ = ["SCHEME_TEXTS", "install", "no_such_path", "own_routers", "routers"]
