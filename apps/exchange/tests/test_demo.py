"""The demo: a recorded day at once, then the same trades live, in order, once each."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from apps.exchange.demo import markets
from apps.exchange.demo.markets import laid_before
from apps.exchange.demo.recorded import UNTIL, read_day
from apps.exchange.demo.replay import NIGHT_S, Replay, due, gaps_s, position
from apps.exchange.history import Record
from apps.exchange.models import Candle, Market, MarketStatus, Ticker, Trade, TradeSource
from moonx.core import clock
from moonx.core.intervals import Interval
from moonx.core.locks import Lock
from moonx.core.models import OutboxEvent

ROOT = Path(__file__).resolve().parents[3]
SIZE = 5929


@pytest.fixture(scope="module")
def day() -> list[Record]:
    return read_day(now=UNTIL)


def test_the_recorded_day_is_complete(day: list[Record]) -> None:
    assert [record.seq for record in day] == list(range(13_519_807, 13_525_736))


def test_the_laid_day_ends_now_and_keeps_its_rhythm_and_counts(day: list[Record]) -> None:
    end = UNTIL + timedelta(days=2000)
    laid = laid_before(day, end=end)
    assert laid[-1].executed_at == end
    assert [record.seq for record in laid] == list(range(1, SIZE + 1))
    shift = end - day[-1].executed_at
    assert all(b.executed_at - a.executed_at == shift for a, b in zip(day, laid, strict=True))
    assert all(b.first_id == a.last_id + 1 for a, b in pairwise(laid))
    assert laid[-1].last_id == 15_380_439 - 15_373_518 + 1


def test_silences_are_cut_to_ten_seconds(day: list[Record]) -> None:
    gaps = gaps_s(day)
    assert len(gaps) == SIZE
    assert gaps[0] == NIGHT_S
    assert max(gaps) == 10
    assert gaps[1] == 0  # two trades of one moment


@given(
    gaps=st.lists(st.floats(0.01, 10), min_size=1, max_size=20),
    index=st.integers(0, 100),
    waits=st.lists(st.floats(0, 30), max_size=10),
)
def test_however_the_time_passes_the_same_trades_are_due(
    gaps: list[float], index: int, waits: list[float]
) -> None:
    done, left = 0, 0.0
    for wait in waits:
        count, left = due(gaps, index + done, waited_s=left + wait, most=10**6)
        done += count
        assert 0 <= left < gaps[(index + done) % len(gaps)]
    at_once, _ = due(gaps, index, waited_s=sum(waits), most=10**6)
    assert abs(at_once - done) <= 1  # floats


def test_a_replay_that_is_too_slow_forgets_what_it_missed() -> None:
    assert due([1.0], 0, waited_s=100.5, most=20) == (20, 0.0)


@pytest.mark.usefixtures("committed_db")
def test_the_first_start_shows_a_day_of_bars_and_both_tickers(day: list[Record]) -> None:
    now = clock.db_now()
    started = time.monotonic()
    live = markets.prepare(day, now=now)
    seconds = time.monotonic() - started
    recorded = Market.objects.get(symbol="XRPETH")
    assert (recorded.status, recorded.label) == (MarketStatus.BREAK, "recorded")
    assert recorded.recorded_until == UNTIL
    assert (live.status, live.label) == (MarketStatus.TRADING, "replay of recorded trades")
    for where in (recorded, live):
        assert Trade.objects.filter(market=where).count() == SIZE
        ticker = Ticker.objects.get(market=where)
        assert ticker.trade_count == 6922
    assert Trade.objects.filter(market=live).latest("seq").executed_at == now
    assert not OutboxEvent.objects.exists()
    assert seconds < 20, seconds


@pytest.mark.usefixtures("committed_db")
def test_a_start_over_what_stands_changes_nothing(day: list[Record]) -> None:
    markets.prepare(day, now=clock.db_now())
    Trade.objects.filter(market__symbol="XRPETH", seq__gt=13_520_000).delete()
    before = Trade.objects.filter(market__symbol="XRPRETH").latest("seq").executed_at
    markets.prepare(day, now=clock.db_now())
    assert Trade.objects.filter(market__symbol="XRPRETH").latest("seq").executed_at == before
    assert Trade.objects.filter(market__symbol="XRPETH").count() == SIZE


@contextmanager
def running(day: list[Record], *, speed: float) -> Iterator[None]:
    """A replay in a thread of its own; ended and joined at the end of the block."""
    stop = threading.Event()

    def body() -> None:
        try:
            Replay(day, speed=speed, stop=stop, alive=lambda: None).run()
        finally:
            connection.close()

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()


def wait_for(market: Market, seq: int) -> None:
    deadline = time.monotonic() + 60
    while position(market) < seq:
        assert time.monotonic() < deadline, position(market)
        time.sleep(0.05)


def assert_a_true_replay(market: Market, day: list[Record], *, upto: int) -> None:
    """Every trade from 1 on once, in the day's order, each in its bar and announced."""
    found = list(Trade.objects.filter(market=market).order_by("seq"))
    assert [row.seq for row in found] == list(range(1, len(found) + 1))
    assert len(found) >= upto
    for row in found:
        origin = day[(row.seq - 1) % len(day)]
        assert (row.price, row.quantity, row.is_buyer_maker) == (
            *(origin.price, origin.quantity, origin.is_buyer_maker),
        )
        assert row.last_id - row.first_id == origin.last_id - origin.first_id
    minutes = Candle.objects.filter(market=market, interval=Interval.M1)
    assert sum(minutes.values_list("trade_count", flat=True)) == found[-1].last_id
    told = OutboxEvent.objects.filter(name="trade.executed").order_by("id")
    assert list(told.values_list("payload__id", flat=True)) == [
        row.seq for row in found if row.seq > SIZE
    ]
    assert {row.source for row in found} == {TradeSource.REPLAYED}


@pytest.mark.usefixtures("committed_db")
def test_the_replay_goes_on_where_it_was_left_and_begins_again_after_the_last_trade(
    day: list[Record],
) -> None:
    live = markets.prepare(day, now=clock.db_now())
    with running(day, speed=5000):
        wait_for(live, SIZE + 300)
    left = position(live)
    with running(day, speed=5000):
        wait_for(live, left + 300)
    assert_a_true_replay(live, day, upto=left + 300)


@pytest.mark.usefixtures("committed_db")
def test_only_one_replay_plays_and_the_other_takes_over(day: list[Record]) -> None:
    live = markets.prepare(day, now=clock.db_now())
    other = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    other.execute("SELECT pg_advisory_lock(%s, 0)", [Lock.DEMO.value])
    with running(day, speed=5000):
        time.sleep(0.5)
        assert position(live) == SIZE
        other.close()
        wait_for(live, SIZE + 100)


@pytest.mark.usefixtures("committed_db")
def test_the_replay_survives_the_loss_of_its_connection(day: list[Record]) -> None:
    live = markets.prepare(day, now=clock.db_now())
    with running(day, speed=5000):
        for _ in range(3):
            wait_for(live, position(live) + 100)
            assert end_the_replays_connection() == 1
        wait_for(live, position(live) + 100)
    assert_a_true_replay(live, day, upto=SIZE + 400)


def end_the_replays_connection() -> int:
    """As a restart of the database would; returns how many ended."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        ended = server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' "
            "AND classid = %s AND granted AND database = "
            "(SELECT oid FROM pg_database WHERE datname = current_database())",
            [Lock.DEMO.value],
        )
        return ended.rowcount


@pytest.mark.usefixtures("committed_db")
def test_the_command_survives_kills_at_any_moment_and_ends_on_term(day: list[Record]) -> None:
    for delay_s in (0.9, 1.4, 2.5):
        child = start_command()
        time.sleep(delay_s)
        child.kill()
        child.wait()
    child = start_command()
    deadline = time.monotonic() + 60
    while not Market.objects.filter(symbol="XRPRETH").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    live = Market.objects.get(symbol="XRPRETH")
    wait_for(live, SIZE + 200)
    child.send_signal(signal.SIGTERM)
    assert child.wait(timeout=20) == 0
    assert_a_true_replay(live, day, upto=SIZE + 200)
    assert Trade.objects.filter(market__symbol="XRPETH").count() == SIZE


def start_command() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo"],
        cwd=ROOT,
        # The demo traders find no server there.
        env={**os.environ, "DEMO_SPEED": "3000", "MOONX_PORT": "9"},
        stderr=subprocess.DEVNULL,
    )
