"""What a node answers to a batch: each reply under its own id, and what an error means; pure."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from moonx.core.chains.blocks import Malformed
from moonx.core.upstream.faults import Fault

TOO_MUCH = (
    *("batch", "too large", "too many results", "more than", "block range", "range is too"),
    *("response size", "limit exceeded", "exceeds the range", "query timeout", "maximum"),
)
TOO_OFTEN = (
    *("compute units", "rate limit", "rate exceeded", "too many requests", "request limit"),
    *("requests per second", "throughput"),
)
UNPAID = ("monthly capacity", "quota", "invalid access key", "must be authenticated", "api key")
NOT_THERE = (
    "header not found",
    "unknown block",
    "not processed",
    "block not found",
    "missing trie",
)
LACKS_METHOD = re.compile(r"method\b.*\b(not|unsupported)\b|unsupported method|not supported")
# "this block range should work: [0x1, 0x2]", as Alchemy and Infura say.
SUGGESTED = re.compile(r"\[\s*0x([0-9a-f]{1,15})\s*,\s*0x([0-9a-f]{1,15})\s*\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """A reply with `error`; `is_too_much` says that less at once may well succeed.

    `message` is all that the node said, and may quote the URL with its key. `suggested` is a range
    of blocks that it says would do.
    """

    code: int
    message: str = field(repr=False)
    fault: Fault
    is_too_much: bool
    lacks_method: bool = False
    suggested: tuple[int, int] | None = None

    @property
    def may_pass(self) -> bool:
        """Whether the same call, in smaller company or a moment later, may well succeed."""
        return self.is_too_much or self.fault is Fault.SERVER


def read(found: Any, *, wanted: Collection[int]) -> dict[int, Any]:
    """The results under their ids, an ErrorReply where one failed; ids may be missing.

    Raises Malformed where anything is not a reply to what was asked: what else the node says is
    then not believed either.
    """
    if not isinstance(found, list):
        raise Malformed("the answer to a batch is no list")
    replies: dict[int, Any] = {}
    for reply in found:
        number, result = _reply(reply)
        if number not in wanted or number in replies:
            raise Malformed("a reply has the id of another request")
        replies[number] = result
    return replies


def error_in(found: Any) -> ErrorReply | None:
    """The error of an answer that is one object for all, if it is that."""
    error = found.get("error") if isinstance(found, dict) else None
    return _error(error) if isinstance(error, Mapping) else None


def _reply(reply: Any) -> tuple[int, Any]:
    if not isinstance(reply, dict):
        raise Malformed("a reply is no object")
    number = reply.get("id")
    if type(number) is not int:
        raise Malformed("a reply has no id")
    error = reply.get("error")
    if error is not None:
        if not isinstance(error, Mapping):
            raise Malformed("an error is no object")
        return number, _error(error)
    if "result" not in reply:
        raise Malformed("a reply has neither result nor error")
    return number, reply["result"]


def _error(error: Mapping[str, Any]) -> ErrorReply:
    code = error.get("code")
    number = code if type(code) is int else 0
    message = str(error.get("message", ""))
    words = message.lower()
    fault = _fault(number, words)
    lacks_method = fault is Fault.REFUSED and (
        number == -32601 or LACKS_METHOD.search(words) is not None
    )
    # To ask in pieces where we ask too often would be asking oftener.
    is_too_much = (
        fault in {Fault.REFUSED, Fault.SERVER}
        and not lacks_method
        and (number == -32005 or any(each in words for each in TOO_MUCH))
    )
    return ErrorReply(
        code=number,
        message=message,
        # Whoever is asked for too much has not failed.
        fault=Fault.REFUSED if is_too_much else fault,
        is_too_much=is_too_much,
        lacks_method=lacks_method,
        suggested=_suggested(message),
    )


def _suggested(message: str) -> tuple[int, int] | None:
    found = SUGGESTED.search(message)
    return (int(found[1], 16), int(found[2], 16)) if found else None


def _fault(code: int, message: str) -> Fault:
    if any(word in message for word in UNPAID):
        return Fault.AUTHENTICATION
    if code == 429 or any(word in message for word in TOO_OFTEN):
        return Fault.RATE_LIMITED
    if code == -32601 or "revert" in message:
        return Fault.REFUSED
    if any(word in message for word in NOT_THERE):
        return Fault.NO_RESULT
    if LACKS_METHOD.search(message):
        return Fault.REFUSED
    return Fault.SERVER if code in {-32000, -32603} else Fault.REFUSED
