"""Files of aggregate trades: JSON or CSV, plain, gzip or zip."""

import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import BinaryIO, NoReturn, TextIO, cast

from apps.exchange.history.records import BadRecord, ImportRefused, Record, parse

Fields = Mapping[str, object]

COLUMNS = ("a", "p", "q", "f", "l", "T", "m", "M")
# How archives with a header line call the fields.
ALIASES = {
    "agg_trade_id": "a",
    "price": "p",
    "quantity": "q",
    "first_trade_id": "f",
    "last_trade_id": "l",
    "transact_time": "T",
    "timestamp": "T",
    "is_buyer_maker": "m",
    "was_the_trade_the_best_price_match": "M",
    "is_best_match": "M",
}
UNREADABLE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError)


def read(path: Path, *, now: datetime) -> Iterator[tuple[str, Record]]:
    """Each trade of the file, with its place as a person would look for it.

    The file is a JSON array, one JSON object a line, or CSV with or without a header. Raises
    ImportRefused where it is none of these, BadRecord where a record is no trade.
    """
    try:
        with _opened(path) as text:
            for place, fields in _records(text):
                yield place, parse(fields, place=place, now=now)
    except UNREADABLE as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with (
        path.open("rb") as raw,
        _unpacked(raw, path) as data,
        io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text,
    ):
        yield text


@contextmanager
def _unpacked(raw: io.BufferedReader, path: Path) -> Iterator[BinaryIO]:
    magic = raw.peek(4)[:4]
    if magic.startswith(b"\x1f\x8b"):
        yield cast("BinaryIO", gzip.GzipFile(fileobj=raw))
    elif magic.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(raw) as archive:
            names = archive.namelist()
            if len(names) != 1:
                raise ImportRefused(f"{path} holds {len(names)} files; unpack the one to import")
            with archive.open(names[0]) as member:
                yield cast("BinaryIO", member)
    else:
        yield raw


def _records(text: TextIO) -> Iterator[tuple[str, Fields]]:
    first, skipped = _first_character(text)
    if first == "[":
        yield from _of_array(first + text.read())
        return
    lines = chain([first + text.readline()], text)
    yield from _of_objects(lines, skipped) if first == "{" else _of_rows(lines, skipped)


def _first_character(text: TextIO) -> tuple[str, int]:
    """The first character that is not blank, and how many lines were skipped to reach it."""
    skipped = 0
    while (character := text.read(1)).isspace():
        skipped += character == "\n"
    return character, skipped


def _of_array(content: str) -> Iterator[tuple[str, Fields]]:
    items = cast("list[object]", _json(content, place="the file"))
    for number, item in enumerate(items, start=1):
        yield f"record {number}", _object(item, place=f"record {number}")


def _of_objects(lines: Iterator[str], skipped: int) -> Iterator[tuple[str, Fields]]:
    for number, line in enumerate(lines, start=skipped + 1):
        if line.strip():
            place = f"line {number}"
            yield place, _object(_json(line, place=place), place=place)


def _json(content: str, *, place: str) -> object:
    try:
        # Amounts given as numbers keep the digits they are spelled with.
        return json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadRecord(place, f"is not JSON: {error}") from None


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _object(item: object, *, place: str) -> Fields:
    if not isinstance(item, dict):
        raise BadRecord(place, "is not an object with the fields a, p, q, f, l, T, m")
    return item


def _of_rows(lines: Iterator[str], skipped: int) -> Iterator[tuple[str, Fields]]:
    rows = csv.reader(lines)
    columns: tuple[str, ...] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            raise BadRecord(f"line {skipped + rows.line_num}", f"is not CSV: {error}") from None
        if row is None:
            return
        place = f"line {skipped + rows.line_num}"
        if not any(cell.strip() for cell in row):
            continue
        if columns is None:
            columns = _columns(row, place=place)
            if not row[0][:1].isdigit():
                continue
        if not len(columns) - ("M" in columns) <= len(row) <= len(columns):
            raise BadRecord(place, f"has {len(row)} columns, {len(columns)} were expected")
        yield place, dict(zip(columns, (cell.strip() for cell in row), strict=False))


def _columns(row: list[str], *, place: str) -> tuple[str, ...]:
    """The names of the columns: from a header line, else Binance's order."""
    if row[0][:1].isdigit():
        return COLUMNS
    names = [cell.strip() for cell in row]
    named = tuple(name if name in COLUMNS else ALIASES.get(name.lower(), name) for name in names)
    missing = [name for name in COLUMNS[:-1] if name not in named]
    if missing:
        raise BadRecord(place, f"is neither a trade nor a header with all of {', '.join(COLUMNS)}")
    return named
