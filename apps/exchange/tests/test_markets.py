"""Markets change under their trades."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError

from apps.exchange import markets, tickers
from apps.exchange.models import MarketStatus, Ticker
from apps.exchange.tests.factory import asset, at, market, trade, traded
from moonx.core import clock

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
    tickers.update()
    assert Ticker.objects.get(market=where).close_time == NOON
    assert tickers.push(now=clock.db_now()) == 1
    where.status = MarketStatus.TRADING
    markets.save(where, now=NOON)
    assert where.halted_at is None
