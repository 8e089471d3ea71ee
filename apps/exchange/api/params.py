"""The parameters of `/api/v3`: spelled as Binance demands, refused with Binance's codes."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, QueryDict

from apps.exchange.api import errors
from moonx.core.intervals import Interval

NAME = "[A-Z0-9-_.]{1,20}"
SYMBOL = f"^{NAME}$"
SYMBOLS = rf'^\[("{NAME}"(,"{NAME}"){{0,}}){{0,1}}\]$'
NUMBER = "^[0-9]{1,20}$"
WORD = "^[A-Za-z0-9_]{1,20}$"
LARGEST_LIMIT = 1000
STATUSES = {"TRADING", "HALT", "BREAK", "POST_ONLY"}
# Bars are kept in UTC; another zone's days and hours cannot be built from them.
UTC_NAMES = {"0", "0:00", "00:00", "+0:00", "-0:00", "+00:00", "-00:00"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One query parameter: its name, the characters it may have, what it means."""

    name: str
    legal: str
    text: str
    required: bool = False

    def documented(self) -> dict[str, Any]:
        """The parameter in an OpenAPI document."""
        return {
            "name": self.name,
            "in": "query",
            "required": self.required,
            "description": self.text,
            "schema": {"type": "string", "pattern": self.legal},
        }


ONE = Param(name="symbol", legal=SYMBOL, text="A market.")
ONE_NEEDED = Param(name="symbol", legal=SYMBOL, text="The market.", required=True)
MANY = Param(name="symbols", legal=SYMBOLS, text='Several markets: `["XRPETH","XRPRETH"]`.')
STATUS = Param(name="symbolStatus", legal=WORD, text="Only markets of this status.")
KIND = Param(name="type", legal=WORD, text="`FULL` (default) or `MINI`, which has fewer fields.")
INTERVAL = Param(name="interval", legal=WORD, required=True, text=f"One of {', '.join(Interval)}.")
START = Param(name="startTime", legal=NUMBER, text="From this time on, ms.")
END = Param(name="endTime", legal=NUMBER, text="Up to and including this time, ms.")
FROM_ID = Param(name="fromId", legal=NUMBER, text="From this aggregate trade id on.")
LIMIT = Param(name="limit", legal=NUMBER, text="How many, 500 by default, at most 1,000.")
ZONE = Param(name="timeZone", legal=r"^[+-]?[0-9]{1,2}(:[0-9]{2})?$", text="Only 0 (UTC).")
PERMISSIONS = Param(
    name="permissions",
    legal=r'^([A-Z0-9_]{1,20}|\["[A-Z0-9_]{1,20}"(,"[A-Z0-9_]{1,20}")*\])$',
    text="Only markets with one of these permissions; all have `SPOT`.",
)
SETS = Param(name="showPermissionSets", legal="^(true|false)$", text="`false` leaves them out.")


class Query:
    """Parameters that are spelled as they must be."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        """The value as sent; None where it was not."""
        return self._values.get(name)

    def number(self, name: str) -> int | None:
        """The value as an integer; None where it was not sent."""
        value = self._values.get(name)
        return None if value is None else int(value)

    def limit(self) -> int:
        """How many rows are wanted: too many are cut to the most there may be."""
        wanted = self.number("limit")
        if wanted == 0:
            raise errors.invalid("limit")
        return min(wanted or 500, LARGEST_LIMIT)

    def interval(self) -> Interval:
        """The candle interval."""
        value = self._values["interval"]
        if value not in list(Interval):
            errors.fail(errors.BAD_INTERVAL)
        return Interval(value)

    def utc_only(self) -> None:
        """Refuses any other time zone."""
        if self._values.get("timeZone", "0") not in UTC_NAMES:
            raise errors.invalid("timeZone")

    def status(self) -> str | None:
        """The wanted market status; None where any will do."""
        value = self._values.get("symbolStatus")
        if value is not None and value not in STATUSES:
            errors.fail(errors.BAD_STATUS)
        return value

    def symbols(self) -> list[str] | None:
        """The wanted markets' symbols, each once; None where all are wanted."""
        if "symbol" in self and "symbols" in self:
            errors.fail(errors.BAD_COMBINATION)
        if "symbol" in self:
            return [self._values["symbol"]]
        if "symbols" not in self:
            return None
        wanted: list[str] = json.loads(self._values["symbols"])
        if not wanted:
            raise errors.empty("symbols")
        if len(set(wanted)) != len(wanted):
            errors.fail(errors.SYMBOL_TWICE)
        return wanted


def read(request: HttpRequest, known: Sequence[Param]) -> Query:
    """The request's parameters; ApiError with Binance's code for the first that is wrong."""
    try:
        sent = request.GET
    except TooManyFieldsSent:
        raise errors.too_many(expected=len(known), received=1000) from None
    values = {param.name: _value(sent, param) for param in known if param.name in sent}
    for param in known:
        if param.required and param.name not in values:
            raise errors.missing(param.name)
    if len(sent) > len(values):
        raise errors.too_many(expected=len(values), received=len(sent))
    return Query(values)


def _value(sent: QueryDict, param: Param) -> str:
    value, *more = sent.getlist(param.name)
    if more:
        raise errors.repeated(param.name)
    if not value:
        raise errors.empty(param.name)
    if not re.fullmatch(param.legal, value, re.ASCII):
        raise errors.illegal(param.name, param.legal)
    return value
