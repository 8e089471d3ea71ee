"""What is swept, and what orders and balances tell."""

from decimal import Decimal

import pytest

from apps.exchange import matching, orders
from apps.exchange.models import (
    Account,
    BookVersion,
    Market,
    Order,
    SelfTrade,
    TimeInForce,
)
from apps.exchange.orders import placing
from apps.exchange.tests import trading
from apps.exchange.tests.trading import buy, events, names, new, rich, sell, trader
from moonx.core import logs
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def market() -> Market:
    return trading.market()


def test_an_order_whose_placer_died_is_taken_by_the_sweep(market: Market) -> None:
    order = buy(market, rich(), "100", "1")
    Order.objects.filter(pk=order.pk).update(stage="arrived", priority=None)
    assert [matching.sweep() for _ in range(2)] == [1, 0]
    order.refresh_from_db()
    assert order.stage == "book"


def test_facts_come_in_the_order_in_which_they_happened(market: Market) -> None:
    sell(market, rich(), "100", "1")
    OutboxEvent.objects.all()._raw_delete("default")
    buy(market, rich(), "100", "2")
    told = [name for name in names() if not name.startswith("balance")]
    assert told[:2] == ["order.accepted", "trade.executed"]
    assert set(told[2:]) >= {"order.partially_filled", "order.filled"}


def test_facts_of_an_order_carry_the_correlation_id_it_came_with(market: Market) -> None:
    with logs.correlated("maker-1"):
        sell(market, rich(), "100", "1")
    with logs.correlated("taker-1"):
        buy(market, rich(), "100", "1")
    rows = OutboxEvent.objects.filter(name="order.filled")
    assert {row.correlation_id for row in rows} == {"maker-1", "taker-1"}
    told = OutboxEvent.objects.filter(name="trade.executed")
    assert [row.correlation_id for row in told if row.topics == ["trades:ETHUSDC"]] == ["taker-1"]


def test_a_balance_fact_says_what_the_account_has_afterwards(market: Market) -> None:
    owner = trader(USDC="1000")
    buy(market, owner, "100", "2")
    told = events("balance.locked")[-1]
    assert (told["amount"], told["balance"], told["held"], told["available"]) == (
        *("200.2", "1000", "200.2", "799.8"),
    )


def test_who_sells_and_buys_the_same_in_one_batch_is_told_both(market: Market) -> None:
    buy(market, rich(), "100", "1")
    sell(market, rich(), "101", "1")
    owner = trader(ETH="5", USDC="1000")
    placing.accept(market, owner, new("SELL", "100", "1"))
    placing.accept(market, owner, new("BUY", "101", "1"))
    assert matching.match(market) == 2
    told = [one for one in events("balance.debited", "balance.credited") if one["userId"] == owner]
    of_both = [one for one in told[-4:] if one["asset"] == "ETH"]
    assert [(one["amount"], one["balance"], one["held"]) for one in of_both] == [
        ("1", "5", "0")
    ] * 2


def test_the_book_has_a_new_version_whenever_it_changed(market: Market) -> None:
    order = buy(market, rich(), "100", "1")
    orders.cancel(market, order.owner_id, order_id=order.pk)
    assert BookVersion.objects.get().version == 2


def test_balances_cannot_be_written_but_by_entries(market: Market) -> None:
    rich()
    with pytest.raises(Exception, match="permission denied"):
        Account.objects.update(balance=D(1))


def test_what_a_batch_frees_is_told_once_an_order_with_its_reason(market: Market) -> None:
    sell(market, rich(), "100", "1")
    owner = trader(USDC="1000")
    order = buy(market, owner, "100", "2", time_in_force=TimeInForce.IOC)
    assert order.status == "EXPIRED"
    told = [fact for fact in events("balance.unlocked") if fact["userId"] == owner]
    assert [(fact["orderId"], fact["amount"], fact["reason"]) for fact in told] == [
        (order.pk, "100.1", "unfilled")
    ]


def test_a_maker_that_its_owners_other_order_cut_is_told(market: Market) -> None:
    owner = rich()
    maker = sell(market, owner, "100", "3")
    buy(market, owner, "100", "1", self_trade=SelfTrade.DECREMENT)
    told = events("order.partially_filled")
    assert [(fact["orderId"], fact["preventedQuantity"]) for fact in told] == [(maker.pk, "1")]
