"""HTTP to servers of others: kept connections, one deadline, a cap on bytes, no redirects.

A URL may hold a key, so no message, log line or exception carries it: a server is called by the
public name that the caller gives it.
"""

import io
import json
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NoReturn

import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util.connection import create_connection

from moonx.core.upstream.faults import CallFailed, Fault
from moonx.core.version import version

LARGEST_BODY = 32 * 2**20
CHUNK = 2**20
KEPT_BODY = 4096  # of an answer that is a failure: what it says stands in its first lines
CONNECTIONS = 64  # kept per server: as many as a worker has threads
LONGEST_WAIT_S = 3600.0  # whatever a server asks for: it may err, or mean harm

Address = str | SecretStr
Params = Mapping[str, str | int | Sequence[str]]


class Refusal(CallFailed):
    """The server answered, and not with success: its status and the start of its body."""

    def __init__(
        self, message: str, *, fault: Fault, status: int, body: bytes, retry_after_s: float
    ) -> None:
        super().__init__(message, fault=fault, retry_after_s=retry_after_s)
        self.status = status
        self.body = body

    def json(self) -> Any:
        """What the body says; None where it is no JSON."""
        try:
            return loads(self.body)
        except ValueError:
            return None


def get_json(
    url: Address,
    *,
    server: str,
    timeout_s: float,
    params: Params | None = None,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = LARGEST_BODY,
) -> Any:
    """The JSON that a GET brings; fractions are Decimal. Raises CallFailed, or Refusal with the
    body where the server answers with another status than 2xx."""
    body = _call(
        "GET",
        url,
        server=server,
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        params=params,
        headers=headers,
    )
    return parsed(body, server=server)


def post_json(
    url: Address,
    body: Any,
    *,
    server: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = LARGEST_BODY,
) -> Any:
    """The JSON that a POST of JSON brings; else as `get_json`."""
    reply = post_bytes(
        url,
        json.dumps(body, separators=(",", ":")).encode(),
        server=server,
        timeout_s=timeout_s,
        headers=headers,
        max_bytes=max_bytes,
    )
    return parsed(reply, server=server)


def post_bytes(
    url: Address,
    body: bytes,
    *,
    server: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    max_bytes: int = LARGEST_BODY,
) -> bytes:
    """The whole body that a POST of JSON bytes brings, as it came; errors as in `get_json`."""
    return _call(
        "POST",
        url,
        server=server,
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        data=body,
        headers={"Content-Type": "application/json", **(headers or {})},
    )


def parsed(body: bytes, *, server: str) -> Any:
    """The body as JSON, fractions as Decimal; CallFailed (MALFORMED) where it is none."""
    try:
        return loads(body)
    except ValueError:
        what = "a page of HTML" if body.lstrip()[:1] == b"<" else "something that is no JSON"
    raise CallFailed(f"{server} answered with {what}.", fault=Fault.MALFORMED)


def loads(body: bytes) -> Any:
    """JSON with Decimal for fractions; ValueError for anything else, NaN, absurd depth and absurd
    exponents too."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except RecursionError:
        what = "nested too deeply"
    except ArithmeticError:
        what = "a number has an absurd exponent"
    raise ValueError(what)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def fault_of(status: int) -> Fault:
    """The class of a failed call by its HTTP status."""
    if status in {401, 402, 403}:
        return Fault.AUTHENTICATION
    if status in {418, 429}:  # Binance bans by 418 who goes on after 429
        return Fault.RATE_LIMITED
    if 300 <= status < 400:
        return Fault.REDIRECTED
    return Fault.REFUSED if 400 <= status < 500 else Fault.SERVER


def wait_of(header: str, *, now: datetime) -> float:
    """The seconds that a Retry-After header asks to wait, at most an hour; 0 for none."""
    value = header.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # a year of ten digits overflows
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_WAIT_S)


def _call(
    method: str, url: Address, *, server: str, timeout_s: float, max_bytes: int, **options: Any
) -> bytes:
    address = url.get_secret_value() if isinstance(url, SecretStr) else url
    failed: CallFailed
    _deadline.set(timeout_s)
    try:
        with _session().request(
            method, address, timeout=timeout_s, allow_redirects=False, stream=True, **options
        ) as reply:
            body = _read(reply, server=server, max_bytes=max_bytes)
            if 200 <= reply.status_code < 300:
                return body
            failed = _refusal(reply, body, server=server)
    except CallFailed:
        raise
    # Their exceptions hold the URL: what is raised is new, and raised where they are forgotten.
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        failed = _failure(error, server=server, timeout_s=timeout_s)
    raise failed


def _read(reply: requests.Response, *, server: str, max_bytes: int) -> bytes:
    announced = _announced(reply)
    if announced > max_bytes:
        reply.raw.close()  # what is left is not read, so the connection cannot be kept
        raise _too_large(server, max_bytes=max_bytes)
    if announced and "Content-Encoding" not in reply.headers:
        whole: bytes = reply.raw.read(announced, decode_content=False)  # no piece is copied
        if len(whole) < announced:
            raise ProtocolError("the connection ended within the answer")
        return whole
    pieces, size = [], 0
    while piece := reply.raw.read(CHUNK, decode_content=True):
        size += len(piece)
        if size > max_bytes:
            reply.raw.close()
            raise _too_large(server, max_bytes=max_bytes)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _announced(reply: requests.Response) -> int:
    """How many bytes its header says that it has; 0 where it does not say."""
    value = reply.headers.get("Content-Length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 20 else 0


def _too_large(server: str, *, max_bytes: int) -> CallFailed:
    return CallFailed(
        f"{server} answered with more than {max_bytes:,} bytes.", fault=Fault.TOO_LARGE
    )


def _refusal(reply: requests.Response, body: bytes, *, server: str) -> Refusal:
    fault = fault_of(reply.status_code)
    what = "wants to send us elsewhere" if fault is Fault.REDIRECTED else "answered"
    return Refusal(
        f"{server} {what} with status {reply.status_code}.",
        fault=fault,
        status=reply.status_code,
        body=body[:KEPT_BODY],
        retry_after_s=wait_of(_asked_wait(reply, fault), now=datetime.now(UTC)),
    )


def _asked_wait(reply: requests.Response, fault: Fault) -> str:
    """What the answer says of when to come back; LI.FI says it by a header of its own."""
    told: str = reply.headers.get("Retry-After", "")
    if not told and fault is Fault.RATE_LIMITED:
        told = reply.headers.get("RateLimit-Reset", "")
    return told


def _failure(error: Exception, *, server: str, timeout_s: float) -> CallFailed:
    """What to say of an exception, without a word of its own: it may quote the URL."""
    if isinstance(error, requests.Timeout | ReadTimeoutError | TimeoutError):
        return CallFailed(f"{server} did not answer within {timeout_s:g} s.", fault=Fault.TIMEOUT)
    if isinstance(error, ProtocolError | DecodeError):
        return CallFailed(f"{server} sent half an answer.", fault=Fault.MALFORMED)
    name = type(error).__name__
    return CallFailed(f"{server} could not be talked to ({name}).", fault=Fault.CONNECTION)


class _Deadline(threading.local):
    """When the call that this thread makes must be over."""

    at_s = 0.0

    def set(self, timeout_s: float) -> None:
        self.at_s = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """Seconds that are left; TimeoutError where none are."""
        left_s = self.at_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the call's deadline has passed")
        return left_s


_deadline = _Deadline()


class _TimedStream(io.RawIOBase):
    """A connection's bytes until the deadline: a socket's own timeout starts anew with each byte,
    so a server that drips would hold a thread for hours."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_deadline.left_s())
        found: int | None = self._raw.readinto(buffer)
        return found

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedReply(HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedStream(sock), 2**16)


def _connected(connection: HTTPConnection, host: str) -> socket.socket:
    """A socket to the first of the host's addresses that takes it. Each has its share of what is
    left of the deadline: urllib3 would give each the whole."""
    failed: OSError | None = None
    try:
        found = socket.getaddrinfo(host, connection.port, type=socket.SOCK_STREAM)
        for index, (*_, address) in enumerate(found):
            share_s = _deadline.left_s() / (len(found) - index)
            try:
                return create_connection(
                    (str(address[0]), connection.port),
                    share_s,
                    socket_options=connection.socket_options,
                )
            except OSError as error:
                failed = error
    except OSError as error:
        failed = error
    if isinstance(failed, TimeoutError):
        raise ConnectTimeoutError(connection, "no address answered in time") from failed
    raise NewConnectionError(connection, "no address could be connected to") from failed


class _PlainConnection(HTTPConnection):
    response_class = _TimedReply

    def _new_conn(self) -> socket.socket:
        return _connected(self, self._dns_host)


class _SecureConnection(HTTPSConnection):
    response_class = _TimedReply

    def _new_conn(self) -> socket.socket:
        return _connected(self, self._dns_host)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}


_made: dict[int, requests.Session] = {}
_making = threading.Lock()


def _session() -> requests.Session:
    """This process's session; its threads share the kept connections."""
    found = _made.get(os.getpid())
    return found if found is not None else _make_session()


def _make_session() -> requests.Session:
    with _making:
        if (found := _made.get(os.getpid())) is not None:
            return found
        session = requests.Session()
        session.trust_env = False  # no .netrc: its passwords would be sent along
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers["User-Agent"] = f"MoonX/{version()}"
        session.headers["Accept-Encoding"] = "gzip"
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(pool_connections=256, pool_maxsize=CONNECTIONS))
        # A forked child must not use its parent's sockets: it makes its own, the old are dropped.
        _made.clear()
        _made[os.getpid()] = session
        return session
