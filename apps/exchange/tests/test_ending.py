"""Orders that end otherwise than filled: canceled, expired, frozen; each hold comes back once."""

from decimal import Decimal

import pytest

from apps.exchange import orders
from apps.exchange.models import (
    Account,
    Market,
    MarketStatus,
    Order,
    OrderType,
    Reason,
    Trade,
    Trader,
)
from apps.exchange.orders import (
    ExpiryPassed,
    Frozen,
    UnknownOrder,
)
from apps.exchange.tests import trading
from apps.exchange.tests.trading import buy, events, expire, funds, gtd, names, rich, sell, trader
from moonx.core import clock

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def market() -> Market:
    return trading.market()


def test_a_cancel_frees_exactly_what_the_order_still_holds(market: Market) -> None:
    owner = trader(USDC="1000")
    order = buy(market, owner, "100", "3")
    sell(market, rich(), "100", "1")
    order = orders.cancel(market, owner, order_id=order.pk)
    assert (order.status, order.filled_quantity, order.held) == ("CANCELED", 1, 0)
    assert funds(owner, "USDC") == (D(1000) - D("100.05"), 0)
    assert events("balance.unlocked")[-1]["amount"] == "200.2"


def test_an_order_is_canceled_by_its_client_order_id(market: Market) -> None:
    owner = rich()
    order = buy(market, owner, "100", "1", client_order_id="mine")
    assert orders.cancel(market, owner, client_order_id="mine").pk == order.pk


def test_what_is_over_or_anothers_or_nothing_cannot_be_canceled(market: Market) -> None:
    owner = rich()
    order = buy(market, owner, "100", "1")
    for who, order_id in ((rich(), order.pk), (owner, 0), (owner, None)):
        with pytest.raises(UnknownOrder):
            orders.cancel(market, who, order_id=order_id)
    orders.cancel(market, owner, order_id=order.pk)
    with pytest.raises(UnknownOrder):
        orders.cancel(market, owner, order_id=order.pk)
    assert names().count("order.canceled") == 1


def test_all_of_an_owners_orders_are_canceled_and_nobody_elses(market: Market) -> None:
    owner, other = rich(), rich()
    buy(market, owner, "100", "1")
    sell(market, owner, "200", "1")
    buy(market, other, "100", "1")
    assert [order.status for order in orders.cancel_all(market, owner)] == ["CANCELED"] * 2
    assert (funds(owner, "USDC")[1], funds(owner, "ETH")[1]) == (0, 0)
    assert Order.objects.get(stage="book").owner_id == other


def test_an_expired_order_frees_its_hold_once_and_is_told_once(market: Market) -> None:
    owner = trader(USDC="1000")
    order = buy(market, owner, "100", "3", **gtd(hours=1))
    expire(order)
    assert [orders.expire_due().expired for _ in range(2)] == [1, 0]
    assert funds(owner, "USDC") == (D(1000), 0)
    assert names().count("order.expired") == names().count("balance.unlocked") == 1


def test_a_filled_order_does_not_expire(market: Market) -> None:
    order = buy(market, rich(), "100", "1", **gtd(hours=1))
    sell(market, rich(), "100", "1")
    expire(order)
    assert orders.expire_due().expired == 0
    order.refresh_from_db()
    assert order.status == "FILLED"


def test_an_order_without_an_end_does_not_expire(market: Market) -> None:
    buy(market, rich(), "100", "1")
    assert orders.expire_due().expired == 0


def test_an_expired_order_is_not_filled_although_no_sweep_came(market: Market) -> None:
    order = buy(market, rich(), "100", "1", **gtd(hours=1))
    expire(order)
    assert sell(market, rich(), "100", "1").status == "NEW"
    order.refresh_from_db()
    assert (order.status, order.reason, order.held) == ("EXPIRED", "time", 0)
    assert not Trade.objects.exists()


def test_a_waiting_stop_expires_too(market: Market) -> None:
    owner = rich()
    order = buy(
        market, owner, "111", "1", type=OrderType.STOP_LOSS_LIMIT, stop_price=D(110), **gtd(hours=1)
    )
    expire(order)
    assert orders.expire_due().expired == 1
    assert funds(owner, "USDC")[1] == 0


def test_orders_expire_in_a_halted_market(market: Market) -> None:
    order = buy(market, rich(), "100", "1", **gtd(hours=1))
    expire(order)
    Market.objects.update(status=MarketStatus.HALT)
    assert orders.expire_due().expired == 1


def test_an_order_that_would_have_expired_is_refused_and_holds_nothing(market: Market) -> None:
    owner = rich()
    with pytest.raises(ExpiryPassed):
        buy(market, owner, "100", "1", **gtd(seconds=-1))
    assert (Order.objects.count(), funds(owner, "USDC")[1]) == (0, 0)


def test_orders_expire_in_batches_and_over_all_markets(market: Market) -> None:
    other = trading.market("BTCXUSDC", base=trading.asset("BTCX", decimals=8))
    owner = rich()
    gone = [buy(where, owner, "100", "1", **gtd(hours=1)) for where in (market, other) * 3]
    expire(*gone)
    assert orders.expire_due(batch=2).expired == 6
    assert funds(owner, "USDC")[1] == 0


def test_a_frozen_owner_places_nothing_and_what_was_open_is_canceled(market: Market) -> None:
    owner = rich()
    order = buy(market, owner, "100", "1")
    assert orders.freeze(owner, reason="checked by hand") == 1
    order.refresh_from_db()
    assert (order.status, order.reason) == ("CANCELED", Reason.FROZEN)
    with pytest.raises(Frozen):
        buy(market, owner, "100", "1")
    assert orders.unfreeze(owner)
    assert buy(market, owner, "100", "1").status == "NEW"


def test_a_single_bad_row_keeps_no_other_order_from_expiring(market: Market) -> None:
    broken, sound = rich(), rich()
    gone = [buy(market, owner, "100", "1", **gtd(hours=1)) for owner in (broken, sound)]
    expire(*gone)
    Account.objects.filter(owner_id=broken, asset__symbol="USDC").update(held=D(1))
    done = orders.expire_due()
    assert (done.found, done.expired, done.errors) == (2, 1, 1)
    assert funds(sound, "USDC")[1] == 0


def test_a_frozen_owners_resting_order_is_canceled_instead_of_filled(market: Market) -> None:
    owner = rich()
    order = buy(market, owner, "100", "1")
    Trader.objects.create(user_id=owner, frozen_at=clock.db_now())  # and nothing canceled yet
    assert sell(market, rich(), "100", "1").status == "NEW"
    order.refresh_from_db()
    assert (order.status, order.reason, funds(owner, "USDC")[1]) == ("CANCELED", "frozen", 0)
