"""Rules of tickers and bars that hold across the rows, the reading and what is pushed."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from apps.exchange import candles, klines, markets, tickers, trades, watch
from apps.exchange.bars import flat
from apps.exchange.klines import Wish
from apps.exchange.models import Candle, Market, MarketStatus, Ticker, TradeSource
from apps.exchange.tests import trading
from apps.exchange.tests.factory import at, market, open_since, trade, traded
from apps.exchange.tests.faults import as_owner
from apps.exchange.tests.trading import buy, events, rich, sell
from apps.exchange.trades import NewTrade
from moonx.core import clock, locks, valkey
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def ticker(where: Market) -> Ticker:
    tickers.update()
    return Ticker.objects.select_related("market__base").get(market=where)


def still(until: datetime, *rows: trades.Executed) -> Market:
    """A market whose window ends at `until`."""
    where = market(status=MarketStatus.BREAK, recorded_until=until)
    traded(where, *rows)
    return where


def close(until: datetime) -> None:
    for interval in Interval:
        with transaction.atomic():
            locks.hold(Lock.CANDLE_FOLD)
            candles.close_until(interval, until=interval.floor(until))


def bars(where: Market, interval: Interval, *, now: datetime, limit: int = 500) -> list[Any]:
    return klines.read(where, interval, Wish(limit=limit), now=now)


# Tickers


def test_all_markets_share_one_moment_that_is_read_once() -> None:
    pairs = [market("XRPETH"), market("ADAETH"), market("BTCUSD")]
    tickers.update()
    assert len(set(Ticker.objects.values_list("open_time", "close_time", "as_of"))) == 1
    assert Ticker.objects.count() == len(pairs)


def test_the_open_is_the_first_trade_inside_and_not_the_previous_close() -> None:
    noon = at("2026-11-23 12:00")
    where = still(
        noon,
        trade(1, noon - timedelta(hours=30), "7.00"),
        trade(2, noon - timedelta(hours=20), "9.00"),
    )
    row = ticker(where)
    assert (row.previous_close, row.open) == (7, 9)


@pytest.mark.parametrize(
    ("opened", "last", "change", "percent"),
    [
        ("3.00", "2.99", "-0.01", "-0.333"),
        ("8.00", "8.01", "0.01", "0.125"),
        ("1.60", "1.61", "0.01", "0.625"),
        ("16.00", "16.01", "0.01", "0.063"),  # 0.0625, half up
        ("5.00", "5.00", "0.00", "0.000"),
    ],
)
def test_the_change_is_exact_and_its_percent_is_rounded_half_up_for_display_only(
    opened: str, last: str, change: str, percent: str
) -> None:
    noon = at("2026-11-23 12:00")
    where = still(
        noon,
        trade(1, noon - timedelta(hours=2), opened),
        trade(2, noon - timedelta(hours=1), last),
    )
    assert watch.changes(ticker(where)) == (change, percent)


def test_a_matched_trade_counts_once_although_two_sides_have_a_fill_of_it() -> None:
    where = trading.market()
    sell(where, rich(), "2000", "2")
    buy(where, rich(), "2000", "2")
    row = ticker(where)
    assert (row.trade_count, row.base_volume, row.quote_volume) == (1, 2, 4000)


def test_the_quote_volume_is_not_the_last_price_times_the_volume() -> None:
    noon = at("2026-11-23 12:00")
    where = still(
        noon,
        trade(1, noon - timedelta(hours=2), "10.01", "3"),
        trade(2, noon - timedelta(hours=1), "20.00", "1"),
    )
    row = ticker(where)
    assert row.quote_volume == Decimal("50.03")
    assert watch.weighted_average(row) == "12.51"  # 12.5075, half up to the tick


def test_a_trade_that_commits_late_is_in_the_next_run_by_its_own_time() -> None:
    noon = at("2026-11-23 12:00")
    where = still(noon, trade(1, noon - timedelta(hours=1), "5.00"))
    assert ticker(where).high == 5
    traded(where, trade(2, noon - timedelta(hours=20), "9.00"))
    row = ticker(where)
    assert (row.high, row.open, row.last, row.trade_count) == (9, 5, 9, 2)  # by sequence


def test_a_halted_market_keeps_its_last_ticker_and_says_that_it_is_halted() -> None:
    where = market()
    new = NewTrade(price=Decimal(5), quantity=Decimal(1), is_buyer_maker=False)
    trades.record(where, [new], source=TradeSource.REPLAYED)
    before = ticker(where)
    markets.halt(where, reason="odd prices", by="ops")
    for _ in range(2):
        row = ticker(where)
    assert (row.last, row.trade_count) == (before.last, before.trade_count)
    data = watch.ticker_data(Ticker.objects.select_related("market").get(market=where))
    assert (data["status"], data["last"]) == ("HALT", "5.00")


def test_each_market_counts_its_own_tickers_on_its_own_channel() -> None:
    one, other = market("XRPETH"), market("ADAETH")
    tickers.update()
    tickers.push(now=clock.db_now())
    new = NewTrade(price=Decimal(5), quantity=Decimal(1), is_buyer_maker=False)
    trades.record(one, [new], source=TradeSource.REPLAYED)
    tickers.update()
    assert tickers.push(now=clock.db_now()) == 1
    counts = valkey.client().hmget(
        valkey.key("seq"), [f"ticker:{one.symbol}", f"ticker:{other.symbol}"]
    )
    assert [int(count or 0) for count in counts] == [2, 1]


def test_cached_tickers_say_as_of_when_they_are_right() -> None:
    where = market()
    row = ticker(where)
    data = watch.ticker_data(Ticker.objects.select_related("market").get(market=where))
    assert data["asOf"] == data["closeTime"]
    assert row.as_of == row.close_time


# Bars


def test_a_bar_ends_a_millisecond_before_the_next_one_starts() -> None:
    where = market()
    for interval in Interval:
        start = interval.floor(at("2026-02-10 10:10"))
        told = candles.described(where, interval, flat(open_time=start, price=Decimal(1)))
        assert told["close_time"] + timedelta(milliseconds=1) == interval.shift(start, 1)


def test_a_bar_opens_with_its_first_trade_and_not_with_the_close_before_it() -> None:
    open_since("2026-11-23 12:00")
    where = market()
    traded(
        where,
        trade(1, "2026-11-23 12:00:30", "10.00"),
        trade(2, "2026-11-23 12:01:30", "12.00"),
    )
    assert [bar.open for bar in bars(where, Interval.M1, now=at("2026-11-23 12:01:40"))] == [10, 12]


def test_an_empty_bar_is_shown_flat_and_not_stored() -> None:
    open_since("2026-11-23 12:00")
    where = market()
    traded(
        where,
        trade(1, "2026-11-23 12:00:30", "10.00"),
        trade(2, "2026-11-23 12:03:30", "12.00"),
    )
    close(at("2026-11-23 12:05"))
    shown = bars(where, Interval.M1, now=at("2026-11-23 12:03:59"))
    assert [(bar.close, bar.trade_count) for bar in shown] == [(10, 1), (10, 0), (10, 0), (12, 1)]
    assert Candle.objects.filter(interval="1m").count() == 2
    span = {"start": at("2026-11-23 12:00"), "end": at("2026-11-23 12:04")}
    assert len(candles.between(where, Interval.M1, **span)) == 2


def test_there_is_no_bar_before_the_first_trade() -> None:
    open_since("2026-11-23 12:00")
    where = market()
    traded(where, trade(1, "2026-11-23 12:03:30", "12.00"))
    wish = Wish(start_ms=0, limit=10)
    shown = klines.read(where, Interval.M1, wish, now=at("2026-11-23 12:04:30"))
    assert [bar.open_time for bar in shown] == [at("2026-11-23 12:03"), at("2026-11-23 12:04")]


def test_the_high_of_an_hour_is_not_that_of_its_empty_minutes() -> None:
    open_since("2026-11-23 11:00")
    where = market()
    traded(
        where,
        trade(1, "2026-11-23 11:59:00", "100.00"),
        trade(2, "2026-11-23 12:30:00", "90.00"),
        trade(3, "2026-11-23 12:40:00", "95.00"),
    )
    close(at("2026-11-23 13:00"))
    bar = Candle.objects.get(interval="1h", open_time=at("2026-11-23 12:00"))
    assert (bar.open, bar.high, bar.low) == (90, 95, 90)


def test_the_first_trade_in_an_empty_bar_replaces_it_entirely() -> None:
    open_since("2026-11-23 12:00")
    where = market()
    traded(where, trade(1, "2026-11-23 12:00:30", "10.00"))
    now = at("2026-11-23 12:01:50")
    assert bars(where, Interval.M1, now=now)[-1].close == 10
    traded(where, trade(2, "2026-11-23 12:01:40", "7.00", "3"))
    bar = bars(where, Interval.M1, now=now)[-1]
    assert (bar.open, bar.high, bar.low, bar.close, bar.base_volume) == (7, 7, 7, 7, 3)


def test_a_week_starts_on_monday_also_across_a_new_year() -> None:
    open_since("2026-12-28 00:00")
    where = market()
    traded(
        where,
        trade(1, "2026-12-27 23:59:59.999999", "1.00"),
        trade(2, "2026-12-28 00:00", "2.00"),
        trade(3, "2027-01-01 12:00", "3.00"),
        trade(4, "2027-01-03 23:59:59.999999", "4.00"),
        trade(5, "2027-01-04 00:00", "5.00"),
    )
    found = bars(where, Interval.W1, now=at("2027-01-04 00:00:01"))
    assert [(bar.open_time, bar.trade_count) for bar in found] == [
        (at("2026-12-21 00:00"), 1),
        (at("2026-12-28 00:00"), 3),
        (at("2027-01-04 00:00"), 1),
    ]


def test_a_month_is_the_calendars_and_made_of_days_not_of_weeks() -> None:
    assert Interval.MONTH.child is Interval.D1
    open_since("2026-02-01 00:00")
    where = market()
    traded(
        where,
        trade(1, "2026-02-28 23:59:59.999999", "1.00"),  # a Saturday: its week ends in March
        trade(2, "2026-03-01 00:00", "2.00"),
    )
    close(at("2026-04-01 00:00"))
    rows = Candle.objects.filter(interval="1M").order_by("open_time")
    assert [(row.open_time, row.trade_count) for row in rows] == [
        (at("2026-02-01 00:00"), 1),
        (at("2026-03-01 00:00"), 1),
    ]


def test_four_hours_start_at_the_same_hours_of_utc_all_year() -> None:
    starts = {Interval.H4.floor(at(f"2026-{month:02}-29 13:00")).hour for month in range(3, 12)}
    assert starts == {12}


def test_the_bar_in_progress_is_served_as_not_closed_and_final_once_its_time_is_over() -> None:
    where = market()
    new = NewTrade(price=Decimal(5), quantity=Decimal(1), is_buyer_maker=False)
    [done] = trades.record(where, [new], source=TradeSource.REPLAYED)
    frame = valkey.client().hget(valkey.key("state:candles:XRPETH:1m"), "frame")
    assert frame is not None
    assert b'"closed":false' in frame
    assert not events("candle.closed")
    minute = Interval.M1.floor(done.executed_at)
    with transaction.atomic():
        locks.hold(Lock.CANDLE_FOLD)
        candles.close_until(Interval.M1, until=Interval.M1.shift(minute, 1))
    assert [row["closed"] for row in events("candle.closed")] == [True]


def test_a_late_trade_changes_its_bar_in_all_intervals_and_the_ticker() -> None:
    open_since("2026-11-01 00:00")
    where = still(at("2026-11-23 12:30"), trade(1, "2026-11-23 12:00:30", "10.00"))
    close(at("2026-12-01 00:00"))
    assert ticker(where).high == 10
    traded(where, trade(2, "2026-11-23 12:00:40", "99.00"))
    assert set(Candle.objects.values_list("high", "revision")) == {(99, 1)}
    assert Candle.objects.count() == len(Interval)
    revised = [row["interval"] for row in events("candle.revised")]
    assert sorted(revised) == sorted(interval.value for interval in Interval)
    assert ticker(where).high == 99


def test_the_databases_default_time_zone_changes_nothing() -> None:
    rows = [
        trade(seq, at("2026-03-28 22:10") + timedelta(hours=3 * seq, minutes=7), f"{seq}.00")
        for seq in range(1, 12)
    ]
    found = [made_of(rows, "XRPETH")]
    name = connection.settings_dict["NAME"]
    as_owner(f"ALTER DATABASE {name} SET timezone TO 'America/St_Johns'")
    connection.close()
    try:
        found.append(made_of(rows, "ADAETH"))
    finally:
        as_owner(f"ALTER DATABASE {name} RESET timezone")
        connection.close()
    assert found[0] == found[1]


def made_of(rows: list[trades.Executed], symbol: str) -> tuple[Any, ...]:
    """The bars and the ticker of these trades in a market of that name."""
    open_since("2026-03-28 00:00")
    where = market(symbol, status=MarketStatus.BREAK, recorded_until=at("2026-03-30 12:00"))
    traded(where, *rows)
    close(at("2026-04-01 00:00"))
    row = ticker(where)
    stored = Candle.objects.filter(market=where).order_by("interval", "open_time")
    names = ["interval", "open_time", *candles.FIELDS.split(", ")[1:]]
    return list(stored.values_list(*names)), row.open, row.last, row.high, row.trade_count
