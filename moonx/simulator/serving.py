"""A small web server's words: what was asked, what is answered, and by whom."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

LARGEST_BODY = 65_536  # what is asked of these services fits into a tenth of it


class BadRequest(Exception):
    """What was asked makes no sense; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call as its handler sees it; `now_s` is the time of the call, so that answers vary."""

    method: str
    path: str
    query: Mapping[str, Sequence[str]] = field(default_factory=dict)
    body: bytes = b""
    args: tuple[str, ...] = ()
    now_s: float
    count: int = 0

    @property
    def now_ms(self) -> int:
        return int(self.now_s * 1000)

    def given(self, name: str) -> str:
        """A parameter that may be missing; "" where it is."""
        return self.query.get(name, [""])[0]

    def needed(self, name: str) -> str:
        """A parameter; raises BadRequest where it is missing."""
        if not (value := self.given(name)):
            raise BadRequest(f"{name} is required")
        return value

    def json(self) -> Any:
        """What the body says; raises BadRequest where it is no JSON."""
        try:
            return parsed_json(self.body)
        except ValueError:
            raise BadRequest("the body is no JSON") from None

    def json_object(self) -> dict[str, Any]:
        """As `json`; raises BadRequest for anything but an object."""
        found = self.json()
        if not isinstance(found, dict):
            raise BadRequest("the body is no JSON object")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer: JSON, or the text of what is none."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None

    @property
    def content(self) -> bytes:
        if self.text is not None:
            return self.text.encode()
        return json.dumps(self.body, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def content_type(self) -> str:
        return "application/json" if self.text is None else "text/html; charset=utf-8"


Handler = Callable[[Request], Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, whose groups are the handler's `args`."""

    method: str
    path: str
    handler: Handler


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One outside service: what it answers, and how it fails in its own words."""

    name: str
    prefix: str
    routes: Sequence[Route]
    latency_ms: int
    refuse: Callable[[str], Reply]
    unknown: Callable[[], Reply]
    rate_limited: Callable[[], Reply]
    failed: Callable[[], Reply]
    headers: Callable[[Request], dict[str, str]] = lambda _: {}

    def answer(self, request: Request) -> Reply:
        """What the service says to `request`, whose path is without the service's prefix."""
        for route in self.routes:
            match = re.fullmatch(route.path, request.path)
            if match is None or route.method != request.method:
                continue
            args = tuple(unquote(group) for group in match.groups())
            try:
                return route.handler(_with_args(request, args))
            except BadRequest as error:
                return self.refuse(str(error))
        return self.unknown()


def _with_args(request: Request, args: tuple[str, ...]) -> Request:
    return Request(
        method=request.method,
        path=request.path,
        query=request.query,
        body=request.body,
        args=args,
        now_s=request.now_s,
        count=request.count,
    )


def parsed_query(text: str) -> Mapping[str, Sequence[str]]:
    """A query string's parameters, each with all its values."""
    return parse_qs(text, keep_blank_values=True)


def parsed_json(text: str | bytes) -> Any:
    """What a JSON text says; ValueError for what is none, and for what could not be sent back: NaN,
    infinity, half a character, or more levels than can be followed."""
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it has too many levels") from None
    return found


def page(status: int, title: str) -> Reply:
    """What a proxy in front of a service answers: HTML."""
    return Reply(
        status=status,
        text=f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{title}</body></html>",
    )
