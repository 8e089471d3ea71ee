"""Recorded aggregate trades as values, checked field by field.

ImportRefused            nothing was stored (permanent)
└── BadRecord            names the record and what is wrong with it
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from moonx.core import money
from moonx.core.intervals import EPOCH

WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
# Sums of volumes of such amounts stay far below the 60 digits that a column holds.
LARGEST = Decimal(10) ** 20
OLDEST = datetime(2009, 1, 1, tzinfo=UTC)
# Archives since 2025 count microseconds; no millisecond of this millennium is that large.
FIRST_MICROSECOND = 10**14
FIELDS = ("a", "p", "q", "f", "l", "T", "m")


class ImportRefused(Exception):
    """The import cannot be done as asked; nothing was stored."""


class BadRecord(ImportRefused):
    """One record that cannot be a trade."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An aggregate trade: fills `first_id` to `last_id` of one order at one price."""

    seq: int
    first_id: int
    last_id: int
    price: Decimal
    quantity: Decimal
    executed_at: datetime
    is_buyer_maker: bool


def parse(fields: Mapping[str, object], *, place: str, now: datetime) -> Record:
    """The trade that Binance's fields a, p, q, f, l, T, m describe.

    Raises BadRecord, with `place` and a reason, for anything that cannot have been a trade by
    `now`.
    """
    missing = [name for name in FIELDS if fields.get(name) in (None, "")]
    if missing:
        raise BadRecord(place, f"has no {', '.join(missing)}")
    try:
        record = Record(
            seq=_whole(fields["a"], "a"),
            first_id=_whole(fields["f"], "f"),
            last_id=_whole(fields["l"], "l"),
            price=_amount(fields["p"], "p"),
            quantity=_amount(fields["q"], "q"),
            executed_at=_time(fields["T"], now=now),
            is_buyer_maker=_flag(fields["m"]),
        )
        money.product(record.price, record.quantity)
    except ValueError as error:
        raise BadRecord(place, str(error)) from None
    if record.last_id < record.first_id:
        raise BadRecord(place, f"l {record.last_id} is below f {record.first_id}")
    return record


def _whole(value: object, name: str) -> int:
    if isinstance(value, bool) or not WHOLE.fullmatch(str(value)):
        raise ValueError(f"{name} must be a whole number of up to 18 digits, not {_quoted(value)}")
    return int(str(value))


def _amount(value: object, name: str) -> Decimal:
    amount = money.parse(value, what=name)
    if not 0 < amount <= LARGEST:
        raise ValueError(f"{name} must be above 0 and at most {LARGEST:.0e}, not {_quoted(value)}")
    return amount


def _time(value: object, *, now: datetime) -> datetime:
    count = _whole(value, "T")
    unit = timedelta(microseconds=1 if count >= FIRST_MICROSECOND else 1000)
    try:
        moment = EPOCH + count * unit
    except OverflowError:
        raise ValueError(f"T {count} is no time") from None
    if not OLDEST <= moment <= now:
        raise ValueError(f"T {count} is {moment:%Y-%m-%d %H:%M}, not between 2009 and now")
    return moment


def _flag(value: object) -> bool:
    known: dict[str, bool] = {"true": True, "false": False}
    spelled = str(value).lower()
    if spelled not in known:
        raise ValueError(f"m must be true or false, not {_quoted(value)}")
    return known[spelled]


def _quoted(value: object) -> str:
    return repr(str(value)[:40])
