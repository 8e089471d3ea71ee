"""Orders against the real database: holds, fills, fees, ends, and what is refused."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from apps.exchange import matching, orders
from apps.exchange.models import (
    Account,
    BookVersion,
    Candle,
    Entry,
    FeeTier,
    Fill,
    House,
    Journal,
    Market,
    MarketStatus,
    Order,
    OrderType,
    Reason,
    SelfTrade,
    TimeInForce,
    Trade,
    Trader,
)
from apps.exchange.orders import (
    DuplicateOrder,
    ExpiryPassed,
    Filter,
    FilterFailed,
    Frozen,
    InsufficientBalance,
    MalformedOrder,
    MarketClosed,
    UnknownOrder,
)
from apps.exchange.tests import trading
from apps.exchange.tests.trading import buy, funds, new, rich, sell, trader
from moonx.core import clock, logs
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def market() -> Market:
    return trading.market()


def events(*names: str) -> list[dict[str, Any]]:
    rows = OutboxEvent.objects.order_by("id")
    return [row.payload for row in rows if row.name in names]


def names() -> list[str]:
    return list(OutboxEvent.objects.order_by("id").values_list("name", flat=True))


# Placing


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


# Filling


def test_a_trade_settles_between_the_two_and_the_house(market: Market) -> None:
    seller, buyer = trader(ETH="5"), trader(USDC="1000")
    sell(market, seller, "100", "2")
    order = buy(market, buyer, "101", "2")
    assert (order.status, order.fee, order.held) == ("FILLED", D("0.2"), 0)
    assert funds(buyer, "ETH") == (D(2), 0)
    assert funds(buyer, "USDC") == (D(1000) - D("200.2"), 0)
    assert funds(seller, "USDC") == (D("199.9"), 0)
    assert funds(seller, "ETH") == (D(3), 0)
    fees = Entry.objects.get(account__house=House.FEES)
    assert fees.amount == D("0.3")


def test_a_trade_has_its_rows_and_each_of_them_once(market: Market) -> None:
    sell(market, rich(), "100", "2")
    buy(market, rich(), "100", "2")
    trade = Trade.objects.get()
    assert (trade.price, trade.quantity, trade.is_buyer_maker) == (100, 2, False)
    assert Fill.objects.filter(market=market, seq=trade.seq).count() == 2
    journal = Journal.objects.get(kind="trade")
    assert journal.source == f"ETHUSDC:{trade.seq}"
    assert Candle.objects.get(interval="1m").base_volume == 2
    totals = Entry.objects.values_list("asset_id", "amount")
    assert {asset: sum(a for one, a in totals if one == asset) for asset, _ in totals} == {
        market.base_id: 0,
        market.quote_id: 0,
    }


def test_the_residual_of_a_partly_filled_order_is_exact() -> None:
    """3 at 10.01, taker 0.1 %, maker 0.05 %, 8 decimals; one is filled as maker at 10.00."""
    market = trading.market(
        "ABCDUSDX",
        base=trading.asset("ABCD", decimals=8),
        quote=trading.asset("USDX", decimals=8),
        step_size=D(1),
    )
    buyer, seller = trader(USDX="100"), trader(ABCD="10")
    order = buy(market, buyer, "10.01", "3", **gtd(hours=1))
    assert order.hold == D("30.06003")
    Order.objects.filter(pk=order.pk).update(price=D("10.00"))  # as if the maker had improved it
    sell(market, seller, "10.00", "1")
    Order.objects.filter(pk=order.pk).update(price=D("10.01"), held=D("20.04002"))
    connection.cursor().execute(
        "UPDATE exchange_account SET held = 20.04002 WHERE owner_id = %s AND held > 0", [buyer]
    )
    expire(order)
    assert orders.expire_due().expired == 1
    order.refresh_from_db()
    assert (order.status, order.filled_quantity, order.fee) == ("EXPIRED", 1, D("0.005"))
    assert events("balance.unlocked")[-1]["amount"] == "20.04002"
    assert funds(buyer, "USDX") == (D(100) - D("10.005"), 0)


def test_fees_are_rounded_up_once_an_order_and_not_once_a_fill(market: Market) -> None:
    owner = rich()
    for _ in range(3):
        sell(market, rich(), "0.01", "0.0001")
    order = buy(market, owner, "0.01", "0.0003")
    assert (order.status, order.filled_quote, order.fee) == ("FILLED", D("0.000003"), D("0.000001"))
    assert sum(fill.fee for fill in order.fills.all()) == order.fee


def test_an_order_keeps_the_fees_of_its_placing(market: Market) -> None:
    maker, tier = (
        rich(),
        FeeTier.objects.create(name="gold", maker_fee_bps=D(1), taker_fee_bps=D(2)),
    )
    sell(market, maker, "100", "1")
    Trader.objects.create(user_id=maker, fee_tier=tier)
    taker = rich()
    Trader.objects.create(user_id=taker, fee_tier=tier)
    assert buy(market, taker, "100", "1").fee == D("0.02")
    assert Order.objects.get(owner_id=maker).fee == D("0.05")


def test_a_market_buy_takes_prices_up_to_its_collar(market: Market) -> None:
    for price in ("100", "105", "105.01"):
        sell(market, rich(), price, "1")
    order = buy(market, rich(), None, "3")
    assert (order.status, order.filled_quantity, order.price) == ("EXPIRED", 2, 105)


def test_a_market_order_on_an_empty_book_expires(market: Market) -> None:
    order = buy(market, trader(USDC="1"), None, "3")
    assert (order.status, order.filled_quantity, order.hold) == ("EXPIRED", 0, 0)


def test_a_market_buy_by_amount_spends_at_most_the_amount(market: Market) -> None:
    sell(market, rich(), "100", "5")
    owner = trader(USDC="150")
    order = buy(market, owner, None, None, quote_order_quantity=D(150))
    assert (order.status, order.filled_quantity) == ("FILLED", D("1.4985"))
    left, held = funds(owner, "USDC")
    assert (held, left < D("0.11")) == (0, True)


def test_a_market_sell_by_amount_brings_at_most_the_amount(market: Market) -> None:
    buy(market, rich(), "100", "5")
    owner = trader(ETH="2")
    order = sell(market, owner, None, None, quote_order_quantity=D(150))
    assert (order.status, order.filled_quote) == ("FILLED", 150)
    assert funds(owner, "ETH") == (D("0.5"), 0)


def test_a_post_only_order_that_would_take_leaves_a_row_and_no_hold(market: Market) -> None:
    sell(market, rich(), "100", "1")
    owner = rich()
    order = buy(market, owner, "100", "1", type=OrderType.LIMIT_MAKER)
    assert (order.status, order.reason, order.held) == ("REJECTED", "wouldTake", 0)
    assert funds(owner, "USDC")[1] == 0
    assert names()[-2:] == ["order.rejected", "balance.unlocked"]


def test_a_stop_waits_and_enters_when_the_price_is_reached(market: Market) -> None:
    owner = rich()
    waiting = buy(market, owner, "111", "1", type=OrderType.STOP_LOSS_LIMIT, stop_price=D(110))
    assert (waiting.stage, waiting.status, waiting.working_at) == ("stopped", "NEW", None)
    sell(market, rich(), "110", "1")
    sell(market, rich(), "111", "1")
    buy(market, rich(), "110", "1")
    waiting.refresh_from_db()
    assert (waiting.status, waiting.filled_quote) == ("FILLED", 111)


@pytest.mark.parametrize("mode", list(SelfTrade))
def test_nobody_trades_with_himself(market: Market, mode: SelfTrade) -> None:
    owner = rich()
    sell(market, owner, "100", "1")
    buy(market, owner, "100", "2", self_trade=mode)
    assert not Trade.objects.exists()
    held = sum(order.held for order in Order.objects.filter(side="BUY"))
    assert funds(owner, "USDC")[1] == held


# Ending


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


def gtd(**ahead: float) -> dict[str, Any]:
    moment = clock.db_now() + timedelta(**ahead)
    return {"time_in_force": TimeInForce.GTD, "expires_at": moment}


def expire(*gone: Order) -> None:
    """Lets their time be over."""
    past = clock.db_now() - timedelta(microseconds=1)
    Order.objects.filter(pk__in=[order.pk for order in gone]).update(expires_at=past)


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


# Freezing


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


# Waiting, telling


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


def test_the_book_has_a_new_version_whenever_it_changed(market: Market) -> None:
    order = buy(market, rich(), "100", "1")
    orders.cancel(market, order.owner_id, order_id=order.pk)
    assert BookVersion.objects.get().version == 2


def test_balances_cannot_be_written_but_by_entries(market: Market) -> None:
    rich()
    with pytest.raises(Exception, match="permission denied"):
        Account.objects.update(balance=D(1))
