"""The simulator as an ASGI application: every service under its prefix, and its control."""

import asyncio
import ipaddress
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from moonx.simulator import (
    alchemy,
    binance,
    coingecko,
    defillama,
    dexscreener,
    lifi,
    moods,
    oneinch,
    relay,
)
from moonx.simulator.moods import Mood, Whim
from moonx.simulator.serving import (
    LARGEST_BODY,
    Reply,
    Request,
    Service,
    page,
    parsed_json,
    parsed_query,
)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SERVICES: Sequence[Service] = (
    lifi.SERVICE,
    relay.SERVICE,
    oneinch.SERVICE,
    defillama.SERVICE,
    defillama.COINS,
    alchemy.SERVICE,
    binance.SERVICE,
    coingecko.SERVICE,
    dexscreener.SERVICE,
)
CONTROL, HEALTH = "/_control", "/_health"
SEED = 1


class Site:
    """All services, each in its mood; the same seed and the same calls give the same answers."""

    def __init__(
        self,
        services: Sequence[Service] = SERVICES,
        *,
        seed: int = SEED,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._services = services
        self._by_prefix = {service.prefix: service for service in services}
        self._reset(seed)

    def _reset(self, seed: int) -> None:
        self._seed = seed
        self._moods = self._first_moods()
        self._counts = dict.fromkeys(self._moods, 0)

    def _first_moods(self) -> dict[str, Mood]:
        return {one.name: Mood(latency_ms=one.latency_ms) for one in self._services}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one call."""
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if body is None:
            await _send(send, Reply(status=413, body={"error": "too large"}))
        elif scope["path"] == HEALTH:
            await _send(send, Reply(body={"status": "healthy"}))
        elif scope["path"] == CONTROL:
            await _send(send, self._control(scope, body))
        else:
            await self._serve(scope, body, send)

    async def _serve(self, scope: Scope, body: bytes, send: Send) -> None:
        prefix, _, rest = scope["path"][1:].partition("/")
        service = self._by_prefix.get(f"/{prefix}")
        if service is None:
            await _send(send, Reply(status=404, body={"error": "no such service"}))
            return
        count = self._counts[service.name] = self._counts[service.name] + 1
        request = Request(
            method=scope["method"],
            path=f"/{rest}",
            query=parsed_query(scope["query_string"].decode("latin-1")),
            body=body,
            now_s=self._clock(),
            count=count,
        )
        mood = self._moods[service.name]
        facts: dict[str, Any] = {"seed": self._seed, "service": service.name, "count": count}
        await asyncio.sleep(moods.latency_s(mood, **facts, now_s=request.now_s))
        await self._answer(service, request, moods.whim(mood, **facts), send)

    async def _answer(self, service: Service, request: Request, whim: Whim, send: Send) -> None:
        match whim:
            case Whim.RATE_LIMITED:
                reply = service.rate_limited()
            case Whim.FAILED:
                reply = service.failed()
            case Whim.HTML:
                reply = page(200, "Just a moment...")
            case _:
                reply = _handled(service, request)
        await _send(send, reply, headers=service.headers(request), is_cut=whim is Whim.HALF)

    def _control(self, scope: Scope, body: bytes) -> Reply:
        """GET tells the moods; POST changes one service's, or all for `*`, and may set the seed."""
        if not (_is_loopback(scope) and _is_no_page(scope)):
            return Reply(status=403, body={"error": "only from this machine, and from no web page"})
        if scope["method"] == "POST":
            try:
                self._obey(parsed_json(body))
            except ValueError as error:
                return Reply(status=400, body={"error": str(error)})
        told = {name: moods.described(mood) for name, mood in self._moods.items()}
        return Reply(body={"seed": self._seed, "services": told, "calls": self._counts})

    def _obey(self, wanted: Any) -> None:
        """Does all of what is ordered; ValueError, and nothing is done, where it makes no sense."""
        if not isinstance(wanted, dict):
            raise ValueError("send a JSON object")
        wishes = dict(wanted)
        seed = wishes.pop("seed", None)
        if "seed" in wanted and (isinstance(seed, bool) or not isinstance(seed, int)):
            raise ValueError("seed must be a whole number")
        before = self._moods if seed is None else self._first_moods()
        changed = _changed(before, wishes) if wishes else {}
        if seed is not None:
            self._reset(seed)
        self._moods |= changed


def _changed(before: Mapping[str, Mood], wishes: dict[str, Any]) -> dict[str, Mood]:
    """The moods that `wishes` change; ValueError for what cannot be."""
    name = wishes.pop("service", None)
    if name != "*" and not (isinstance(name, str) and name in before):
        raise ValueError(f"service {name!r} is none of {', '.join(before)} or *")
    names = before if name == "*" else [name]
    return {one: moods.changed(before[one], wishes) for one in names}


def _handled(service: Service, request: Request) -> Reply:
    try:
        return service.answer(request)
    except Exception:  # noqa: BLE001 - printed, and what a real server does
        traceback.print_exc(file=sys.stderr)
        return service.failed()


async def _body(receive: Receive) -> bytes | None:
    """The whole body of a call; None for one that is too large."""
    pieces, size = [], 0
    while True:
        message = await receive()
        piece = message.get("body", b"")
        size += len(piece)
        if size > LARGEST_BODY:
            return None
        pieces.append(piece)
        if not message.get("more_body"):
            return b"".join(pieces)


async def _send(
    send: Send, reply: Reply, *, headers: dict[str, str] | None = None, is_cut: bool = False
) -> None:
    """Sends a reply; a cut one ends in the middle, and so does its connection."""
    content = reply.content
    told = {
        "content-type": reply.content_type,
        "content-length": str(len(content)),
        **(headers or {}),
        **reply.headers,
    }
    spelled = [(name.encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": spelled})
    sent = content[: len(content) // 2] if is_cut else content
    await send({"type": "http.response.body", "body": sent, "more_body": is_cut})


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _is_no_page(scope: Scope) -> bool:
    """Whether no web page asks: a browser tells a page's origin with each order, and whatever name
    of another's leads to this machine stands in Host."""
    told = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return b"origin" not in told and _names_loopback(told.get(b"host", ""))


def _names_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


application = Site()
