"""Rolling windows, the trading day, the average price and bars of any zone, as Binance has them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.exchange.models import Market, MarketStatus
from apps.exchange.tests.asking import get, refused
from apps.exchange.tests.factory import market, trade, traded
from moonx.core import clock
from moonx.core.intervals import Interval, to_ms

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DAY_MS = 86_400_000
FULL = [
    *("symbol", "priceChange", "priceChangePercent", "weightedAvgPrice", "openPrice", "highPrice"),
    *("lowPrice", "lastPrice", "volume", "quoteVolume", "openTime", "closeTime", "firstId"),
    *("lastId", "count"),
]
MINI = [name for name in FULL if name not in FULL[1:4]]


@pytest.fixture
def where() -> Market:
    """A live market with a trade of two hours ago, and two of this minute or the last ones."""
    made, now = market(), clock.db_now()
    traded(
        made,
        trade(1, now - 2 * HOUR, "10", "1"),
        trade(2, now - 2 * MINUTE, "12", "3"),
        trade(3, now - MINUTE, "11", "5", maker_buys=True),
    )
    return made


def still(symbol: str = "ADAETH", *, ago: timedelta = timedelta(days=900)) -> Market:
    """A market that was halted with its only trade."""
    stopped = clock.db_now() - ago
    made = market(symbol, status=MarketStatus.HALT)
    made.halted_at = stopped
    made.save()
    traded(made, trade(1, stopped, "5", "2"))
    return made


def test_a_rolling_ticker_has_binances_fields_and_starts_with_a_minute(where: Market) -> None:
    full = get("/ticker", symbol="XRPETH", windowSize="1h")
    assert list(full) == FULL
    assert (full["openPrice"], full["lastPrice"]) == ("12.00000000", "11.00000000")
    assert (full["highPrice"], full["lowPrice"]) == ("12.00000000", "11.00000000")
    assert (full["priceChange"], full["priceChangePercent"]) == ("-1.00000000", "-8.333")
    assert full["weightedAvgPrice"] == "11.37500000"
    assert (full["volume"], full["quoteVolume"]) == ("8.00000000", "91.00000000")
    assert (full["firstId"], full["lastId"], full["count"]) == (2, 3, 2)
    assert full["openTime"] % 60_000 == 0
    assert 0 <= full["closeTime"] - 3_600_000 - full["openTime"] < 60_000
    mini = get("/ticker", symbol="XRPETH", windowSize="1h", type="MINI")
    assert list(mini) == MINI


def test_a_rolling_ticker_is_of_a_day_unless_said_otherwise(where: Market) -> None:
    row = get("/ticker", symbol="XRPETH")
    assert DAY_MS <= row["closeTime"] - row["openTime"] < DAY_MS + 60_000
    assert (row["firstId"], row["count"]) == (1, 3)


def test_rolling_tickers_of_many_markets_are_one_statement(where: Market) -> None:
    def queries(symbols: list[str]) -> int:
        named = ",".join(f'"{symbol}"' for symbol in symbols)
        with CaptureQueriesContext(connection) as seen:
            rows = get("/ticker", symbols=f"[{named}]", windowSize="7d")
        assert [row["symbol"] for row in rows] == symbols
        return len(seen)

    few = queries(["XRPETH"])
    many = [market(f"A{number:02}ETH").symbol for number in range(60)]
    assert queries([*reversed(many), "XRPETH"]) == few


def test_the_window_of_a_market_that_stands_still_ends_where_it_stopped() -> None:
    made = still()
    row = get("/ticker", symbol="ADAETH", windowSize="1m")
    assert made.halted_at is not None
    assert row["closeTime"] == to_ms(made.halted_at)
    assert (row["lastPrice"], row["count"]) == ("5.00000000", 1)
    assert get("/avgPrice", symbol="ADAETH")["price"] == "5.00000000"
    day = get("/ticker/tradingDay", symbol="ADAETH")
    assert (day["closeTime"] - day["openTime"], day["count"]) == (DAY_MS - 1, 1)
    assert day["openTime"] <= row["closeTime"] <= day["closeTime"] + 1


@pytest.mark.parametrize("path", ["/ticker", "/ticker/tradingDay"])
def test_a_window_without_trades_is_flat_and_one_without_a_price_zero(path: str) -> None:
    made = market()
    zeros = get(path, symbol="XRPETH")
    assert {zeros[name] for name in FULL[1:10] if name != "priceChangePercent"} == {"0.00000000"}
    assert (zeros["firstId"], zeros["lastId"], zeros["count"]) == (-1, -1, 0)
    traded(made, trade(1, clock.db_now() - timedelta(days=9), "7.5", "2"))
    flat = get(path, symbol="XRPETH")
    assert {flat[name] for name in FULL[4:8]} == {"7.50000000"}
    assert (flat["priceChange"], flat["priceChangePercent"]) == ("0.00000000", "0.000")
    assert (flat["weightedAvgPrice"], flat["volume"]) == ("0.00000000", "0.00000000")


def test_a_trading_day_is_the_day_of_its_zone(where: Market) -> None:
    for zone, hours in (("0", 0), ("8", 8), ("-5:30", -5.5), ("%2B14:00", 14), ("-12:00", -12)):
        row = get("/ticker/tradingDay", symbol="XRPETH", timeZone=zone.replace("%2B", "+"))
        assert (row["openTime"] + hours * 3_600_000) % DAY_MS == 0
        assert row["closeTime"] - row["openTime"] == DAY_MS - 1
        assert row["openTime"] <= to_ms(clock.db_now()) <= row["closeTime"]
    both = get("/ticker/tradingDay", symbols='["XRPETH"]', type="MINI")
    assert [list(row) for row in both] == [MINI]


def test_markets_of_another_status_are_left_out_of_a_list_and_refused_alone(where: Market) -> None:
    still()
    both = '["ADAETH","XRPETH"]'
    for path in ("/ticker", "/ticker/24hr"):
        shown = get(path, symbols=both, symbolStatus="TRADING")
        assert [row["symbol"] for row in shown] == ["XRPETH"]
        assert get(path, symbols='["ADAETH"]', symbolStatus="BREAK") == []
        assert refused(path, symbol="ADAETH", symbolStatus="TRADING")[0] == -1220


def test_the_average_price_is_that_of_the_last_five_minutes(where: Market) -> None:
    row = get("/avgPrice", symbol="XRPETH")
    assert list(row) == ["mins", "price", "closeTime"]
    assert (row["mins"], row["price"]) == (5, "11.37500000")
    assert 60_000 <= to_ms(clock.db_now()) - row["closeTime"] < 120_000


def test_the_average_price_leaves_out_what_is_older_by_a_second() -> None:
    made, now = market(), clock.db_now()
    old = now - 5 * MINUTE - timedelta(seconds=1)
    traded(made, trade(1, old, "10", "1"), trade(2, now, "12", "1"))
    assert get("/avgPrice", symbol="XRPETH")["price"] == "12.00000000"


def test_the_average_price_of_silence_is_the_last_price() -> None:
    made = market()
    assert get("/avgPrice", symbol="XRPETH") == {"mins": 5, "price": "0.00000000", "closeTime": 0}
    time = clock.db_now() - HOUR
    traded(made, trade(1, time, "7.5", "2"))
    assert get("/avgPrice", symbol="XRPETH") == {
        "mins": 5,
        "price": "7.50000000",
        "closeTime": to_ms(time),
    }


def spent(path: str, **query: Any) -> int:
    """The weight of a question."""
    client = Client()
    before = int(client.get("/api/v3/ping")["X-MBX-USED-WEIGHT-1M"])
    return int(client.get(f"/api/v3{path}", query)["X-MBX-USED-WEIGHT-1M"]) - before


def test_windows_weigh_four_a_market_and_never_more_than_two_hundred(where: Market) -> None:
    names = [f'"A{number:02}ETH"' for number in range(60)]
    assert spent("/ticker", symbol="XRPETH") == 4
    assert spent("/ticker/tradingDay", symbols=f"[{','.join(names[:3])}]") == 12
    assert spent("/ticker", symbols=f"[{','.join(names)}]") == 200
    assert spent("/avgPrice", symbol="XRPETH") == 2


@pytest.mark.parametrize("path", ["/klines", "/uiKlines"])
def test_bars_that_are_not_stored_weigh_by_their_number(where: Market, path: str) -> None:
    def weight(interval: str, zone: str, **query: Any) -> int:
        return spent(path, symbol="XRPETH", interval=interval, timeZone=zone, **query)

    assert spent(path, symbol="XRPETH", interval="1d", limit=1000) == 2
    assert weight("1h", "8", limit=1000) == weight("1m", "13:59", limit=1000) == 2
    assert weight("1d", "13:59", limit=1) == weight("1d", "13:59", limit=100) == 3
    assert (weight("1d", "8"), weight("1d", "8", limit=101)) == (7, 4)
    assert weight("1h", "5:45", limit=1000) == weight("1d", "8", limit=10**9) == 12


@pytest.mark.parametrize("wrong", [{"interval": "2m"}, {"timeZone": "15"}, {"limit": 0}])
def test_bars_refused_for_what_their_weight_depends_on_weigh_one(
    where: Market, wrong: dict[str, Any]
) -> None:
    assert spent("/klines", **{"symbol": "XRPETH", "interval": "1d", "timeZone": "8", **wrong}) == 1


def test_bars_of_another_zone_open_at_its_midnight_and_hold_the_same_trades(where: Market) -> None:
    utc = get("/klines", symbol="XRPETH", interval="1d")
    for zone, hours in (("8", 8), ("08:00", 8), ("-3:30", -3.5), ("05:45", 5.75)):
        rows = get("/klines", symbol="XRPETH", interval="1d", timeZone=zone)
        assert {(row[0] + hours * 3_600_000) % DAY_MS for row in rows} == {0}
        assert {row[6] - row[0] for row in rows} == {DAY_MS - 1}
        assert sum(row[8] for row in rows) == sum(row[8] for row in utc) == 3
    for name in ("0", "0:00", "+0:00", "-00:00"):
        assert get("/klines", symbol="XRPETH", interval="1d", timeZone=name) == utc


def test_a_range_is_in_utc_whatever_the_zone(where: Market) -> None:
    rows = get("/klines", symbol="XRPETH", interval="1d", timeZone="8")
    last = rows[-1][0]
    assert datetime.fromtimestamp(last / 1000, UTC).hour == 16
    query = {"symbol": "XRPETH", "interval": "1d", "timeZone": "8"}
    assert get("/klines", **query, startTime=last, endTime=last) == rows[-1:]
    assert get("/klines", **query, startTime=last + 1) == []


def test_months_of_a_zone_start_with_its_first_day(where: Market) -> None:
    row = get("/klines", symbol="XRPETH", interval="1M", timeZone="5:30", limit=1)[0]
    local = datetime.fromtimestamp(row[0] / 1000, UTC) + timedelta(hours=5, minutes=30)
    assert (local.day, local.hour, local.minute) == (1, 0, 0)


def test_chart_bars_are_the_bars(where: Market) -> None:
    for interval in (Interval.M30, Interval.H4, Interval.MONTH):
        query = {"symbol": "XRPETH", "interval": interval.value, "timeZone": "-1:00", "limit": 7}
        assert get("/uiKlines", **query) == get("/klines", **query)
