"""Buckets close while trades keep coming in, late ones too: no bar may miss one."""

import random
import threading
from datetime import timedelta

import pytest
from django.db import transaction

from apps.exchange import bars, candles, trades
from apps.exchange.models import Candle, Market, Trade, TradeSource
from apps.exchange.tests.factory import at, market, open_since, trade
from apps.exchange.tests.threads import at_once
from moonx.core import locks
from moonx.core.intervals import Interval
from moonx.core.locks import Lock
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db")

MONDAY = at("2026-11-23 00:00")
MINUTES, WRITES, STORED = (
    240,
    60,
    (Interval.M1, Interval.M5, Interval.M15, Interval.M30, Interval.H1),
)


def write(where: Market, seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    for _ in range(WRITES):
        moment = MONDAY + timedelta(seconds=rng.randrange(MINUTES * 60))
        with transaction.atomic():
            trades.hold_market(where)
            seq = Trade.objects.filter(market=where).count() + 1
            row = trade(seq, moment, f"{rng.randrange(90, 110)}.00", str(rng.randrange(1, 9)))
            trades.insert(where, [row], source=TradeSource.MATCHED)
            candles.merge_minutes(where, bars.of_ticks([row.tick()]))


def close_step_by_step() -> None:
    for hour in range(1, MINUTES // 60 + 1):
        for interval in STORED:
            with transaction.atomic():
                locks.hold(Lock.CANDLE_FOLD, wait_ms=20_000)
                candles.close_until(interval, until=MONDAY + timedelta(hours=hour))


def test_closed_bars_equal_their_trades_although_both_went_on_at_once() -> None:
    open_since(MONDAY)
    first, second = market(), market("BTCUSD")
    at_once(
        lambda: write(first, 1),
        lambda: write(first, 2),
        lambda: write(second, 3),
        close_step_by_step,
    )
    for where in (first, second):
        ticks = [
            trade(row.seq, row.executed_at, str(row.price), str(row.quantity)).tick()
            for row in Trade.objects.filter(market=where)
        ]
        for interval in STORED:
            stored = Candle.objects.filter(market=where, interval=interval.value)
            wanted = bars.fold(bars.of_ticks(ticks).values(), interval)
            assert {
                (b.open_time, b.open, b.high, b.low, b.close, b.trade_count) for b in stored
            } == {(b.open_time, b.open, b.high, b.low, b.close, b.trade_count) for b in wanted}
    closed = OutboxEvent.objects.filter(name="candle.closed").values_list(
        "key", "payload__interval", "payload__openTime"
    )
    assert len(closed) == len(set(closed))


def test_a_bucket_closes_only_after_the_trades_under_way_in_it_have_committed() -> None:
    open_since(MONDAY)
    where = market()
    written, commit = threading.Event(), threading.Event()

    def trade_slowly() -> None:
        with transaction.atomic():
            trades.hold_market(where)
            row = trade(1, MONDAY + timedelta(minutes=4), "5.00")
            trades.insert(where, [row], source=TradeSource.MATCHED)
            candles.merge_minutes(where, bars.of_ticks([row.tick()]))
            written.set()
            commit.wait(timeout=10)

    def close() -> None:
        written.wait(timeout=10)
        threading.Timer(0.3, commit.set).start()
        with transaction.atomic():
            locks.hold(Lock.CANDLE_FOLD)
            candles.close_until(Interval.M5, until=MONDAY + timedelta(minutes=5))

    at_once(trade_slowly, close)
    assert Candle.objects.get(interval="5m").trade_count == 1
