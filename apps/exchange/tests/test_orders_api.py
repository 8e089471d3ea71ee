"""Orders over HTTP: answered as Binance Spot answers them, and refused in its words."""

from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from apps.exchange import orders
from apps.exchange.models import Fill, Market, MarketStatus, Order
from apps.exchange.tests import trading
from apps.exchange.tests.factory import at, trade, traded
from apps.exchange.tests.signing import Signer, bearer, fault, now_ms
from apps.exchange.tests.trading import buy, rich, sell
from moonx.core import valkey
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


# One order for another


REPLACE = {**LIMIT, "price": "11", "cancelReplaceMode": "STOP_ON_FAILURE"}


def test_an_order_is_replaced(signer: Signer) -> None:
    old = signer.ask("POST", "/order", **LIMIT)["orderId"]
    answer = signer.ask("POST", "/order/cancelReplace", **REPLACE, cancelOrderId=old)
    assert list(answer) == ["cancelResult", "newOrderResult", "cancelResponse", "newOrderResponse"]
    assert (answer["cancelResult"], answer["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert answer["cancelResponse"]["orderId"] == old
    assert answer["newOrderResponse"]["price"] == "11.00000000"


def test_what_the_old_order_held_pays_for_the_new_one(market: Market) -> None:
    signer = Signer(trading.trader(USDC="10.1"))
    old = signer.ask("POST", "/order", **LIMIT)["orderId"]
    new = {**REPLACE, "price": "9"}
    assert signer.ask("POST", "/order/cancelReplace", **new, cancelOrderId=old)


def replaced(signer: Signer, status: int, **order: Any) -> Any:
    answer = signer.send("POST", "/order/cancelReplace", **order)
    assert answer.status_code == status, answer.content
    return answer.json()


def test_where_the_old_order_is_gone_the_new_one_is_not_tried(signer: Signer) -> None:
    assert replaced(signer, 400, **REPLACE, cancelOrderId=1) == {
        "code": -2022,
        "msg": "Order cancel-replace failed.",
        "data": {
            "cancelResult": "FAILURE",
            "newOrderResult": "NOT_ATTEMPTED",
            "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
            "newOrderResponse": None,
        },
    }
    assert not Order.objects.exists()


def test_or_it_is_placed_all_the_same(signer: Signer) -> None:
    order = {**REPLACE, "cancelReplaceMode": "ALLOW_FAILURE"}
    answer = replaced(signer, 409, **order, cancelOrigClientOrderId="gone")
    assert (answer["code"], answer["msg"]) == (-2021, "Order cancel-replace partially failed.")
    assert (answer["data"]["cancelResult"], answer["data"]["newOrderResult"]) == (
        *("FAILURE", "SUCCESS"),
    )
    assert Order.objects.count() == 1


def test_a_new_order_that_the_match_rejects_leaves_the_old_one_cancelled(
    signer: Signer, offers: int
) -> None:
    old = signer.ask("POST", "/order", **{**LIMIT, "price": "9"})["orderId"]
    order = {name: value for name, value in REPLACE.items() if name != "timeInForce"}
    answer = replaced(signer, 409, **{**order, "type": "LIMIT_MAKER"}, cancelOrderId=old)
    assert answer["code"] == -2021
    assert answer["data"]["cancelResponse"]["status"] == "CANCELED"
    assert answer["data"]["newOrderResponse"] == {
        "code": -2010,
        "msg": "Order would immediately match and take.",
    }
    both = {**order, "type": "LIMIT_MAKER", "cancelReplaceMode": "ALLOW_FAILURE"}
    assert replaced(signer, 400, **both, cancelOrderId=old)["code"] == -2022


def test_what_breaks_a_rule_replaces_nothing(signer: Signer) -> None:
    old = signer.ask("POST", "/order", **LIMIT)["orderId"]
    answer = replaced(signer, 400, **{**REPLACE, "quantity": "0.00001"}, cancelOrderId=old)
    assert answer == {"code": -1013, "msg": "Filter failure: LOT_SIZE"}
    assert signer.ask("GET", "/order", symbol="ETHUSDC", orderId=old)["status"] == "NEW"


# What is refused


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"symbol": None}, -1102, "'symbol'"),
    ({"symbol": "NOPE"}, -1121, "Invalid symbol."),
    ({"symbol": "ethusdc"}, -1100, "'symbol'"),
    ({"side": None}, -1102, "'side'"),
    ({"side": "HOLD"}, -1117, "Invalid side."),
    ({"type": "ICEBERG"}, -1116, "Invalid orderType."),
    ({"type": "STOP_LOSS"}, -1013, "Stop loss orders are not supported"),
    ({"type": "TAKE_PROFIT"}, -1013, "Take profit orders are not supported"),
    ({"timeInForce": None}, -1102, "'timeInForce'"),
    ({"timeInForce": "GTX"}, -1115, "Invalid timeInForce."),
    ({"timeInForce": "GTD"}, -1102, "'goodTillDate'"),
    ({"timeInForce": "GTD", "goodTillDate": 1}, -2010, "goodTillDate"),
    ({"goodTillDate": 10**13}, -1106, "'goodTillDate'"),
    ({"quantity": None}, -1102, "'quantity'"),
    ({"quantity": ""}, -1105, "'quantity'"),
    ({"quantity": "0"}, -1013, "Invalid quantity."),
    ({"quantity": "0.00001"}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "0.0001"}, -1013, "Filter failure: NOTIONAL"),
    ({"quantity": "1" + "0" * 30}, -1100, "'quantity'"),
    ({"quantity": "9" * 20}, -1013, "Filter failure: LOT_SIZE"),
    ({"quantity": "1." + "1" * 40}, -1100, "'quantity'"),
    ({"quantity": "1." + "1" * 19}, -1111, "'quantity' has too much precision"),
    ({"quantity": "NaN"}, -1100, "'quantity'"),
    ({"quantity": "Infinity"}, -1100, "'quantity'"),
    ({"quantity": "-1"}, -1100, "'quantity'"),
    ({"quantity": "+1"}, -1100, "'quantity'"),
    ({"quantity": "1e3"}, -1100, "'quantity'"),
    ({"quantity": "1E-3"}, -1100, "'quantity'"),
    ({"quantity": "\uff11"}, -1100, "'quantity'"),
    ({"quantity": "٣"}, -1100, "'quantity'"),
    ({"quantity": "1_0"}, -1100, "'quantity'"),
    ({"quantity": " 1"}, -1100, "'quantity'"),
    ({"quantity": "1\n"}, -1100, "'quantity'"),
    ({"quantity": "1\x00"}, -1100, "'quantity'"),
    ({"quantity": ".5"}, -1100, "'quantity'"),
    ({"quantity": "1."}, -1100, "'quantity'"),
    ({"quantity": "0x1"}, -1100, "'quantity'"),
    ({"price": None}, -1102, "'price'"),
    ({"price": "0.00"}, -1013, "Invalid price."),
    ({"price": "10.001"}, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "10.0000001"}, -1111, "'price' has too much precision"),
    ({"price": "9" * 20}, -1013, "Filter failure: PRICE_FILTER"),
    ({"price": "51"}, -1013, "Filter failure: PERCENT_PRICE_BY_SIDE"),
    ({"quoteOrderQty": "5"}, -1106, "'quoteOrderQty'"),
    ({"stopPrice": "5"}, -1106, "'stopPrice'"),
    ({"type": "LIMIT_MAKER"}, -1106, "'timeInForce'"),
    ({"type": "STOP_LOSS_LIMIT"}, -1102, "'stopPrice'"),
    ({"type": "MARKET"}, -1106, "'timeInForce'"),
    ({"type": "MARKET", "timeInForce": None}, -1106, "'price'"),
    ({"type": "MARKET", "timeInForce": None, "price": None, "quantity": None}, -1102, "'quoteOrd"),
    ({"type": "MARKET", "timeInForce": None, "price": None, "quoteOrderQty": "5"}, -1128, "Combin"),
    ({"newClientOrderId": ""}, -1105, "'newClientOrderId'"),
    ({"newClientOrderId": "a" * 37}, -1100, "'newClientOrderId'"),
    ({"newClientOrderId": "no spaces"}, -1100, "'newClientOrderId'"),
    ({"newClientOrderId": "taken"}, -2010, "Duplicate order sent."),
    ({"newOrderRespType": "SHORT"}, -1130, "'newOrderRespType'"),
    ({"selfTradePreventionMode": "NONE"}, -1130, "'selfTradePreventionMode'"),
    ({"icebergQty": "1"}, -1013, "Iceberg orders are not supported"),
    ({"trailingDelta": "10"}, -1013, "Trailing stop orders are not supported"),
    ({"pegPriceType": "PRIMARY_PEG"}, -1013, "Pegged orders are not supported"),
    ({"strategyId": "1"}, -1106, "'strategyId'"),
    ({"madeUp": "1"}, -1101, "Too many parameters"),
    ({"quantity": "100000"}, -1013, "Filter failure: MAX"),
    ({"quantity": "999999"}, -2010, "insufficient balance"),
    ({"timestamp": 1}, -1021, "outside of the recvWindow"),
    ({"timestamp": 10**16}, -1021, "ahead of the server's time"),
    ({"timestamp": "soon"}, -1100, "'timestamp'"),
    ({"signature": "0" * 64}, -1101, "'signature'"),
]


@pytest.mark.parametrize(("changes", "code", "words"), WRONG)
def test_what_is_wrong_with_an_order_is_said_and_leaves_no_row(
    signer: Signer, market: Market, changes: dict[str, Any], code: int, words: str
) -> None:
    traded(market, trade(1, at("2026-11-01 12:00"), "10"))
    first = signer.ask("POST", "/order", **LIMIT, newClientOrderId="taken")["orderId"]
    signer.ask("DELETE", "/order", symbol="ETHUSDC", orderId=first)
    if "MAX" in words:
        Market.objects.update(max_quantity=Decimal(1000))
        market.refresh_from_db()
        market.save()
        words = "Filter failure: LOT_SIZE"
    facts = OutboxEvent.objects.count()
    given = {name: value for name, value in {**LIMIT, **changes}.items() if value is not None}
    found, message = fault(signer.send("POST", "/order", **given))
    assert (found, words in message) == (code, True), message
    assert Order.objects.count() == 1
    assert OutboxEvent.objects.count() == facts


@pytest.mark.parametrize("status", [MarketStatus.HALT, MarketStatus.BREAK])
def test_a_closed_market_takes_no_orders(status: MarketStatus) -> None:
    trading.market(status=status)
    assert Signer(rich()).refused("POST", "/order", **LIMIT) == (-1013, "Market is closed.")


def test_a_frozen_account_is_told_so_and_places_nothing(signer: Signer) -> None:
    orders.freeze(signer.ask("GET", "/account")["uid"], reason="test")
    assert signer.refused("POST", "/order", **LIMIT)[0] == -2010
    assert signer.ask("GET", "/account")["canTrade"] is False


def test_a_maker_that_would_take_is_rejected_and_its_row_says_why(
    signer: Signer, offers: int
) -> None:
    order = {name: value for name, value in LIMIT.items() if name != "timeInForce"}
    found = signer.refused("POST", "/order", **{**order, "type": "LIMIT_MAKER"})
    assert found == (-2010, "Order would immediately match and take.")
    newest = signer.ask("GET", "/allOrders", symbol="ETHUSDC")[-1]
    assert (newest["status"], newest["executedQty"]) == ("REJECTED", "0.00000000")


def test_nobody_learns_of_anothers_order(signer: Signer, market: Market) -> None:
    other = buy(market, rich(), "9", "1", client_order_id="theirs")
    for named in ({"orderId": other.pk}, {"origClientOrderId": "theirs"}):
        order = {"symbol": "ETHUSDC", **named}
        assert signer.refused("GET", "/order", **order) == (-2013, "Order does not exist.")
        assert signer.refused("DELETE", "/order", **order) == (-2011, "Unknown order sent.")
    absent = {"symbol": "ETHUSDC", "orderId": 10**18}
    assert signer.refused("GET", "/order", **absent) == (-2013, "Order does not exist.")
    assert signer.refused("DELETE", "/order", **absent) == (-2011, "Unknown order sent.")
    for path in ("/openOrders", "/allOrders", "/myTrades"):
        assert signer.ask("GET", path, symbol="ETHUSDC") == []
    assert signer.refused("DELETE", "/openOrders", symbol="ETHUSDC")[0] == -2011
    other.refresh_from_db()
    assert other.status == "NEW"
    unnamed = signer.refused("GET", "/order", symbol="ETHUSDC")
    assert unnamed[0] == -1102


# Limits


@pytest.fixture
def three_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = settings.ENV.model_copy(update={"rate_limit_orders_per_10s": 3})
    monkeypatch.setattr(settings, "ENV", changed)


def test_each_order_tells_how_many_there_were(signer: Signer) -> None:
    for number in ("1", "2"):
        answer = signer.send("POST", "/order", **LIMIT)
        assert answer["X-MBX-ORDER-COUNT-1D"] == number
        assert int(answer["X-MBX-ORDER-COUNT-10S"]) in {1, 2}
    counts = signer.ask("GET", "/rateLimit/order")
    assert [(row["interval"], row["limit"]) for row in counts] == [
        ("SECOND", 100),
        ("DAY", 200_000),
    ]
    assert counts[1]["count"] == 2


@pytest.mark.usefixtures("three_orders")
def test_too_many_orders_wait(signer: Signer) -> None:
    answers = [signer.send("POST", "/order", **LIMIT) for _ in range(7)]  # in at most two windows
    refused = answers[-1]
    if refused.status_code != 429:
        refused = signer.send("POST", "/order", **LIMIT)
    assert fault(refused, 429) == (
        -1015,
        "Too many new orders; current limit is 3 orders per 10 SECOND.",
    )
    assert 1 <= int(refused["Retry-After"]) <= 10
    assert Signer(rich()).send("POST", "/order", **LIMIT).status_code == 200


def test_orders_are_taken_while_they_cannot_be_counted(
    signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable = valkey.connect("redis://127.0.0.1:1/0")
    with monkeypatch.context() as without_server:
        without_server.setattr(valkey, "client", lambda: unreachable)
        answer = signer.send("POST", "/order", **LIMIT)
    from apps.exchange.api import weights

    weights.forget_silence()
    assert answer.status_code == 200


# Traces


def test_an_order_keeps_the_id_of_its_request(signer: Signer) -> None:
    query = signer.sign(LIMIT)
    answer = signer.raw("POST", "/order", query=query, **{"X-Request-ID": "trace-7"})
    assert answer["X-Request-ID"] == "trace-7"
    assert Order.objects.get().correlation_id == "trace-7"
    told = OutboxEvent.objects.exclude(name="user.activity").filter(name__startswith="order.")
    assert set(told.values_list("correlation_id", flat=True)) == {"trace-7"}


def test_other_methods_of_a_path_are_named() -> None:
    answer = Client().put("/api/v3/order")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, POST, DELETE")
    assert Client().post("/api/v3/account")["Allow"] == "GET"
