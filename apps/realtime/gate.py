"""What is checked before a socket is opened: path, address bar, origin, room."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from apps.realtime import measures, origins
from moonx.core import http, logs

log = logs.get("moonx.gate")

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

PATH = "/ws"
RETRY_AFTER_S = 30
TOKEN_PARAMETERS = {"token", "access_token", "jwt"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a socket is not opened, as an HTTP answer."""

    status: int
    code: str
    message: str


class Gate:
    """Lets through to `application` what may open a socket, and answers the rest over HTTP."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from the request to its end."""
        refusal = self._refusal(scope)
        if refusal is not None:
            measures.connects.labels(refusal.code).inc()
            await _answer(scope, receive, send, refusal)
            return
        self._open += 1
        try:
            await self._application(scope, receive, send)
        finally:
            self._open -= 1

    def _refusal(self, scope: Scope) -> Refusal | None:
        if scope["path"].rstrip("/") != PATH:
            return Refusal(404, "notFound", f"Sockets are opened at {PATH}.")
        if TOKEN_PARAMETERS & set(parse_qs(scope.get("query_string", b"").decode("latin-1"))):
            return Refusal(
                400, "tokenInAddress", "Send the token in a message: addresses end up in logs."
            )
        if not _origin_allowed(scope):
            return Refusal(403, "foreignOrigin", "Pages of this origin may not connect.")
        if self._open >= settings.ENV.ws_max_connections:
            return Refusal(503, "full", "This server has no room for another socket: try again.")
        return None


def headers_of(scope: Scope) -> Mapping[str, str]:
    """The headers of a request; of one given twice, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def address_of(scope: Scope) -> str:
    """The client's address, past trusted proxies."""
    client = scope.get("client")
    return http.client_ip(
        peer=client[0] if client else "",
        forwarded_for=headers_of(scope).get("x-forwarded-for", ""),
    )


def _origin_allowed(scope: Scope) -> bool:
    headers = headers_of(scope)
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is None:
        return True
    # A name that is not ours would make any page whose name points here its own origin.
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        return False
    return origins.is_allowed(
        origin,
        host=host,
        secure=scope.get("scheme") == "wss",
        allowed=settings.ENV.allowed_origins,
    )


async def _answer(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    await receive()  # websocket.connect
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1013, "reason": refusal.code})
        return
    headers = [(b"content-type", b"application/json")]
    if refusal.status == 503:
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    body = json.dumps({"code": refusal.code, "message": refusal.message}).encode()
    await send(
        {"type": "websocket.http.response.start", "status": refusal.status, "headers": headers}
    )
    await send({"type": "websocket.http.response.body", "body": body})
