"""The HTTP interfaces: each app brings its router, here they become documents and paths."""

from ninja import NinjaAPI

from apps.exchange import api as exchange

VERSION = "1.0.0"

v3 = NinjaAPI(
    title="MoonX market data",
    version=VERSION,
    description="Binance Spot REST, field for field.",
    urls_namespace="v3",
    docs_url=None,
    openapi_url=None,
)
v3.add_router("", exchange.router)
exchange.install(v3)
