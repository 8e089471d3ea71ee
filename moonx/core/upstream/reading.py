"""Fields of what another server answered, each of the type that it must be of."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from moonx.core.upstream.faults import CallFailed, Fault

LONGEST_INTEGER = 80  # digits; 2^256 has 78
LARGEST = Decimal(10) ** LONGEST_INTEGER


class Reading:
    """A part of an answer. Whatever is of another type than it is asked for raises CallFailed
    (MALFORMED) with the path to it; none of the answer's own words is repeated."""

    __slots__ = ("_path", "_server", "_value")

    def __init__(self, value: Any, *, server: str, path: str = "") -> None:
        self._value = value
        self._server = server
        self._path = path

    def __getitem__(self, name: str) -> "Reading":
        """The member of that name; one that is missing is null."""
        members = self._of(dict, "an object")
        return Reading(members.get(name), server=self._server, path=f"{self._path}.{name}")

    def __iter__(self) -> Iterator["Reading"]:
        """The items of a list."""
        for item in self._of(list, "a list"):
            yield Reading(item, server=self._server, path=f"{self._path}[]")

    @property
    def is_missing(self) -> bool:
        """Whether there is nothing here, or null."""
        return self._value is None

    def text(self) -> str:
        """The string."""
        found: str = self._of(str, "a string")
        return found

    def amount(self) -> int:
        """A positive whole number that is written as a string of digits."""
        digits = self.text()
        if not (digits.isascii() and digits.isdigit() and len(digits) <= LONGEST_INTEGER):
            raise self._wrong("an amount in digits")
        if not (found := int(digits)):
            raise self._wrong("more than nothing")
        return found

    def number(self, *, below: Decimal = LARGEST) -> Decimal:
        """The number, as it was written: 0 or more, and less than `below`."""
        value = self._value
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self._wrong("a number")
        if not 0 <= (found := Decimal(value)) < below:
            raise self._wrong("a number that can be")
        return found

    def _of(self, kind: type, what: str) -> Any:
        if not isinstance(self._value, kind):
            raise self._wrong(what)
        return self._value

    def _wrong(self, what: str) -> CallFailed:
        place = self._path.removeprefix(".") or "the answer"
        return CallFailed(f"{self._server}: {place} is not {what}.", fault=Fault.MALFORMED)
