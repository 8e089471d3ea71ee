"""Programs written against Binance's own packages work with nothing but their addresses changed."""

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from binance_common.configuration import ConfigurationRestAPI
from binance_common.errors import BadRequestError, UnauthorizedError
from binance_sdk_spot.rest_api.models import (
    NewOrderNewOrderRespTypeEnum,
    NewOrderSideEnum,
    NewOrderTimeInForceEnum,
    NewOrderTypeEnum,
    OrderCancelReplaceCancelReplaceModeEnum,
    OrderCancelReplaceSideEnum,
    OrderCancelReplaceTimeInForceEnum,
    OrderCancelReplaceTypeEnum,
)
from binance_sdk_spot.spot import Spot

from apps.exchange import tickers
from apps.exchange.models import Market, Order
from apps.exchange.tests import trading
from apps.exchange.tests.server import serving
from apps.exchange.tests.signing import Signer
from apps.exchange.tests.trading import buy, rich, sell

with warnings.catch_warnings():  # the package still takes a name of websockets that will go
    warnings.simplefilter("ignore", DeprecationWarning)
    from binance.client import Client
    from binance.exceptions import BinanceAPIException

pytestmark = pytest.mark.usefixtures("committed_db")

PATIENCE_S = 30  # this machine may be busy


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def market() -> Market:
    """A market with a trade at 9.90, and one offered at 10 and at 10.10."""
    there = trading.market()
    buy(there, rich(), "9.9", "1")
    sell(there, rich(), "9.9", "1")
    for price in ("10", "10.10"):
        sell(there, rich(), price, "1")
    tickers.update()
    return there


@pytest.fixture
def python_binance(server: str, market: Market) -> Iterator[Any]:
    signer, loop = Signer(rich()), asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    Client.API_URL = f"{server}/api"
    client = Client(signer.key, signer.secret, {"timeout": PATIENCE_S})
    yield client
    client.close_connection()
    asyncio.set_event_loop(None)
    loop.close()


def test_python_binance_reads_what_is_public(python_binance: Any) -> None:
    client = python_binance
    assert client.get_server_time()["serverTime"] > 0
    assert client.get_symbol_info("ETHUSDC")["orderTypes"][0] == "LIMIT"
    assert client.get_order_book(symbol="ETHUSDC")["asks"][0] == ["10.00000000", "1.00000000"]
    assert client.get_orderbook_ticker(symbol="ETHUSDC")["askPrice"] == "10.00000000"
    assert client.get_ticker(symbol="ETHUSDC")["lastPrice"] == "9.90000000"
    assert client.get_klines(symbol="ETHUSDC", interval="1m")[-1][4] == "9.90000000"
    days = {"symbol": "ETHUSDC", "interval": "1d", "timeZone": "8"}
    assert client.get_klines(**days)[-1][0] % 86_400_000 == 16 * 3_600_000
    assert client.get_ui_klines(**days) == client.get_klines(**days)
    assert client.get_avg_price(symbol="ETHUSDC")["price"] == "9.90000000"
    assert client.get_symbol_ticker_window(symbol="ETHUSDC", windowSize="1h")["count"] == 1
    assert len(client.get_recent_trades(symbol="ETHUSDC")) == 1


def test_python_binance_places_reads_and_cancels_orders(python_binance: Any) -> None:
    client = python_binance
    assert (
        client.create_test_order(
            symbol="ETHUSDC", side="BUY", type="LIMIT", timeInForce="GTC", quantity="1", price="9"
        )
        == {}
    )
    bought = client.order_market_buy(symbol="ETHUSDC", quantity="1.5")
    assert bought["status"] == "FILLED"
    assert [fill["qty"] for fill in bought["fills"]] == ["1.00000000", "0.50000000"]
    assert client.get_asset_balance(asset="ETH")["free"] == "1001.50000000"
    placed = client.order_limit_buy(symbol="ETHUSDC", quantity="1", price="9")
    named = {"symbol": "ETHUSDC", "orderId": placed["orderId"]}
    assert client.get_order(**named)["status"] == "NEW"
    assert [row["orderId"] for row in client.get_open_orders()] == [placed["orderId"]]
    assert client.cancel_order(**named)["status"] == "CANCELED"
    assert len(client.get_all_orders(symbol="ETHUSDC")) == 2
    assert len(client.get_my_trades(symbol="ETHUSDC")) == 2
    with pytest.raises(BinanceAPIException) as refused:
        client.order_limit_buy(symbol="ETHUSDC", quantity="0.00001", price="9")
    assert (refused.value.code, refused.value.message) == (-1013, "Filter failure: LOT_SIZE")


@pytest.fixture
def sdk(server: str, market: Market) -> Any:
    return _sdk(server, Signer(rich()))


def _sdk(address: str, signer: Signer) -> Any:
    configuration = ConfigurationRestAPI(
        api_key=signer.key,
        api_secret=signer.secret,
        base_path=address,
        timeout=PATIENCE_S * 1000,
    )
    return Spot(config_rest_api=configuration).rest_api


def _shown(model: Any) -> dict[str, Any]:
    """A data model as it came over the wire."""
    shown: dict[str, Any] = model.to_dict()
    return shown


def test_binances_own_sdk_reads_what_is_public(sdk: Any) -> None:
    assert sdk.time().data().server_time > 0
    info = _shown(sdk.exchange_info(symbol="ETHUSDC").data())
    assert info["symbols"][0]["quoteAsset"] == "USDC"
    assert sdk.depth("ETHUSDC").data().asks[0] == ["10.00000000", "1.00000000"]
    best = sdk.ticker_book_ticker(symbol="ETHUSDC").data().actual_instance
    assert best.ask_price == "10.00000000"
    assert len(sdk.get_trades("ETHUSDC").data()) == 1
    assert sdk.klines("ETHUSDC", "1m").data()[-1][4] == "9.90000000"
    day = sdk.klines("ETHUSDC", "1d", time_zone="+05:30").data()[-1]
    assert day[0] % 86_400_000 == 66_600_000
    assert sdk.ui_klines("ETHUSDC", "1d", time_zone="+05:30").data()[-1] == day
    assert sdk.avg_price("ETHUSDC").data().price == "9.90000000"
    rolling = sdk.ticker(symbols=["ETHUSDC"], window_size="5m").data().actual_instance
    assert rolling[0].last_price == "9.90000000"
    today = sdk.ticker_trading_day(symbol="ETHUSDC", time_zone="-3").data().actual_instance
    assert today.weighted_avg_price == "9.90000000"


def test_binances_own_sdk_places_reads_replaces_and_cancels_orders(sdk: Any) -> None:
    market = sdk.new_order("ETHUSDC", NewOrderSideEnum.BUY, NewOrderTypeEnum.MARKET, quantity=1.5)
    bought = market.data()
    assert (bought.status, bought.cummulative_quote_qty) == ("FILLED", "15.05000000")
    assert [fill.qty for fill in bought.fills] == ["1.00000000", "0.50000000"]
    counts = {limit.rateLimitType: limit.count for limit in market.rate_limits}
    assert (set(counts), counts["ORDERS"]) == ({"REQUEST_WEIGHT", "ORDERS"}, 1)

    placed = sdk.new_order(
        "ETHUSDC",
        NewOrderSideEnum.BUY,
        NewOrderTypeEnum.LIMIT,
        time_in_force=NewOrderTimeInForceEnum.GTC,
        quantity=1,
        price=9.5,
        new_order_resp_type=NewOrderNewOrderRespTypeEnum.RESULT,
    ).data()
    assert placed.status == "NEW"
    assert sdk.get_order("ETHUSDC", order_id=placed.order_id).data().orig_qty == "1.00000000"
    replaced = sdk.order_cancel_replace(
        "ETHUSDC",
        OrderCancelReplaceSideEnum.BUY,
        OrderCancelReplaceTypeEnum.LIMIT,
        OrderCancelReplaceCancelReplaceModeEnum.STOP_ON_FAILURE,
        time_in_force=OrderCancelReplaceTimeInForceEnum.GTC,
        quantity=1,
        price=9.6,
        cancel_order_id=placed.order_id,
    ).data()
    assert replaced.new_order_result == "SUCCESS"
    new_id = replaced.new_order_response.order_id
    assert [row.order_id for row in sdk.get_open_orders(symbol="ETHUSDC").data()] == [new_id]
    assert sdk.delete_order("ETHUSDC", order_id=new_id).data().status == "CANCELED"

    account = sdk.get_account(omit_zero_balances=True).data()
    assert {row.asset: row.free for row in account.balances}["ETH"] == "1001.50000000"
    assert len(sdk.all_orders("ETHUSDC").data()) == 3
    assert [row.is_maker for row in sdk.my_trades("ETHUSDC").data()] == [False, False]
    assert sdk.rate_limit_order().data()[0].count >= 0
    with pytest.raises(BadRequestError, match="Order does not exist"):
        sdk.get_order("ETHUSDC", order_id=10**9)


def test_binances_own_sdk_is_told_when_its_key_is_wrong(server: str, market: Market) -> None:
    signer = Signer(rich())
    signer.key = "x" * 64
    with pytest.raises(UnauthorizedError):
        _sdk(server, signer).get_account()


def test_the_id_of_a_request_is_on_its_order_and_on_the_answer(server: str, market: Market) -> None:
    signer = Signer(rich())
    query = signer.sign({"symbol": "ETHUSDC", "side": "BUY", "type": "MARKET", "quantity": "1"})
    headers = {**signer.headers, "X-Request-ID": "trace-8"}
    answer = requests.post(f"{server}/api/v3/order?{query}", headers=headers, timeout=PATIENCE_S)
    assert answer.headers["X-Request-ID"] == "trace-8"
    assert Order.objects.latest("id").correlation_id == "trace-8"
