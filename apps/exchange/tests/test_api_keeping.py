"""Who may keep an answer, and how it is asked for again without being sent again."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
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


@pytest.mark.parametrize(
    "condition",
    [{"If-Match": '"other"'}, {"If-Unmodified-Since": "Fri, 01 Feb 1980 00:00:00 GMT"}],
)
def test_conditions_of_changes_are_passed_over(where: Market, condition: dict[str, str]) -> None:
    answer = Client().get(KLINES, headers=condition)
    assert (answer.status_code, answer.content) == (200, Client().get(KLINES).content)


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
    assert_unkept(answer)


@pytest.mark.parametrize(
    "path",
    ["/api/v3/time", "/api/v3/exchangeInfo", "/api/v3/ticker?symbol=XRPETH", "/udf/time"],
)
def test_nobody_keeps_what_says_the_time(where: Market, path: str) -> None:
    answer = Client().get(path, headers={"If-None-Match": "*"})
    assert answer.status_code == 200
    assert_unkept(answer)


def assert_unkept(answer: Any) -> None:
    assert answer["Cache-Control"] == "no-store"
    assert "ETag" not in answer


@pytest.mark.parametrize("root", ["/api/v3", "/udf"])
@pytest.mark.parametrize("error", [OperationalError("server closed"), RuntimeError("a fault")])
def test_nobody_keeps_a_fault_of_ours(root: str, error: Exception) -> None:
    def failing(*_: Any) -> Any:
        raise error

    with connection.execute_wrapper(failing):
        answer = Client().get(f"{root}/time")
    assert answer.status_code >= 500
    assert_unkept(answer)


@pytest.mark.parametrize("root", ["/api/v3", "/udf"])
def test_nobody_keeps_that_a_path_or_a_method_is_missing(root: str) -> None:
    for path in ("", "/", "/nope"):
        assert_unkept(Client().get(root + path))
    answer = Client().post(f"{root}/time")
    assert answer.status_code == 405
    assert_unkept(answer)
    assert_unkept(Client().get("/udf/symbols?symbol=NOPE"))
