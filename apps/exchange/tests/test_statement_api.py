"""`/api/v1/ledger`: one's own statement, page by page, and as CSV that no spreadsheet runs."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.exchange import ledger
from apps.exchange.api.ledger_paths import harmless
from apps.exchange.models import Asset
from apps.exchange.tests import trading
from apps.exchange.tests.signing import Signer, bearer, now_ms
from apps.exchange.tests.trading import buy, rich, sell

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

PATH = "/api/v1/ledger"


def get(user_id: int, **query: Any) -> Any:
    names = {"since": "from"}
    return Client().get(
        PATH,
        {names.get(name, name): value for name, value in query.items()},
        headers=bearer(user_id),
    )


@pytest.fixture
def owner() -> int:
    """Somebody funded with 1,000 USDC, who then bought 1 ETH at 10."""
    market = trading.market()
    user_id = trading.trader(USDC="1000")
    sell(market, rich(), "10", "1")
    buy(market, user_id, "10", "1")
    return user_id


def test_a_statement_tells_each_change_and_what_was_then_there(owner: int) -> None:
    body = get(owner).json()
    assert list(body) == ["entries", "next"]
    rows = body["entries"]
    assert list(rows[0]) == [
        *("journalId", "time", "kind", "source", "reason", "asset", "amount", "balance")
    ]
    assert {(row["kind"], row["asset"]) for row in rows} == {
        *(("demo", "USDC"), ("trade", "USDC"), ("trade", "ETH"))
    }
    usdc = [row for row in rows if row["asset"] == "USDC"]
    assert [row["kind"] for row in usdc] == ["trade", "demo"]
    assert usdc[1]["amount"] == usdc[1]["balance"] == "1000.000000"
    assert Decimal(usdc[0]["balance"]) == 1000 + Decimal(usdc[0]["amount"])
    assert all(isinstance(row["time"], int) for row in rows)
    assert body["next"] is None


def test_a_statement_comes_in_pages(owner: int) -> None:
    everything = get(owner).json()["entries"]
    pages: list[Any] = []
    before: dict[str, str] = {}
    while True:
        page = get(owner, limit=1, **before).json()
        pages += page["entries"]
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert pages == everything
    assert len(pages) == 3


def test_a_statement_can_be_of_one_asset_or_of_a_time(owner: int) -> None:
    assert [row["asset"] for row in get(owner, asset="ETH").json()["entries"]] == ["ETH"]
    assert get(owner, since=now_ms() + 60_000).json()["entries"] == []
    assert get(owner, to=1).json()["entries"] == []
    assert len(get(owner, since=1, to=now_ms() + 60_000).json()["entries"]) == 3


@pytest.mark.parametrize(
    "query",
    [
        {"asset": "NOPE"},
        {"asset": "٣"},
        {"asset": "\x00"},
        {"before": "x"},
        {"before": "1"},
        {"before": "٣-٣"},
        {"before": "9" * 39},
        {"limit": 0},
        {"limit": "many"},
        {"since": -1},
        {"since": "1e99"},
        {"to": 10**30},
        {"format": "xml"},
    ],
)
def test_what_cannot_be_asked_is_told_so(owner: int, query: dict[str, Any]) -> None:
    answer = get(owner, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "badRequest")


@pytest.mark.parametrize("by_header", [True, False])
def test_a_statement_can_be_csv(owner: int, by_header: bool) -> None:
    headers = bearer(owner) | ({"Accept": "text/csv"} if by_header else {})
    query = "" if by_header else "?format=csv"
    answer = Client().get(f"{PATH}{query}", headers=headers)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    shown = get(owner).json()["entries"]
    assert rows == [{name: str(value) for name, value in row.items()} for row in shown]
    cut = get(owner, format="csv", limit=1)
    assert cut["X-Next-Before"] == get(owner, limit=1).json()["next"]


def test_no_cell_is_a_formula(owner: int) -> None:
    usdc = Asset.objects.get(symbol="USDC")
    ledger.fund(owner, usdc, Decimal(1), source='=HYPERLINK("http://x","y")')
    text = get(owner, format="csv").content.decode()
    row = next(iter(csv.DictReader(io.StringIO(text))))
    assert row["source"] == '\'=HYPERLINK("http://x","y")'
    for start in "=+-@\t\r\n":
        assert harmless(f"{start}1")[0] == "'"
    assert harmless("trade") == "trade"


def test_a_statement_is_its_owners_alone(owner: int) -> None:
    assert get(trading.trader()).json()["entries"] == []
    assert Client().get(PATH).status_code == 401
    signer = Signer(owner)
    assert Client().get(f"{PATH}?{signer.sign({})}", headers=signer.headers).status_code == 401
    assert Client().post(PATH).status_code == 405
