"""Who may keep an answer, and how it is asked for again without being sent again."""

from datetime import timedelta

import pytest
from django.test import Client

from apps.exchange.models import Market
from apps.exchange.tests.factory import market, trade, traded
from moonx.core import clock

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

KLINES = "/api/v3/klines?symbol=XRPETH&interval=1d&timeZone=8"
PUBLIC = [
    *("/api/v3/trades?symbol=XRPETH", KLINES, "/api/v3/ticker/price", "/udf/config"),
    "/udf/symbols?symbol=XRPETH",
    "/udf/history?symbol=XRPETH&resolution=1D&to=9999999999&countback=2",
]


@pytest.fixture
def where() -> Market:
    made = market()
    traded(made, trade(1, clock.db_now() - timedelta(minutes=1), "10", "1"))
    return made


@pytest.mark.parametrize("path", PUBLIC)
def test_an_answer_that_its_reader_has_is_not_sent_again(where: Market, path: str) -> None:
    client = Client()
    first = client.get(path)
    assert first["Cache-Control"] == "no-cache"
    for name in (first["ETag"], f'"other", {first["ETag"]}', f"W/{first['ETag']}", "*"):
        again = client.get(path, headers={"If-None-Match": name})
        assert (again.status_code, again.content) == (304, b"")
        assert (again["ETag"], again["Cache-Control"]) == (first["ETag"], "no-cache")
    other = client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


def test_an_answer_that_is_not_sent_again_weighs_as_any_other(where: Market) -> None:
    client = Client()
    first = client.get(KLINES)
    again = client.get(KLINES, headers={"If-None-Match": first["ETag"]})
    weights = [int(answer["X-MBX-USED-WEIGHT-1M"]) for answer in (first, again)]
    assert weights == [7, 14]


def test_a_new_trade_is_a_new_answer_for_whoever_has_the_old_one(where: Market) -> None:
    client = Client()
    first = client.get(KLINES)
    traded(where, trade(2, clock.db_now(), "11", "1"))
    again = client.get(KLINES, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 200
    assert again["ETag"] != first["ETag"]


@pytest.mark.parametrize(
    "path",
    ["/api/v3/account", "/api/v3/openOrders", "/api/v3/klines", "/api/v3/klines?symbol=NOPE"],
)
def test_nobody_keeps_what_is_an_accounts_or_an_error(where: Market, path: str) -> None:
    answer = Client().get(path, headers={"If-None-Match": "*"})
    assert answer.status_code >= 400
    assert answer["Cache-Control"] == "no-store"
    assert "ETag" not in answer
