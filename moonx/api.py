"""The HTTP interfaces: each app brings its router, here they become documents and paths."""

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from apps.exchange import api as exchange
from apps.realtime import api as sign_in
from moonx.core.version import version

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
for _path, _router in exchange.own_routers.items():
    v1.add_router(_path, _router)


@v1.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Names each field and what is wrong with it; what was sent is not repeated."""
    faults = [f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors]
    return _fault(request, status=400, code="badRequest", message="; ".join(faults))


@v1.exception_handler(HttpError)
def _refused(request: HttpRequest, error: HttpError) -> HttpResponse:
    codes = {400: "badRequest", 404: "notFound", 405: "wrongMethod", 429: "tooManyRequests"}
    code = codes.get(error.status_code, "refused")
    message = str(error)
    if message == "Cannot parse request body":
        message = 'The body is not JSON: send an object like {"username": "…"}, as /docs/http says.'
    return _fault(request, status=error.status_code, code=code, message=message)


def _fault(request: HttpRequest, *, status: int, code: str, message: str) -> HttpResponse:
    body = {"code": code, "message": message}
    response: HttpResponse = v1.create_response(request, body, status=status)
    return response
