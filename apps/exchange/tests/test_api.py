"""The public API answers as Binance Spot does, field for field."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import resolve
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.exchange import tickers
from apps.exchange.models import Market, MarketStatus
from apps.exchange.tests.asking import get, refused
from apps.exchange.tests.factory import at, market, trade, traded
from moonx.core import clock, valkey, weights
from moonx.core.intervals import Interval, to_ms

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

MINUTE = timedelta(minutes=1)


@pytest.fixture
def where() -> Market:
    """A market with three trades of this hour, the second one of two fills."""
    made = market(tick="0.00000001")
    now = clock.db_now()
    first, second, third = (
        trade(1, now - 3 * MINUTE, "0.00141342", "23", maker_buys=True),
        trade(2, now - 2 * MINUTE, "0.00141266", "54"),
        trade(3, now - MINUTE, "0.00141400", "8"),
    )
    traded(made, first, second, third)
    return made


def test_ping_answers_an_empty_object() -> None:
    assert get("/ping") == {}


def test_time_is_the_databases() -> None:
    before = to_ms(clock.db_now())
    assert before <= get("/time")["serverTime"] <= to_ms(clock.db_now())


def test_a_kline_has_binances_twelve_elements(where: Market) -> None:
    first, *_ = get("/klines", symbol="XRPETH", interval="1d", limit=1)
    open_ms, *_, close_ms, _, _, _, _, _ = first
    assert close_ms - open_ms == 86_399_999
    assert [type(item) for item in first] == [int, *[str] * 5, int, str, int, str, str, str]
    assert first[1:6] == ["0.00141342", "0.00141400", "0.00141266", "0.00141400", "85.00000000"]
    assert first[7:] == ["0.12010430", 3, "62.00000000", "0.08759564", "0"]


def test_klines_are_given_by_hundreds_and_too_large_a_limit_is_cut(where: Market) -> None:
    traded(where, trade(0, clock.db_now() - timedelta(days=2), "1"))
    assert len(get("/klines", symbol="XRPETH", interval="1m")) == 500
    assert len(get("/klines", symbol="XRPETH", interval="1m", limit=5000)) == 1000


def test_a_trade_bears_the_id_of_its_last_fill(where: Market) -> None:
    newest = get("/trades", symbol="XRPETH", limit=2)
    assert [row["id"] for row in newest] == [2, 3]
    assert list(newest[0]) == [
        *("id", "price", "qty", "quoteQty", "time", "isBuyerMaker", "isBestMatch")
    ]
    assert newest[1]["price"] == "0.00141400"
    assert newest[1]["qty"] == "8.00000000"
    assert newest[1]["quoteQty"] == "0.01131200"
    assert newest[1]["isBuyerMaker"] is False


def test_an_aggregate_trade_has_binances_letters(where: Market) -> None:
    row = get("/aggTrades", symbol="XRPETH", fromId=1, limit=1)[0]
    time = row.pop("T")
    assert isinstance(time, int)
    assert list(row.items()) == [
        ("a", 1),
        ("p", "0.00141342"),
        ("q", "23.00000000"),
        ("f", 1),
        ("l", 1),
        ("m", True),
        ("M", True),
    ]


def ids(**query: Any) -> list[int]:
    return [row["a"] for row in get("/aggTrades", symbol="XRPETH", **query)]


def test_aggregate_trades_are_found_by_id_by_time_or_newest_first(where: Market) -> None:
    times = {row["a"]: row["T"] for row in get("/aggTrades", symbol="XRPETH")}
    assert ids(limit=2) == [2, 3]
    assert ids(fromId=2) == [2, 3]
    assert ids(fromId=10**20 - 1) == []
    assert ids(startTime=times[1], limit=2) == [1, 2]
    assert ids(startTime=times[1] + 1, endTime=times[3]) == [2, 3]
    assert ids(endTime=times[2], limit=1) == [2]
    assert ids(startTime=0, endTime=10**20 - 1) == [1, 2, 3]


FULL = [
    *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "prevClosePrice"),
    *("lastPrice", "lastQty", "bidPrice", "bidQty", "askPrice", "askQty", "openPrice"),
    *("highPrice", "lowPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId"),
    *("lastId", "count"),
]
MINI = [
    *("symbol", "openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume"),
    *("openTime", "closeTime", "firstId", "lastId", "count"),
]


def test_a_day_ticker_has_binances_fields_in_binances_order(where: Market) -> None:
    tickers.update()
    full = get("/ticker/24hr", symbol="XRPETH")
    assert list(full) == FULL
    assert full["priceChange"] == "0.00000058"
    assert full["priceChangePercent"] == "0.041"
    assert full["weightedAvgPrice"] == "0.00141299"
    assert full["prevClosePrice"] == "0.00000000"
    assert (full["firstId"], full["lastId"], full["count"]) == (1, 3, 3)
    assert full["closeTime"] - full["openTime"] == 86_400_000
    mini = get("/ticker/24hr", symbol="XRPETH", type="MINI")
    assert list(mini) == MINI
    assert mini == {name: full[name] for name in MINI}


@pytest.mark.parametrize("updated", [True, False])
def test_a_market_that_never_traded_shows_binances_zeros(updated: bool) -> None:
    market()
    if updated:
        tickers.update()
    row = get("/ticker/24hr", symbol="XRPETH")
    assert (row["firstId"], row["lastId"], row["count"]) == (-1, -1, 0)
    zeros = set(FULL) - {
        *("symbol", "openTime", "closeTime", "firstId", "lastId", "count", "priceChangePercent")
    }
    assert {row[name] for name in zeros} == {"0.00000000"}
    assert row["priceChangePercent"] == "0.000"
    assert get("/ticker/price", symbol="XRPETH") == {"symbol": "XRPETH", "price": "0.00000000"}
    for path in ("/trades", "/aggTrades"):
        assert get(path, symbol="XRPETH") == []
    assert get("/klines", symbol="XRPETH", interval="1m") == []


def test_several_tickers_come_as_an_array_in_the_order_asked_for(where: Market) -> None:
    market("ADAETH")
    both = '["XRPETH","ADAETH"]'
    assert [row["symbol"] for row in get("/ticker/24hr", symbols=both)] == ["XRPETH", "ADAETH"]
    assert [row["symbol"] for row in get("/ticker/24hr")] == ["ADAETH", "XRPETH"]
    assert get("/ticker/price", symbols=both) == [
        {"symbol": "XRPETH", "price": "0.00141400"},
        {"symbol": "ADAETH", "price": "0.00000000"},
    ]


def test_only_markets_of_the_wanted_status_are_shown(where: Market) -> None:
    market("ADAETH", status=MarketStatus.BREAK)
    for path in ("/ticker/24hr", "/ticker/price"):
        assert [row["symbol"] for row in get(path, symbolStatus="BREAK")] == ["ADAETH"]
        assert refused(path, symbol="XRPETH", symbolStatus="BREAK")[0] == -1220
    shown = get("/exchangeInfo", symbolStatus="TRADING")["symbols"]
    assert [row["symbol"] for row in shown] == ["XRPETH"]
    assert refused("/exchangeInfo", symbol="XRPETH", symbolStatus="TRADING")[0] == -1128


def test_the_number_of_queries_does_not_grow_with_the_markets(where: Market) -> None:
    def queries(path: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            get(path)
        return len(seen)

    paths = ["/ticker/24hr", "/ticker/price", "/exchangeInfo"]
    few = [queries(path) for path in paths]
    for number in range(20):
        market(f"A{number:02}ETH")
    assert [queries(path) for path in paths] == few


def test_exchange_info_carries_the_markets_rules(where: Market) -> None:
    info = get("/exchangeInfo", symbol="XRPETH")
    assert list(info) == ["timezone", "serverTime", "rateLimits", "exchangeFilters", "symbols"]
    row = info["symbols"][0]
    assert (row["symbol"], row["baseAsset"], row["quoteAsset"]) == ("XRPETH", "XRP", "ETH")
    filters = {rule["filterType"]: rule for rule in row["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == "0.00000001"
    assert filters["LOT_SIZE"]["stepSize"] == "1.00000000"
    assert filters["NOTIONAL"]["minNotional"] == "0.00000000"
    assert row["permissionSets"] == [["SPOT"]]
    assert "permissionSets" not in get("/exchangeInfo", showPermissionSets="false")["symbols"][0]
    assert get("/exchangeInfo", permissions="MARGIN")["symbols"] == []
    assert len(get("/exchangeInfo", permissions='["SPOT","MARGIN"]')["symbols"]) == 1


def test_exchange_info_has_every_field_that_binance_documents(where: Market) -> None:
    row = get("/exchangeInfo")["symbols"][0]
    assert list(row)[:-1] == [
        *("symbol", "status", "baseAsset", "baseAssetPrecision", "quoteAsset", "quotePrecision"),
        *("quoteAssetPrecision", "baseCommissionPrecision", "quoteCommissionPrecision"),
        *("orderTypes", "icebergAllowed", "ocoAllowed", "otoAllowed", "opoAllowed"),
        *("quoteOrderQtyMarketAllowed", "allowTrailingStop", "cancelReplaceAllowed"),
        *("amendAllowed", "pegInstructionsAllowed", "isSpotTradingAllowed"),
        *("isMarginTradingAllowed", "filters", "permissions", "permissionSets"),
        *("defaultSelfTradePreventionMode", "allowedSelfTradePreventionModes"),
    ]


KLINES = {"symbol": "XRPETH", "interval": "1m"}
WRONG: list[tuple[str, dict[str, Any], int, str]] = [
    ("/klines", {}, -1102, "'symbol'"),
    ("/klines", {"symbol": "XRPETH"}, -1102, "'interval'"),
    ("/klines", {**KLINES, "symbol": ""}, -1105, "'symbol'"),
    ("/klines", {**KLINES, "symbol": "NOPE"}, -1121, "Invalid symbol."),
    ("/klines", {**KLINES, "symbol": "xrpeth"}, -1100, "'symbol'"),
    ("/klines", {**KLINES, "symbol": "'; DROP TABLE x--"}, -1100, "'symbol'"),
    ("/klines", {**KLINES, "symbol": "XRPETH\x00"}, -1100, "'symbol'"),
    ("/klines", {**KLINES, "symbol": "XRPETH\n"}, -1100, "'symbol'"),
    ("/klines", {**KLINES, "interval": "2m"}, -1120, "Invalid interval."),
    ("/klines", {**KLINES, "interval": "1D"}, -1120, "Invalid interval."),
    ("/klines", {**KLINES, "limit": "-1"}, -1100, "'limit'"),
    ("/klines", {**KLINES, "limit": "٣"}, -1100, "'limit'"),
    ("/klines", {**KLINES, "limit": "NaN"}, -1100, "'limit'"),
    ("/klines", {**KLINES, "limit": "1.5"}, -1100, "'limit'"),
    ("/klines", {**KLINES, "limit": "0"}, -1130, "'limit'"),
    ("/klines", {**KLINES, "limit": ["1", "2"]}, -1101, "'limit'"),
    ("/klines", {**KLINES, "startTime": 10**30}, -1100, "'startTime'"),
    ("/klines", {**KLINES, "endTime": "-5"}, -1100, "'endTime'"),
    ("/klines", {**KLINES, "page": "2"}, -1101, "expected '2' and received '3'"),
    ("/ping", {"a": "1"}, -1101, "expected '0' and received '1'"),
    ("/aggTrades", {"symbol": "XRPETH", "fromId": 1, "startTime": 1}, -1128, "Combination"),
    ("/ticker/24hr", {"symbol": "XRPETH", "symbols": '["XRPETH"]'}, -1128, "Combination"),
    ("/ticker/24hr", {"symbols": '["XRPETH","NOPE"]'}, -1121, "Invalid symbol."),
    ("/ticker/24hr", {"symbols": '["XRPETH","XRPETH"]'}, -1151, "multiple times"),
    ("/ticker/24hr", {"symbols": "XRPETH"}, -1100, "'symbols'"),
    ("/ticker/24hr", {"symbols": "[]"}, -1105, "'symbols'"),
    ("/ticker/24hr", {"type": "HUGE"}, -1130, "'type'"),
    ("/ticker/price", {"symbolStatus": "DONE"}, -1122, "symbolStatus"),
    ("/exchangeInfo", {"symbol": "XRPETH", "permissions": "SPOT"}, -1128, "Combination"),
]


@pytest.mark.parametrize(("path", "query", "code", "words"), WRONG)
def test_what_is_wrong_is_said_with_binances_code(
    where: Market, path: str, query: dict[str, Any], code: int, words: str
) -> None:
    found, message = refused(path, **query)
    assert found == code
    assert words in message


def test_an_unknown_path_and_another_method_are_answered_in_json() -> None:
    assert refused("/nope", status=404)[0] == -1000
    assert refused("/ping/", status=404)[0] == -1000
    assert refused("/", status=404)[0] == -1000
    answer = Client(enforce_csrf_checks=True).post("/api/v3/ping")
    assert (answer.status_code, answer.json()["code"]) == (405, -1000)
    assert Client(enforce_csrf_checks=True).post("/api/v3/nope").status_code == 404


def test_each_answer_says_how_much_weight_was_used() -> None:
    client = Client()
    used = [
        int(client.get(path)["X-MBX-USED-WEIGHT-1M"])
        for path in ("/api/v3/ping", "/api/v3/exchangeInfo", "/api/v3/klines")
    ]
    assert used == [1, 21, 22]  # a refused request weighs 1


@pytest.fixture
def small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = settings.ENV.model_copy(update={"rate_limit_weight_per_minute": 25})
    monkeypatch.setattr(settings, "ENV", changed)


@pytest.mark.usefixtures("small_limit")
def test_an_address_that_used_up_its_weight_waits() -> None:
    client = Client()
    answers = [client.get("/api/v3/exchangeInfo") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[1].json()["code"] == -1003
    assert 1 <= int(answers[1]["Retry-After"]) <= 60
    other = Client(REMOTE_ADDR="10.0.0.9").get("/api/v3/exchangeInfo")
    assert other.status_code == 200


def test_a_whole_ipv6_network_is_one_client() -> None:
    def used(address: str) -> int:
        return int(Client(REMOTE_ADDR=address).get("/api/v3/ping")["X-MBX-USED-WEIGHT-1M"])

    assert [used("2001:db8::1"), used("2001:db8::2"), used("2001:db8:0:1::1")] == [1, 2, 1]


def test_requests_are_served_while_weight_cannot_be_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unreachable = valkey.connect("redis://127.0.0.1:1/0")
    with monkeypatch.context() as without_server:
        without_server.setattr(valkey, "client", lambda: unreachable)
        used = [Client().get("/api/v3/ping")["X-MBX-USED-WEIGHT"] for _ in range(3)]
    weights.forget_silence()
    assert used == ["0"] * 3


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(OperationalError("server closed"), 503, -1001), (RuntimeError("a fault"), 500, -1000)],
)
def test_a_fault_of_ours_is_answered_in_json_without_its_details(
    error: Exception, status: int, code: int
) -> None:
    def failing(*_: Any) -> Any:
        raise error

    with connection.execute_wrapper(failing):
        answer = Client().get("/api/v3/time")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert str(error) not in answer.content.decode()


NAMES = st.sampled_from(
    [
        *("symbol", "symbols", "interval", "limit", "startTime", "endTime", "fromId", "type"),
        *("symbolStatus", "timeZone", "permissions", "showPermissionSets", "windowSize", "x"),
    ]
)
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers(-(10**32), 10**32).map(str),
    st.sampled_from(
        ["XRPETH", '["XRPETH"]', "[]", '["A"', *Interval, "NaN", "1e9", "0", "MINI", "5:45"]
    ),
)


@given(
    path=st.sampled_from(
        [
            *("/ping", "/time", "/exchangeInfo", "/trades", "/aggTrades", "/klines"),
            *("/ticker/24hr", "/ticker/price", "/depth", "/uiKlines", "/avgPrice", "/ticker"),
            "/ticker/tradingDay",
        ]
    ),
    query=st.lists(st.tuples(NAMES, VALUES), max_size=5),
)
@hypothesis_settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_request_whatever_is_answered_with_anything_but_json_and_a_reason(
    where: Market, path: str, query: list[tuple[str, str]]
) -> None:
    fields: dict[str, list[str]] = {}
    for name, value in query:
        fields.setdefault(name, []).append(value)
    request = RequestFactory().get(f"/api/v3{path}", fields)
    view = resolve(request.path_info)
    answer = view.func(request, *view.args, **view.kwargs)
    assert answer.status_code in {200, 400, 404, 429}
    body = json.loads(answer.content)
    assert answer.status_code == 200 or isinstance(body["code"], int)


def test_amounts_have_as_many_digits_as_a_finer_market_needs() -> None:
    fine = market("BTCETH", tick="0.0000000001", step="0.01")
    traded(fine, trade(1, at("2026-11-01 12:00"), "0.0000000001", "0.01"))
    row = get("/trades", symbol="BTCETH")[0]
    assert (row["price"], row["qty"]) == ("0.0000000001", "0.01000000")
    assert Decimal(row["quoteQty"]) == Decimal("1E-12")
