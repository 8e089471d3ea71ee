"""Filling against the real database: trades, fees, residuals, stops, self-trades."""

from decimal import Decimal

import pytest
from django.db import connection

from apps.exchange import orders
from apps.exchange.models import (
    Candle,
    Entry,
    FeeTier,
    Fill,
    House,
    Journal,
    Market,
    Order,
    OrderType,
    SelfTrade,
    Trade,
    Trader,
)
from apps.exchange.tests import trading
from apps.exchange.tests.trading import buy, events, expire, funds, gtd, names, rich, sell, trader

pytestmark = pytest.mark.django_db

D = Decimal


@pytest.fixture
def market() -> Market:
    return trading.market()


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


def test_an_expired_order_is_nobodys_best_price(market: Market) -> None:
    gone = sell(market, rich(), "90", "1", **gtd(hours=1))
    sell(market, rich(), "100", "1")
    expire(gone)
    assert buy(market, rich(), None, "1").status == "FILLED"
