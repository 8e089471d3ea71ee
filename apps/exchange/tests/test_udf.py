"""The chart data feed speaks TradingView's protocol, with exact numbers."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.urls import resolve
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apps.exchange.api import udf_shapes
from apps.exchange.models import Market, MarketStatus
from apps.exchange.tests.asking import get
from apps.exchange.tests.factory import at, market, open_since, trade, traded
from moonx.core import clock
from moonx.core.intervals import Interval, to_ms

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

NOON = at("2019-10-11 12:00")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def where() -> Market:
    """A recorded market that traded at 12:00, 12:03 and 12:05; its record ends at 12:08."""
    open_since(NOON)
    made = market(
        tick="0.00000001",
        step="0.1",
        status=MarketStatus.BREAK,
        recorded_until=NOON + 8 * MINUTE,
    )
    traded(
        made,
        trade(1, NOON, "0.00141342", "23"),
        trade(2, NOON + 3 * MINUTE, "0.30000000", "0.1"),
        trade(3, NOON + 5 * MINUTE, "12345678.12345678", "54.5"),
    )
    return made


def ask(path: str, status: int = 200, **query: Any) -> Any:
    answer = Client().get(f"/udf{path}", query)
    assert answer.status_code == status, answer.content
    assert answer["Access-Control-Allow-Origin"] == "*"
    return json.loads(answer.content, parse_float=Decimal)


def history(start: int | None = None, end: int = 60, **query: Any) -> Any:
    """Minutes after noon as a range of seconds."""
    if start is not None:
        query["from"] = seconds(start)
    known: dict[str, Any] = {"symbol": "XRPETH", "resolution": "1", "to": seconds(end)}
    return ask("/history", **known | query)


def seconds(minute: int) -> int:
    return to_ms(NOON) // 1000 + minute * 60


def minutes(found: Any) -> list[int]:
    return [(time - seconds(0)) // 60 for time in found["t"]]


def test_the_feed_says_what_it_can_do() -> None:
    told = ask("/config")
    assert told["supported_resolutions"] == [*("1", "5", "15", "30", "60", "240", "1D", "1W", "1M")]
    wanted = {"supports_search": True, "supports_group_request": False, "supports_marks": False}
    assert {**wanted, "supports_timescale_marks": False, "supports_time": True}.items() <= (
        told.items()
    )


def test_the_time_is_a_number_of_seconds_alone() -> None:
    before = to_ms(clock.db_now()) // 1000
    assert before <= ask("/time") <= before + 60


@pytest.mark.parametrize(
    ("tick", "minmov", "pricescale"),
    [("0.01", 1, 100), ("0.05", 5, 100), ("0.00000001", 1, 10**8), ("1", 1, 1), ("10", 10, 1)],
)
def test_a_price_moves_by_the_tick(tick: str, minmov: int, pricescale: int) -> None:
    market(tick=tick, step="0.001")
    told = ask("/symbols", symbol="XRPETH")
    assert (told["minmov"], told["pricescale"], told["volume_precision"]) == (minmov, pricescale, 3)


@pytest.mark.parametrize("name", ["XRPETH", "MoonX:XRPETH", "MOONX:XRPETH"])
def test_a_symbol_is_described_by_name_or_with_its_exchange(where: Market, name: str) -> None:
    told = ask("/symbols", symbol=name)
    assert (told["name"], told["ticker"]) == ("XRPETH", "XRPETH")
    assert (told["session"], told["timezone"]) == ("24x7", "Etc/UTC")
    assert [told[f"has_{kind}"] for kind in ("intraday", "daily", "weekly_and_monthly")] == [
        True
    ] * 3
    assert (told["exchange"], told["listed_exchange"], told["type"]) == ("MoonX", "MoonX", "crypto")
    assert told["data_status"] == "endofday"
    assert "s" not in told  # by which the library knows an error


def test_symbols_are_found_by_part_of_their_names_the_nearest_first(where: Market) -> None:
    for symbol in ("ADAXRP", "XRPBTC", "BTCETH"):
        market(symbol)
    found = ask("/search", query="xrp", type="", exchange="", limit=10)
    assert [row["symbol"] for row in found] == ["XRPBTC", "XRPETH", "ADAXRP"]
    assert found[0] == {
        "symbol": "XRPBTC",
        "ticker": "XRPBTC",
        "full_name": "MoonX:XRPBTC",
        "description": "Xrp / Btc",
        "type": "crypto",
        "exchange": "MoonX",
    }
    assert len(ask("/search", query="", limit=2)) == 2
    assert len(ask("/search", query="Eth", type="crypto", exchange="MoonX")) == 2
    for query, kind, exchange in (("%", "", ""), ("x", "stock", ""), ("x", "", "NYSE")):
        assert ask("/search", query=query, type=kind, exchange=exchange) == []


def test_bars_are_columns_of_exact_numbers(where: Market) -> None:
    path = f"/udf/history?symbol=XRPETH&resolution=1&from={seconds(3)}&to={seconds(6)}"
    answer = Client().get(path)
    assert answer["Content-Type"] == "application/json"
    assert answer.content.decode() == (
        f'{{"s":"ok","t":[{seconds(3)},{seconds(4)},{seconds(5)}],'
        '"o":[0.30000000,0.30000000,12345678.12345678],'
        '"h":[0.30000000,0.30000000,12345678.12345678],'
        '"l":[0.30000000,0.30000000,12345678.12345678],'
        '"c":[0.30000000,0.30000000,12345678.12345678],"v":[0.1,0.0,54.5]}'
    )


@pytest.mark.parametrize("resolution", [*udf_shapes.RESOLUTIONS, "D", "W", "M"])
def test_every_resolution_shows_what_klines_show(where: Market, resolution: str) -> None:
    interval = udf_shapes.RESOLUTIONS.get(resolution) or Interval(
        f"1{resolution}".replace("D", "d").replace("W", "w")
    )
    rows = get("/klines", symbol="XRPETH", interval=interval.value)
    told = history(resolution=resolution, countback=1000, end=10**6)
    assert told["t"] == [row[0] // 1000 for row in rows]
    for column, at_place in zip("ohlcv", range(1, 6), strict=True):
        assert told[column] == [Decimal(row[at_place]) for row in rows]


def test_a_count_is_of_the_newest_bars_strictly_before_the_end(where: Market) -> None:
    assert minutes(history(end=5, countback=2)) == [3, 4]
    assert minutes(history(end=5, countback=2, **{"from": seconds(-600)})) == [3, 4]
    assert minutes(history(start=4, end=5, countback=3)) == [2, 3, 4]
    assert minutes(history(end=60, countback=3)) == [5, 6, 7]
    assert minutes(history(end=2, countback=10**19)) == [0, 1]


def test_a_range_holds_its_start_and_not_its_end(where: Market) -> None:
    assert minutes(history(start=3, end=6)) == [3, 4, 5]
    assert minutes(history(start=-(10**6), end=10**9)) == list(range(8))
    assert minutes(ask("/history", symbol="XRPETH", resolution="1", to=seconds(2))) == [0, 1]


def test_a_gap_says_in_milliseconds_where_the_next_bar_to_the_left_is(where: Market) -> None:
    last_ms = seconds(7) * 1000
    assert history(start=10, end=20) == {"s": "no_data", "nextTime": last_ms}
    assert history(start=6, end=3) == {"s": "no_data", "nextTime": seconds(2) * 1000}
    assert history(start=-20, end=0) == {"s": "no_data"}
    assert history(end=0, countback=10) == {"s": "no_data"}
    assert history(end=-(10**15), countback=10) == {"s": "no_data"}
    assert history(start=10**15, end=10**16) == {"s": "no_data", "nextTime": last_ms}


def test_a_market_that_never_traded_has_no_data() -> None:
    market()
    assert history(start=0) == {"s": "no_data"}


def test_at_most_five_thousand_of_the_newest_bars_are_shown() -> None:
    traded(market(), trade(1, clock.db_now() - timedelta(days=5), "1"))
    end = to_ms(clock.db_now()) // 1000 // 60 * 60
    for wish in ({"from": 0}, {"countback": 6000}):
        told = ask("/history", symbol="XRPETH", resolution="1", to=end, **wish)
        assert len(told["t"]) == 5000
        assert told["t"][-1] == end - 60


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("/symbols", {}, "'symbol'"),
    ("/symbols", {"symbol": "NOPE"}, "Invalid symbol"),
    ("/symbols", {"symbol": "NYSE:XRPETH"}, "Invalid symbol"),
    ("/symbols", {"symbol": "'; --"}, "'symbol'"),
    ("/search", {"query": "a\x00"}, "'query'"),
    ("/search", {"query": "a" * 51}, "'query'"),
    ("/search", {"limit": "0"}, "'limit'"),
    ("/search", {"limit": "-1"}, "'limit'"),
    ("/history", {"resolution": None}, "'resolution'"),
    ("/history", {"resolution": "7"}, "Invalid interval"),
    ("/history", {"resolution": "1m"}, "'resolution'"),
    ("/history", {"resolution": "3D"}, "Invalid interval"),
    ("/history", {"to": None}, "'to'"),
    ("/history", {"to": "now"}, "'to'"),
    ("/history", {"to": "9" * 21}, "'to'"),
    ("/history", {"from": "1.5"}, "'from'"),
    ("/history", {"countback": "-2"}, "'countback'"),
    ("/history", {"symbol": ["XRPETH", "XRPETH"]}, "'symbol'"),
]


@pytest.mark.parametrize(("path", "query", "words"), WRONG)
def test_what_is_wrong_is_an_error_of_the_protocol(
    where: Market, path: str, query: dict[str, Any], words: str
) -> None:
    known = {"symbol": "XRPETH", "resolution": "1", "from": 0, "to": 1} if "his" in path else {}
    sent = {name: value for name, value in {**known, **query}.items() if value is not None}
    told = ask(path, **sent)
    assert list(told) == ["s", "errmsg"]
    assert told["s"] == "error"
    assert words in told["errmsg"]


def test_parameters_that_mean_nothing_here_are_ignored(where: Market) -> None:
    assert minutes(history(start=3, end=5, currencyCode="USD", firstDataRequest="true")) == [3, 4]


def test_the_feed_counts_weight_with_the_api(where: Market) -> None:
    client = Client()
    client.get("/api/v3/ping")
    answers = [
        client.get("/udf/config"),
        client.get("/udf/symbols?symbol=XRPETH"),
        client.get("/udf/history?symbol=XRPETH&resolution=1&to=1&countback=2"),
        client.get("/udf/history?symbol=XRPETH&resolution=1&to=1&countback=1001"),
        client.get("/udf/history?symbol=XRPETH&resolution=1&to=1&from=0"),
        client.get("/udf/history"),
    ]
    assert [int(answer["X-MBX-USED-WEIGHT-1M"]) for answer in answers] == [2, 4, 6, 10, 20, 21]


def test_who_used_up_the_weight_is_told_so_in_the_protocol(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed = settings.ENV.model_copy(update={"rate_limit_weight_per_minute": 1})
    monkeypatch.setattr(settings, "ENV", changed)
    client = Client()
    client.get("/udf/config")
    answer = client.get("/udf/config")
    assert (answer.status_code, answer.json()["s"]) == (429, "error")
    assert "request weight" in answer.json()["errmsg"]
    assert int(answer["Retry-After"]) >= 1
    assert answer["Access-Control-Allow-Origin"] == "*"


def test_only_the_feed_is_for_pages_of_other_origins(where: Market) -> None:
    client = Client(headers={"Origin": "https://charts.example"})
    for path in ("/api/v3/ping", "/api/v3/account", "/health/live"):
        assert "Access-Control-Allow-Origin" not in client.get(path)


def test_an_unknown_path_and_another_method_are_answered_in_the_protocol() -> None:
    for path in ("/nope", "/", "/config/"):
        assert ask(path, status=404)["s"] == "error"
    for path in ("/udf", "/udf/nope"):
        answer = Client(enforce_csrf_checks=True).post(path)
        assert (answer.status_code, answer.json()["s"]) == (404, "error")
    for path in ("config", "time", "history"):
        answer = Client(enforce_csrf_checks=True).post(f"/udf/{path}")
        assert (answer.status_code, answer["Allow"]) == (405, "GET")
        assert answer.json() == {"s": "error", "errmsg": "This path answers GET only."}
        assert answer["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("error", "status"), [(OperationalError("server closed"), 503), (RuntimeError("a fault"), 500)]
)
def test_a_fault_of_ours_is_told_in_the_protocol_without_its_details(
    error: Exception, status: int
) -> None:
    def failing(*_: Any) -> Any:
        raise error

    with connection.execute_wrapper(failing):
        told = ask("/time", status=status)
    assert (list(told), told["s"]) == (["s", "errmsg"], "error")
    assert str(error) not in told["errmsg"]


NAMES = ["symbol", "resolution", "from", "to", "countback", "query", "type", "exchange", "limit"]
VALUES = st.one_of(
    st.text(max_size=30),
    st.integers(-(10**22), 10**22).map(str),
    st.sampled_from(["XRPETH", "MoonX:XRPETH", *udf_shapes.RESOLUTIONS, "D", "1e9", "%"]),
)


@given(
    path=st.sampled_from(["/config", "/time", "/symbols", "/search", "/history"]),
    query=st.dictionaries(st.sampled_from(NAMES), VALUES),
)
@hypothesis_settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_request_whatever_is_answered_with_anything_but_the_protocol(
    where: Market, path: str, query: dict[str, str]
) -> None:
    request = RequestFactory().get(f"/udf{path}", query)
    view = resolve(request.path_info)
    answer = view.func(request, *view.args, **view.kwargs)
    assert answer.status_code in {200, 429}
    json.loads(answer.content)
