"""One order for another: the old one is cancelled, then the new one placed."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from apps.exchange import orders
from apps.exchange.api import desk, errors, order_counts, order_params, params, refusals
from apps.exchange.api.desk import Restriction
from apps.exchange.api.errors import ApiError
from apps.exchange.api.order_params import CLIENT_ID, Asked
from apps.exchange.api.params import Param, Query
from apps.exchange.api.signing import Caller
from apps.exchange.models import Market

FAILED, PARTLY = "Order cancel-replace failed.", "Order cancel-replace partially failed."
SUCCESS, FAILURE, NOT_ATTEMPTED = "SUCCESS", "FAILURE", "NOT_ATTEMPTED"


class Mode(StrEnum):
    """What becomes of the new order where the old one cannot be cancelled."""

    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


class Exceeded(StrEnum):
    """What becomes of the cancel where no more orders may be placed for a while."""

    DO_NOTHING = "DO_NOTHING"
    CANCEL_ONLY = "CANCEL_ONLY"


MODE = Param(
    name="cancelReplaceMode",
    legal=params.WORD,
    required=True,
    text="`STOP_ON_FAILURE`, or `ALLOW_FAILURE`: places the order whatever becomes of the cancel.",
)
OLD_ID = Param(name="cancelOrderId", legal=params.NUMBER, text="The old order, by its id.")
OLD_CLIENT_ID = Param(
    name="cancelOrigClientOrderId", legal=CLIENT_ID, text="The old order, by your name of it."
)
CANCEL_ID = Param(name="cancelNewClientOrderId", legal=CLIENT_ID, text="Your name of the cancel.")
EXCEEDED = Param(
    name="orderRateLimitExceededMode",
    legal=params.WORD,
    text="`DO_NOTHING` (default), or `CANCEL_ONLY`: cancels although no order may be placed now.",
)
RESTRICTIONS = Param(
    name="cancelRestrictions",
    legal="^[A-Z_]{1,30}$",
    text="`ONLY_NEW` or `ONLY_PARTIALLY_FILLED`: cancels an order of that status only.",
)
PARAMS = (MODE, OLD_ID, OLD_CLIENT_ID, CANCEL_ID, RESTRICTIONS, EXCEEDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one half: its answer, or the error that stands for it; neither if not tried."""

    answer: dict[str, Any] | None = None
    fault: ApiError | None = None

    @property
    def result(self) -> str:
        """The half's result in a word."""
        if self.fault:
            return FAILURE
        return SUCCESS if self.answer is not None else NOT_ATTEMPTED

    @property
    def body(self) -> dict[str, Any] | None:
        """What the half answers."""
        return self.fault.body() if self.fault else self.answer


def replace(query: Query, market: Market, caller: Caller) -> dict[str, Any]:
    """Cancels one order and places another; ApiError -2021 where one half failed, -2022 for both.

    The rules of the market and the count of orders are asked first: where they refuse, nothing
    was done.
    """
    mode = query.choice("cancelReplaceMode", Mode, errors.invalid("cancelReplaceMode"))
    asked = order_params.asked(query, market)
    restriction = restriction_of(query)
    _check_named(query)
    _check_rules(market, caller, asked)
    counted = _count(query, caller)
    old = _attempt(lambda: _cancel(query, market, caller, restriction))
    if old.fault and mode is not Mode.ALLOW_FAILURE:
        raise _fault(old, Outcome(), status=400)
    new = counted if counted.fault else _attempt(lambda: desk.put(market, asked, caller.user_id))
    if old.fault or new.fault:
        raise _fault(old, new, status=429 if counted.fault else 409)
    return _both(old, new)


def restriction_of(query: Query) -> Restriction | None:
    """In which state alone the order is to be cancelled."""
    fault = ApiError(*errors.BAD_RESTRICTION)
    return query.choice("cancelRestrictions", Restriction, fault)


def _check_named(query: Query) -> None:
    if OLD_ID.name not in query and OLD_CLIENT_ID.name not in query:
        raise errors.neither(OLD_CLIENT_ID.name, OLD_ID.name)


def _check_rules(market: Market, caller: Caller, asked: Asked) -> None:
    """Raises what no cancel can change; the balance may do once the old order lets go of it."""
    with refusals.told():
        try:
            orders.check(market, caller.user_id, asked.order)
        except orders.InsufficientBalance:
            return
        except orders.FilterFailed as refusal:
            if refusal.rule is not orders.Filter.MAX_NUM_ORDERS:
                raise


def _count(query: Query, caller: Caller) -> Outcome:
    """Counts the new order; where there are too many, that is the new order's fault or, unless
    the caller wants the cancel anyway, the whole request's."""
    exceeded = query.choice(EXCEEDED.name, Exceeded, errors.invalid(EXCEEDED.name))
    counted = _attempt(lambda: order_counts.count(caller.user_id))
    if counted.fault and exceeded is not Exceeded.CANCEL_ONLY:
        raise counted.fault
    caller.headers.update(counted.answer or {})
    return counted


def _cancel(
    query: Query, market: Market, caller: Caller, restriction: Restriction | None
) -> dict[str, Any]:
    return desk.withdraw(
        market,
        caller.user_id,
        order_id=query.row_id(OLD_ID.name),
        client_order_id=query.text(OLD_CLIENT_ID.name),
        request_id=query.text(CANCEL_ID.name),
        restriction=restriction,
    )


def _attempt(doing: Callable[[], dict[str, Any]]) -> Outcome:
    try:
        return Outcome(answer=doing())
    except ApiError as fault:
        return Outcome(fault=fault)


def _both(old: Outcome, new: Outcome) -> dict[str, Any]:
    return {
        "cancelResult": old.result,
        "newOrderResult": new.result,
        "cancelResponse": old.body,
        "newOrderResponse": new.body,
    }


def _fault(old: Outcome, new: Outcome, *, status: int) -> ApiError:
    if SUCCESS in {old.result, new.result}:
        return ApiError(-2021, PARTLY, status=status, data=_both(old, new))
    status = 400 if status == 409 else status
    return ApiError(-2022, FAILED, status=status, data=_both(old, new))
