"""Orders over HTTP: answered as Binance Spot answers them, and refused in its words."""

import logging
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from apps.exchange.models import Fill, Market, Order
from apps.exchange.tests import trading
from apps.exchange.tests.factory import at, trade, traded
from apps.exchange.tests.signing import FORM, Signer, bearer, now_ms
from apps.exchange.tests.trading import buy, rich, sell
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("db", "clean_valkey")

LIMIT = {
    "symbol": "ETHUSDC",
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "1",
    "price": "10",
}
MARKET = {"symbol": "ETHUSDC", "side": "BUY", "type": "MARKET", "quantity": "1"}
IDENTITY = ["symbol", "orderId", "orderListId", "clientOrderId"]
STATE = [
    *("price", "origQty", "executedQty", "origQuoteOrderQty", "cummulativeQuoteQty", "status"),
    *("timeInForce", "type", "side"),
]


@pytest.fixture
def market() -> Market:
    return trading.market(min_notional=Decimal(5))


@pytest.fixture
def signer(market: Market) -> Signer:
    return Signer(rich())


@pytest.fixture
def offers(market: Market) -> int:
    """Somebody sells one at 10, one at 10.10 and one at 10.20; who it is."""
    owner = rich()
    for price in ("10", "10.10", "10.20"):
        sell(market, owner, price, "1")
    return owner


# What is answered


def test_an_acknowledgement_says_little(signer: Signer) -> None:
    answer = signer.ask("POST", "/order", **LIMIT, newOrderRespType="ACK", newClientOrderId="mine")
    assert list(answer) == [*IDENTITY, "transactTime"]
    assert (answer["clientOrderId"], answer["orderListId"]) == ("mine", -1)


def test_a_limit_order_is_answered_in_full(signer: Signer) -> None:
    answer = signer.ask("POST", "/order", **LIMIT)
    assert list(answer) == [
        *(*IDENTITY, "transactTime", *STATE, "workingTime", "selfTradePreventionMode", "fills")
    ]
    assert answer["status"] == "NEW"
    assert (answer["price"], answer["origQty"]) == ("10.00000000", "1.00000000")
    assert answer["cummulativeQuoteQty"] == "0.00000000"
    assert answer["selfTradePreventionMode"] == "EXPIRE_MAKER"
    assert answer["fills"] == []
    assert len(answer["clientOrderId"]) == 22


def test_a_result_has_no_fills(signer: Signer, offers: int) -> None:
    answer = signer.ask("POST", "/order", **MARKET, newOrderRespType="RESULT")
    assert answer["status"] == "FILLED"
    assert "fills" not in answer


def test_a_market_order_carries_all_its_fills(signer: Signer, offers: int) -> None:
    answer = signer.ask("POST", "/order", **{**MARKET, "quantity": "2.5"})
    assert answer["status"] == "FILLED"
    assert (answer["price"], answer["timeInForce"]) == ("0.00000000", "GTC")
    assert answer["cummulativeQuoteQty"] == "25.20000000"
    fills = answer["fills"]
    assert [list(fill) for fill in fills] == [
        ["price", "qty", "commission", "commissionAsset", "tradeId"]
    ] * 3
    assert [(fill["price"], fill["qty"]) for fill in fills] == [
        ("10.00000000", "1.00000000"),
        ("10.10000000", "1.00000000"),
        ("10.20000000", "0.50000000"),
    ]
    assert {fill["commissionAsset"] for fill in fills} == {"USDC"}
    stored = Fill.objects.filter(order_id=answer["orderId"]).order_by("seq")
    assert [Decimal(fill["commission"]) for fill in fills] == [fill.fee for fill in stored]
    assert [fill["tradeId"] for fill in fills] == [fill.seq for fill in stored]
    newest = Client().get("/api/v3/trades", {"symbol": "ETHUSDC"}).json()
    assert [row["id"] for row in newest] == [fill["tradeId"] for fill in fills]


def test_a_market_order_by_amount_spends_no_more(signer: Signer, offers: int) -> None:
    order = {"symbol": "ETHUSDC", "side": "BUY", "type": "MARKET", "quoteOrderQty": "15.15"}
    answer = signer.ask("POST", "/order", **order)
    spent = Decimal(answer["cummulativeQuoteQty"])
    fees = sum(Decimal(fill["commission"]) for fill in answer["fills"])
    assert Decimal("15.1") < spent + fees <= Decimal("15.15")
    assert answer["origQuoteOrderQty"] == "15.15000000"
    assert answer["origQty"] == answer["executedQty"]


def test_what_a_market_order_leaves_is_expired_and_no_error(signer: Signer) -> None:
    answer = signer.ask("POST", "/order", **MARKET)
    assert (answer["status"], answer["fills"]) == ("EXPIRED", [])


def test_an_order_stands_until_its_date(signer: Signer) -> None:
    until = now_ms() + 60_000
    order = {**LIMIT, "timeInForce": "GTD", "goodTillDate": until}
    answer = signer.ask("POST", "/order", **order)
    assert (answer["timeInForce"], answer["goodTillDate"]) == ("GTD", until)
    assert signer.ask("GET", "/order", symbol="ETHUSDC", orderId=answer["orderId"])[
        "goodTillDate"
    ] == (until)


def test_a_stop_waits_and_says_so(signer: Signer, market: Market) -> None:
    traded(market, trade(1, at("2026-11-01 12:00"), "10"))
    order = {**LIMIT, "type": "STOP_LOSS_LIMIT", "stopPrice": "12", "price": "12.5"}
    answer = signer.ask("POST", "/order", **order)
    assert list(answer) == [*IDENTITY, "transactTime"]
    found = signer.ask("GET", "/order", symbol="ETHUSDC", orderId=answer["orderId"])
    assert (found["isWorking"], found["workingTime"]) == (False, -1)
    assert (found["stopPrice"], found["status"]) == ("12.00000000", "NEW")


def test_an_order_is_read_by_either_of_its_names_or_both(signer: Signer) -> None:
    placed = signer.ask("POST", "/order", **LIMIT, newClientOrderId="mine")
    order_id = placed["orderId"]
    for names in (
        {"orderId": order_id},
        {"origClientOrderId": "mine"},
        {"orderId": order_id, "origClientOrderId": "mine"},
    ):
        found = signer.ask("GET", "/order", symbol="ETHUSDC", **names)
        assert found["orderId"] == order_id
    assert list(found) == [
        *(*IDENTITY, "price", "origQty", "executedQty", "cummulativeQuoteQty", "status"),
        *("timeInForce", "type", "side", "stopPrice", "icebergQty", "time", "updateTime"),
        *("isWorking", "workingTime", "origQuoteOrderQty", "selfTradePreventionMode"),
    ]
    assert found["isWorking"] is True
    wrong = {"orderId": order_id, "origClientOrderId": "other"}
    assert signer.refused("GET", "/order", symbol="ETHUSDC", **wrong)[0] == -2013


def test_orders_are_cancelled_one_by_one_and_all_at_once(signer: Signer) -> None:
    first, second, third = (signer.ask("POST", "/order", **LIMIT) for _ in range(3))
    gone = signer.ask(
        "DELETE", "/order", symbol="ETHUSDC", orderId=first["orderId"], newClientOrderId="away"
    )
    assert list(gone) == [
        *("symbol", "origClientOrderId", "orderId", "orderListId", "clientOrderId"),
        *("transactTime", *STATE, "selfTradePreventionMode"),
    ]
    assert (gone["status"], gone["clientOrderId"]) == ("CANCELED", "away")
    assert gone["origClientOrderId"] == first["clientOrderId"]
    again = signer.refused("DELETE", "/order", symbol="ETHUSDC", orderId=first["orderId"])
    assert again == (-2011, "Unknown order sent.")
    assert [row["orderId"] for row in signer.ask("GET", "/openOrders")] == [
        *(second["orderId"], third["orderId"])
    ]
    everything = signer.ask("DELETE", "/openOrders", symbol="ETHUSDC")
    assert [row["orderId"] for row in everything] == [second["orderId"], third["orderId"]]
    assert signer.ask("GET", "/openOrders", symbol="ETHUSDC") == []
    assert signer.refused("DELETE", "/openOrders", symbol="ETHUSDC")[0] == -2011


def test_a_cancel_may_be_for_one_state_alone(signer: Signer, market: Market) -> None:
    order_id = signer.ask("POST", "/order", **LIMIT)["orderId"]
    named = {"symbol": "ETHUSDC", "orderId": order_id}
    filled = {"cancelRestrictions": "ONLY_PARTIALLY_FILLED"}
    assert signer.refused("DELETE", "/order", **named, **filled) == (
        -2011,
        "Order was not canceled due to cancel restrictions.",
    )
    odd = signer.refused("DELETE", "/order", **named, cancelRestrictions="ONLY_OLD")
    assert odd == (-1145, "Invalid cancelRestrictions")
    sell(market, rich(), "10", "0.5")
    assert signer.refused("DELETE", "/order", **named, cancelRestrictions="ONLY_NEW")[0] == -2011
    assert signer.ask("DELETE", "/order", **named, **filled)["executedQty"] == "0.50000000"


def test_all_orders_are_found_by_id_by_time_or_newest_first(signer: Signer) -> None:
    placed = [signer.ask("POST", "/order", **LIMIT) for _ in range(4)]
    numbers = [row["orderId"] for row in placed]
    times = {row.pk: row.created_at for row in Order.objects.all()}

    def found(**query: Any) -> list[int]:
        return [
            row["orderId"] for row in signer.ask("GET", "/allOrders", symbol="ETHUSDC", **query)
        ]

    assert found() == numbers
    assert found(limit=2) == numbers[2:]
    assert found(orderId=numbers[1], limit=2) == numbers[1:3]
    second_ms = int(times[numbers[1]].timestamp() * 1000)
    assert numbers[0] not in found(startTime=second_ms + 1_000)
    assert found(startTime=second_ms - 60_000, limit=1) == numbers[:1]
    assert found(endTime=second_ms + 60_000, limit=1) == numbers[-1:]
    assert found(orderId=10**19) == []
    span = {"startTime": 0, "endTime": 86_400_001}
    assert signer.refused("GET", "/allOrders", symbol="ETHUSDC", **span)[0] == -1127


def test_own_trades_tell_ones_side_and_fee(signer: Signer, offers: int) -> None:
    order_id = signer.ask("POST", "/order", **{**MARKET, "quantity": "1.5"})["orderId"]
    rows = signer.ask("GET", "/myTrades", symbol="ETHUSDC")
    assert list(rows[0]) == [
        *("symbol", "id", "orderId", "orderListId", "price", "qty", "quoteQty", "commission"),
        *("commissionAsset", "time", "isBuyer", "isMaker", "isBestMatch"),
    ]
    assert [(row["orderId"], row["isBuyer"], row["isMaker"]) for row in rows] == [
        (order_id, True, False)
    ] * 2
    first, second = (row["id"] for row in rows)
    by_order = signer.ask("GET", "/myTrades", symbol="ETHUSDC", orderId=order_id, limit=1)
    assert [row["id"] for row in by_order] == [second]
    from_id = signer.ask("GET", "/myTrades", symbol="ETHUSDC", fromId=first, limit=1)
    assert [row["id"] for row in from_id] == [first]
    assert signer.ask("GET", "/myTrades", symbol="ETHUSDC", startTime=now_ms() + 60_000) == []
    mixed = {"fromId": 1, "startTime": 1}
    assert signer.refused("GET", "/myTrades", symbol="ETHUSDC", **mixed)[0] == -1128
    maker = Client().get("/api/v3/myTrades", {"symbol": "ETHUSDC"}, headers=bearer(offers)).json()
    assert [row["isMaker"] for row in maker] == [True, True]


def test_an_account_has_binances_fields(signer: Signer) -> None:
    signer.ask("POST", "/order", **LIMIT)
    answer = signer.ask("GET", "/account")
    assert list(answer) == [
        *("makerCommission", "takerCommission", "buyerCommission", "sellerCommission"),
        *("commissionRates", "canTrade", "canWithdraw", "canDeposit", "brokered"),
        *("requireSelfTradePrevention", "preventSor", "updateTime", "accountType", "balances"),
        *("permissions", "uid"),
    ]
    rates = answer["commissionRates"]
    held = Decimal(10) * (1 + max(Decimal(rates["maker"]), Decimal(rates["taker"])))
    usdc = next(row for row in answer["balances"] if row["asset"] == "USDC")
    assert Decimal(usdc["locked"]) == held
    assert Decimal(usdc["free"]) == Decimal(1_000_000) - held
    trading.asset("DOGE", decimals=8)
    assert "DOGE" in [row["asset"] for row in signer.ask("GET", "/account")["balances"]]
    some = signer.ask("GET", "/account", omitZeroBalances="true")["balances"]
    assert {row["asset"] for row in some} == {"ETH", "USDC"}


def test_what_trading_costs_can_be_asked(signer: Signer) -> None:
    standard = signer.ask("GET", "/account/commission", symbol="ETHUSDC")["standardCommission"]
    assert standard == signer.ask("GET", "/account")["commissionRates"]
    tried = signer.ask("POST", "/order/test", **LIMIT, computeCommissionRates="true")
    assert tried["standardCommissionForOrder"] == {k: standard[k] for k in ("maker", "taker")}


def test_a_tried_order_is_checked_and_not_stored(signer: Signer) -> None:
    assert signer.ask("POST", "/order/test", **LIMIT) == {}
    dear = {**LIMIT, "quantity": "1000000"}
    assert signer.refused("POST", "/order/test", **dear)[0] == -2010
    assert not Order.objects.exists()


# The book


def test_the_depth_adds_up_each_price_best_first(signer: Signer, market: Market) -> None:
    other = rich()
    for price, quantity in (("9", "1"), ("9", "2"), ("8", "1")):
        buy(market, other, price, quantity)
    sell(market, other, "11", "4")
    answer = Client().get("/api/v3/depth?symbol=ETHUSDC&limit=1").json()
    assert list(answer) == ["lastUpdateId", "bids", "asks"]
    assert answer["bids"] == [["9.00000000", "3.00000000"]]
    assert answer["asks"] == [["11.00000000", "4.00000000"]]
    assert answer["lastUpdateId"] == 4
    whole = Client().get("/api/v3/depth", {"symbol": "ETHUSDC"}).json()
    assert [level[0] for level in whole["bids"]] == ["9.00000000", "8.00000000"]


def test_the_best_prices_are_told_for_one_market_or_all(signer: Signer, market: Market) -> None:
    trading.market("BTCUSDC")
    buy(market, rich(), "9", "1.5")
    expected = {
        "symbol": "ETHUSDC",
        "bidPrice": "9.00000000",
        "bidQty": "1.50000000",
        "askPrice": "0.00000000",
        "askQty": "0.00000000",
    }
    one = Client().get("/api/v3/ticker/bookTicker", {"symbol": "ETHUSDC"}).json()
    assert list(one.items()) == list(expected.items())
    every = Client().get("/api/v3/ticker/bookTicker").json()
    assert [row["symbol"] for row in every] == ["BTCUSDC", "ETHUSDC"]
    assert every[1] == expected
    day = Client().get("/api/v3/ticker/24hr", {"symbol": "ETHUSDC"}).json()
    assert (day["bidPrice"], day["bidQty"]) == ("9.00000000", "1.50000000")


@pytest.mark.parametrize(
    ("limit", "weight"), [(None, 5), (100, 5), (101, 25), (1000, 50), (5000, 250)]
)
def test_a_deeper_book_weighs_more(market: Market, limit: int | None, weight: int) -> None:
    query = {"symbol": "ETHUSDC"} | ({} if limit is None else {"limit": str(limit)})
    assert Client().get("/api/v3/depth", query)["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_exchange_info_tells_what_may_be_placed(market: Market) -> None:
    info = Client().get("/api/v3/exchangeInfo").json()
    row = info["symbols"][0]
    assert row["orderTypes"] == [
        *("LIMIT", "MARKET", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
    ]
    assert [name for name, value in row.items() if value is True] == [
        *("quoteOrderQtyMarketAllowed", "cancelReplaceAllowed", "isSpotTradingAllowed")
    ]
    assert [rule["filterType"] for rule in row["filters"]] == [
        *("PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "NOTIONAL", "PERCENT_PRICE_BY_SIDE"),
        "MAX_NUM_ORDERS",
    ]
    assert row["allowedSelfTradePreventionModes"] == [
        *("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")
    ]
    limits = [(row["rateLimitType"], row["interval"], row["limit"]) for row in info["rateLimits"]]
    assert limits == [
        ("REQUEST_WEIGHT", "MINUTE", 6000),
        ("ORDERS", "SECOND", 100),
        ("ORDERS", "DAY", 200_000),
    ]


# Traces


def test_an_order_keeps_the_id_of_its_request_in_rows_facts_and_lines(
    signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {**signer.headers, "X-Request-ID": "trace-7"}
    post = async_to_sync(AsyncClient().post)
    path = f"/api/v3/order?{signer.sign(LIMIT)}"
    answer = post(path, "", content_type=FORM, headers=headers)
    assert (answer.status_code, answer["X-Request-ID"]) == (200, "trace-7")
    order = Order.objects.get()
    assert order.correlation_id == "trace-7"
    told = OutboxEvent.objects.filter(name__startswith="order.")
    assert {event.correlation_id for event in told} == {"trace-7"}
    lines: list[Any] = [record.msg for record in caplog.records if record.name == "moonx.orders"]
    assert [(line["event"], line["order"], line["correlation_id"]) for line in lines] == [
        ("order_placed", order.pk, "trace-7")
    ]


def test_what_a_user_does_is_told_once_a_minute_without_amounts(signer: Signer) -> None:
    for _ in range(2):
        order_id = signer.ask("POST", "/order", **LIMIT)["orderId"]
        signer.ask("DELETE", "/order", symbol="ETHUSDC", orderId=order_id)
    owner_id = Order.objects.earliest("id").owner_id
    told = OutboxEvent.objects.filter(name="user.activity").order_by("id")
    assert [event.payload for event in told if event.payload["action"] != "key_created"] == [
        {"userId": owner_id, "action": "order_placed"},
        {"userId": owner_id, "action": "order_canceled"},
    ]


def test_other_methods_of_a_path_are_named() -> None:
    answer = Client().put("/api/v3/order")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, POST, DELETE")
    assert Client().post("/api/v3/account")["Allow"] == "GET"
