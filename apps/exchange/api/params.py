"""The parameters of `/api/v3`: spelled as Binance demands, refused with Binance's codes."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from django.db.models import TextChoices
from django.http import HttpRequest

from apps.exchange.api import errors
from moonx.core.intervals import Interval, from_ms

Choice = TypeVar("Choice", bound=TextChoices | StrEnum)
Values = Mapping[str, Sequence[str]]

NAME = "[A-Z0-9-_.]{1,20}"
SYMBOL = f"^{NAME}$"
SYMBOLS = rf'^\[("{NAME}"(,"{NAME}"){{0,}}){{0,1}}\]$'
NUMBER = "^[0-9]{1,20}$"
WORD = "^[A-Za-z0-9_]{1,20}$"
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
LARGEST_LIMIT = 1000
LARGEST_ID = 2**63 - 1
LAST_MS = 253_370_764_800_000  # the year 9999 begins
MOST_FIELDS = 100
LARGEST_BODY = 16 * 1024  # bytes; no request of ours needs a tenth of it
FORM = "application/x-www-form-urlencoded"
MS = timedelta(milliseconds=1)
STATUSES = {"TRADING", "HALT", "BREAK", "POST_ONLY"}
MOST_BEHIND, MOST_AHEAD = timedelta(hours=-12), timedelta(hours=14)
MOST_SYMBOLS = 100
WINDOW = re.compile(r"([1-9]|[1-5][0-9])m|([1-9]|1[0-9]|2[0-3])h|[1-7]d", re.ASCII)
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


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
ORDER_ID = Param(name="orderId", legal=NUMBER, text="The order, by its id.")
FROM_ID = Param(name="fromId", legal=NUMBER, text="From this aggregate trade id on.")
LIMIT = Param(name="limit", legal=NUMBER, text="How many, 500 by default, at most 1,000.")
DEPTH = Param(name="limit", legal=NUMBER, text="Levels a side, 100 by default, at most 5,000.")
ZONE = Param(
    name="timeZone",
    legal=r"^[+-]?[0-9]{1,2}(:[0-9]{2})?$",
    text="Days, hours and so on are those of this zone: `0` (default), `8`, `-1:00`, `05:45`.",
)
WINDOW_SIZE = Param(
    name="windowSize", legal=WORD, text="`1m` to `59m`, `1h` to `23h`, `1d` (default) to `7d`."
)
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

    def needed(self, name: str) -> str:
        """The value of a required parameter."""
        return self._values[name]

    def number(self, name: str) -> int | None:
        """The value as an integer; None where it was not sent."""
        value = self._values.get(name)
        return None if value is None else int(value)

    def row_id(self, name: str) -> int | None:
        """As `number`, but never beyond what a row's id can be."""
        value = self.number(name)
        return None if value is None else min(value, LARGEST_ID)

    def amount(self, name: str) -> Decimal | None:
        """The value as an exact decimal; None where it was not sent."""
        value = self._values.get(name)
        return None if value is None else Decimal(value)

    def choice(self, name: str, among: type[Choice], fault: errors.ApiError) -> Choice | None:
        """The value as one of a few words, `fault` where it is none of them; None if not sent."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return among(value)
        except ValueError:
            raise fault from None

    def moment(self, name: str) -> datetime | None:
        """The value as an instant, the last one that there is where it lies beyond."""
        value = self.number(name)
        return None if value is None else from_ms(min(value, LAST_MS))

    def limit(self, *, usual: int = 500, most: int = LARGEST_LIMIT) -> int:
        """How many rows are wanted: too many are cut to the most there may be."""
        wanted = self.number("limit")
        if wanted == 0:
            raise errors.invalid("limit")
        return min(wanted or usual, most)

    def interval(self) -> Interval:
        """The candle interval."""
        value = self._values["interval"]
        if value not in list(Interval):
            errors.fail(errors.BAD_INTERVAL)
        return Interval(value)

    def zone(self) -> timedelta:
        """How far the wanted time zone is ahead of UTC; zero where none was sent."""
        hours, _, minutes = self._values.get("timeZone", "0").partition(":")
        size = timedelta(hours=int(hours.lstrip("+-")), minutes=int(minutes or 0))
        ahead = -size if hours.startswith("-") else size
        if int(minutes or 0) > 59 or not MOST_BEHIND <= ahead <= MOST_AHEAD:
            raise errors.invalid("timeZone")
        return ahead

    def window_size(self) -> timedelta:
        """How long the rolling window is."""
        value = self._values.get("windowSize", "1d")
        if not WINDOW.fullmatch(value):
            raise errors.invalid("windowSize")
        return int(value[:-1]) * UNITS[value[-1]]

    def is_full(self) -> bool:
        """Whether the ticker with all its fields is wanted."""
        kind = self._values.get("type", "FULL")
        if kind not in {"FULL", "MINI"}:
            raise errors.invalid("type")
        return kind == "FULL"

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

    def few_symbols(self) -> list[str]:
        """As `symbols`, where they have to be named, a hundred at most."""
        wanted = self.symbols()
        if wanted is None:
            raise errors.neither("symbol", "symbols")
        if len(wanted) > MOST_SYMBOLS:
            raise errors.too_many(expected=MOST_SYMBOLS, received=len(wanted))
        return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came: the bytes that a signature covers, and the parameters in them."""

    query: bytes
    body: bytes
    values: Values


def of_query(request: HttpRequest) -> Values:
    """The parameters of the query string, all values of each."""
    return _parsed(request.META.get("QUERY_STRING", ""))


def received(request: HttpRequest) -> Received:
    """The whole request; of a parameter in both places the query string's value counts."""
    query: str = request.META.get("QUERY_STRING", "")
    body = request.read(LARGEST_BODY + 1)
    if len(body) > LARGEST_BODY:
        raise errors.ApiError(-1101, f"The body is larger than {LARGEST_BODY} bytes.", status=413)
    form = body.decode(errors="replace") if request.content_type == FORM else ""
    values = {**_parsed(form), **_parsed(query)}
    return Received(query=query.encode(), body=body, values=values)


def _parsed(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise errors.too_many(expected=MOST_FIELDS, received=text.count("&") + 1) from None
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


def read(sent: Values, known: Sequence[Param]) -> Query:
    """The parameters that a path knows; ApiError with Binance's code for what is wrong first."""
    values = {param.name: _value(sent, param) for param in known if param.name in sent}
    for param in known:
        if param.required and param.name not in values:
            raise errors.missing(param.name)
    if len(sent) > len(values):
        raise errors.too_many(expected=len(values), received=len(sent))
    return Query(values)


def read_kindly(sent: Values, known: Sequence[Param]) -> Query:
    """As `read`, but what is empty or unknown counts as not sent."""
    names = {param.name for param in known}
    return read({name: sent[name] for name in names & sent.keys() if any(sent[name])}, known)


def _value(sent: Values, param: Param) -> str:
    value, *more = sent[param.name]
    if more:
        raise errors.repeated(param.name)
    if not value:
        raise errors.empty(param.name)
    if not re.fullmatch(param.legal, value, re.ASCII):
        raise errors.illegal(param.name, param.legal)
    return value
