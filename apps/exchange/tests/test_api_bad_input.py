"""Absurd questions about market data: Binance's codes, its cuts, or nothing at all."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.exchange import klines
from apps.exchange.api import params
from apps.exchange.api.errors import ApiError
from apps.exchange.api.params import Param, Query
from apps.exchange.klines import Wish
from apps.exchange.models import Market
from apps.exchange.tests.asking import get, refused
from apps.exchange.tests.factory import market, trade, traded
from moonx.core import clock
from moonx.core.intervals import Interval, buckets, to_ms

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

BARS = ["/klines", "/uiKlines"]
WINDOWS = ["/ticker", "/ticker/tradingDay"]
BEYOND = 253_402_300_800_000  # the year 10000 begins
HUGE = 10**20 - 1
HOUR = timedelta(hours=1)


@pytest.fixture
def where() -> Market:
    """A market whose first trade was three days ago, and its last one now."""
    made, now = market(), clock.db_now()
    traded(made, trade(1, now - timedelta(days=3), "10"), trade(2, now, "11"))
    return made


def bars(**query: Any) -> list[Any]:
    found: list[Any] = get("/klines", **{"symbol": "XRPETH", "interval": "1m", **query})
    return found


def query(param: Param, value: str) -> Query:
    return params.read({param.name: [value]}, [param])


def code_of(param: Param, value: str, take: Callable[[Query], Any]) -> int:
    """The code with which a value is refused, wherever the parameter is taken."""
    with pytest.raises(ApiError, match=param.name) as found:
        take(query(param, value))
    return found.value.code


NO_INTERVALS = [
    *("1Min", "2m", "1min", "1H", "1D", "1W", "1s", "3m", "1mo", "M1", "60", "0m", "m", "1"),
    *("1M1", "1_m", "undefined"),
]


@pytest.mark.parametrize("interval", NO_INTERVALS)
def test_an_interval_that_is_none_is_refused(interval: str) -> None:
    assert code_of(params.INTERVAL, interval, Query.interval) == -1120


@pytest.mark.parametrize("path", BARS)
def test_bars_of_no_interval_are_refused(where: Market, path: str) -> None:
    assert refused(path, symbol="XRPETH", interval="1Min") == (-1120, "Invalid interval.")


def test_a_minute_is_not_a_month(where: Market) -> None:
    minute, month = bars(interval="1m", limit=1)[0], bars(interval="1M", limit=1)[0]
    assert minute[6] - minute[0] == 59_999
    assert 28 * 86_400_000 <= month[6] - month[0] + 1 <= 31 * 86_400_000


NO_ZONES = [
    *(("+15:00", -1130), ("-13", -1130), ("14:01", -1130), ("-12:01", -1130), ("99", -1130)),
    *(("05:99", -1130), ("5:60", -1130), ("-00:75", -1130), ("UTC", -1100), ("5:3", -1100)),
    *(("Europe/Paris", -1100), ("+-5", -1100), ("005", -1100), ("5.5", -1100), ("", -1105)),
    *(("\u0665", -1100), ("8\n", -1100), ("5:300", -1100), ("--5", -1100), (" 8", -1100)),
]


@pytest.mark.parametrize(("zone", "code"), NO_ZONES)
def test_a_zone_that_is_none_is_refused(zone: str, code: int) -> None:
    assert code_of(params.ZONE, zone, Query.zone) == code


@pytest.mark.parametrize("path", [*BARS, "/ticker/tradingDay"])
def test_every_path_with_a_zone_refuses_one_that_is_none(where: Market, path: str) -> None:
    asked: dict[str, Any] = {"interval": "1d"} if path in BARS else {}
    assert refused(path, symbol="XRPETH", timeZone="+15:00", **asked)[0] == -1130
    assert refused(path, symbol="XRPETH", timeZone="Mars", **asked)[0] == -1100


ZONES = [
    *(("+14:00", 14 * HOUR), ("-12:00", -12 * HOUR), ("14", 14 * HOUR), ("-12", -12 * HOUR)),
    *(("0", 0 * HOUR), ("-00:00", 0 * HOUR), ("-0:30", -HOUR / 2), ("05:45", 5.75 * HOUR)),
    *(("-1:00", -HOUR), ("+8", 8 * HOUR), ("-3:30", -3.5 * HOUR)),
]


@pytest.mark.parametrize(("zone", "ahead"), ZONES)
def test_every_zone_of_the_earth_is_understood(zone: str, ahead: timedelta) -> None:
    assert query(params.ZONE, zone).zone() == ahead


EMPTY = [
    Wish(start_ms=2, end_ms=1),
    Wish(start_ms=HUGE, end_ms=0),
    Wish(start_ms=HUGE),
    Wish(start_ms=BEYOND),
    Wish(start_ms=BEYOND, end_ms=HUGE),
    Wish(end_ms=0),
]


@pytest.mark.parametrize("ahead", [0 * HOUR, 14 * HOUR, -12 * HOUR, 5.75 * HOUR])
def test_a_range_that_holds_nothing_has_no_bars(where: Market, ahead: timedelta) -> None:
    now = clock.db_now()
    for interval in Interval:
        for wish in EMPTY:
            assert klines.read(where, buckets(interval, ahead=ahead), wish, now=now) == [], wish


def test_a_reversed_range_is_an_empty_array_and_no_error(where: Market) -> None:
    assert bars(startTime=HUGE, endTime=0) == []
    assert bars(startTime=to_ms(clock.db_now()), endTime=1, timeZone="8", interval="1d") == []


@pytest.mark.parametrize("zone", ["0", "05:45"])
def test_an_endless_range_is_cut_to_the_limit_and_costs_no_more(where: Market, zone: str) -> None:
    def cost(**wanted: int) -> tuple[list[Any], int]:
        with CaptureQueriesContext(connection) as seen:
            rows = bars(interval="4h", timeZone=zone, limit=3, **wanted)
        return rows, len(seen)

    first = to_ms(clock.db_now() - timedelta(days=3))
    rows, queries = cost(startTime=0, endTime=HUGE)
    assert [row[0] - rows[0][0] for row in rows] == [0, 14_400_000, 28_800_000]
    assert 0 <= first - rows[0][0] < 14_500_000
    assert cost(startTime=0, endTime=BEYOND) == (rows, queries)
    assert cost(startTime=rows[0][0]) == (rows, queries)
    assert bars(timeZone=zone, endTime=HUGE, limit=2) == bars(timeZone=zone, limit=2)


def test_a_limit_beyond_bounds_is_cut(where: Market) -> None:
    assert len(bars(limit=1)) == 1
    assert len(bars(limit=HUGE)) == 1000


NO_LIMITS = [("0", -1130), ("-1", -1100), ("1e3", -1100), ("", -1105), ("1" * 21, -1100)]


@pytest.mark.parametrize(("limit", "code"), NO_LIMITS)
def test_a_limit_that_is_none_is_refused(limit: str, code: int) -> None:
    assert code_of(params.LIMIT, limit, Query.limit) == code


NO_TIMES = [("-1", -1100), ("1.5", -1100), ("2026-01-01", -1100), ("", -1105), ("9" * 21, -1100)]


@pytest.mark.parametrize(("value", "code"), NO_TIMES)
def test_a_time_that_is_none_is_refused(value: str, code: int) -> None:
    for param in (params.START, params.END):
        assert code_of(param, value, str) == code


NO_SIZES = [
    *(("60m", -1130), ("0m", -1130), ("24h", -1130), ("8d", -1130), ("0d", -1130), ("1w", -1130)),
    *(("1M", -1130), ("01m", -1130), ("1d2h", -1130), ("m", -1130), ("5", -1130), ("1H", -1130)),
    *(("-5m", -1100), ("1 d", -1100), ("", -1105), ("1.5h", -1100), ("\u0663m", -1100)),
]


@pytest.mark.parametrize(("size", "code"), NO_SIZES)
def test_a_window_size_that_is_none_is_refused(size: str, code: int) -> None:
    assert code_of(params.WINDOW_SIZE, size, Query.window_size) == code


def test_every_window_size_of_binance_is_understood() -> None:
    units = (("m", timedelta(minutes=1), 59), ("h", HOUR, 23), ("d", timedelta(days=1), 7))
    for letter, unit, most in units:
        for count in range(1, most + 1):
            asked = query(params.WINDOW_SIZE, f"{count}{letter}")
            assert asked.window_size() == count * unit
    assert refused("/ticker", symbol="XRPETH", windowSize="60m")[0] == -1130


@pytest.mark.parametrize("path", WINDOWS)
def test_the_markets_of_a_window_must_be_named_and_a_hundred_at_most(path: str) -> None:
    def named(count: int) -> str:
        return "[" + ",".join(f'"A{number}"' for number in range(count)) + "]"

    assert refused(path)[0] == -1102
    assert refused(path, symbols=named(101))[0] == -1101
    assert refused(path, symbols=named(100))[0] == -1121
    assert refused(path, symbols="[]")[0] == -1105
    assert refused(path, symbol="A", symbols='["A"]')[0] == -1128
    assert refused(path, symbol="a")[0] == -1100


@pytest.mark.parametrize("path", WINDOWS)
def test_other_parameters_of_a_window_are_refused_as_elsewhere(where: Market, path: str) -> None:
    assert refused(path, symbol="XRPETH", type="HUGE")[0] == -1130
    assert refused(path, symbol="XRPETH", symbolStatus="DONE")[0] == -1122
    assert refused(path, symbol="XRPETH", interval="1m")[0] == -1101


def test_the_average_price_wants_a_market_that_exists() -> None:
    assert refused("/avgPrice")[0] == -1102
    assert refused("/avgPrice", symbol="NOPE")[0] == -1121
