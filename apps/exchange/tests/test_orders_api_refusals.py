"""Orders that are refused over HTTP: an error code in Binance's words, and no row."""

from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings

from apps.exchange import orders
from apps.exchange.models import Market, MarketStatus, Order
from apps.exchange.tests import trading
from apps.exchange.tests.factory import at, trade, traded
from apps.exchange.tests.signing import Signer, fault
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
    from moonx.core import weights

    weights.forget_silence()
    assert answer.status_code == 200
