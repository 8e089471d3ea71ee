"""What servers of others do to a call, and that nothing of the URL is told."""

import socket
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from moonx.core.upstream import http
from moonx.core.upstream.faults import CallFailed, Fault

SECRET = "s3cr3tkey"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def reply(body: bytes, *, status: str = "200 OK", headers: str = "", length: int = -1) -> bytes:
    size = len(body) if length < 0 else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {size}\r\n{headers}\r\n".encode() + body


class Server:
    """Answers each request with the same bytes; `drip_s` lies between two of them."""

    def __init__(self, answer: bytes, *, drip_s: float = 0) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v2/{SECRET}"
        self.connections = 0
        self._answer, self._drip_s = answer, drip_s
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        pieces: Sequence[bytes] = [self._answer]
        if self._drip_s:
            pieces = [self._answer[i : i + 1] for i in range(len(self._answer))]
        with connection:
            try:
                while connection.recv(65536):
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(self._drip_s)
                    if b"Content-Length" not in self._answer:
                        return
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()


@contextmanager
def serving(answer: bytes, *, drip_s: float = 0) -> Iterator[Server]:
    server = Server(answer, drip_s=drip_s)
    yield server
    server.close()


def failure(answer: bytes, *, drip_s: float = 0, max_bytes: int = 1000) -> CallFailed:
    with serving(answer, drip_s=drip_s) as server, pytest.raises(CallFailed) as caught:
        http.get_json(
            SecretStr(server.address), server="somewhere", timeout_s=0.4, max_bytes=max_bytes
        )
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert SECRET not in told
    assert caught.value.__context__ is None
    assert str(caught.value).startswith("somewhere ")
    return caught.value


def test_fractions_are_exact_and_the_connection_is_kept() -> None:
    with serving(reply(b'{"price": 0.1}')) as server:
        for _ in range(5):
            found = http.get_json(server.address, server="somewhere", timeout_s=2)
            assert found == {"price": Decimal("0.1")}
        assert http.post_json(server.address, [1], server="somewhere", timeout_s=2) == found
        assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (reply(b"<html>fine</html>"), Fault.MALFORMED),
        (reply(b"NaN"), Fault.MALFORMED),
        (reply(b"[" * 900), Fault.MALFORMED),
        (reply(b"1e99999999999999999999"), Fault.MALFORMED),
        (reply(b'{"half', length=50), Fault.MALFORMED),
        (reply(b"x", headers="Content-Encoding: gzip\r\n"), Fault.MALFORMED),
        (reply(b" " * 1001), Fault.TOO_LARGE),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 1001, Fault.TOO_LARGE),
        (b"no HTTP at all", Fault.CONNECTION),
        (b"", Fault.CONNECTION),
    ],
)
def test_an_answer_that_cannot_be_used_has_a_class(answer: bytes, fault: Fault) -> None:
    if b"half" in answer:
        answer = answer.replace(b"Content-Length", b"content-length")  # the server hangs up
    assert failure(answer).fault is fault


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ("400 Bad Request", Fault.REFUSED),
        ("401 Unauthorized", Fault.AUTHENTICATION),
        ("403 Forbidden", Fault.AUTHENTICATION),
        ("404 Not Found", Fault.REFUSED),
        ("429 Too Many Requests", Fault.RATE_LIMITED),
        ("418 I'm a teapot", Fault.RATE_LIMITED),
        ("500 Internal Server Error", Fault.SERVER),
        ("503 Service Unavailable", Fault.SERVER),
    ],
)
def test_a_status_has_a_class_and_the_refusal_keeps_what_was_said(
    status: str, fault: Fault
) -> None:
    failed = failure(reply(b'{"code": 1002}', status=status, headers="Retry-After: 7\r\n"))
    assert isinstance(failed, http.Refusal)
    assert (failed.fault, failed.retry_after_s) == (fault, 7)
    assert failed.status == int(status[:3])
    assert failed.json() == {"code": 1002}


def test_nobody_is_followed_elsewhere() -> None:
    with serving(reply(b"{}")) as metadata:
        headers = f"Location: {metadata.address}\r\n"
        failed = failure(reply(b"", status="307 Temporary Redirect", headers=headers))
        assert failed.fault is Fault.REDIRECTED
        assert metadata.connections == 0


@pytest.mark.parametrize("part", ["body", "header"])
def test_a_server_that_drips_is_left_at_the_deadline(part: str) -> None:
    answer = reply(b" " * 200) if part == "body" else b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200
    begun_s = time.monotonic()
    drip_s = 0.05 if part == "header" else 0.005
    assert failure(answer, drip_s=drip_s).fault is Fault.TIMEOUT
    assert time.monotonic() - begun_s < 0.7


def test_nobody_listening_is_a_failed_connection() -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(CallFailed) as caught:
        http.get_json(f"http://127.0.0.1:{port}/{SECRET}", server="somewhere", timeout_s=1)
    assert caught.value.fault is Fault.CONNECTION
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_all_addresses_of_a_host_together_have_one_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        place = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:  # more than it queues: who comes now is not answered
            each.settimeout(0)
            each.connect_ex(place)
        known = socket.getaddrinfo

        def resolved(host: str, *args: Any, **kwargs: Any) -> list[Any]:
            if host == "many.example":
                return known("127.0.0.1", *args, **kwargs) * 4
            return known(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        begun_s = time.monotonic()
        with pytest.raises(CallFailed) as caught:
            http.get_json(f"http://many.example:{place[1]}/", server="somewhere", timeout_s=0.4)
        assert 0.3 < time.monotonic() - begun_s < 0.7
        assert caught.value.fault is Fault.TIMEOUT
        for each in waiting:
            each.close()


def test_a_server_sets_no_cookie() -> None:
    with serving(reply(b"{}", headers="Set-Cookie: a=b\r\n")) as server:
        http.get_json(server.address, server="somewhere", timeout_s=2)
    assert len(http._session().cookies) == 0


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("", 0),
        ("12", 12),
        ("-1", 0),
        ("soon", 0),
        ("99999999", 3600),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30),
        ("Fri, 02 Jan 2026 03:04:00 GMT", 0),
        ("Fri, 02 Jan 2099 03:04:00 GMT", 3600),
        ("Fri, 02 Jan 9999999999 03:04:00 GMT", 0),
        ("Fri, 02 Jan 99999999999999999999 03:04:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 3600),
    ],
)
def test_a_wait_is_read_from_seconds_and_dates_and_is_never_absurd(
    header: str, wait_s: float
) -> None:
    assert http.wait_of(header, now=NOW) == wait_s
    assert http.wait_of(header, now=NOW + timedelta(days=40_000)) == (
        0 if "GMT" in header else wait_s
    )
