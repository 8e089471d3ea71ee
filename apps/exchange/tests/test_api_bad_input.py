"""Absurd questions about market data: Binance's codes, its cuts, or nothing at all."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.exchange.models import Market
from apps.exchange.tests.asking import get, refused
from apps.exchange.tests.factory import market, trade, traded
from moonx.core import clock
from moonx.core.intervals import Interval, to_ms

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

BARS = ["/klines", "/uiKlines"]
WINDOWS = ["/ticker", "/ticker/tradingDay"]
BEYOND = 253_402_300_800_000  # the year 10000 begins
HUGE = 10**20 - 1


@pytest.fixture
def where() -> Market:
    """A market whose first trade was three days ago, and its last one now."""
    made, now = market(), clock.db_now()
    traded(made, trade(1, now - timedelta(days=3), "10"), trade(2, now, "11"))
    return made


def bars(**query: Any) -> list[Any]:
    found: list[Any] = get("/klines", **{"symbol": "XRPETH", "interval": "1m", **query})
    return found


@pytest.mark.parametrize("path", BARS)
@pytest.mark.parametrize(
    "interval",
    ["1Min", "2m", "1min", "1H", "1D", "1W", "1s", "3m", "1mo", "M1", "60", "0m", "m", "1", "1M1"],
)
def test_an_interval_that_is_none_is_refused(where: Market, path: str, interval: str) -> None:
    assert refused(path, symbol="XRPETH", interval=interval) == (-1120, "Invalid interval.")


def test_a_minute_is_not_a_month(where: Market) -> None:
    minute, month = bars(interval="1m", limit=1)[0], bars(interval="1M", limit=1)[0]
    assert minute[6] - minute[0] == 59_999
    assert 28 * 86_400_000 <= month[6] - month[0] + 1 <= 31 * 86_400_000


ZONES = [
    *(("+15:00", -1130), ("-13", -1130), ("14:01", -1130), ("-12:01", -1130), ("99", -1130)),
    *(("05:99", -1130), ("5:60", -1130), ("-00:75", -1130), ("UTC", -1100), ("5:3", -1100)),
    *(("Europe/Paris", -1100), ("+-5", -1100), ("005", -1100), ("5.5", -1100), ("٥", -1100)),
    *(("", -1105), ("8\n", -1100), ("5:300", -1100), (["0", "8"], -1101)),
]


@pytest.mark.parametrize(("zone", "code"), ZONES)
def test_a_zone_that_is_none_is_refused(where: Market, zone: Any, code: int) -> None:
    for path in [*BARS, "/ticker/tradingDay"]:
        query = {"interval": "1d"} if path in BARS else {}
        found, text = refused(path, symbol="XRPETH", timeZone=zone, **query)
        assert (found, "'timeZone'" in text) == (code, True)


@pytest.mark.parametrize("zone", ["+14:00", "-12:00", "14", "-12", "-0:30", "00", "05:07", "-1:00"])
def test_every_zone_of_the_earth_is_served(where: Market, zone: str) -> None:
    for interval in Interval:
        assert sum(row[8] for row in bars(interval=interval.value, timeZone=zone, limit=1000))


RANGES = [
    {"startTime": 2, "endTime": 1},
    {"startTime": HUGE, "endTime": 0},
    {"startTime": HUGE},
    {"startTime": BEYOND},
    {"startTime": BEYOND, "endTime": HUGE},
    {"endTime": 0},
    {"endTime": 1},
]


@pytest.mark.parametrize("zone", ["0", "14", "-12:00"])
@pytest.mark.parametrize("wanted", RANGES)
def test_a_range_that_holds_nothing_is_an_empty_array(
    where: Market, wanted: dict[str, int], zone: str
) -> None:
    for interval in Interval:
        assert bars(interval=interval.value, timeZone=zone, **wanted) == []


@pytest.mark.parametrize("zone", ["0", "14", "-12:00", "05:45"])
def test_an_endless_range_is_cut_to_the_limit_and_costs_no_more(where: Market, zone: str) -> None:
    def cost(**wanted: int) -> int:
        with CaptureQueriesContext(connection) as seen:
            bars(interval="5m", timeZone=zone, limit=3, **wanted)
        return len(seen)

    first = to_ms(clock.db_now() - timedelta(days=3))
    for wanted in ({"startTime": 0, "endTime": HUGE}, {"startTime": 0, "endTime": BEYOND}):
        rows = bars(interval="5m", timeZone=zone, limit=3, **wanted)
        assert [row[0] - rows[0][0] for row in rows] == [0, 300_000, 600_000]
        assert 0 <= first - rows[0][0] < 400_000
        assert cost(**wanted) <= cost(startTime=first)
    assert bars(timeZone=zone, endTime=HUGE, limit=2) == bars(timeZone=zone, limit=2)


def test_a_limit_beyond_bounds_is_cut_or_refused(where: Market) -> None:
    assert len(bars(limit=1)) == 1
    for too_large in (1001, 10**6, HUGE):
        assert len(bars(limit=too_large)) == 1000
    for limit, code in (
        ("0", -1130),
        ("-1", -1100),
        ("1e3", -1100),
        ("", -1105),
        ("1" * 21, -1100),
    ):
        assert refused("/klines", symbol="XRPETH", interval="1m", limit=limit)[0] == code


TIMES = [("-1", -1100), ("1.5", -1100), ("2026-01-01", -1100), ("", -1105), ("9" * 21, -1100)]


@pytest.mark.parametrize(("value", "code"), TIMES)
@pytest.mark.parametrize("name", ["startTime", "endTime"])
def test_a_time_that_is_none_is_refused(where: Market, name: str, value: str, code: int) -> None:
    assert refused("/klines", symbol="XRPETH", interval="1m", **{name: value})[0] == code


SIZES = [
    *(("60m", -1130), ("0m", -1130), ("24h", -1130), ("8d", -1130), ("0d", -1130), ("1w", -1130)),
    *(("1M", -1130), ("01m", -1130), ("1d2h", -1130), ("m", -1130), ("5", -1130), ("1H", -1130)),
    *(("-5m", -1100), ("1 d", -1100), ("", -1105), ("1.5h", -1100), ("٣m", -1100)),
]


@pytest.mark.parametrize(("size", "code"), SIZES)
def test_a_window_size_that_is_none_is_refused(where: Market, size: str, code: int) -> None:
    found, text = refused("/ticker", symbol="XRPETH", windowSize=size)
    assert (found, "'windowSize'" in text) == (code, True)


@pytest.mark.parametrize("size", ["1m", "59m", "1h", "23h", "1d", "7d"])
def test_every_window_size_of_binance_is_served(where: Market, size: str) -> None:
    unit = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}[size[-1]]
    row = get("/ticker", symbol="XRPETH", windowSize=size)
    assert 0 <= row["closeTime"] - row["openTime"] - int(size[:-1]) * unit < 60_000


@pytest.mark.parametrize("path", WINDOWS)
def test_the_markets_of_a_window_must_be_named_and_a_hundred_at_most(path: str) -> None:
    def named(count: int) -> str:
        return "[" + ",".join(f'"A{number}"' for number in range(count)) + "]"

    assert refused(path)[0] == -1102
    assert refused(path, symbols=named(101))[0] == -1101
    assert refused(path, symbols=named(100))[0] == -1121
    assert refused(path, symbols="[]")[0] == -1105
    assert refused(path, symbols='["A","A"]')[0] == -1151
    assert refused(path, symbol="A", symbols='["A"]')[0] == -1128
    assert refused(path, symbol="A")[0] == -1121
    assert refused(path, symbol="a")[0] == -1100


@pytest.mark.parametrize("path", WINDOWS)
def test_other_parameters_of_a_window_are_refused_as_elsewhere(where: Market, path: str) -> None:
    assert refused(path, symbol="XRPETH", type="HUGE")[0] == -1130
    assert refused(path, symbol="XRPETH", symbolStatus="DONE")[0] == -1122
    assert refused(path, symbol="XRPETH", interval="1m")[0] == -1101


def test_the_average_price_wants_a_market_that_exists() -> None:
    assert refused("/avgPrice")[0] == -1102
    assert refused("/avgPrice", symbol="NOPE")[0] == -1121
    assert refused("/avgPrice", symbol="XRPETH", mins="10")[0] == -1101
