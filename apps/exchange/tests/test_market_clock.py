"""Market data while clocks and schedules fail: nothing missing, nothing twice.

A clock that was set back an hour is a database whose rows were written an hour ahead of it.
"""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test import Client

from apps.exchange import bars, candles, markets, tasks, tickers, trades, watch
from apps.exchange.candles import closing
from apps.exchange.models import Candle, CandleWatermark, Market, Ticker, Trade, TradeSource
from apps.exchange.tests.asking import get
from apps.exchange.tests.factory import market, open_since, trade, traded_all
from apps.exchange.tests.threads import at_once
from apps.exchange.trades import Executed, NewTrade
from moonx.core import clock, locks, push
from moonx.core.intervals import Interval, from_ms, to_ms
from moonx.core.locks import Lock
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
Closed = tuple[str, str, int]

RUNS = (
    *(tasks.close_candles_1m, tasks.close_candles_5m, tasks.close_candles_15m),
    *(tasks.close_candles_30m, tasks.close_candles_1h, tasks.close_candles_4h),
    *(tasks.close_candles_1d, tasks.close_candles_1w, tasks.close_candles_1mo),
)


def told(name: str = "candle.closed") -> list[Closed]:
    """Market, interval and start of the announced bars, in the order of their announcement."""
    rows = OutboxEvent.objects.filter(name=name).order_by("id")
    return list(rows.values_list("key", "payload__interval", "payload__openTime"))


def ended(interval: Interval, since: datetime) -> set[Closed]:
    """The bars that the trades make in the buckets that are closed, as they are announced."""
    until = CandleWatermark.objects.get(interval=interval.value).closed_until
    starts = {
        (row.market.symbol, interval.floor(row.executed_at))
        for row in Trade.objects.select_related("market")
        if row.executed_at >= since
    }
    return {
        (f"market:{symbol}", interval.value, round(start.timestamp() * 1000))
        for symbol, start in starts
        if start < until
    }


def assert_each_closed_once(since: datetime) -> None:
    found = told()
    assert len(found) == len(set(found))
    for interval in Interval:
        assert {one for one in found if one[1] == interval.value} == ended(interval, since)


def assert_bars_are_their_trades() -> None:
    for where in Market.objects.all():
        ticks = [
            trade(row.seq, row.executed_at, str(row.price), str(row.quantity)).tick()
            for row in Trade.objects.filter(market=where)
        ]
        for interval in Interval:
            stored = Candle.objects.filter(market=where, interval=interval.value)
            until = CandleWatermark.objects.get(interval=interval.value).closed_until
            wanted = {
                (bar.open_time, bar.open, bar.high, bar.low, bar.close, bar.trade_count)
                for bar in bars.fold(bars.of_ticks(ticks).values(), interval)
                if interval is Interval.M1 or bar.open_time < until
            }
            assert {
                (b.open_time, b.open, b.high, b.low, b.close, b.trade_count) for b in stored
            } == wanted


def each_minute(where: Market, *, start: datetime, end: datetime) -> list[Executed]:
    """A trade twenty seconds into each minute of [start, end)."""
    moments = []
    while start < end:
        moments.append(start + 20 * SECOND)
        start += MINUTE
    return traded_all(
        where, [trade(n, at, f"{n % 7 + 1}.00") for n, at in enumerate(moments, start=1)]
    )


def trade_now(where: Market, price: str = "9.00") -> Executed:
    new = NewTrade(price=Decimal(price), quantity=Decimal(1), is_buyer_maker=False)
    [executed] = trades.record(where, [new], source=TradeSource.MATCHED)
    return executed


def close_up_to(moment: datetime) -> None:
    """As the runs of all intervals did it by a clock that showed `moment`."""
    for interval in Interval:
        with transaction.atomic():
            locks.hold(Lock.CANDLE_FOLD)
            candles.close_until(interval, until=interval.floor(moment))


def run_all() -> None:
    for run in RUNS:
        run.run()


@pytest.fixture
def ahead() -> datetime:
    """What the clock showed before it was set back an hour: an exact minute and 40 seconds."""
    return Interval.M1.floor(clock.db_now()) + HOUR + 40 * SECOND


# The clock set back an hour


def test_a_clock_set_back_closes_no_bar_again_and_none_is_lost(ahead: datetime) -> None:
    since = ahead - 3 * HOUR
    open_since(since)
    busy, quiet = market(), market("BTCUSD")
    each_minute(busy, start=Interval.M1.floor(since), end=ahead)
    each_minute(quiet, start=Interval.M1.floor(since), end=since + 10 * MINUTE)
    close_up_to(ahead)
    before = told()
    run_all()
    assert told() == before
    # A market's time never runs back: the trade falls where its last one did.
    assert trade_now(busy).executed_at == Interval.M1.floor(ahead) + 20 * SECOND
    assert told("candle.revised") == []
    # Where that was before the clock's present, the bar was closed without it and is revised.
    late = trade_now(quiet)
    assert {one[0] for one in told("candle.revised")} == {"market:BTCUSD"}
    assert ("1m", round(Interval.M1.floor(late.executed_at).timestamp() * 1000)) in [
        one[1:] for one in told("candle.revised")
    ]
    assert told() == before
    close_up_to(ahead + HOUR)
    assert set(before) < set(told())
    assert len(told()) == len(set(told()))
    assert_bars_are_their_trades()


def test_a_bar_that_trades_reach_is_pushed_although_the_clock_was_set_back(ahead: datetime) -> None:
    open_since(ahead - HOUR)
    where = market()
    each_minute(where, start=Interval.M1.floor(ahead), end=ahead)
    close_up_to(ahead)
    seq = trade_now(where).seq
    topics = [f"candles:{where.symbol}:{interval}" for interval in Interval]
    assert push.pushed_versions(topics) == dict.fromkeys(topics, seq)
    [(_, shown)] = watch._candle_snapshot([where.symbol, "1m"])
    assert (from_ms(shown["openTime"]), shown["close"]) == (Interval.M1.floor(ahead), "9.00")


def test_a_ticker_stands_while_the_clock_is_set_back_and_moves_on_afterwards(
    ahead: datetime,
) -> None:
    open_since(ahead - 2 * HOUR)
    where = market()
    rows = each_minute(where, start=Interval.M1.floor(ahead - 2 * HOUR), end=ahead)
    tickers.update()
    Ticker.objects.update(as_of=ahead - 30 * SECOND)  # shown last before the newest trade
    tickers.update()
    stood = Ticker.objects.get()
    newest = rows[-1].executed_at
    assert (stood.as_of, stood.close_time) == (newest, newest)
    assert (stood.last, stood.trade_count) == (rows[-1].price, len(rows))
    tickers.update()
    again = Ticker.objects.get()
    assert (again.version, again.as_of) == (stood.version, newest)
    trade_now(where, "8.00")
    tickers.update()
    after = Ticker.objects.get()
    assert (after.last, after.trade_count, after.version) == (8, len(rows) + 1, stood.version + 1)
    set_right(since=ahead - 3 * HOUR)
    tickers.update()
    right = Ticker.objects.get()
    assert right.as_of >= newest - HOUR
    assert (right.last, right.trade_count, right.version) == (8, len(rows) + 1, after.version)


def set_right(*, since: datetime) -> None:
    """The clock shows again what it should: rows written an hour ahead lie in the past."""
    open_since(since)
    with connection.cursor() as cursor:
        for column in ("exchange_trade.executed_at", "exchange_candle.open_time"):
            table, name = column.split(".")
            cursor.execute(f"UPDATE {table} SET {name} = {name} - interval '1 hour'")  # noqa: S608
        cursor.execute("UPDATE exchange_ticker SET as_of = as_of - interval '1 hour'")


def test_a_market_halted_by_a_clock_set_back_keeps_its_last_trade(ahead: datetime) -> None:
    open_since(ahead - HOUR)
    where = market()
    rows = each_minute(where, start=Interval.M1.floor(ahead - 10 * MINUTE), end=ahead)
    halted = markets.halt(where, reason="odd", by="ops")
    assert halted.halted_at == rows[-1].executed_at
    tickers.update()
    row = Ticker.objects.get()
    assert (row.last, row.trade_count) == (rows[-1].price, len(rows))


def minute_ms(moment: datetime) -> int:
    return to_ms(Interval.M1.floor(moment))


def test_windows_hold_the_newest_trade_while_the_clock_is_set_back(ahead: datetime) -> None:
    open_since(ahead - 2 * HOUR)
    where = market()
    rows = each_minute(where, start=Interval.M1.floor(ahead - 2 * HOUR), end=ahead)
    newest, last = to_ms(rows[-1].executed_at), f"{rows[-1].price:.8f}"
    hour = get("/ticker", symbol=where.symbol, windowSize="1h")
    assert (hour["closeTime"], hour["lastPrice"], hour["count"]) == (newest, last, 61)
    assert get("/ticker/tradingDay", symbol=where.symbol)["lastPrice"] == last
    average = get("/avgPrice", symbol=where.symbol)
    mean = sum(row.price for row in rows[-5:]) / 5
    assert (average["closeTime"], Decimal(average["price"])) == (newest, mean)


def trade_then(moment: datetime) -> None:
    each_minute(market("ADAETH"), start=Interval.M1.floor(moment), end=moment)


def show_then(moment: datetime) -> None:
    tickers.update()
    Ticker.objects.update(as_of=moment)


@pytest.mark.parametrize("reach", [trade_then, show_then, close_up_to])
def test_a_quiet_market_stands_where_trades_tickers_or_bars_came_before_the_clock_was_set_back(
    ahead: datetime, reach: Callable[[datetime], None]
) -> None:
    since = Interval.M1.floor(ahead - 2 * HOUR)
    open_since(since)
    where = market()
    each_minute(where, start=since, end=since + MINUTE)
    reach(ahead)
    [[opened, *_]] = get("/klines", symbol=where.symbol, interval="1m", limit=1)
    assert opened == minute_ms(ahead)
    window = get("/ticker", symbol=where.symbol, windowSize="1m")
    assert minute_ms(from_ms(window["closeTime"])) == minute_ms(ahead)
    path = f"/udf/history?symbol={where.symbol}&resolution=1&to={10**10}&countback=1"
    assert Client().get(path).json()["t"] == [minute_ms(ahead) // 1000]


def test_a_market_halted_by_a_clock_set_back_keeps_the_bars_that_were_shown(
    ahead: datetime,
) -> None:
    since = Interval.M1.floor(ahead - HOUR)
    open_since(since)
    where = market()
    each_minute(where, start=since, end=since + MINUTE)
    close_up_to(ahead)
    shown = get("/klines", symbol=where.symbol, interval="1m")
    assert shown[-1][0] == minute_ms(ahead)
    markets.halt(where, reason="odd", by="ops")
    assert get("/klines", symbol=where.symbol, interval="1m") == shown


# Beat dead for an hour


def test_what_an_hour_without_beat_left_is_closed_once_without_a_gap() -> None:
    now = clock.db_now()
    since = Interval.M1.floor(now - 65 * MINUTE)
    open_since(since)
    for symbol in ("XRPETH", "BTCUSD"):
        each_minute(market(symbol), start=since, end=now - MINUTE)
    tasks.close_candles_1m.run()  # what beat sends first closes what every other run missed
    behind = [mark for mark in CandleWatermark.objects.all() if is_behind(mark)]
    assert behind == []
    run_all()
    assert_each_closed_once(since)
    assert_bars_are_their_trades()


def is_behind(mark: CandleWatermark) -> bool:
    interval = Interval(mark.interval)
    return mark.closed_until < interval.floor(clock.db_now() - tasks.OVERDUE)


def test_a_bar_is_announced_after_all_bars_that_it_is_made_of() -> None:
    since = Interval.D1.floor(clock.db_now()) - timedelta(days=2)
    open_since(since)
    each_minute(market(), start=since + 5 * HOUR, end=since + 9 * HOUR)
    candles.close(Interval.D1)
    assert_bars_are_their_trades()
    place = {one[1:]: n for n, one in enumerate(told())}
    assert {Interval(interval) for interval, _ in place} >= {Interval.M1, Interval.H4, Interval.D1}
    for (name, start_ms), n in place.items():
        parent = next((one for one in Interval if one.child == name), None)
        above = parent and (parent.value, round(parent.floor(from_ms(start_ms)).timestamp() * 1000))
        assert above not in place or n < place[above]


def test_a_long_outage_is_announced_in_small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "STEP", 50)
    since = Interval.D1.floor(clock.db_now()) - timedelta(days=2)
    open_since(since)
    symbols = ("XRPETH", "BTCUSD", "LTCUSD")
    for symbol in symbols:
        each_minute(market(symbol), start=since, end=since + 5 * HOUR)
    candles.close(Interval.D1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_outbox GROUP BY xmin::text")
        sizes = [count for (count,) in cursor.fetchall()]
    assert sum(sizes) > 900
    assert max(sizes) <= 50


def test_a_run_ends_in_time_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "STEP", 30)
    monkeypatch.setattr(closing, "RUN_S", 0.0)
    now = clock.db_now()
    since = Interval.M1.floor(now - 2 * HOUR)
    open_since(since)
    each_minute(market(), start=since, end=now - MINUTE)
    counts = [candles.close(Interval.M1) for _ in range(5)]
    assert counts[:3] == [30, 30, 30]
    assert 0 < sum(counts[3:]) <= 30
    found = told()
    assert len(found) == len(set(found)) == sum(counts)


@pytest.fixture
def relay() -> Iterator[list[int]]:
    """Takes all that waits every now and then; yields how much it found each time."""
    found: list[int] = []
    end = threading.Event()

    def take() -> None:
        while not end.wait(0.3):
            found.append(OutboxEvent.objects.all().delete()[0])
        connection.close()

    thread = threading.Thread(target=take)
    thread.start()
    yield found
    end.set()
    thread.join()


def test_catching_up_leaves_the_relay_no_more_than_it_can_follow(
    monkeypatch: pytest.MonkeyPatch, relay: list[int]
) -> None:
    for name, value in (("STEP", 20), ("BACKLOG", 40), ("PATIENCE_S", 20.0), ("LOOK_S", 0.01)):
        monkeypatch.setattr(closing, name, value)
    since = Interval.D1.floor(clock.db_now()) - timedelta(days=2)
    open_since(since)
    each_minute(market(), start=since, end=since + 7 * HOUR)
    assert candles.close(Interval.M1) == 7 * 60
    assert max(relay) <= 40 + 20


def test_bars_close_although_no_relay_takes_their_events(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STEP", 20), ("BACKLOG", 10), ("PATIENCE_S", 0.02), ("LOOK_S", 0.01)):
        monkeypatch.setattr(closing, name, value)
    since = Interval.D1.floor(clock.db_now()) - timedelta(days=2)
    open_since(since)
    each_minute(market(), start=since, end=since + HOUR)
    assert candles.close(Interval.M1) == 60


# Two beats


def test_two_beats_announce_each_bar_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "STEP", 40)
    now = clock.db_now()
    since = Interval.M1.floor(now - 3 * HOUR)
    open_since(since)
    for symbol in ("XRPETH", "BTCUSD"):
        each_minute(market(symbol), start=since, end=now - MINUTE)
    minute, five = tasks.close_candles_1m.run, tasks.close_candles_5m.run
    at_once(minute, minute, five, five)
    assert_each_closed_once(since)
    assert_bars_are_their_trades()


def test_two_beats_count_a_change_of_a_ticker_once() -> None:
    where = market()
    trade_now(where, "5.00")
    at_once(tasks.update_tickers.run, tasks.update_tickers.run)
    trade_now(where, "6.00")
    at_once(tasks.update_tickers.run, tasks.update_tickers.run)
    row = Ticker.objects.get()
    assert (row.last, row.trade_count, row.version) == (6, 2, 2)
