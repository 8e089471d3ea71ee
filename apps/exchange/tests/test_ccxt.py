"""A client written for Binance works with nothing but its addresses changed."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import ccxt
import pytest
import requests

from apps.exchange import tickers
from apps.exchange.models import Market, MarketStatus
from apps.exchange.tests.factory import market, trade, traded
from moonx.core import clock
from moonx.core.intervals import Interval, to_ms

pytestmark = pytest.mark.usefixtures("committed_db")

MINUTE = timedelta(minutes=1)


@pytest.fixture
def server() -> Iterator[str]:
    """A real server process over this test's database; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "moonx.asgi:application", "--lifespan=off"),
                *(f"--fd={listening.fileno()}", "--log-level=warning"),
            ],
            pass_fds=[listening.fileno()],
        )
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            _wait_for(address)
            yield address
        finally:
            child.terminate()
            child.wait(timeout=20)


def _wait_for(address: str) -> None:
    # The address queues connections from the start; the answer comes once the child is up.
    requests.get(f"{address}/api/v3/ping", timeout=60).raise_for_status()


def binance(address: str) -> Any:
    """The real package, asking `address` for everything public."""
    client = ccxt.binance(
        {
            "options": {
                "defaultType": "spot",
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
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
