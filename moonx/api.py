"""The HTTP interfaces: each app brings its router, here they become documents and paths."""

from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from apps.exchange import api as exchange
from apps.realtime import api as sign_in
from apps.stats import api as stats
from moonx.core import logs
from moonx.core.version import version

log = logs.get("moonx.api")

SECURITY_SCHEMES = exchange.SCHEME_TEXTS

v3 = NinjaAPI(
    title="MoonX market data and trading",
    version=version(),
    description="Binance Spot REST, field for field.",
    urls_namespace="v3",
    docs_url=None,
    openapi_url=None,
)
for _router in exchange.routers:
    v3.add_router("", _router)
exchange.install(v3)

udf = NinjaAPI(
    title="MoonX chart data feed",
    version=version(),
    description="TradingView's Universal Data Feed protocol.",
    urls_namespace="udf",
    docs_url=None,
    openapi_url=None,
)
udf.add_router("", exchange.udf.router)
exchange.udf.install(udf)

v1 = NinjaAPI(
    title="MoonX",
    version=version(),
    description="Sign-in and what Binance's interface has no place for.",
    urls_namespace="v1",
    docs_url=None,
    openapi_url=None,
)
v1.add_router("/auth", sign_in.router)
sign_in.install(v1)
for _path, _router in {**exchange.own_routers, **stats.own_routers}.items():
    v1.add_router(_path, _router)

former = NinjaAPI(
    title="MoonX statistics",
    version=version(),
    description="Daily active addresses, as the former services told them.",
    urls_namespace="stats",
    docs_url=None,
    openapi_url=None,
)
former.add_router("", stats.former_router)

CODES = {400: "badRequest", 404: "notFound", 405: "wrongMethod", 429: "tooManyRequests"}


def _install(api: NinjaAPI) -> None:
    """Gives every error of `api` the form `{code, message}`."""

    def fault(request: HttpRequest, *, status: int, code: str, message: str) -> HttpResponse:
        body = {"code": code, "message": message}
        response: HttpResponse = api.create_response(request, body, status=status)
        response["Cache-Control"] = "no-store"
        return response

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        """Names each field and what is wrong with it; what was sent is not repeated."""
        faults = [
            f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors
        ]
        return fault(request, status=400, code="badRequest", message="; ".join(faults))

    @api.exception_handler(HttpError)
    def refused(request: HttpRequest, error: HttpError) -> HttpResponse:
        message = str(error)
        if message == "Cannot parse request body":
            message = (
                'The body is not JSON: send an object like {"username": "…"}, as /docs/http says.'
            )
        code = CODES.get(error.status_code, "refused")
        return fault(request, status=error.status_code, code=code, message=message)

    def unreachable(request: HttpRequest, error: Any) -> HttpResponse:
        log.error("database does not answer", path=request.path, error=type(error).__name__)
        text = "The database does not answer. Try again."
        return fault(request, status=503, code="unavailable", message=text)

    api.add_exception_handler(OperationalError, unreachable)
    api.add_exception_handler(InterfaceError, unreachable)


for _api in (v1, former):
    _install(_api)
