"""Trades in the admin: taken back and corrected by those who may, with a reason."""

from typing import Any

import pytest
from django.test import Client

from apps.exchange.models import Amendment, Fill, Market, Trade
from apps.exchange.tests import trading
from apps.exchange.tests.office import WHY, body, page, said, traded

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


@pytest.fixture
def market(committed_db: None) -> Market:
    return trading.market()


def trade_of(market: Market) -> Trade:
    traded(market)
    return Trade.objects.get()


def test_a_bust_needs_a_reason_and_leads_to_what_was_done(staff: Client, market: Market) -> None:
    trade = trade_of(market)
    assert "Bust trade" in body(staff, page(trade))
    staff.post(page(trade, tail="bust"), {"_form_submitted": "True"})
    assert Trade.objects.exists()
    answer = staff.post(page(trade, tail="bust"), WHY)
    amendment = Amendment.objects.get()
    assert answer.url == page(amendment)  # type: ignore[attr-defined]
    assert (amendment.reason, amendment.by) == ("a customer asked for it", "ops")
    assert not Trade.objects.exists()
    assert "Busted trade 1 of ETHUSDC." in said(staff, "/admin/exchange/amendment/")
    assert "reversal" in body(staff, page(amendment))


def test_a_correction_changes_what_was_filled_in_and_keeps_the_rest(
    staff: Client, market: Market
) -> None:
    trade = trade_of(market)
    staff.post(page(trade, tail="correct"), {**WHY, "price": "2990"})
    trade.refresh_from_db()
    assert (trade.price, trade.quantity) == (2990, 1)
    text = body(staff, page(trade))
    assert "Corrections" in text
    assert "a customer asked for it" in text


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ({"price": "2990.001"}, ": price 2990.001 is no multiple of 0.01."),
        ({"quantity": "2"}, " was matched: its quantity is its orders'. Bust it instead."),
        ({}, " stands at these values already."),
    ],
)
def test_a_correction_that_cannot_be_says_why(
    staff: Client, market: Market, form: dict[str, Any], answer: str
) -> None:
    trade = trade_of(market)
    staff.post(page(trade, tail="correct"), {**WHY, **form})
    told = said(staff, "/admin/exchange/trade/")
    assert told == f"Nothing was changed. Trade 1 of ETHUSDC{answer}"
    assert not Amendment.objects.exists()


def test_a_side_that_has_spent_its_part_is_named_unless_the_house_covers_it(
    staff: Client, market: Market
) -> None:
    trade = trade_of(market)
    taker = Fill.objects.get(is_maker=False).owner_id
    trading.sell(market, taker, "5000", "1001")
    staff.post(page(trade, tail="bust"), WHY)
    assert "must give back 1 ETH and has 0 free" in said(staff, "/admin/exchange/trade/")
    staff.post(page(trade, tail="bust"), {**WHY, "covers": "on"})
    assert not Trade.objects.exists()


def test_a_trade_that_is_gone_is_said_so(staff: Client, market: Market) -> None:
    trade = trade_of(market)
    for _ in range(2):
        staff.post(page(trade, tail="bust"), WHY)
    assert Amendment.objects.count() == 1


def test_who_may_only_look_busts_nothing(reader: Client, market: Market) -> None:
    trade = trade_of(market)
    assert "Bust trade" not in body(reader, page(trade))
    for tail in ("bust", "correct"):
        assert reader.post(page(trade, tail=tail), WHY).status_code == 403
    assert not Amendment.objects.exists()
