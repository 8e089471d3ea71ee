"""Bars in the database: equal to their trades whatever closes when."""

import os
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from apps.exchange import bars, candles, tasks, trades
from apps.exchange.candles import closing
from apps.exchange.models import Candle, Market, Trade, TradeSource
from apps.exchange.tests.factory import at, market, open_since, trade, traded, traded_all
from apps.exchange.trades import Executed, NewTrade
from moonx.core import clock, locks
from moonx.core.events import CandleClosed
from moonx.core.intervals import Interval, to_ms
from moonx.core.locks import Lock, LockBusy
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db")

MONDAY = at("2026-11-23 00:00")
LATER = at("2027-03-01 00:00")


def close(interval: Interval, until: datetime) -> int:
    with transaction.atomic():
        locks.hold(Lock.CANDLE_FOLD)
        return candles.close_until(interval, until=until)


def days_of_trades(
    where: Market, *, days: int, count: int, start: datetime = MONDAY
) -> list[Executed]:
    rng = random.Random(7)  # noqa: S311
    seconds = sorted(rng.randrange(days * 86_400) for _ in range(count))
    return traded_all(
        where,
        [
            trade(
                seq,
                start + timedelta(seconds=second),
                f"{rng.randrange(90, 110)}.{rng.randrange(100):02}",
                str(rng.randrange(1, 9)),
                maker_buys=rng.random() < 0.5,
            )
            for seq, second in enumerate(seconds, start=1)
        ],
    )


def from_trades(rows: list[Executed], interval: Interval) -> list[bars.Bar]:
    return bars.fold(bars.of_ticks(row.tick() for row in rows).values(), interval)


def names() -> list[str]:
    return list(OutboxEvent.objects.order_by("id").values_list("name", flat=True))


def test_every_interval_reads_the_same_before_and_after_it_is_closed() -> None:
    open_since(MONDAY)
    where = market()
    rows = days_of_trades(where, days=9, count=900)
    end = MONDAY + timedelta(days=40)
    for interval in Interval:
        wanted = from_trades(rows, interval)
        start = interval.floor(MONDAY)
        assert candles.between(where, interval, start=start, end=end) == wanted
    for interval in Interval:
        close(interval, interval.floor(MONDAY + timedelta(days=8)))
    for interval in Interval:
        start = interval.floor(MONDAY)
        read = candles.between(where, interval, start=start, end=end)
        assert read == from_trades(rows, interval)


def test_the_bars_in_progress_equal_their_trades_at_any_moment() -> None:
    open_since(MONDAY)
    where = market()
    rows = days_of_trades(where, days=3, count=500)
    close(Interval.H4, MONDAY + timedelta(days=2))
    late = [row.executed_at for row in rows if row.executed_at > MONDAY + timedelta(days=2)]
    for now in late[::20]:
        past = [
            row for row in rows if row.executed_at < Interval.M1.shift(Interval.M1.floor(now), 1)
        ]
        for interval, bar in candles.in_progress(where, now=now).items():
            wanted = {b.open_time: b for b in from_trades(past, interval)}
            assert bar == wanted[interval.floor(now)]


def test_closing_announces_each_bar_once_even_where_no_later_trade_comes() -> None:
    open_since(MONDAY)
    where = market()
    traded(where, trade(1, "2026-11-23 00:00:30", "5.00"))
    assert close(Interval.M5, MONDAY + timedelta(minutes=5)) == 1
    assert close(Interval.M5, MONDAY + timedelta(minutes=5)) == 0
    assert names() == ["candle.closed", "candle.closed"]
    assert set(OutboxEvent.objects.values_list("payload__interval", "payload__openTime")) == {
        ("1m", 1_795_392_000_000),
        ("5m", 1_795_392_000_000),
    }


def test_a_closed_bar_is_told_in_the_words_of_every_other_bar() -> None:
    open_since(MONDAY)
    days_of_trades(market(tick="0.0001", step="0.10"), days=40, count=90)
    days_of_trades(market("BTCUSD", step="10"), days=3, count=40)
    for interval in Interval:
        close(interval, interval.floor(MONDAY + timedelta(days=45)))
    told = OutboxEvent.objects.filter(name="candle.closed")
    found = {
        (row.key, row.payload["interval"], row.payload["openTime"]): (row.topics, row.payload)
        for row in told
    }
    wanted = {}
    for where in Market.objects.all():
        for interval in Interval:
            for bar in candles.between(where, interval, start=interval.floor(MONDAY), end=LATER):
                fact = candles.fact(CandleClosed, where, interval, bar)
                key = (fact.key, interval.value, to_ms(bar.open_time))
                wanted[key] = (list(fact.topics), fact.payload())
    assert len(found) == len(told)
    closed = {key: value for key, value in wanted.items() if key in found}
    assert found == closed
    assert {interval for _, interval, _ in found} == set(Interval)


def test_an_outage_of_any_length_is_caught_up_by_the_first_run() -> None:
    open_since(MONDAY)
    where = market()
    rows = days_of_trades(where, days=20, count=600)
    close(Interval.MONTH, at("2027-02-01 00:00"))
    for interval in (Interval.D1, Interval.MONTH):
        stored = Candle.objects.filter(interval=interval.value).count()
        assert stored == len(from_trades(rows, interval))


def test_catching_up_goes_in_steps_that_commit_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(closing, "STEP", 20)
    past = at("2025-01-06 00:00")
    open_since(past)
    where = market()
    rows = days_of_trades(where, days=4, count=300, start=past)
    steps = 0

    def count_steps(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal steps
        steps += "pg_advisory_xact_lock(" in sql
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count_steps):
        closed = candles.close(Interval.D1)
    assert closed == len(from_trades(rows, Interval.D1))
    assert steps > 300 / 20
    told = OutboxEvent.objects.values_list("payload__interval", "payload__openTime")
    assert len(told) == len(set(told))


def test_candles_that_trades_keep_from_closing_are_counted_as_failed() -> None:
    market()
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [Lock.CANDLE_FOLD])
        sentence = tasks.close_candles_5m.run()
    assert sentence.startswith("Closed 5m candles: 0 success, 1 failed (")


def test_a_day_is_closed_from_hours_that_nobody_closed_in_time() -> None:
    open_since(MONDAY)
    where = market()
    rows = days_of_trades(where, days=2, count=200)
    close(Interval.D1, MONDAY + timedelta(days=1))
    day = Candle.objects.get(interval="1d")
    assert day.trade_count == from_trades(rows, Interval.D1)[0].trade_count


def test_a_late_trade_revises_its_closed_bar_and_all_stored_parents() -> None:
    open_since(MONDAY)
    where = market()
    traded(where, trade(1, "2026-11-23 00:00:30", "5.00"))
    close(Interval.H1, MONDAY + timedelta(hours=1))
    OutboxEvent.objects.all().delete()
    traded(where, trade(2, "2026-11-23 00:00:40", "9.00"))
    for interval in ("1m", "5m", "15m", "30m", "1h"):
        bar = Candle.objects.get(interval=interval)
        assert (bar.high, bar.close, bar.revision) == (Decimal(9), Decimal(9), 1)
    assert names() == ["candle.revised"] * 5
    assert not Candle.objects.filter(interval="4h").exists()


def test_a_trade_in_an_open_bucket_revises_nothing() -> None:
    where = market()
    trades.record(
        where,
        [NewTrade(price=Decimal(5), quantity=Decimal(1), is_buyer_maker=False)],
        source=TradeSource.REPLAYED,
    )
    assert names() == ["trade.executed"]


def test_a_refold_changes_nothing_where_nothing_changed() -> None:
    open_since(MONDAY)
    where = market()
    traded(where, trade(1, "2026-11-23 00:00:30", "5.00"))
    close(Interval.H1, MONDAY + timedelta(hours=1))
    with transaction.atomic():
        trades.hold_market(where)
        done = candles.refold_minutes(where, [MONDAY])
        assert not any(map(done.count, Interval))
    assert set(Candle.objects.values_list("revision", flat=True)) == {0}


def test_closing_waits_for_trades_under_way_and_gives_up_with_a_sentence() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [Lock.CANDLE_FOLD])
        with pytest.raises(LockBusy, match="CANDLE_FOLD"):
            candles.close(Interval.M1)


def test_a_bucket_that_is_not_one_is_refused() -> None:
    with pytest.raises(ValueError, match="not the start of a 5m bucket"):
        close(Interval.M5, MONDAY + timedelta(minutes=1))


def test_a_longer_interval_that_was_missed_is_closed_with_the_minute() -> None:
    where = market()
    now = clock.db_now()
    open_since(now - timedelta(days=2))
    traded_all(where, [trade(1, now - timedelta(days=2), "5.00")])
    missed = candles.close_overdue(grace=timedelta(0))
    assert {Interval.M1, Interval.H1, Interval.D1} <= set(missed)
    assert candles.close_overdue(grace=timedelta(0)) in ([], [Interval.M1])


def test_every_bar_equals_its_trades_in_the_database_itself() -> None:
    open_since(MONDAY)
    where = market()
    rows = days_of_trades(where, days=2, count=300)
    close(Interval.D1, MONDAY + timedelta(days=2))
    assert Trade.objects.count() == len(rows)
    for interval in (i for i in Interval if i not in (Interval.W1, Interval.MONTH)):
        stored = {
            bar.open_time: (bar.open, bar.high, bar.low, bar.close, bar.trade_count)
            for bar in Candle.objects.filter(interval=interval.value)
        }
        assert stored == {
            bar.open_time: (bar.open, bar.high, bar.low, bar.close, bar.trade_count)
            for bar in from_trades(rows, interval)
        }
