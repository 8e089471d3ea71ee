"""Answers shared by equal requests: a burst of them is one look at the rows.

An answer is shared if it is whole (200) and says under which tag it is known and what it weighs:
then it holds for everybody who asks the same. It stands for a quarter of a second, so the ages and
times in it may be as old as that. Errors are never shared.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moonx.core import http, logs, weights

FRESH_S = 0.25
MOST = 256
MOST_BYTES = 32 * 1024 * 1024  # of all answers together
# Says what a request weighed.
WEIGHT = "X-Request-Weight"

# What an answer may differ by: the addresses in it, and what browsers are told of safety. Whose
# request it is must be none of it.
ASKED_OF = (b"host", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port")
BODY = (b"content-length", b"transfer-encoding")
REQUEST_ID, OF_A_BODY = http.HEADER.lower().encode(), (b"content-length", b"content-type")

Header = tuple[bytes, bytes]
Headers = list[Header]
Key = tuple[object, ...]
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer; its headers but for the id of the request."""

    status: int
    headers: Headers
    body: bytes
    request_id: str
    tag: str
    weight: int
    at_s: float

    @property
    def is_shared(self) -> bool:
        """Whether it holds for everybody who asks the same."""
        return self.status == 200 and bool(self.tag) and self.weight > 0


class Sharing:
    """An ASGI application whose answers are shared by requests for the same, of each event loop.

    Each request is counted against its address as if it had been served alone.
    """

    def __init__(self, served: Application, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._served, self._clock = served, clock
        self._kept: OrderedDict[Key, Answer] = OrderedDict()
        self._bytes = 0
        self._coming: dict[Key, asyncio.Future[Answer | None]] = {}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Serves a request: with a shared answer, if there is one and its address may have it."""
        given = _given(scope["headers"])
        if scope["method"] != "GET" or any(name in given for name in BODY):
            await self._served(scope, receive, send)
            return
        key = _key(scope, given)
        found = await self._shared(key)
        if found is not None and await _may_have(scope, given, found):
            await _send(send, found, given=given, request_id=_id(given))
        elif (made := await self._make(key, scope, receive)) is not None:
            await _send(send, made, given=given, request_id=made.request_id)

    async def _shared(self, key: Key) -> Answer | None:
        """The answer that stands, or the one that is being made; None where it is not shared."""
        found = self._kept.get(key)
        if found is not None and self._clock() - found.at_s < FRESH_S:
            return found
        coming = self._coming.get(key)
        return None if coming is None else await asyncio.shield(coming)

    async def _make(self, key: Key, scope: Scope, receive: Receive) -> Answer | None:
        """Makes the answer, for whoever waits for it too; None where its sender went away."""
        coming = asyncio.get_running_loop().create_future()
        is_first = self._coming.setdefault(key, coming) is coming
        made: Answer | None = None
        try:
            made = await self._ask(scope, receive)
        finally:
            if is_first:
                del self._coming[key]
                shared = made if made is not None and made.is_shared else None
                coming.set_result(shared)
                if shared is not None:
                    self._keep(key, shared)
        return made

    async def _ask(self, scope: Scope, receive: Receive) -> Answer | None:
        # When it was asked for: what is told is of that time, or later.
        at_s = self._clock()
        sent: list[Any] = []

        async def take(message: Any) -> None:
            sent.append(message)

        # Without what the sender has already: others may not have it.
        headers = [one for one in scope["headers"] if one[0] != b"if-none-match"]
        await self._served({**scope, "headers": headers}, receive, take)
        return _whole(sent, at_s=at_s) if sent else None

    def _keep(self, key: Key, answer: Answer) -> None:
        """Keeps an answer; those that are over, and the oldest beyond what is allowed, go."""
        self._forget(key)
        if len(answer.body) > MOST_BYTES:
            return
        self._kept[key], self._bytes = answer, self._bytes + len(answer.body)
        while self._is_too_much():
            self._forget(next(iter(self._kept)))

    def _is_too_much(self) -> bool:
        oldest = next(iter(self._kept.values()))
        is_over = self._clock() - oldest.at_s >= FRESH_S
        return len(self._kept) > 1 and (
            is_over or len(self._kept) > MOST or self._bytes > MOST_BYTES
        )

    def _forget(self, key: Key) -> None:
        if gone := self._kept.pop(key, None):
            self._bytes -= len(gone.body)


def _given(headers: Iterable[Header]) -> dict[bytes, bytes]:
    """The headers by name; one that comes twice is one of both values, as Django has it."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        found[name] = found[name] + b"," + value if name in found else value
    return found


def _key(scope: Scope, given: Mapping[bytes, bytes]) -> Key:
    """What is asked for. Where two are the same, so is the answer."""
    asked_of = tuple(given.get(name) for name in ASKED_OF)
    return (scope["scheme"], asked_of, scope["path"], scope["query_string"])


async def _may_have(scope: Scope, given: Mapping[bytes, bytes], found: Answer) -> bool:
    """Counts the request against its address; False beyond the limit, to be refused as any is."""
    peer, *_ = scope.get("client") or ("",)
    forwarded = given.get(b"x-forwarded-for", b"").decode("latin-1")
    address = http.client_ip(peer=peer, forwarded_for=forwarded)
    if weights.spent_ahead(address, found.weight):
        return True
    try:  # in a thread: the counting server may take its time
        await asyncio.to_thread(weights.spend_of, address, found.weight)
    except weights.UsedUp:
        return False
    return True


def _id(given: Mapping[bytes, bytes]) -> str:
    return http.acceptable_id(given.get(REQUEST_ID, b"").decode("latin-1")) or (
        logs.new_correlation_id()
    )


def _whole(sent: list[Any], *, at_s: float) -> Answer:
    start, *parts = sent
    named = {name.lower(): value.decode("latin-1") for name, value in start["headers"]}
    weight = named.get(WEIGHT.lower().encode(), "")
    return Answer(
        status=start["status"],
        headers=[one for one in start["headers"] if one[0].lower() != REQUEST_ID],
        body=b"".join(part.get("body", b"") for part in parts),
        request_id=named.get(REQUEST_ID, ""),
        tag=named.get(b"etag", ""),
        weight=int(weight) if weight.isdecimal() else 0,
        at_s=at_s,
    )


async def _send(
    send: Send, answer: Answer, *, given: Mapping[bytes, bytes], request_id: str
) -> None:
    held = given.get(b"if-none-match", b"").decode("latin-1")
    is_held = answer.is_shared and http.is_held(held, name=answer.tag)
    headers = [one for one in answer.headers if not (is_held and one[0].lower() in OF_A_BODY)]
    named = (http.HEADER.encode(), request_id.encode("latin-1"))
    status = 304 if is_held else answer.status
    await send({"type": "http.response.start", "status": status, "headers": [*headers, named]})
    await send({"type": "http.response.body", "body": b"" if is_held else answer.body})
