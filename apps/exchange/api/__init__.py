"""The HTTP interface of the exchange: market data, orders and accounts as Binance Spot has them."""

from ninja import Router

from apps.exchange.api import endpoint, trading, views
from apps.exchange.api.errors import install, no_such_path

routers: tuple[Router, ...] = (views.router, trading.router)
for _router in routers:
    endpoint.refuse_other_methods(_router)

__all__ = ["install", "no_such_path", "routers"]
