"""What a node answers to a batch: each reply under its own id, and what an error means; pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from moonx.core.chains.blocks import Malformed
from moonx.core.upstream.faults import Fault

LONGEST_MESSAGE = 160
TOO_MUCH = (
    *("batch", "too large", "too many results", "more than", "block range", "range is too"),
    *("response size", "limit exceeded", "exceeds the range", "query timeout", "maximum"),
)
TOO_OFTEN = ("compute units", "rate limit", "too many requests", "request limit", "throughput")
UNPAID = ("monthly capacity", "quota", "invalid access key", "must be authenticated", "api key")
NOT_THERE = (
    "header not found",
    "unknown block",
    "not processed",
    "block not found",
    "missing trie",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """A reply with `error`; `is_too_much` says that less at once may well succeed."""

    code: int
    message: str
    fault: Fault
    is_too_much: bool


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
    message = str(error.get("message", ""))[:LONGEST_MESSAGE]
    number = code if type(code) is int else 0
    fault = _fault(number, message.lower())
    may_shrink = fault in {Fault.REFUSED, Fault.SERVER}  # to ask in pieces would be asking oftener
    return ErrorReply(
        code=number,
        message=message,
        fault=fault,
        is_too_much=may_shrink
        and (number == -32005 or any(words in message.lower() for words in TOO_MUCH)),
    )


def _fault(code: int, message: str) -> Fault:
    if any(word in message for word in UNPAID):
        return Fault.AUTHENTICATION
    if code == 429 or any(word in message for word in TOO_OFTEN):
        return Fault.RATE_LIMITED
    if code == -32601 or "revert" in message:
        return Fault.REFUSED
    if any(word in message for word in NOT_THERE):
        return Fault.NO_RESULT
    return Fault.SERVER if code in {-32000, -32603} else Fault.REFUSED
