"""The messages of `/ws`: what a client may say, and how it is answered."""

import json
import re
import time
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import Any, NoReturn

VERSION = "1.1"
MAX_CHARACTERS = 65_536
MAX_DEPTH = 8
MAX_CHANNELS_PER_REQUEST = 100
MAX_CHANNELS = 200
CHANNEL = re.compile(
    r"[A-Za-z0-9_.-]{1,40}(@[A-Za-z0-9]{1,20})?(:[A-Za-z0-9_.-]{1,40}){0,4}", re.ASCII
)

_ids = count(1)


class Code(IntEnum):
    """Why a socket is closed or a request refused.

    4000 to 4499: connect again (at once, or after what the reason says); from 4500: do not, unless
    something changes. The last three are only ever errors, not closes.
    """

    INTERNAL = 1011
    TRY_LATER = 1013
    TOKEN_EXPIRED = 4100
    SLOW_CONSUMER = 4200
    RATE_LIMITED = 4290
    TOO_MANY_CONNECTIONS = 4291
    BAD_PROTOCOL = 4500
    AUTH_TIMEOUT = 4501
    INVALID_TOKEN = 4502
    REVOKED = 4503
    UNKNOWN_CHANNEL = 4510
    TOKEN_NEEDED = 4511
    TOO_MANY_CHANNELS = 4512


class Refused(Exception):
    """A request that gets an error instead of what it asked for; the message is for the client."""

    def __init__(self, code: Code, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s


class BadMessage(Refused):
    """Not the protocol. `message_id` is the client's id as far as it could be read."""

    def __init__(self, message: str, *, message_id: str | None = None) -> None:
        super().__init__(Code.BAD_PROTOCOL, message)
        self.message_id = message_id


@dataclass(frozen=True, slots=True)
class Message:
    """What a client said."""

    id: str | None
    type: str
    data: dict[str, Any]


def parse(text: str) -> Message:
    """The message in a frame.

    Raises BadMessage with a sentence that says what to change.
    """
    if len(text) > MAX_CHARACTERS:
        raise BadMessage(f"A message has at most {MAX_CHARACTERS} characters.")
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadMessage("A message is one JSON object; this is not JSON.") from None
    if not isinstance(value, dict):
        raise BadMessage("A message is one JSON object: {id, type, timestamp, data}.")
    message_id = value.get("id")
    if message_id is not None and not (isinstance(message_id, str) and len(message_id) <= 128):
        raise BadMessage("`id` is a string of at most 128 characters.")
    return _message(value, message_id)


def _message(value: dict[str, Any], message_id: str | None) -> Message:
    kind, data = value.get("type"), value.get("data", {})
    if not isinstance(kind, str) or not 0 < len(kind) <= 64:
        raise BadMessage("`type` is a string such as subscribe.", message_id=message_id)
    if not isinstance(data, dict):
        raise BadMessage("`data` is an object.", message_id=message_id)
    if _deeper_than(value, MAX_DEPTH):
        raise BadMessage(f"A message nests at most {MAX_DEPTH} deep.", message_id=message_id)
    return Message(message_id, kind, data)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _deeper_than(value: object, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    return any(isinstance(child, dict | list) for child in level)


def channels_of(message: Message) -> list[str]:
    """The channels of a request, each once, in its order.

    Raises BadMessage where `data` names none, too many, or something that is no channel.
    """
    single, several = message.data.get("channel"), message.data.get("channels")
    names = [single] if several is None else several
    if not isinstance(names, list) or not names or not all(map(_is_channel, names)):
        raise BadMessage(
            'Name a channel: {"channel": "ticker:XRPETH"} or {"channels": [...]}.',
            message_id=message.id,
        )
    if len(names) > MAX_CHANNELS_PER_REQUEST:
        raise BadMessage(
            f"One request names at most {MAX_CHANNELS_PER_REQUEST} channels.",
            message_id=message.id,
        )
    return list(dict.fromkeys(names))


def _is_channel(name: object) -> bool:
    return isinstance(name, str) and CHANNEL.fullmatch(name) is not None


def wants_snapshot(message: Message) -> bool:
    """Whether a subscription asks for the snapshot, which it does unless it says no."""
    wanted = message.data.get("snapshot", True)
    if not isinstance(wanted, bool):
        raise BadMessage("`snapshot` is true or false.", message_id=message.id)
    return wanted


def reply(kind: str, data: dict[str, Any], *, to: str | None = None) -> str:
    """A message from the server; `to` is the id of the request that it answers."""
    message: dict[str, Any] = {
        "id": f"s{next(_ids)}",
        "type": kind,
        "timestamp": time.time_ns() // 1_000_000,
        "data": data,
    }
    if to is not None:
        message["replyTo"] = to
    return json.dumps(message, separators=(",", ":"))


def error(refused: Refused, *, to: str | None) -> str:
    """The error message of a refusal."""
    data: dict[str, Any] = {"code": int(refused.code), "message": refused.message}
    if refused.retry_after_s is not None:
        data["retryAfter"] = refused.retry_after_s
    return reply("error", data, to=to)
