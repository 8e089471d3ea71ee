"""One order for another over HTTP, and what is answered where only a half succeeds."""

from decimal import Decimal
from typing import Any

import pytest

from apps.exchange.models import Market, Order
from apps.exchange.tests import trading
from apps.exchange.tests.signing import Signer
from apps.exchange.tests.trading import rich, sell

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
