"""A client written for Binance works with nothing but its addresses changed."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import ccxt
import pytest

from apps.exchange import tickers
from apps.exchange.models import Market, MarketStatus
from apps.exchange.tests import trading
from apps.exchange.tests.factory import market, trade, traded
from apps.exchange.tests.server import serving
from apps.exchange.tests.signing import Signer
from apps.exchange.tests.trading import rich, sell
from moonx.core import clock
from moonx.core.intervals import Interval, to_ms

pytestmark = pytest.mark.usefixtures("committed_db")

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    """A real server process over this test's database; yields its address."""
    with serving() as address:
        yield address


def binance(address: str) -> Any:
    """The real package, asking `address` for everything public."""
    client = ccxt.binance(
        {
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
            }
        }
    )
    client.urls["api"] = {
        name: f"{address}/api/v3" if name in {"public", "private"} else f"{address}/absent"
        for name in client.urls["api"]
    }
    return client


@pytest.fixture
def where() -> Market:
    """A live market with trades in this and the last minutes, beside one that stands still."""
    now = clock.db_now()
    live = market(tick="0.00000001", step="0.1")
    traded(
        live,
        trade(1, now - 5 * MINUTE, "0.00141342", "23", maker_buys=True),
        trade(2, now - 4 * MINUTE, "0.00141266", "54.5"),
        trade(3, now - MINUTE, "0.00141400", "8"),
    )
    still = market("ADAETH", status=MarketStatus.BREAK, recorded_until=now - timedelta(days=900))
    traded(still, trade(1, now - timedelta(days=900, minutes=1), "5.25", "3"))
    tickers.update()
    return live


def test_ccxt_reads_markets_tickers_bars_and_trades(server: str, where: Market) -> None:
    client = binance(server)
    markets = client.load_markets()
    assert set(markets) == {"XRP/ETH", "ADA/ETH"}
    assert markets["XRP/ETH"]["spot"]
    assert (markets["XRP/ETH"]["active"], markets["ADA/ETH"]["active"]) == (True, False)
    assert markets["XRP/ETH"]["precision"]["price"] == 1e-8
    assert markets["XRP/ETH"]["precision"]["amount"] == 0.1

    ticker = client.fetch_ticker("XRP/ETH")
    assert (ticker["last"], ticker["open"]) == (0.001414, 0.00141342)
    assert (ticker["high"], ticker["low"]) == (0.001414, 0.00141266)
    assert ticker["baseVolume"] == 85.5
    assert set(client.fetch_tickers()) == {"XRP/ETH", "ADA/ETH"}
    assert client.fetch_tickers(["ADA/ETH"])["ADA/ETH"]["last"] == 5.25
    assert client.fetch_last_prices()["XRP/ETH"]["price"] == 0.001414

    since = client.fetch_trades("XRP/ETH")[0]["timestamp"] // 60_000 * 60_000
    rows = client.fetch_ohlcv("XRP/ETH", "1m", since=since, limit=6)
    assert [row[5] for row in rows] == [23, 54.5, 0, 0, 8, 0]
    assert rows[2][1:5] == [0.00141266] * 4
    assert client.fetch_ohlcv("XRP/ETH", "1m", since=rows[1][0], limit=2) == rows[1:3]
    for interval in Interval:
        assert client.fetch_ohlcv("XRP/ETH", interval.value)
    day = client.fetch_ohlcv("XRP/ETH", "1d", params={"timeZone": "+8:00"})[-1]
    assert day[0] % 86_400_000 == 16 * 3_600_000
    asked = {"symbol": "XRPETH", "windowSize": "10m"}
    assert client.public_get_ticker(asked)["quoteVolume"] == "0.120810630"
    assert client.public_get_avgprice({"symbol": "XRPETH"})["mins"] == "5"
    assert client.public_get_ticker_tradingday({"symbol": "XRPETH"})["lastPrice"] == "0.00141400"

    seen = client.fetch_trades("XRP/ETH")
    assert [(row["price"], row["amount"], row["side"]) for row in seen] == [
        (0.00141342, 23, "sell"),
        (0.00141266, 54.5, "buy"),
        (0.001414, 8, "buy"),
    ]
    assert client.fetch_trades("XRP/ETH", since=seen[1]["timestamp"], limit=1)[0] == seen[1]
    assert abs(client.fetch_time() - to_ms(clock.db_now())) < 60_000


def test_ccxt_understands_our_errors(server: str, where: Market) -> None:
    client = binance(server)
    client.load_markets()
    with pytest.raises(ccxt.BadSymbol):
        client.public_get_klines({"symbol": "NOPE", "interval": "1m"})
    with pytest.raises(ccxt.BadRequest):
        client.public_get_klines({"symbol": "XRPETH", "interval": "7m"})


def test_ccxt_places_reads_replaces_and_cancels_orders(server: str) -> None:
    there = trading.market()
    for price in ("10", "10.10"):
        sell(there, rich(), price, "1")
    signer = Signer(rich())
    client = binance(server)
    client.apiKey, client.secret = signer.key, signer.secret
    client.load_markets()

    bought = client.create_order("ETH/USDC", "market", "buy", 1.5)
    assert (bought["status"], bought["filled"], bought["cost"]) == ("closed", 1.5, 15.05)
    assert [(fill["price"], fill["amount"]) for fill in bought["trades"]] == [(10, 1), (10.1, 0.5)]
    assert bought["fee"]["currency"] == "USDC"

    balance = client.fetch_balance()
    assert balance["ETH"] == {"free": 1001.5, "used": 0, "total": 1001.5}

    placed = client.create_order("ETH/USDC", "limit", "buy", 2, 9)
    assert placed["status"] == "open"
    assert client.fetch_order(placed["id"], "ETH/USDC")["remaining"] == 2
    assert client.fetch_order_book("ETH/USDC")["bids"] == [[9, 2]]
    assert client.fetch_bids_asks(["ETH/USDC"])["ETH/USDC"]["ask"] == 10.1

    replaced = client.edit_order(placed["id"], "ETH/USDC", "limit", "buy", 1, 9.5)
    assert [row["id"] for row in client.fetch_open_orders("ETH/USDC")] == [replaced["id"]]
    assert client.cancel_order(replaced["id"], "ETH/USDC")["status"] == "canceled"
    client.create_order("ETH/USDC", "limit", "buy", 1, 9, {"postOnly": True})
    assert len(client.cancel_all_orders("ETH/USDC")) == 1

    assert len(client.fetch_my_trades("ETH/USDC")) == 2
    assert [row["status"] for row in client.fetch_orders("ETH/USDC")] == [
        *("closed", "canceled", "canceled", "canceled")
    ]
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order("ETH/USDC", "limit", "buy", 100_000, 40)
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order(10**9, "ETH/USDC")
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        client.create_order("ETH/USDC", "limit", "buy", 1, 11, {"postOnly": True})
    client.secret = "x" * 64
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_balance()
