"""The API is served apart, and nobody can tell but by the time it takes."""

import asyncio
import re
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import connections

from moonx import apihandler
from moonx.core import sharing

pytestmark = pytest.mark.usefixtures("committed_db")

STATISTICS = [
    *(("/api/v1/stats/bridges", 200), ("/api/stats/history", 200)),
    *(("/api/v1/stats/nope", 404), ("/api/v1/stats/chains/luna/history", 404)),
]
Answer = tuple[int, dict[str, str], bytes]


@pytest.fixture(autouse=True)
def _connections_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request has a thread of its own here, which leaves no connection behind."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 0)


def ask(
    application: Any, path: str, *, host: str = "localhost", method: str = "GET", parts: int = 0
) -> Answer:
    """The answer to a request whose body has so many parts of 64 KB."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"host", host.encode()), (b"x-request-id", b"trace-1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Any] = []
    part = {"type": "http.request", "body": b"x" * 65_536, "more_body": True}
    given = iter([part] * parts + [{**part, "body": b"", "more_body": False}])

    async def receive() -> Any:
        message = next(given, None)
        return await asyncio.sleep(60) if message is None else message

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(application(scope, receive, send))
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], headers, body


def without_time(body: bytes) -> bytes:
    """An answer without when it was made."""
    return re.sub(rb'"asOf":\d+', b"", body)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v3/ping", 200),
        ("/api/v3/account", 401),
        ("/api/v3/nope", 404),
        ("/api/v3/klines", 400),
        ("/udf/config", 200),
        ("/udf/nope", 404),
        *STATISTICS,
    ],
)
def test_an_answer_has_the_headers_that_every_answer_has(
    path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "FRESH_S", 60.0)
    application, whole = apihandler.beside(ASGIHandler()), ask(ASGIHandler(), path)
    apart, again = ask(application, path), ask(application, path)
    assert apart[0] == whole[0] == status
    used = re.compile("x-mbx-used-weight.*")
    for name in (name for name in apart[1] if used.fullmatch(name)):
        whole[1][name] = apart[1][name]
    # Sessions and cookies are what is left out, and with them what they say to caches.
    assert {**apart[1], "vary": ""} == {**whole[1], "vary": ""} | {"vary": ""}
    assert without_time(apart[2]) == without_time(whole[2])
    assert apart[1]["x-request-id"] == again[1]["x-request-id"] == "trace-1"
    if (path, status) in STATISTICS[:2]:
        assert again == apart


def test_another_host_is_refused(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    assert ask(apihandler.ApiHandler(), "/api/v3/ping", host="evil.example")[0] == 400


def test_a_body_without_end_is_read_but_not_kept() -> None:
    signed_in = apihandler.beside(ASGIHandler())
    assert ask(signed_in, "/api/v3/order", method="POST", parts=1000)[0] == 401

    async def kept(count: int) -> int:
        async def receive() -> Any:
            return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

        capped = apihandler.capped(receive)
        return sum([len((await capped())["body"]) for _ in range(count)])

    assert asyncio.run(kept(1000)) == 2 * 65_536


def test_only_the_api_is_served_apart() -> None:
    chosen = []

    async def pages(scope: Any, _: Any, send: Any) -> None:
        chosen.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    application = apihandler.beside(pages)
    for path in ("/", "/api/v1/ledger", "/api/v3x", "/admin/", "/api/v3/ping", "/udf/config"):
        assert ask(application, path)[0] == 200
    assert chosen == ["/", "/api/v1/ledger", "/api/v3x", "/admin/"]
