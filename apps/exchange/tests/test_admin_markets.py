"""Markets in the admin: opened, halted and resumed, each with a reason."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from apps.exchange import markets
from apps.exchange.models import (
    Market,
    MarketStatus,
    OrderStatus,
    Ticker,
)
from apps.exchange.tests import trading
from apps.exchange.tests.office import WHY, body, page, said
from moonx.core import clock, push

pytestmark = pytest.mark.django_db


@pytest.fixture
def market() -> Market:
    return trading.market()


# Markets


def test_halting_a_market_keeps_its_orders_and_says_why(staff: Client, market: Market) -> None:
    order = trading.buy(market, trading.rich(), "2000", "1")
    assert staff.post(page(market, tail="halt"), WHY).status_code == 302
    market.refresh_from_db()
    assert market.status == MarketStatus.HALT
    assert market.halt_reason == "a customer asked for it"
    assert market.halted_at is not None
    order.refresh_from_db()
    assert order.status == OrderStatus.NEW
    assert LogEntry.objects.get().get_change_message() == "HALT: a customer asked for it"
    shown = body(staff, page(market))
    assert "Resume trading" in shown
    assert "Halt trading" not in shown


def test_resuming_lets_a_market_trade_again(staff: Client, market: Market) -> None:
    markets.halt(market, reason="x", by="ops")
    assert staff.post(page(market, tail="resume"), WHY).status_code == 302
    market.refresh_from_db()
    assert (market.status, market.halt_reason, market.halted_at) == (MarketStatus.TRADING, "", None)
    markets.halt(market, reason="x", by="ops")
    staff.post(page(market, tail="resume"), {**WHY, "post_only": "on"})
    market.refresh_from_db()
    assert market.status == MarketStatus.POST_ONLY


def test_a_market_that_does_not_trade_is_not_halted_again(staff: Client, market: Market) -> None:
    markets.halt(market, reason="the first", by="ops")
    staff.post(page(market, tail="halt"), WHY)
    assert "does not trade" in said(staff, page(market))
    market.refresh_from_db()
    assert market.halt_reason == "the first"


def test_who_may_only_look_halts_nothing(reader: Client, market: Market) -> None:
    assert "Halt trading" not in body(reader, page(market))
    for tail in ("halt", "resume"):
        assert reader.post(page(market, tail=tail), WHY).status_code == 403
    assert reader.post(page(market), {"label": "x"}).status_code == 403
    market.refresh_from_db()
    assert market.status == MarketStatus.TRADING


@pytest.mark.usefixtures("clean_valkey")
def test_subscribers_see_at_once_that_a_market_is_halted(
    market: Market, django_capture_on_commit_callbacks: Any
) -> None:
    now = clock.db_now()
    Ticker.objects.create(market=market, open_time=now, close_time=now, as_of=now, version=1)
    with django_capture_on_commit_callbacks(execute=True):
        markets.halt(market, reason="x", by="ops")
    assert push.pushed_versions(["ticker:ETHUSDC"]) == {"ticker:ETHUSDC": 2}


def opening(**changes: Any) -> dict[str, Any]:
    base, quote = trading.asset("ETH", decimals=18), trading.asset("USDC", decimals=6)
    return {
        "symbol": "ETHUSDC",
        "base": base.pk,
        "quote": quote.pk,
        "status": "TRADING",
        "label": "",
        "tick_size": "0.01",
        "step_size": "0.0001",
        "min_notional": "5",
        "max_quantity": "9000",
        "max_market_quantity": "100",
        "price_up": "5",
        "price_down": "0.2",
        "collar_bps": "500",
        "max_open_orders": "200",
    } | changes


def test_a_market_is_opened_by_a_form(staff: Client) -> None:
    assert staff.post("/admin/exchange/market/add/", opening()).status_code == 302
    market = Market.objects.get()
    assert (market.symbol, market.status) == ("ETHUSDC", MarketStatus.TRADING)
    assert market.max_market_quantity == 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": "0.00001"}, "Price × quantity needs 7 decimals, USDC has 6"),
        ({"tick_size": "0"}, "It must be above zero."),
        ({"step_size": "-1"}, "It must be above zero."),
        ({"min_notional": "-1"}, "It must be at least 0."),
        ({"price_up": "0.5"}, "It must be at least 1."),
        ({"price_down": "1.5"}, "It must be at most 1"),
        ({"price_down": "0"}, "It must be above zero."),
        ({"max_quantity": "0"}, "It must be above zero."),
        ({"collar_bps": "10000"}, "less than or equal to 9999"),
        ({"symbol": "eth/usdc"}, "Use 1 to 20 capital letters and digits."),
        ({"tick_size": "NaN"}, "Enter a number."),
    ],
)
def test_what_a_market_cannot_be_is_said_in_words(
    staff: Client, changes: dict[str, str], message: str
) -> None:
    answer = staff.post("/admin/exchange/market/add/", opening(**changes))
    assert answer.status_code == 200
    shown = answer.content.decode()
    assert message in shown
    assert "Constraint" not in shown
    assert not Market.objects.exists()


def test_a_market_of_one_asset_is_refused(staff: Client) -> None:
    form = opening()
    answer = staff.post("/admin/exchange/market/add/", form | {"quote": form["base"]})
    assert "A market trades two assets." in answer.content.decode()


def test_decimals_of_an_asset_stay_once_somebody_has_it(staff: Client, market: Market) -> None:
    address = page(market.base)
    assert 'name="decimals"' in body(staff, address)
    trading.rich()
    assert 'name="decimals"' not in body(staff, address)
