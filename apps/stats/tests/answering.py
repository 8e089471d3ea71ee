"""A server that says what a test tells it to, and keeps what it was asked."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.names import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Says:
    """What is answered on a path."""

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Answering:
    """Runs within the block; `says` is its answer, `paths` those on certain paths."""

    def __init__(self) -> None:
        self.says = Says()
        self.paths: dict[str, Says] = {}
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def endpoint(self, service: Service, **headers: str) -> Endpoint:
        """This server in the place of a service."""
        return Endpoint(
            service=service,
            base_url=self.url,
            headers=headers,
            timeout_s=2.0,
            is_simulated=False,
            has_key=bool(headers),
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answering = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers["Content-Length"])))

            def _answer(self, body: bytes) -> None:
                parts = urlsplit(self.path)
                answering.asked.append(
                    Asked(
                        method=self.command,
                        path=parts.path,
                        query=dict(parse_qsl(parts.query)),
                        headers={name.lower(): value for name, value in self.headers.items()},
                        body=json.loads(body) if body else None,
                    )
                )
                says = answering.paths.get(parts.path, answering.says)
                length = str(len(says.body))
                headers = {"Content-Length": length, "Connection": "close", **says.headers}
                lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                # One write: two would wait for each other's acknowledgement.
                self.wfile.write(f"HTTP/1.1 {says.status} .\r\n{lines}\r\n".encode() + says.body)

            def log_message(self, *_: Any) -> None:
                """Nothing: tests read `asked`."""

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
