"""Calendars as users of the former services write them: five cron fields, or six with seconds."""

import re

# Each field's name in beat's calendar, and the least and the greatest number in it.
FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day_of_month", 1, 31),
    ("month_of_year", 1, 12),
    ("day_of_week", 0, 6),
)
DAYS = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # of each month, at most
PART = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?", re.ASCII)
FORM = "write five cron fields like `*/5 * * * *`, or six with seconds, which must be 0, first"


def five_fields(text: str) -> str:
    """The calendar's five fields, one space between two; ValueError says what cannot be used."""
    fields = text.split()
    if len(fields) == len(FIELDS) + 1:
        seconds = fields.pop(0)
        if seconds != "0":
            raise ValueError(f"starts at second {seconds!r}: only 0 can be kept; {FORM}")
    if len(fields) != len(FIELDS):
        raise ValueError(f"has {len(fields)} fields; {FORM}")
    numbers = {
        name: {number for part in field.split(",") for number in _numbers(part, name, *limits)}
        for field, (name, *limits) in zip(fields, FIELDS, strict=True)
    }
    if min(numbers["day_of_month"]) > max(DAYS[month] for month in numbers["month_of_year"]):
        raise ValueError(f"names a day that its months do not have; {FORM}")
    return " ".join(fields)


def named(calendar: str) -> dict[str, str]:
    """The fields of `five_fields`, by their names in beat's calendar."""
    return dict(zip((name for name, _, _ in FIELDS), calendar.split(), strict=True))


def _numbers(part: str, name: str, least: int, greatest: int) -> range:
    """What a part of a field stands for; ValueError where that is nothing."""
    if found := PART.fullmatch(part):
        begin, end, step = (int(text) if text else None for text in found.groups())
        if begin is None:
            begin, end = least, greatest
        elif end is None and step is None:
            end = begin
        if end is not None and step != 0 and least <= begin <= end <= greatest:
            return range(begin, end + 1, step or 1)
    raise ValueError(f"{part!r} is no {name.replace('_', ' ')} ({least} to {greatest}); {FORM}")
