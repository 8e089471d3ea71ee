"""How `/api/v3`, `/udf` and statistics are served: past sessions, cookies and messages.

Programs have none of them, and equal requests for statistics share an answer.
Django runs each synchronous middleware in a thread, there and back; for a short request that costs
more than the request. What is left here only sets headers and runs where it is.
"""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from csp.middleware import CSPMiddleware
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.security import SecurityMiddleware

from moonx.core.http import CorrelationMiddleware
from moonx.core.sharing import Sharing

STATISTICS = ("/api/v1/stats/", "/api/stats/")
PREFIXES = ("/api/v3/", "/udf/", *STATISTICS)
MOST_BODY = 64 * 1024  # bytes
# The outermost first. None of them waits for anything.
INLINE = (SecurityMiddleware, CSPMiddleware, CommonMiddleware, XFrameOptionsMiddleware)

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]
Receive = Callable[[], Awaitable[Any]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class ApiHandler(ASGIHandler):
    """Serves requests with the middleware of an interface for programs."""

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002
        """Builds the chain; `is_async` is Django's, which passes true."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        chain = _answering(self._get_response_async)  # type: ignore[attr-defined]
        for kind in reversed(INLINE):
            chain = inline(kind, chain)
        self._middleware_chain = CorrelationMiddleware(_answering(chain))


def inline(kind: Any, get_response: Handler) -> Handler:
    """A middleware whose two halves are called where they are, not in a thread."""
    middleware = kind(get_response)
    before = getattr(middleware, "process_request", lambda _: None)
    after = getattr(middleware, "process_response", lambda _, response: response)

    async def handle(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase | None = before(request)
        if response is None:
            response = await get_response(request)
        changed: HttpResponseBase = after(request, response)
        return changed

    return handle


def _answering(get_response: Handler) -> Handler:
    """As Django does: what is raised below becomes an answer."""
    return cast("Handler", convert_exception_to_response(get_response))


def beside(pages: Application) -> Application:
    """`pages`, with the paths of the API served apart."""
    api = ApiHandler()
    statistics = Sharing(api)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith(STATISTICS):
            await statistics(scope, capped(receive), send)
        elif scope["path"].startswith(PREFIXES):
            await api(scope, capped(receive), send)
        else:
            await pages(scope, receive, send)

    return application


def capped(receive: Receive) -> Receive:
    """What a client sends beyond any body of ours is read and dropped: it fills neither memory nor
    disk, and what is left is still too large for the view that refuses it."""
    taken = 0

    async def next_message() -> Any:
        nonlocal taken
        message = await receive()
        if taken > MOST_BODY:
            message = {**message, "body": b""}
        taken += len(message.get("body", b""))
        return message

    return next_message
