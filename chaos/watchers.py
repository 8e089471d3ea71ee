"""Who looks on while things break: a socket, a page's requests, and a clock for commits."""

import contextlib
import http.client
import itertools
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import psycopg
from redis import RedisError
from websockets.exceptions import InvalidHandshake, WebSocketException
from websockets.sync.client import connect

from moonx.core import valkey

Faults = (OSError, TimeoutError, WebSocketException, InvalidHandshake, ValueError)


class Watcher:
    """A thread that looks on until it is left; a context manager."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=type(self).__name__)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A frame on the socket. `session` counts connections and fresh starts within them."""

    at_s: float
    session: int
    epoch: str
    seq: int
    position: int
    trade: int


class Browser(Watcher):
    """A WebSocket that hears one market's trades and connects again whenever it must."""

    def __init__(self, port: int, channel: str) -> None:
        super().__init__()
        self._url, self._channel = f"ws://127.0.0.1:{port}/ws", channel
        self._session, self._epoch = 0, ""
        self.heard: list[Heard] = []
        self.connects = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(*Faults):
                self._listen()
            self._stop.wait(0.1)

    def _listen(self) -> None:
        with connect(self._url, open_timeout=3, close_timeout=1) as socket:
            self._fresh()
            self.connects += 1
            ask = {"id": "1", "type": "subscribe", "data": {"channel": self._channel}}
            socket.send(json.dumps(ask))
            while not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    self._take(json.loads(socket.recv(timeout=0.5)))

    def _fresh(self) -> None:
        self._session += 1

    def _take(self, frame: dict[str, object]) -> None:
        if frame.get("type") == "error":
            raise ValueError(f"refused: {frame}")  # connects and asks again
        if frame.get("type") == "subscribed":
            data = frame["data"]
            assert isinstance(data, dict)
            self._epoch = str(data.get("epoch", ""))
        elif frame.get("kind") == "snapshot":
            if frame.get("epoch") != self._epoch or frame.get("type") == "resync":
                self._fresh()
            self._epoch = str(frame.get("epoch", self._epoch))
        elif "position" in frame:
            data = frame["data"]
            assert isinstance(data, dict)
            self.heard.append(
                Heard(
                    at_s=time.monotonic(),
                    session=self._session,
                    epoch=self._epoch,
                    seq=int(str(frame["seq"])),
                    position=int(str(frame["position"])),
                    trade=int(data["id"]),
                )
            )


def gaps(heard: list[Heard]) -> int:
    """Frames that are missing between two of one session."""
    pairs = itertools.pairwise(heard)
    return sum(b.seq - a.seq - 1 for a, b in pairs if a.session == b.session and b.seq > a.seq)


def backwards(heard: list[Heard]) -> int:
    """Frames whose position or trade does not lie above the one before, in one session."""
    pairs = [(a, b) for a, b in itertools.pairwise(heard) if a.session == b.session]
    return sum(b.position <= a.position or b.trade <= a.trade or b.seq <= a.seq for a, b in pairs)


def heard_twice(heard: list[Heard]) -> int:
    """Positions that came twice within an epoch, over all sessions."""
    sights = [(one.epoch, one.position) for one in heard]
    return len(sights) - len(set(sights))


class Page(Watcher):
    """Asks for the page and its data ten times a second, and notes when both answered."""

    def __init__(self, port: int, paths: Sequence[str]) -> None:
        super().__init__()
        self._port, self._paths = port, paths
        self.good_s: list[float] = []
        self.asked = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            self.asked += 1
            if all(self._answers(path) for path in self._paths):
                self.good_s.append(time.monotonic())
            self._stop.wait(0.1)

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", path)
            reply = connection.getresponse()
            return reply.status == 200 and bool(reply.read())
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class CommitClock(Watcher):
    """Compares frames with what is committed: none may be heard before its position stands."""

    EVERY = 5  # one frame in so many is held against the database

    def __init__(self, dsn: str) -> None:
        super().__init__()
        self._dsn = dsn
        self.looked = 0
        self.early = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(RedisError, OSError, psycopg.Error):
                self._compare()
            self._stop.wait(0.1)

    def _compare(self) -> None:
        pubsub = valkey.pubsub(valkey.client())
        with psycopg.connect(self._dsn, autocommit=True) as pg, contextlib.closing(pubsub):
            pubsub.psubscribe(valkey.key("t:*"))
            for number in itertools.count():
                if self._stop.is_set():
                    return
                message = pubsub.get_message(timeout=0.2)
                if message and message["type"] == "pmessage" and number % self.EVERY == 0:
                    self._hold(pg, json.loads(message["data"]))

    def _hold(self, pg: "psycopg.Connection[tuple[object, ...]]", frame: dict[str, object]) -> None:
        if "position" not in frame:
            return
        row = pg.execute("SELECT position FROM core_cursor WHERE name = 'relay'").fetchone()
        self.looked += 1
        self.early += row is None or int(str(row[0])) < int(str(frame["position"]))


def silences_s(fault_s: list[float], signs_s: list[float], *, end_s: float) -> list[float]:
    """For each fault the longest time without a sign of life that it, or what follows, began."""
    found = []
    for start, stop in itertools.pairwise([*fault_s, end_s]):
        before = max((sign for sign in signs_s if sign <= start), default=start)
        pairs = itertools.pairwise([before, *(sign for sign in signs_s if sign > start), end_s])
        found.append(max((b - max(a, start) for a, b in pairs if a < stop), default=0.0))
    return found
