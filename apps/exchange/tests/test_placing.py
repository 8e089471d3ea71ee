"""Placing against the real database: what an order holds, and what is refused."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from apps.exchange import orders
from apps.exchange.models import (
    Market,
    MarketStatus,
    Order,
    OrderType,
    TimeInForce,
)
from apps.exchange.orders import (
    DuplicateOrder,
    Filter,
    FilterFailed,
    InsufficientBalance,
    MalformedOrder,
    MarketClosed,
)
from apps.exchange.tests import trading
from apps.exchange.tests.trading import (
    buy,
    funds,
    new,
    rich,
    sell,
    trader,
)

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def market() -> Market:
    return trading.market()


def test_a_buy_holds_its_price_and_the_larger_fee(market: Market) -> None:
    owner = trader(USDC="1000")
    order = buy(market, owner, "100", "2")
    assert (order.status, order.stage, order.hold) == ("NEW", "book", D("200.2"))
    assert funds(owner, "USDC") == (D(1000), D("200.2"))


def test_a_sell_holds_its_quantity(market: Market) -> None:
    owner = trader(ETH="5")
    sell(market, owner, "100", "2")
    assert funds(owner, "ETH") == (D(5), D(2))


def test_who_has_too_little_is_refused_and_nothing_is_stored(market: Market) -> None:
    owner = trader(USDC="200.199999")
    with pytest.raises(InsufficientBalance):
        buy(market, owner, "100", "2")
    with pytest.raises(InsufficientBalance):
        sell(market, owner, "100", "1")
    assert not Order.objects.exists()
    assert funds(owner, "USDC")[1] == 0


def test_what_is_held_cannot_be_held_again(market: Market) -> None:
    owner = trader(USDC="300")
    buy(market, owner, "100", "2")
    with pytest.raises(InsufficientBalance):
        buy(market, owner, "100", "1")


def test_a_client_order_id_is_used_once_even_after_its_order_was_filled(market: Market) -> None:
    owner = rich()
    sell(market, rich(), "100", "1")
    assert buy(market, owner, "100", "1", client_order_id="mine").status == "FILLED"
    with pytest.raises(DuplicateOrder):
        buy(market, owner, "100", "1", client_order_id="mine")
    assert Order.objects.filter(owner_id=owner).count() == 1


def test_two_owners_may_use_the_same_client_order_id(market: Market) -> None:
    for owner in (rich(), rich()):
        assert buy(market, owner, "100", "1", client_order_id="mine").status == "NEW"


def test_what_order_test_checks_is_stored_nowhere(market: Market) -> None:
    owner = trader(USDC="100.1")
    orders.check(market, owner, new("buy", "100", "1"))
    with pytest.raises(InsufficientBalance):
        orders.check(market, owner, new("buy", "100", "1.1"))
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"price": D("100.001")}, Filter.PRICE),
        ({"price": D(10) ** 30}, Filter.PRICE),
        ({"quantity": D("0.00001")}, Filter.LOT_SIZE),
        ({"quantity": D(10) ** 30}, Filter.LOT_SIZE),
        ({"price": D("0.01"), "quantity": D("0.0001")}, Filter.NOTIONAL),
        ({"price": D("100.01")}, None),
    ],
)
def test_an_order_off_the_markets_rules_is_refused(
    changes: dict[str, Any], rule: Filter | None
) -> None:
    market = trading.market(min_notional=D("0.01"))
    order = NewOrderWith(**changes)
    if rule is None:
        assert orders.place(market, rich(), order).status == "NEW"
        return
    with pytest.raises(FilterFailed) as refused:
        orders.place(market, rich(), order)
    assert (refused.value.rule, Order.objects.count()) == (rule, 0)


def NewOrderWith(**changes: Any) -> orders.NewOrder:  # noqa: N802 - reads as a value
    return replace(new("buy", "100", "1"), **changes)


def test_a_price_far_from_the_last_one_is_refused(market: Market) -> None:
    sell(market, rich(), "100", "1")
    buy(market, rich(), "100", "1")
    for price in ("500.01", "19.99"):
        with pytest.raises(FilterFailed) as refused:
            buy(market, rich(), price, "1")
        assert refused.value.rule is Filter.PERCENT_PRICE
    assert buy(market, rich(), "500", "0.1").status == "NEW"


def test_an_owner_has_only_so_many_open_orders() -> None:
    market, owner = trading.market(max_open_orders=2), rich()
    first = buy(market, owner, "100", "1")
    buy(market, owner, "100", "1")
    with pytest.raises(FilterFailed) as refused:
        buy(market, owner, "100", "1")
    assert refused.value.rule is Filter.MAX_NUM_ORDERS
    orders.cancel(market, owner, order_id=first.pk)
    assert buy(market, owner, "100", "1").status == "NEW"


def test_a_market_order_is_at_most_so_large() -> None:
    market = trading.market(max_market_quantity=D(5))
    with pytest.raises(FilterFailed) as refused:
        buy(market, rich(), None, "6")
    assert refused.value.rule is Filter.MARKET_LOT_SIZE


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"quantity": None}, "quantity"),
        ({"quantity": D(0)}, "quantity"),
        ({"quantity": D(-1)}, "quantity"),
        ({"price": D(0)}, "price"),
        ({"price": None, "type": OrderType.LIMIT}, "price"),
        ({"stop_price": D(5)}, "stopPrice"),
        ({"type": OrderType.STOP_LOSS_LIMIT}, "stopPrice"),
        ({"type": OrderType.LIMIT_MAKER, "time_in_force": TimeInForce.GTC}, "timeInForce"),
        ({"time_in_force": TimeInForce.GTD}, "goodTillDate"),
        ({"quote_order_quantity": D(5)}, "quoteOrderQty"),
        ({"client_order_id": "x" * 65}, "newClientOrderId"),
    ],
)
def test_fields_that_do_not_go_together_are_named(
    market: Market, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(MalformedOrder) as refused:
        orders.place(market, rich(), NewOrderWith(**changes))
    assert (refused.value.field, Order.objects.count()) == (field, 0)


@pytest.mark.parametrize("status", [MarketStatus.HALT, MarketStatus.BREAK])
def test_a_closed_market_takes_no_orders_but_lets_them_be_canceled(
    market: Market, status: MarketStatus
) -> None:
    owner = rich()
    order = buy(market, owner, "100", "1")
    Market.objects.update(status=status)
    with pytest.raises(MarketClosed):
        buy(market, owner, "100", "1")
    assert orders.cancel(market, owner, order_id=order.pk).status == "CANCELED"


def test_a_post_only_market_rejects_what_would_take(market: Market) -> None:
    sell(market, rich(), "100", "1")
    Market.objects.update(status=MarketStatus.POST_ONLY)
    assert buy(market, rich(), "100", "1").status == "REJECTED"
    assert buy(market, rich(), "99", "1").status == "NEW"
    with pytest.raises(MarketClosed):
        buy(market, rich(), None, "1")
