"""What nodes say when they refuse, and what only looks like an answer."""

from typing import Any

import pytest

from moonx.core.chains import replies
from moonx.core.chains.blocks import Malformed
from moonx.core.chains.replies import ErrorReply
from moonx.core.upstream.faults import Fault


@pytest.mark.parametrize(
    ("code", "message", "fault", "is_too_much"),
    [
        (-32601, "the method eth_x does not exist/is not available", Fault.REFUSED, False),
        (3, "execution reverted", Fault.REFUSED, False),
        (-32000, "execution reverted: no", Fault.REFUSED, False),
        (-32602, "invalid argument 0: hex string without 0x prefix", Fault.REFUSED, False),
        (-32603, "Internal error", Fault.SERVER, False),
        (-32000, "Unable to complete request at this time.", Fault.SERVER, False),
        (-32000, "header not found", Fault.NO_RESULT, False),
        (-32000, "Block 17 not processed yet. Please try again.", Fault.NO_RESULT, False),
        (429, "exceeded its compute units per second capacity", Fault.RATE_LIMITED, False),
        (-32005, "daily request count exceeded, request rate limited", Fault.RATE_LIMITED, False),
        (-32005, "query returned more than 10000 results", Fault.REFUSED, True),
        (-32600, "batch limit exceeded", Fault.REFUSED, True),
        (-32000, "query timeout exceeded", Fault.REFUSED, True),
        (-32005, "project ID request rate exceeded", Fault.RATE_LIMITED, False),
        (-32005, "exceeded the maximum requests per second", Fault.RATE_LIMITED, False),
        (429, "Monthly capacity limit exceeded. Visit ...", Fault.AUTHENTICATION, False),
        (-32600, "Must be authenticated!", Fault.AUTHENTICATION, False),
        ("what", None, Fault.REFUSED, False),
    ],
)
def test_an_error_has_a_class_by_its_code_and_words(
    code: Any, message: Any, fault: Fault, *, is_too_much: bool
) -> None:
    found = replies.error_in({"error": {"code": code, "message": message}})
    assert found is not None
    assert (found.fault, found.is_too_much) == (fault, is_too_much)


def test_replies_are_told_by_their_ids_whatever_their_order() -> None:
    answer = [
        {"jsonrpc": "2.0", "id": 2, "error": {"code": -32601, "message": "no"}},
        {"jsonrpc": "2.0", "id": 1, "result": None},
    ]
    found = replies.read(answer, wanted={1, 2, 3})
    assert found[1] is None
    assert isinstance(found[2], ErrorReply)
    assert 3 not in found


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {"id": 1, "result": None},
        [None],
        [{"id": 1}],
        [{"result": 1}],
        [{"id": "1", "result": 1}],
        [{"id": True, "result": 1}],
        [{"id": 4, "result": 1}],
        [{"id": 1, "result": 1}, {"id": 1, "result": 2}],
        [{"id": 1, "error": "no"}],
    ],
)
def test_what_is_no_answer_to_these_requests_is_not_believed(answer: Any) -> None:
    with pytest.raises(Malformed):
        replies.read(answer, wanted={1, 2})


@pytest.mark.parametrize(
    ("code", "message", "lacks_method"),
    [
        (-32601, "what?", True),
        (-32000, "the method eth_getBlockReceipts does not exist/is not available", True),
        (-32000, "Unsupported method: eth_getBlockReceipts", True),
        (-32000, "header not found", False),
        (-32000, "block not found: method eth_getBlockReceipts", False),
        (-32602, "block is not available", False),
    ],
)
def test_a_method_that_is_missing_is_told_from_a_block_that_is(
    code: int, message: str, *, lacks_method: bool
) -> None:
    found = replies.error_in({"error": {"code": code, "message": message}})
    assert found is not None
    assert found.lacks_method is lacks_method
    assert found.fault is (Fault.NO_RESULT if "not found" in message else Fault.REFUSED)
