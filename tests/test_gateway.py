"""The gateway as it is run: a real server, the real relay, real clients."""

import asyncio
import json
import os
import socket as sockets
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from jsonschema import Draft202012Validator
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.exchange import amending, ledger, tickers
from apps.exchange.amending import Request
from apps.exchange.models import Asset, Market, TradeSource
from apps.exchange.trades import NewTrade, record
from apps.realtime import relay
from apps.realtime.threads import in_thread
from moonx.core import clock, logs, push, valkey
from moonx.core.push import State
from moonx.documents import merged
from moonx.roles import LARGEST_FRAME_BYTES, command_for

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey", "relaying")
OWN = ["orders@me", "trades@me", "balances@me", "orders", "trades"]
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """host:port of a web process, started as its role is."""
    with sockets.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = settings.ENV.model_copy(update={"moonx_port": port, "moonx_role": "web"})
    child = subprocess.Popen(
        command_for("web", env),
        cwd=ROOT,
        env={
            **os.environ,
            "MOONX_ENV": "test",
            "MOONX_ROLE": "web",
            "ANONYMOUS_READ": "true",
            "RATE_LIMIT_MAX_MESSAGES_PER_MINUTE": "6000",
        },
    )
    try:
        _wait_until_it_answers(port, child)
        yield f"127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(timeout=30)


@pytest.fixture
def relaying() -> Iterator[None]:
    """A relay at work."""
    stop = threading.Event()
    thread = threading.Thread(
        target=relay.run,
        kwargs={"dsn": settings.ENV.direct_dsn(), "client": valkey.client(), "stop": stop},
    )
    thread.start()
    yield
    stop.set()
    thread.join(timeout=10)


@pytest.fixture
def market() -> Market:
    """XRPETH."""
    base = Asset.objects.create(symbol="XRP", name="XRP", decimals=6)
    quote = Asset.objects.create(symbol="ETH", name="Ether", decimals=18)
    tick = Decimal("0.00000001")
    return Market.objects.create(
        symbol="XRPETH", base=base, quote=quote, tick_size=tick, step_size=Decimal(1)
    )


async def test_a_client_of_the_former_service_works_unchanged(server: str, market: Market) -> None:
    user = await in_thread(
        lambda: User.objects.create_user("alice", "alice@example.com", "correct horse")
    )
    pair = await in_thread(
        lambda: post(
            server, "/api/v1/auth/token", {"username": "alice", "password": "correct horse"}
        )
    )
    async with connect(f"ws://{server}/ws") as client:
        greeting = await hear(client)
        assert greeting["type"] == "auth_required"
        assert greeting["data"]["timeout"] == 10_000
        auth_id = f"auth_{int(time.time() * 1000)}"
        await say(client, "authenticate", as_id=auth_id, token=pair["access"])
        success = await hear(client)
        assert (success["type"], success["data"]["user"]) == (
            "auth_success",
            {"id": str(user.pk), "email": "alice@example.com"},
        )
        await say(client, "subscribe", as_id="msg_123", channel="prices")
        assert (await hear(client))["type"] == "subscribed"
        await in_thread(lambda: trade(market))
        await in_thread(push_tickers)
        update = await hear(client)
        assert (update["type"], update["channel"]) == ("price_update", "ticker:XRPETH")
        former = {"token", "chainId", "price", "priceUsd", "change24h", "volume24h", "timestamp"}
        assert former <= update["data"].keys()
        assert update["data"]["price"] == "0.00150000"


async def test_a_frame_names_the_request_that_caused_it(server: str, market: Market) -> None:
    async with connect(f"ws://{server}/ws") as client:
        await hear(client)
        await say(client, "subscribe", channels=["trades:XRPETH", "candles:XRPETH:1m"])
        assert (await hear(client))["type"] == "subscribed"
        await in_thread(lambda: trade(market, correlation="request-42"))
        frames = [await hear(client), await hear(client)]
    by_type = {frame["type"]: frame for frame in frames}
    assert by_type["trade.executed"]["correlationId"] == "request-42"
    assert by_type["candle.updated"]["correlationId"] == "request-42"
    assert by_type["trade.executed"]["position"] == 1


async def test_an_orders_request_is_named_by_every_frame_that_it_causes_at_both_owners(
    server: str, market: Market
) -> None:
    """Each frame is held against the interface document, too."""
    maker, taker = await in_thread(lambda: (trader(market, "maker"), trader(market, "taker")))
    pairs = await in_thread(lambda: [sign_in(server, name) for name in (maker, taker)])
    async with connect(f"ws://{server}/ws") as makers, connect(f"ws://{server}/ws") as takers:
        for client, pair in ((makers, pairs[0]), (takers, pairs[1])):
            await hear(client)
            await say(client, "authenticate", token=pair["access"])
            assert (await hear(client))["type"] == "auth_success"
            await say(client, "subscribe", channels=[*OWN, "trades:XRPETH"])
            await until(client, "subscribed")
        sale = {"symbol": "XRPETH", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC"}
        await in_thread(
            lambda: order(server, pairs[0], "sale-1", **sale, price="0.0015", quantity="30")
        )
        await until(makers, "order.accepted")
        buying = {"symbol": "XRPETH", "side": "BUY", "type": "MARKET", "quantity": "10"}
        await in_thread(lambda: order(server, pairs[1], "purchase-2", **buying))
        sold = await until(makers, "order_update", status="partially_filled")
        bought = await until(takers, "trade_update")
    assert (sold["channel"], sold["correlationId"]) == ("orders@me", "sale-1")
    assert (bought["channel"], bought["correlationId"]) == ("trades@me", "purchase-2")
    assert bought["data"]["amountOut"] == "10"


async def test_a_book_moves_with_the_orders_in_it(server: str, market: Market) -> None:
    name = await in_thread(lambda: trader(market, "maker"))
    pair = await in_thread(lambda: sign_in(server, name))
    async with connect(f"ws://{server}/ws") as client:
        await hear(client)
        await say(client, "subscribe", channel="book:XRPETH")
        empty = await until(client, "book.updated")
        sale = {"symbol": "XRPETH", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC"}
        await in_thread(
            lambda: [
                order(server, pair, "r", **sale, price=price, quantity="30")
                for price in ("0.0015", "0.0014")
            ]
        )
        book = await until(client, "book.updated", version=2)
    assert (empty["kind"], empty["data"]["version"], empty["data"]["asks"]) == ("snapshot", 0, [])
    assert book["data"]["asks"] == [["0.00140000", "30"], ["0.00150000", "30"]]


async def test_every_answer_is_as_the_interface_document_says(server: str, market: Market) -> None:
    async with connect(f"ws://{server}/ws") as client:
        await hear(client)
        await in_thread(lambda: trade(market))
        await in_thread(push_tickers)
        channels = ["ticker:XRPETH", "prices", "trades:XRPETH", "candles:XRPETH:1m"]
        channels += ["book:XRPETH"]
        await say(client, "subscribe", channels=channels)
        await say(client, "subscribe", channel="nonsense")
        await say(client, "list")
        await say(client, "ping")
        await say(client, "unsubscribe", channels=channels)
        await say(client, "authenticate", token="forged")
        heard: list[str] = []
        with pytest.raises(ConnectionClosed):
            await _collect(client, heard)
    assert {
        *("subscribed", "error", "list", "pong", "unsubscribed", "auth_failed"),
        *("ticker.updated", "price_update", "trade.executed", "candle.updated", "book.updated"),
    } <= set(heard)


async def test_a_busted_trade_leaves_tape_bar_and_ticker_of_who_watches(
    server: str, market: Market
) -> None:
    async with connect(f"ws://{server}/ws") as client:
        await hear(client)
        for _ in range(2):
            await in_thread(lambda: trade(market))
        await in_thread(push_tickers)
        channels = ["ticker:XRPETH", "trades:XRPETH", "candles:XRPETH:1h"]
        await say(client, "subscribe", channels=channels)
        await until(client, "candle.updated", tradeCount=2)
        await in_thread(lambda: amending.bust(market, 2, Request(reason="twice", by="ops")))
        # The bar and the ticker are states, which do not wait for the facts.
        wanted = {("trade.busted", 2), ("candle.updated", 1), ("ticker.updated", 1)}
        while wanted:
            message = await hear(client)
            data = message["data"]
            wanted.discard((message["type"], data.get("tradeCount", data.get("id"))))


async def test_a_frame_that_is_too_large_closes_with_1009_and_nothing_is_compressed(
    server: str,
) -> None:
    async with connect(f"ws://{server}/ws", compression="deflate") as client:
        assert client.response is not None
        assert "Sec-WebSocket-Extensions" not in client.response.headers
        await client.send("x" * (LARGEST_FRAME_BYTES + 1))
        assert await close_code(client) == 1009


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [("/ws", "http://evil.test", 403), ("/ws?token=x", None, 400), ("/nowhere", None, 404)],
)
async def test_what_may_not_open_a_socket_gets_an_http_answer(
    server: str, path: str, origin: Any, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"ws://{server}{path}", origin=origin)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["message"]


async def test_a_page_of_this_server_opens_a_socket(server: str) -> None:
    async with connect(f"ws://{server}/ws", origin=f"http://{server}") as client:  # type: ignore[arg-type]
        assert (await hear(client))["type"] == "auth_required"


async def test_a_client_that_stops_reading_costs_the_others_nothing(
    server: str, market: Market
) -> None:
    count = 3000
    stalled = sockets.socket()
    stalled.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    host, _, port = server.partition(":")
    stalled.connect((host, int(port)))
    async with (
        connect(f"ws://{server}/ws", max_queue=None) as healthy,
        connect(f"ws://{server}/ws", sock=stalled, max_queue=1) as slow,
    ):
        for client in (healthy, slow):
            await hear(client)
            await say(client, "subscribe", channel="ticker:XRPETH", snapshot=False)
            assert (await hear(client))["type"] == "subscribed"
        await in_thread(lambda: flood(count))
        seqs = [(await hear(healthy))["seq"] for _ in range(count)]
        assert seqs == list(range(1, count + 1))
        # 4200 if the close still got through, else the connection was ended without it.
        assert await close_code(slow) in {4200, 1006}


async def _collect(client: ClientConnection, heard: list[str]) -> None:
    while True:
        heard.append((await hear(client))["type"])


async def close_code(client: ClientConnection) -> int:
    """How the connection is closed; what comes before is skipped."""
    async with asyncio.timeout(30):
        try:
            while True:
                await client.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


def flood(count: int) -> None:
    now, filler = clock.db_now(), "x" * 2000
    for version in range(1, count + 1):
        state = State(
            topic="ticker:XRPETH",
            name="ticker.updated",
            version=version,
            data={"filler": filler},
            source_time=now,
        )
        push.publish_states([state], now=now)


def trade(market: Market, *, correlation: str = "") -> None:
    new = NewTrade(price=Decimal("0.0015"), quantity=Decimal(10), is_buyer_maker=False)
    with logs.correlated(correlation):
        record(market, [new], source=TradeSource.REPLAYED)


def push_tickers() -> None:
    with transaction.atomic():
        tickers.update()
    tickers.push(now=clock.db_now())


async def say(client: ClientConnection, kind: str, *, as_id: str = "m", **data: Any) -> None:
    await client.send(json.dumps({"id": as_id, "type": kind, "timestamp": 0, "data": data}))


async def hear(client: ClientConnection) -> dict[str, Any]:
    """The next message that is not a fresh start: the relay may begin its epoch meanwhile."""
    async with asyncio.timeout(15):
        while True:
            message: dict[str, Any] = json.loads(await client.recv())
            documented(message)
            if message["type"] != "resync":
                return message


@cache
def validators() -> dict[str, Draft202012Validator]:
    """What the interface document says of each message that the server sends, by its type."""
    document = merged.asyncapi()
    sent = [
        message["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        if operation["action"] == "send"
        for message in operation["messages"]
    ]
    messages = [document["components"]["messages"][name] for name in sent]
    root = {"components": document["components"]}
    return {one["name"]: Draft202012Validator(root | one["payload"]) for one in messages}


def documented(message: dict[str, Any]) -> None:
    """Fails unless the interface document describes this message."""
    faults = [error.message for error in validators()[message["type"]].iter_errors(message)]
    assert not faults, (message, faults)


async def until(client: ClientConnection, kind: str, **data: Any) -> dict[str, Any]:
    """The next message of that type and with these data; those before it are skipped."""
    while True:
        message = await hear(client)
        if message["type"] == kind and data.items() <= message["data"].items():
            return message


def trader(market: Market, name: str) -> str:
    """The name of a user who has something of both assets."""
    user = User.objects.create_user(name, f"{name}@example.com", "correct horse")
    for asset in (market.base, market.quote):
        ledger.fund(user.pk, asset, Decimal(1000), source=f"{name}:{asset}")
    return name


def sign_in(server: str, name: str) -> dict[str, Any]:
    return post(server, "/api/v1/auth/token", {"username": name, "password": "correct horse"})


def order(server: str, pair: dict[str, Any], request_id: str, **fields: str) -> dict[str, Any]:
    """Places an order under a request id of its own."""
    headers = {"Authorization": f"Bearer {pair['access']}", "X-Request-ID": request_id}
    return post(server, f"/api/v3/order?{urlencode(fields)}", {}, headers=headers)


def post(
    server: str, path: str, body: dict[str, Any], *, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://{server}{path}",
        data=json.dumps(body).encode() if body else b"",
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own server
        found: dict[str, Any] = json.loads(answer.read())
    return found


def _wait_until_it_answers(port: int, child: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert child.poll() is None, "the server ended at once"
        with sockets.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server never listened")
