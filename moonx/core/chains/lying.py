"""A node that answers for a generated chain, and lies on demand; for tests and benches.

Each reply is one write on a socket without Nagle's delay: with two, the 40 ms that the other side
waits to acknowledge would be all that a bench measures.
"""

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum, auto
from types import TracebackType
from typing import Any, Self

from moonx.core.chains.generated import GeneratedChain

HUGE_BYTES = 200 * 2**20
DRIP_S = 0.01  # between two bytes
RETRY_AFTER_S = 7
# As Alchemy says it.
TOO_WIDE = (
    "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and "
    "no limit on the response size, or you can request any block range with a cap of 10K logs in "
    "the response. Based on your parameters and the response size limit, this block range should "
    "work: "
)


class Lie(StrEnum):
    """What the server can do wrong."""

    STALE_HEAD = auto()  # its newest block is `by` blocks old
    OTHER_FORK = auto()  # other blocks, from `by` below the head
    WRONG_CHAIN = auto()
    GAP = auto()  # every third block is not there
    MISSING_IDS = auto()  # every third reply of a batch is left out
    WRONG_ID = auto()  # one reply has another request's id
    RATE_LIMITED = auto()  # 429 with Retry-After
    SERVER_ERROR = auto()  # 503
    HTML = auto()  # with 200
    HALF_BODY = auto()
    HUGE_BODY = auto()  # 200 MB of nothing
    SLOW_DRIP = auto()  # a byte each 10 ms
    REDIRECT = auto()  # to `/elsewhere`, whose visits are counted
    TOO_LARGE_BATCH = auto()  # 413 for more than `by` calls
    WRONG_TYPES = auto()  # numbers where strings belong
    OTHER_BLOCK = auto()  # the block before the one that was asked for
    UNASKED_LOGS = auto()  # those of all contracts
    OUT_OF_QUOTA = auto()  # 429, because the month is used up
    TOO_OFTEN = auto()  # 429 with Retry-After, in words that sound like too much at once
    ITEM_ERRORS = auto()  # `by` replies of each batch are an internal error
    ITEMS_TOO_LARGE = auto()  # or say that the batch is too large
    NOT_YET = auto()  # receipts of a block that is not there are an error, not null
    ECHO = auto()  # each reply is an error that quotes its URL behind `by` letters


OF_THE_WIRE = frozenset(
    {
        *(Lie.RATE_LIMITED, Lie.SERVER_ERROR, Lie.HTML, Lie.HALF_BODY, Lie.HUGE_BODY),
        *(Lie.SLOW_DRIP, Lie.REDIRECT, Lie.OUT_OF_QUOTA, Lie.TOO_OFTEN),
    }
)
ITEM_LIES = {Lie.ITEM_ERRORS: "Internal error", Lie.ITEMS_TOO_LARGE: "response is too large"}
REFUSALS = {
    Lie.OUT_OF_QUOTA: (429, "Monthly capacity limit exceeded."),
    Lie.TOO_OFTEN: (-32005, "project ID request rate exceeded"),
}


@dataclass(slots=True)
class _Told:
    """A lie that is told: how far it goes, and how often still (None: for ever)."""

    by: int
    times: int | None


class LyingServer:
    """Serves a chain at `url` until closed; honest until told otherwise.

    `calls` counts methods, `requests` HTTP requests, `visits` requests to `/elsewhere`. `without`
    are methods that it has not, `most_blocks` is the widest range of `eth_getLogs`.
    """

    def __init__(
        self,
        chain: GeneratedChain,
        *,
        latency_s: float = 0.0,
        without: frozenset[str] = frozenset(),
        most_blocks: int = 10**9,
        keep_secret: str = "",
    ) -> None:
        self.chain = chain
        self.latency_s = latency_s
        self.without = without
        self.most_blocks = most_blocks
        self.calls: Counter[str] = Counter()
        self.requests = self.connections = self.visits = 0
        self.largest_batch = 0
        self._told: dict[Lie, _Told] = {}
        self._fork: GeneratedChain | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/{keep_secret}"
        threading.Thread(target=self._accept, name="lying", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Nobody is answered any more, as with a dead node."""
        _shut(self._listening)
        self._listening.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def lie(self, lie: Lie, *, by: int = 10, times: int | None = None) -> None:
        """Tells this lie from now on, or so many requests long."""
        with self._lock:
            self._told[lie] = _Told(by, times)
            if lie is Lie.OTHER_FORK:
                self._fork = self.chain.forked(by)

    def be_honest(self) -> None:
        """Tells no lie from now on."""
        with self._lock:
            self._told.clear()
            self._fork = None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        try:
            while (request := _request(stream)) is not None:
                self._answer(connection, *request)
        except OSError:
            pass  # the client went away, or the server was closed
        finally:
            with self._lock:
                self._open.discard(connection)
            stream.close()
            connection.close()

    def _answer(self, connection: socket.socket, path: str, body: bytes) -> None:
        if self.latency_s:
            time.sleep(self.latency_s)
        with self._lock:
            self.requests += 1
            self.visits += path.startswith("/elsewhere")
            told = self._lies()
        for lie in OF_THE_WIRE & told.keys():
            _tell(connection, lie)
            return
        status, reply = self._reply(body, told)
        connection.sendall(_http(status, reply))

    def _lies(self) -> dict[Lie, int]:
        """The lies of this request; those that are told for the last time are forgotten."""
        now = {lie: told.by for lie, told in self._told.items()}
        for lie in now:
            told = self._told[lie]
            if told.times is not None:
                told.times -= 1
                if told.times <= 0:
                    del self._told[lie]
        return now

    def _reply(self, body: bytes, told: Mapping[Lie, int]) -> tuple[str, bytes]:
        asked = json.loads(body)
        is_batch = isinstance(asked, list)
        calls = asked if is_batch else [asked]
        with self._lock:
            self.calls.update(call["method"] for call in calls)
            self.largest_batch = max(self.largest_batch, len(calls))
        if len(calls) > told.get(Lie.TOO_LARGE_BATCH, len(calls)):
            return "413 Content Too Large", b"batch too large"
        view = _View(self, told)
        results = [view.result(call) for call in calls]
        for lie in ITEM_LIES.keys() & told.keys():
            failed = len(results[: told[lie]])
            results[:failed] = [_Refused(-32603, ITEM_LIES[lie])] * failed
        if Lie.ECHO in told:
            said = _Refused(-32000, f"{'x' * told[Lie.ECHO]} {self.url}")
            results = [said] * len(results)
        replies = [
            _envelope(call["id"], result) for call, result in zip(calls, results, strict=True)
        ]
        if Lie.MISSING_IDS in told and is_batch:
            replies = [reply for index, reply in enumerate(replies) if index % 3 != 1]
        if Lie.WRONG_ID in told:
            replies[-1] = _envelope(calls[-1]["id"] + 1_000_000, b"null")
        return "200 OK", b"[%s]" % b",".join(replies) if is_batch else replies[0]

    def fork(self) -> GeneratedChain:
        """The chain that it follows while it is on another fork; as high as the true one."""
        with self._lock:
            fork = self._fork or self.chain
            if fork.head < self.chain.head:
                fork.mine(self.chain.head - fork.head)
            return fork


class _Refused(Exception):
    """A call that is answered with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _View:
    """The chain as one request is told of it."""

    def __init__(self, server: LyingServer, told: Mapping[Lie, int]) -> None:
        self._server = server
        self._told = told
        self._chain = server.fork() if Lie.OTHER_FORK in told else server.chain
        self._head = self._chain.head - told.get(Lie.STALE_HEAD, 0)
        self._methods: dict[str, Callable[..., bytes]] = {
            "eth_chainId": self._chain_id,
            "net_version": lambda: _json(str(self._chain.chain_id)),
            "web3_clientVersion": lambda: b'"lying/1"',
            "eth_blockNumber": lambda: _json(hex(self._head)),
            "eth_getBlockByNumber": self._block,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getBlockReceipts": self._receipts,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getLogs": self._logs,
        }

    def result(self, call: Mapping[str, Any]) -> bytes | _Refused:
        """The call's result as JSON, or the error."""
        name = call["method"]
        method = self._methods.get(name)
        if method is None or name in self._server.without:
            return _Refused(-32601, f"the method {name} does not exist/is not available")
        try:
            return method(*call.get("params", ()))
        except _Refused as refused:
            return refused

    def _chain_id(self) -> bytes:
        return _json(hex(self._chain.chain_id + (Lie.WRONG_CHAIN in self._told)))

    def _number(self, tag: str) -> int | None:
        """The block's number; None where there is none for this tag."""
        named = {
            "latest": self._head,
            "pending": self._head,
            "earliest": self._chain.first,
            "finalized": self._chain.finalized,
            "safe": self._chain.finalized,
        }
        number = named[tag] if tag in named else int(tag, 16)
        is_left_out = Lie.GAP in self._told and tag not in named and number % 3 == 1
        return number if self._chain.first <= number <= self._head and not is_left_out else None

    def _block(self, tag: str, is_whole: bool = False) -> bytes:
        number = self._number(tag)
        if number is None:
            return b"null"
        if Lie.OTHER_BLOCK in self._told and tag.startswith("0x"):
            number = max(self._chain.first, number - 1)
        encoded = self._chain.encoded(number, is_whole=is_whole)
        if Lie.WRONG_TYPES in self._told:
            return _json({**json.loads(encoded), "timestamp": 17, "transactions": "none"})
        return encoded

    def _block_by_hash(self, block_hash: str, is_whole: bool = False) -> bytes:
        number = self._chain.number_of(bytes.fromhex(block_hash[2:]))
        return b"null" if number is None else self._block(hex(number), is_whole)

    def _receipts(self, tag: str) -> bytes:
        number = self._number(tag)
        if number is None and Lie.NOT_YET in self._told:
            raise _Refused(-32000, "header not found")
        return b"null" if number is None else _json(self._chain.receipts(number))

    def _receipt(self, transaction: str) -> bytes:
        for number in range(self._head, max(self._chain.first, self._head - 1000) - 1, -1):
            for receipt in self._chain.receipts(number):
                if receipt["transactionHash"] == transaction:
                    return _json(receipt)
        return b"null"

    def _logs(self, query: Mapping[str, Any]) -> bytes:
        first, last = self._number(query["fromBlock"]), self._number(query["toBlock"])
        if first is None or last is None:
            return b"[]"
        most = self._server.most_blocks
        if last - first + 1 > most:
            suggested = f"[{hex(first)}, {hex(first + most - 1)}]"
            raise _Refused(-32602, f"{TOO_WIDE}{suggested}")
        logs = [log for number in range(first, last + 1) for log in self._chain.logs(number)]
        is_filtered = Lie.UNASKED_LOGS not in self._told
        return _json([log for log in logs if not is_filtered or _fits(log, query)])


def _fits(log: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    addresses = [address.lower() for address in query.get("address", ())]
    if addresses and log["address"] not in addresses:
        return False
    wanted = query.get("topics", ())
    return len(wanted) <= len(log["topics"]) and all(
        words is None or topic in words for words, topic in zip(wanted, log["topics"], strict=False)
    )


def _shut(connection: socket.socket) -> None:
    """Ends it for the thread that waits on it, which closing it would not."""
    with suppress(OSError):  # it is shut already
        connection.shutdown(socket.SHUT_RDWR)


def _request(stream: Any) -> tuple[str, bytes] | None:
    """The path and body of the next request; None where the client hung up."""
    first = stream.readline(65_536)
    if not first:
        return None
    size = 0
    while (line := stream.readline(65_536)) not in {b"\r\n", b""}:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            size = int(value)
    return first.split(b" ")[1].decode(), stream.read(size)


def _tell(connection: socket.socket, lie: Lie) -> None:
    match lie:
        case Lie.RATE_LIMITED:
            headers = f"Retry-After: {RETRY_AFTER_S}\r\n"
            connection.sendall(_http("429 Too Many Requests", b"{}", headers=headers))
        case Lie.OUT_OF_QUOTA | Lie.TOO_OFTEN:
            code, message = REFUSALS[lie]
            body = _json({"jsonrpc": "2.0", "error": {"code": code, "message": message}})
            headers = f"Retry-After: {RETRY_AFTER_S}\r\n"
            connection.sendall(_http("429 Too Many Requests", body, headers=headers))
        case Lie.SERVER_ERROR:
            connection.sendall(_http("503 Service Unavailable", b"out of order"))
        case Lie.HTML:
            connection.sendall(_http("200 OK", b"<!doctype html><title>Welcome</title>"))
        case Lie.REDIRECT:
            headers = "Location: /elsewhere\r\n"
            connection.sendall(_http("307 Temporary Redirect", b"", headers=headers))
        case Lie.HALF_BODY:
            connection.sendall(_http("200 OK", b'[{"jsonrpc":"2.0","id":1,"resu', size=10_000))
            connection.shutdown(socket.SHUT_RDWR)
        case Lie.HUGE_BODY:
            connection.sendall(_http("200 OK", b"", size=HUGE_BYTES))
            piece = b" " * 2**20
            for _ in range(HUGE_BYTES // len(piece)):
                connection.sendall(piece)
        case _:
            for byte in _http("200 OK", b" " * 100_000):
                connection.sendall(bytes([byte]))
                time.sleep(DRIP_S)


def _http(status: str, body: bytes, *, headers: str = "", size: int | None = None) -> bytes:
    length = len(body) if size is None else size
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n"
        f"{headers}\r\n"
    )
    return head.encode() + body


def _envelope(number: int, result: bytes | _Refused) -> bytes:
    if isinstance(result, _Refused):
        error = _json({"code": result.code, "message": str(result)})
        return b'{"jsonrpc":"2.0","id":%d,"error":%s}' % (number, error)
    return b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (number, result)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
