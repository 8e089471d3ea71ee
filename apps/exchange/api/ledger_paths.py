"""`/api/v1/ledger`: one's own statement, as JSON or as CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router
from ninja.errors import HttpError
from pydantic import Field

from apps.exchange.api import own, params
from apps.exchange.api.own import FAULTS, SECURITY, Camel
from apps.exchange.ledger.statement import Position, Row, statement
from apps.exchange.models import Asset
from moonx.core import money
from moonx.core.intervals import from_ms, to_ms

router = Router(tags=["Ledger"])

WEIGHT = 20  # of an address' request weight a minute: a page may be long
MOST_ROWS, MOST_LINES = 1_000, 10_000
COLUMNS = ("journalId", "time", "kind", "source", "reason", "asset", "amount", "balance")
NEXT = "X-Next-Before"
# A cell that begins so is a formula to a spreadsheet.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Wanted(Camel):
    """Which part of the statement."""

    asset: str | None = Field(None, pattern="^[A-Z0-9]{1,20}$", description="Of this asset only.")
    since: int | None = Field(
        None, alias="from", ge=0, le=params.LAST_MS, description="From this time on, ms."
    )
    until: int | None = Field(
        None, alias="to", ge=0, le=params.LAST_MS, description="Before this time, ms."
    )
    before: str | None = Field(
        None, max_length=40, description="`next` of the page before: what follows it."
    )
    limit: int | None = Field(
        None, ge=1, le=MOST_LINES, description="JSON: 500, at most 1,000. CSV: 10,000."
    )
    format: Literal["json", "csv"] | None = Field(
        None, description="`csv`, which the header `Accept: text/csv` asks for as well."
    )


class EntryShown(Camel):
    """What a journal added to an account of yours, and what you then had of the asset."""

    journal_id: int
    time: int
    kind: str
    source: str
    reason: str
    asset: str
    amount: str
    balance: str


class Statement(Camel):
    """Entries, newest first; `next` gets the next page, null where there is none."""

    entries: list[EntryShown]
    next: str | None


@router.get("", response={200: Statement, **FAULTS}, by_alias=True, openapi_extra=SECURITY)
def ledger(request: HttpRequest, wanted: Query[Wanted]) -> Statement | HttpResponse:
    """Your statement: each change of what you have, and why it changed."""
    own.spend(request, WEIGHT)
    user_id = own.user_of(request)
    as_csv = _wants_csv(request, wanted)
    limit = min(wanted.limit or MOST_LINES, MOST_LINES) if as_csv else _rows(wanted.limit)
    found = _read(user_id, wanted, limit=limit + 1)
    rows, following = found[:limit], str(found[limit - 1].position) if found[limit:] else None
    if as_csv:
        return _csv_answer(rows, following)
    return Statement(entries=[EntryShown(**_shown(row)) for row in rows], next=following)


@router.api_operation(own.others("GET"), "", include_in_schema=False)
def _only_get(request: HttpRequest) -> None:  # noqa: ARG001 - passed by name
    own.wrong_method()


def _rows(limit: int | None) -> int:
    return min(limit or 500, MOST_ROWS)


def _wants_csv(request: HttpRequest, wanted: Wanted) -> bool:
    if wanted.format is not None:
        return wanted.format == "csv"
    return request.headers.get("Accept", "").partition(",")[0].strip().startswith("text/csv")


def _read(user_id: int, wanted: Wanted, *, limit: int) -> list[Row]:
    return statement(
        user_id,
        _asset(wanted.asset),
        before=_position(wanted.before),
        since=None if wanted.since is None else from_ms(wanted.since),
        until=None if wanted.until is None else from_ms(wanted.until),
        limit=limit,
    )


def _asset(symbol: str | None) -> Asset | None:
    if symbol is None:
        return None
    found = Asset.objects.filter(symbol=symbol).first()
    if found is None:
        raise HttpError(400, "asset: there is none of that name.")
    return found


def _position(text: str | None) -> Position | None:
    try:
        return None if text is None else Position.parse(text)
    except ValueError:
        raise HttpError(400, "before: send `next` of the page before, as it was.") from None


def _shown(row: Row) -> dict[str, Any]:
    return {
        "journal_id": row.position.journal,
        "time": to_ms(row.time),
        "kind": row.kind,
        "source": row.source,
        "reason": row.reason,
        "asset": row.asset,
        "amount": money.plain(row.amount, places=row.decimals),
        "balance": money.plain(row.balance, places=row.decimals),
    }


def _csv_answer(rows: Iterable[Row], following: str | None) -> HttpResponse:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_line(row) for row in rows)
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="moonx-ledger.csv"'
    if following:
        response[NEXT] = following
    return own.private(response)


def _line(row: Row) -> list[object]:
    shown = _shown(row)
    for name in ("kind", "source", "reason", "asset"):
        shown[name] = harmless(str(shown[name]))
    return [*shown.values()]


def harmless(text: str) -> str:
    """The text as a cell that no spreadsheet runs."""
    return f"'{text}" if text.startswith(FORMULA) else text
