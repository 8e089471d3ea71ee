"""What a user is shown of their own is what the events told, and is nobody else's."""

from decimal import Decimal
from typing import Any

import pytest

from apps.exchange import own
from apps.exchange.models import Market, Order, Side, Stage
from apps.exchange.tests import trading
from apps.exchange.tests.trading import buy, rich, sell, trader
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


@pytest.fixture
def market() -> Market:
    return trading.market()


def told(owner: int, *names: str) -> list[tuple[str, dict[str, Any]]]:
    """The user's own events of these names, in order."""
    rows = OutboxEvent.objects.filter(name__in=names).order_by("id")
    return [(row.name, row.payload) for row in rows if row.payload.get("userId") == owner]


def test_open_orders_are_shown_as_their_last_events_told_them(market: Market) -> None:
    alice, bob = rich(), rich()
    resting = buy(market, alice, "99.00", "2", client_order_id="resting")
    whole = buy(market, alice, "100.00", "3")
    partly = buy(market, alice, "100.00", "1")
    buy(market, bob, "50.00", "1")
    sell(market, bob, "100.00", "3.5")
    names = ["order.accepted", "order.partially_filled", "order.filled"]
    last = {data["orderId"]: (name, data) for name, data in told(alice, *names)}
    assert own.open_orders(alice) == [last[resting.pk], last[partly.pk]]
    assert [last[one.pk][0] for one in (resting, partly, whole)] == names
    assert {data["userId"] for _, data in own.open_orders(bob)} == {bob}


def test_an_order_that_no_match_has_taken_yet_is_open_too(market: Market) -> None:
    alice = rich()
    order = buy(market, alice, "99.00", "2")
    Order.objects.filter(pk=order.pk).update(stage=Stage.ARRIVED)
    ((name, data),) = own.open_orders(alice)
    assert (name, data["status"]) == ("order.accepted", "NEW")


def test_fills_are_shown_as_their_events_told_them_the_last_of_all_markets(
    market: Market,
) -> None:
    other = trading.market("BTCUSDC")
    alice, bob = trader(USDC="1000000", ETH="1000", BTC="10"), rich()
    sell(market, alice, "100.00", "1")
    sell(other, alice, "100.00", "1")
    buy(other, bob, "100.00", "1")
    buy(market, bob, "100.00", "1")
    events = [event for event in told(alice, "trade.executed") if "orderId" in event[1]]
    assert own.last_fills(alice) == events
    assert [data["symbol"] for _, data in events] == ["BTCUSDC", "ETHUSDC"]
    assert own.last_fills(trader()) == []


def test_so_many_fills_are_shown_the_oldest_first(market: Market) -> None:
    alice, bob = rich(), rich()
    for _ in range(own.TAPE + 5):
        sell(market, alice, "100.00", "0.1")
    buy(market, bob, "100.00", "6")
    ids = [data["tradeId"] for _, data in own.last_fills(alice)]
    assert ids == list(range(6, own.TAPE + 6))


def test_balances_are_shown_as_their_last_events_left_them(market: Market) -> None:
    alice, bob = trader(USDC="1000"), rich()
    buy(market, alice, "100.00", "2")
    sell(market, bob, "100.00", "1")
    names = [f"balance.{what}" for what in ("locked", "unlocked", "credited", "debited")]
    last = {data["asset"]: data for _, data in told(alice, *names)}
    shown = {data["asset"]: data for _, data in own.balances(alice)}
    assert set(shown) == set(last) == {"ETH", "USDC"}
    for asset, data in shown.items():
        left = {name: last[asset][name] for name in ("userId", "balance", "held", "available")}
        assert data | left == data
    assert Decimal(shown["USDC"]["balance"]) == Decimal("899.95")
    assert {name for name, _ in own.balances(alice)} == {"balance.updated"}


@pytest.mark.parametrize(
    ("side", "given", "got"), [(Side.BUY, "USDC", "ETH"), (Side.SELL, "ETH", "USDC")]
)
def test_former_services_said_what_was_given_and_what_was_got(
    side: Side, given: str, got: str
) -> None:
    pair = {"side": side.value, "baseAsset": "ETH", "quoteAsset": "USDC"}
    amounts = {"ETH": "2", "USDC": "200"}
    order = {**pair, "status": "PARTIALLY_FILLED", "filledQuantity": "2", "filledQuote": "200"}
    fill = {**pair, "quantity": "2", "quoteQuantity": "200"}
    expected = {
        "tokenIn": given,
        "tokenOut": got,
        "amountIn": amounts[given],
        "amountOut": amounts[got],
        "chainId": None,
    }
    kind, data = own.order_update("order.partially_filled", order)
    assert (kind, data) == ("order_update", {**order, **expected, "status": "partially_filled"})
    kind, data = own.trade_update("trade.executed", fill)
    assert (kind, data) == ("trade_update", {**fill, **expected, "txHash": None})
