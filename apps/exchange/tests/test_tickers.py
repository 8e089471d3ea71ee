"""The rolling 24 hours, exact to the microsecond."""

import logging
import random
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from apps.exchange import candles, tickers, watch
from apps.exchange.models import Market, MarketStatus, Ticker
from apps.exchange.tests.factory import at, market, open_since, trade, traded, traded_all
from apps.exchange.trades import Executed
from moonx.core import clock, locks, valkey
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

STOP = at("2026-11-23 12:34:56.789012")
EDGE = STOP - timedelta(hours=24)
TINY = timedelta(microseconds=1)


def halted(stop: datetime = STOP) -> Market:
    """A market whose window stands still, so that a test can choose its end."""
    where = market(status=MarketStatus.HALT)
    where.halted_at = stop
    where.save()
    return where


def updated(where: Market) -> Ticker:
    tickers.update()
    return Ticker.objects.select_related("market__base").get(market=where)


def test_a_trade_at_the_edge_is_outside_and_one_at_the_end_inside() -> None:
    where = halted()
    traded(
        where,
        trade(1, EDGE, "1.00"),
        trade(2, EDGE + TINY, "2.00"),
        trade(3, STOP, "3.00"),
        trade(4, STOP + TINY, "4.00"),
    )
    row = updated(where)
    assert (row.previous_close, row.open, row.last, row.trade_count) == (1, 2, 3, 2)
    assert (row.high, row.low, row.first_id, row.last_id) == (3, 2, 2, 3)
    assert row.close_time - row.open_time == timedelta(hours=24)


def test_an_emptied_window_stands_flat_at_the_last_price_without_ids() -> None:
    where = halted()
    traded(where, trade(1, EDGE - timedelta(days=3), "7.00", "5"))
    row = updated(where)
    assert {row.open, row.high, row.low, row.last, row.previous_close} == {Decimal(7)}
    assert (row.base_volume, row.quote_volume, row.trade_count) == (0, 0, 0)
    assert (row.first_id, row.last_id) == (None, None)
    assert watch.changes(row) == ("0.00", "0.000")
    assert watch.weighted_average(row) is None


def test_a_market_that_never_traded_has_no_price_rather_than_zero() -> None:
    where = market()
    row = updated(where)
    assert {row.open, row.high, row.low, row.last, row.previous_close} == {None}
    data = watch.ticker_data(row)
    assert (data["last"], data["change"], data["baseVolume"]) == (None, None, "0")


def test_the_first_trade_of_a_market_is_open_and_last_without_a_previous_close() -> None:
    where = halted()
    traded(where, trade(1, STOP - timedelta(hours=1), "7.00", "5"))
    row = updated(where)
    assert (row.open, row.last, row.last_quantity, row.previous_close) == (7, 7, 5, None)


def test_the_quote_volume_is_the_exact_sum_and_the_average_its_quotient() -> None:
    where = halted()
    traded(
        where,
        trade(1, STOP - timedelta(hours=2), "1.11", "3"),
        trade(2, STOP - timedelta(hours=1), "2.22", "5"),
    )
    row = updated(where)
    assert row.quote_volume == Decimal("14.43")
    assert watch.weighted_average(row) == "1.80"
    assert watch.changes(row) == ("1.11", "100.000")


@pytest.mark.parametrize("behind_h", [0, 1, 30])
def test_tickers_equal_brute_force_however_far_bars_were_closed(behind_h: int) -> None:
    open_since(EDGE - timedelta(days=2))
    where = halted()
    rng = random.Random(behind_h)  # noqa: S311
    start = EDGE - timedelta(hours=6)
    rows = traded_all(
        where,
        [
            trade(
                seq,
                start + timedelta(microseconds=micro),
                f"{rng.randrange(90, 110)}.00",
                str(rng.randrange(1, 9)),
            )
            for seq, micro in enumerate(
                sorted(rng.randrange(30 * 3_600_000_000) for _ in range(700)), start=1
            )
        ],
    )
    with transaction.atomic():
        locks.hold(Lock.CANDLE_FOLD)
        until = Interval.H1.floor(STOP) - timedelta(hours=behind_h)
        candles.close_until(Interval.H1, until=until)
    row = updated(where)
    assert shown(row) == brute(rows)


def shown(row: Ticker) -> tuple[object, ...]:
    return (
        row.previous_close,
        row.open,
        row.high,
        row.low,
        row.last,
        row.last_quantity,
        row.base_volume,
        row.quote_volume,
        row.trade_count,
        row.first_id,
        row.last_id,
    )


def brute(rows: list[Executed]) -> tuple[object, ...]:
    inside = [row for row in rows if EDGE < row.executed_at <= STOP]
    before = [row for row in rows if row.executed_at <= EDGE]
    prices = [row.price for row in inside]
    return (
        before[-1].price,
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        inside[-1].quantity,
        sum(row.quantity for row in inside),
        sum(row.quote_quantity for row in inside),
        len(inside),
        inside[0].first_id,
        inside[-1].last_id,
    )


def test_a_recorded_market_shows_the_last_day_of_its_record() -> None:
    end = at("2019-10-12 00:00")
    where = market(status=MarketStatus.BREAK, recorded_until=end)
    traded(where, trade(1, end - timedelta(hours=1), "5.00"))
    row = updated(where)
    assert (row.close_time, row.last, row.trade_count) == (end, 5, 1)


def test_a_live_window_ends_at_the_database_clock() -> None:
    where = market()
    now = clock.db_now()
    traded(where, trade(1, now - timedelta(hours=25), "1.00"), trade(2, now, "2.00"))
    row = updated(where)
    assert row.close_time >= now
    assert (row.previous_close, row.open, row.last) == (1, 2, 2)


def test_the_version_rises_only_when_a_public_field_changes() -> None:
    where = halted()
    traded(where, trade(1, STOP - timedelta(hours=1), "5.00"))
    assert [updated(where).version for _ in range(3)] == [1, 1, 1]
    traded(where, trade(2, STOP - timedelta(minutes=1), "6.00"))
    assert updated(where).version == 2


def test_debug_says_each_ticker(caplog: pytest.LogCaptureFixture) -> None:
    market()
    tickers.update()
    with caplog.at_level(logging.DEBUG):
        tickers.push(now=clock.db_now())
    lines = [str(row.msg) for row in caplog.records if "updated a ticker" in str(row.msg)]
    assert len(lines) == 1
    assert "XRPETH" in lines[0]


def test_only_changed_tickers_are_pushed_and_lost_ones_again() -> None:
    first, second = halted(), market("BTCUSD")
    tickers.update()
    now = clock.db_now()
    assert tickers.push(now=now) == 2
    assert tickers.push(now=now) == 0
    traded(first, trade(1, STOP - timedelta(hours=1), "5.00"))
    tickers.update()
    assert tickers.push(now=now) == 1
    valkey.client().delete(valkey.key(f"state:ticker:{second.symbol}"))
    assert tickers.push(now=now) == 1
