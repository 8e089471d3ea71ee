"""What was traded in a span of time, of many markets at once: every field equal to the trades."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.exchange import candles, windows
from apps.exchange.models import Market, MarketStatus, Ticker
from apps.exchange.tests.factory import at, market, open_since, trade, traded, traded_all
from apps.exchange.trades import Executed
from apps.exchange.windows import INSTANT, Window
from moonx.core import locks
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

pytestmark = pytest.mark.usefixtures("committed_db")

NOW = at("2026-11-23 12:34:56.789012")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SIZES = [MINUTE, 7 * MINUTE, 59 * MINUTE, HOUR, 23 * HOUR, DAY, 7 * DAY]
INDIA, CHATHAM = timedelta(hours=5, minutes=30), timedelta(hours=12, minutes=45)


def read(where: Market, window: Window) -> Ticker:
    return windows.read([(where, window)])[0]


def shown(row: Ticker) -> dict[str, Any]:
    return {name: getattr(row, name) for name in windows.FIELDS}


def brute(rows: Sequence[Executed], window: Window) -> dict[str, Any]:
    """Every field of a window, straight from the trades."""
    inside = [row for row in rows if window.start <= row.executed_at <= window.stop]
    before = [row for row in rows if row.executed_at < window.start]
    last = before[-1] if before else None
    prices: list[Decimal | None] = [row.price for row in inside]
    prices = prices or [last.price if last else None]
    ending = inside[-1] if inside else last
    return {
        "open_time": window.start,
        "close_time": window.stop,
        "open": prices[0],
        "high": max(prices, key=lambda price: price or 0),
        "low": min(prices, key=lambda price: price or 0),
        "last": prices[-1],
        "last_quantity": ending.quantity if ending else None,
        "previous_close": last.price if last else None,
        "base_volume": sum(row.quantity for row in inside),
        "quote_volume": sum(row.quote_quantity for row in inside),
        "trade_count": sum(row.last_id - row.first_id + 1 for row in inside),
        "first_id": inside[0].first_id if inside else None,
        "last_id": inside[-1].last_id if inside else None,
    }


def history(where: Market, rng: random.Random, *, count: int, end: datetime) -> list[Executed]:
    """Trades of the nine days before `end`, some at the edges of minutes and windows."""
    span_us = 9 * 86_400_000_000
    micros = {span_us - rng.randrange(10 ** rng.randrange(4, 13)) for _ in range(count)}
    edges = {end - size + nudge for size in SIZES for nudge in (-INSTANT, INSTANT * 0, INSTANT)}
    edges |= {Interval.M1.floor(edge) - nudge for edge in edges for nudge in (INSTANT, 0 * INSTANT)}
    first = end - timedelta(microseconds=span_us)
    moments = {first + timedelta(microseconds=micro) for micro in micros if micro >= 0}
    return traded_all(
        where,
        [
            trade(seq, moment, f"{rng.randrange(90, 110)}.00", str(rng.randrange(1, 9)))
            for seq, moment in enumerate(sorted(moments | edges | {end}), start=1)
        ],
    )


@pytest.fixture
def everywhere() -> dict[Market, list[Executed]]:
    """Markets that trade, were halted or recorded, fell silent or are new; bars closed hourly."""
    open_since(NOW - 20 * DAY)
    rng = random.Random(11)  # noqa: S311
    live, halted = market("XRPETH"), market("ADAETH", status=MarketStatus.HALT)
    halted.halted_at = NOW - timedelta(hours=30, seconds=12.345678)
    halted.save()
    recorded = market("BTCETH", status=MarketStatus.BREAK, recorded_until=at("2026-11-20 00:00"))
    quiet, silent, new = market("LTCETH"), market("SOLETH"), market("DOTETH")
    made = {
        live: history(live, rng, count=400, end=NOW),
        halted: history(halted, rng, count=200, end=halted.halted_at),
        recorded: history(recorded, rng, count=200, end=at("2026-11-20 00:00")),
        quiet: history(quiet, rng, count=200, end=NOW - 3 * HOUR),
        silent: traded(silent, trade(1, NOW - 8 * DAY, "7.00", "5")),
        new: [],
    }
    with transaction.atomic():
        locks.hold(Lock.CANDLE_FOLD)
        candles.close_until(Interval.D1, until=Interval.D1.floor(NOW))
        candles.close_until(Interval.H1, until=Interval.H1.floor(NOW - HOUR))
    return made


def windows_of(where: Market) -> list[Window]:
    zones = (timedelta(0), INDIA, CHATHAM, -INDIA)
    return [
        *(windows.rolling(where, size, now=NOW) for size in SIZES),
        *(windows.just_before(where, size, now=NOW) for size in SIZES),
        *(windows.day_so_far(where, ahead=zone, now=NOW) for zone in zones),
    ]


def test_every_field_of_every_window_of_all_markets_equals_their_trades(
    everywhere: dict[Market, list[Executed]],
) -> None:
    every = {where: windows_of(where) for where in everywhere}
    for number in range(len(every[next(iter(every))])):
        wanted = [(where, every[where][number]) for where in everywhere]
        for row, (where, window) in zip(windows.read(wanted), wanted, strict=True):
            assert shown(row) == brute(everywhere[where], window), (where, window)


def test_one_statement_reads_any_number_of_markets(
    everywhere: dict[Market, list[Executed]],
) -> None:
    with CaptureQueriesContext(connection) as seen:
        windows.read([(where, windows.rolling(where, DAY, now=NOW)) for where in everywhere])
    assert len(seen) == 1


def test_a_rolling_window_starts_with_a_minute_and_is_never_shorter_than_asked_for() -> None:
    window = windows.rolling(market(), HOUR, now=NOW)
    assert window == Window(start=at("2026-11-23 11:34"), stop=NOW)


def test_a_trade_at_either_end_of_a_rolling_window_is_inside() -> None:
    where = market()
    start = at("2026-11-23 11:34")
    traded(
        where,
        trade(1, start - INSTANT, "1.00"),
        trade(2, start, "2.00"),
        trade(3, NOW, "3.00"),
        trade(4, NOW + INSTANT, "4.00"),
    )
    row = read(where, windows.rolling(where, HOUR, now=NOW))
    assert (row.previous_close, row.open, row.last, row.trade_count) == (1, 2, 3, 2)


def test_a_trade_exactly_so_old_is_outside_a_window_to_the_microsecond() -> None:
    where = market()
    edge = NOW - 5 * MINUTE
    traded(where, trade(1, edge, "1.00"), trade(2, edge + INSTANT, "2.00"))
    row = read(where, windows.just_before(where, 5 * MINUTE, now=NOW))
    assert (row.previous_close, row.open, row.trade_count) == (1, 2, 1)


def test_a_window_within_one_minute_counts_each_trade_once() -> None:
    where = market()
    minute = Interval.M1.floor(NOW)
    traded_all(
        where,
        [trade(seq, minute + timedelta(seconds=seq), "1.00", "1") for seq in range(1, 50)],
    )
    inside = Window(start=minute + timedelta(seconds=10), stop=minute + timedelta(seconds=20))
    assert (read(where, inside).base_volume, read(where, inside).trade_count) == (11, 11)


def test_a_day_starts_where_its_zone_says_and_ends_now() -> None:
    where = market()
    found = windows.day_so_far(where, ahead=timedelta(hours=8), now=NOW)
    assert found == Window(start=at("2026-11-22 16:00"), stop=NOW)
    midnight = at("2026-11-23 16:00")
    assert windows.day_so_far(where, ahead=timedelta(hours=8), now=midnight).start == midnight


def test_a_record_that_ends_at_midnight_shows_the_day_before() -> None:
    where = market(status=MarketStatus.BREAK, recorded_until=at("2019-10-12 00:00"))
    found = windows.day_so_far(where, ahead=timedelta(0), now=NOW)
    assert found == Window(start=at("2019-10-11 00:00"), stop=at("2019-10-12 00:00") - INSTANT)


def test_a_late_trade_is_in_the_window_of_its_time() -> None:
    open_since(NOW - 2 * DAY)
    where = market()
    traded(where, trade(1, NOW - 3 * HOUR, "5.00"), trade(3, NOW, "6.00"))
    with transaction.atomic():
        locks.hold(Lock.CANDLE_FOLD)
        candles.close_until(Interval.H1, until=Interval.H1.floor(NOW))
    traded(where, trade(2, NOW - 2 * HOUR, "4.00", "2"))
    row = read(where, windows.rolling(where, 4 * HOUR, now=NOW))
    assert (row.low, row.base_volume, row.trade_count) == (4, Decimal(4), 3)
