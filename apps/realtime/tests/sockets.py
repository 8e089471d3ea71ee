"""A client of `/ws` for tests, over the test communicator."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.testing import WebsocketCommunicator

from apps.realtime.publisher import Publisher
from apps.realtime.sequencer import Published
from apps.realtime.tests.support import NOON
from moonx.asgi import application
from moonx.core import push, valkey
from moonx.core.intervals import to_ms
from moonx.core.push import State

TIMEOUT_S = 10


class Socket:
    """An open socket; `say` and `hear` are the two directions."""

    def __init__(self, communicator: WebsocketCommunicator) -> None:
        self.raw = communicator

    async def say(self, kind: str, *, as_id: str = "m1", **data: Any) -> None:
        """Sends a message of the protocol."""
        await self.raw.send_json_to({"id": as_id, "type": kind, "timestamp": 0, "data": data})

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = await self.raw.receive_json_from(timeout=TIMEOUT_S)
        return message

    async def ask(self, kind: str, **data: Any) -> dict[str, Any]:
        """Sends a message and returns the reply to it, whatever comes between."""
        await self.say(kind, as_id="asked", **data)
        while True:
            message = await self.hear()
            if message.get("replyTo") == "asked":
                return message

    async def closed(self) -> tuple[int, str]:
        """Code and reason of the close that comes next; messages before it are skipped."""
        while True:
            output = await self.raw.receive_output(timeout=TIMEOUT_S)
            if output["type"] == "websocket.close":
                return output["code"], output.get("reason", "")


@asynccontextmanager
async def connected(
    path: str = "/ws", *, headers: dict[str, str] | None = None, address: str = "10.0.0.1"
) -> AsyncIterator[Socket]:
    """A socket that was let in; its `auth_required` is read already."""
    communicator = communicate(path, headers=headers, address=address)
    accepted, code = await communicator.connect(timeout=TIMEOUT_S)
    assert accepted, code
    socket = Socket(communicator)
    greeting = await socket.hear()
    assert greeting["type"] == "auth_required", greeting
    try:
        yield socket
    finally:
        await communicator.disconnect(timeout=TIMEOUT_S)


def communicate(
    path: str = "/ws", *, headers: dict[str, str] | None = None, address: str = "10.0.0.1"
) -> WebsocketCommunicator:
    """A socket that is not open yet."""
    given = {"host": "moonx.test", **(headers or {})}
    raw = [(name.encode(), value.encode()) for name, value in given.items()]
    communicator = WebsocketCommunicator(application, path, headers=raw)
    communicator.scope["client"] = (address, 1234)
    communicator.scope["scheme"] = "ws"
    return communicator


def tell(number: int, *, topic: str = "news:today", after: int | None = None) -> None:
    """Publishes fact `number` at that position, as the relay does."""
    data = text({"n": number})
    event = Published(number, number, "news.told", text([topic]), data, "", to_ms(NOON))
    before = number - 1 if after is None else after
    assert Publisher(valkey.client()).publish([event], after=before) == "ok"


def set_price(price: str, *, version: int) -> None:
    """Pushes a state."""
    state = State(
        topic="news:today",
        name="news.told",
        version=version,
        data={"price": price},
        source_time=NOON,
    )
    push.publish_states([state], now=NOON)


def text(value: object) -> str:
    """As a client writes it."""
    return json.dumps(value)
