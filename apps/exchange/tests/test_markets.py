"""Markets change under their trades."""

import os
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.core.exceptions import ValidationError

from apps.exchange import markets, orders, tickers
from apps.exchange.markets import MarketUnchanged
from apps.exchange.models import Market, MarketStatus, OrderStatus, Ticker
from apps.exchange.orders import MarketClosed
from apps.exchange.tests import trading
from apps.exchange.tests.factory import asset, at, market, trade, traded
from moonx.core import clock, push
from moonx.core.locks import Lock, LockBusy

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

NOON = at("2026-11-23 12:00")


@pytest.mark.parametrize(("field", "coarser"), [("tick_size", "0.1"), ("step_size", "3")])
def test_increments_that_standing_trades_do_not_fit_are_refused(field: str, coarser: str) -> None:
    where = market(tick="0.01", step="1")
    traded(where, trade(1, NOON, "5.01"))
    setattr(where, field, Decimal(coarser))
    with pytest.raises(ValidationError, match="only finer steps fit") as refused:
        where.full_clean()
    assert field in refused.value.message_dict
    setattr(where, field, Decimal("0.001"))
    where.full_clean()


def test_increments_may_change_while_nothing_has_traded() -> None:
    where = market(tick="0.01", step="1")
    where.tick_size = Decimal("0.1")
    where.full_clean()


def test_increments_that_the_quote_asset_cannot_hold_are_refused() -> None:
    asset("ETH", decimals=2)
    where = market(tick="0.01", step="0.1")
    with pytest.raises(ValidationError, match="needs 3 decimals, ETH has 2"):
        where.full_clean()


def test_a_market_that_stops_keeps_its_moment_and_shows_it_to_subscribers() -> None:
    where = market()
    tickers.update()
    tickers.push(now=clock.db_now())
    where.status = MarketStatus.HALT
    markets.save(where, now=NOON)
    markets.save(where, now=NOON + timedelta(hours=1))
    pushed = push.pushed_versions(["ticker:XRPETH"])
    ticker = Ticker.objects.get(market=where)
    assert pushed["ticker:XRPETH"] == ticker.version, "at once, without the next update"
    tickers.update()
    ticker.refresh_from_db()
    assert ticker.close_time == NOON
    where.status = MarketStatus.TRADING
    markets.save(where, now=NOON)
    assert where.halted_at is None


def test_increments_that_standing_orders_do_not_fit_are_refused() -> None:
    where = trading.market()
    trading.buy(where, trading.rich(), "2000.01", "1")
    where.tick_size = Decimal("0.1")
    with pytest.raises(ValidationError, match="only finer steps fit"):
        where.full_clean()


def test_a_halted_market_takes_no_order_and_its_orders_can_be_canceled() -> None:
    where, owner = trading.market(), trading.rich()
    order = trading.buy(where, owner, "2000", "1")
    halted = markets.halt(where, reason="odd prices", by="ops")
    assert (halted.status, halted.halt_reason) == (MarketStatus.HALT, "odd prices")
    with pytest.raises(MarketClosed):
        trading.sell(where, trading.rich(), "2000", "1")
    order.refresh_from_db()
    assert order.status == OrderStatus.NEW
    assert orders.cancel(where, owner, order_id=order.pk).status == OrderStatus.CANCELED


def test_a_resumed_market_fills_what_stood_in_its_book() -> None:
    where = trading.market()
    order = trading.buy(where, trading.rich(), "2000", "1")
    markets.halt(where, reason="x", by="ops")
    resumed = markets.resume(where, reason="x", by="ops")
    assert (resumed.status, resumed.halted_at, resumed.halt_reason) == ("TRADING", None, "")
    trading.sell(where, trading.rich(), "2000", "1")
    order.refresh_from_db()
    assert order.status == OrderStatus.FILLED


def test_an_edit_that_began_before_a_halt_does_not_lift_it() -> None:
    where = trading.market()
    markets.halt(Market.objects.get(pk=where.pk), reason="odd prices", by="ops")
    where.label = "quiet"
    markets.save(where, now=NOON, edited=["label"])
    where.refresh_from_db()
    assert (where.label, where.status, where.halt_reason) == ("quiet", "HALT", "odd prices")


def test_a_market_that_fills_again_first_takes_only_orders_that_rest() -> None:
    where = trading.market()
    trading.buy(where, trading.rich(), "2000", "1")
    markets.halt(where, reason="x", by="ops")
    assert markets.resume(where, reason="x", by="ops", post_only=True).status == "POST_ONLY"
    assert trading.sell(where, trading.rich(), "2001", "1").status == OrderStatus.NEW
    assert trading.sell(where, trading.rich(), "2000", "1").status == OrderStatus.REJECTED
    assert markets.resume(where, reason="x", by="ops").status == "TRADING"


def test_what_is_over_or_trades_already_is_neither_halted_nor_resumed() -> None:
    over = market(status=MarketStatus.BREAK)
    for change in (markets.halt, markets.resume):
        with pytest.raises(MarketUnchanged, match="BREAK"):
            change(over, reason="x", by="ops")
    live = trading.market()
    with pytest.raises(MarketUnchanged, match="TRADING"):
        markets.resume(live, reason="x", by="ops")


def test_a_halt_waits_for_the_match_under_way() -> None:
    where = trading.market()
    with psycopg.connect(os.environ["DATABASE_URL"]) as matching:
        matching.execute("SELECT pg_advisory_xact_lock(%s, %s)", [Lock.MARKET.value, where.pk])
        with pytest.raises(LockBusy):
            markets.halt(where, reason="x", by="ops")
    where.refresh_from_db()
    assert where.status == MarketStatus.TRADING
