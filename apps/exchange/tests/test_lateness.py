"""How late bars and tickers were, are, and how people see it."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from prometheus_client import REGISTRY

from apps.exchange import freshness, tasks
from apps.exchange.admin.cells import lasting
from apps.exchange.freshness import State
from apps.exchange.models import CandleWatermark, Ticker
from apps.exchange.tests.factory import at, market, open_since
from moonx.core import clock, metrics
from moonx.core.intervals import Interval

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

NOON = at("2026-11-23 12:00")
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NAME = "moonx_market_data_lateness_seconds"


def seen(what: str) -> tuple[float, float]:
    """How often that was measured, and the sum of how late it was."""
    families = list(REGISTRY.collect())
    count, total = (metrics.total(families, f"{NAME}_{end}", what=what) for end in ("count", "sum"))
    return count, total


def stands(*, until: datetime, done: datetime | None, now: datetime) -> tuple[State, timedelta]:
    mark = CandleWatermark(interval="1h", closed_until=until, closed_at=done)
    found = freshness.of_interval(mark, now=now)
    return found.state, found.overdue


def test_an_interval_is_due_at_the_end_of_its_bucket_and_behind_two_minutes_later() -> None:
    done = NOON + SECOND
    assert stands(until=NOON, done=done, now=NOON + 30 * MINUTE) == (State.ON_TIME, 0 * SECOND)
    assert stands(until=NOON, done=done, now=NOON + 61 * MINUTE) == (State.ON_TIME, MINUTE)
    assert stands(until=NOON, done=done, now=NOON + 63 * MINUTE) == (State.BEHIND, 3 * MINUTE)
    assert stands(until=NOON, done=None, now=NOON + 5 * MINUTE) == (State.ON_TIME, 0 * SECOND)


def test_what_was_done_late_says_so_until_the_next_one_is_in_time() -> None:
    assert stands(until=NOON, done=NOON + 9 * MINUTE, now=NOON + 10 * MINUTE)[0] is State.LATE
    later = NOON + timedelta(hours=1)
    assert stands(until=later, done=later + SECOND, now=later + MINUTE)[0] is State.ON_TIME


def test_what_the_clock_has_yet_to_reach_is_not_called_late() -> None:
    assert stands(until=NOON, done=NOON + SECOND, now=NOON - MINUTE) == (
        State.SET_BACK,
        0 * SECOND,
    )


def test_a_ticker_is_due_five_seconds_after_the_last_one() -> None:
    found = freshness.of_ticker(NOON, now=NOON + 7 * SECOND)
    assert (found.overdue, found.state) == (2 * SECOND, State.ON_TIME)
    assert freshness.of_ticker(NOON, now=NOON + MINUTE).state is State.BEHIND


def test_closing_notes_when_and_counts_how_late_its_oldest_bucket_was() -> None:
    now = clock.db_now()
    open_since(Interval.M5.floor(now) - timedelta(hours=1))
    before = {interval: seen(interval) for interval in (Interval.M1, Interval.M5)}
    tasks.close_candles_5m.run()
    mark = CandleWatermark.objects.get(interval="5m")
    assert mark.closed_at is not None
    assert now <= mark.closed_at <= clock.db_now()
    for interval, (count, total_s) in before.items():
        after, total_after_s = seen(interval)
        oldest = Interval.M5.floor(now) - timedelta(hours=1) + (interval.length or MINUTE)
        assert after == count + 1
        assert 0 <= total_after_s - total_s - (now - oldest).total_seconds() < 10


def test_an_undone_close_is_not_counted() -> None:
    before = seen("1m")
    tasks.close_candles_1m.run()  # nothing is due
    assert seen("1m") == before


def test_a_run_of_the_tickers_counts_how_long_after_five_seconds_it_came() -> None:
    market()
    tasks.update_tickers.run()
    before = seen("ticker")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE exchange_ticker SET as_of = as_of - interval '65 seconds'")
    tasks.update_tickers.run()
    count, total_s = seen("ticker")
    assert count == before[0] + 1
    assert 60 <= total_s - before[1] < 70


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        *((0, "0.0 s"), (0.26, "0.3 s"), (59.94, "59.9 s"), (60, "1 min"), (200, "3 min 20 s")),
        *((7_500, "2 h 5 min"), (3_605, "1 h 5 s"), (4 * 86_400 + 3_600, "4 d 1 h")),
    ],
)
def test_a_time_span_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert lasting(timedelta(seconds=seconds)) == words


def shown(staff: Client, model: str) -> str:
    return " ".join(staff.get(f"/admin/exchange/{model}/").content.decode().split())


def test_the_admin_shows_when_bars_were_due_when_done_and_how_late(staff: Client) -> None:
    now = clock.db_now()
    due = Interval.H1.floor(now)
    for interval in Interval:
        CandleWatermark.objects.filter(interval=interval.value).update(
            closed_until=interval.floor(now), closed_at=interval.floor(now) + SECOND
        )
    CandleWatermark.objects.filter(interval="1h").update(closed_at=due + 125 * SECOND)
    CandleWatermark.objects.filter(interval="1m").update(
        closed_until=now - 10 * MINUTE, closed_at=None
    )
    page = shown(staff, "candlewatermark")
    for words in ("2 min 5 s", "late", "on time", "9 min", "behind", f"{due:%Y-%m-%d %H:%M:%S}"):
        assert words in page
    first = staff.get("/admin/").context["lateness"]["rows"]
    assert [row[0] for row in first] == list(Interval)
    assert first[4][3:] == ["2 min 5 s", "0.0 s", State.LATE] or due + MINUTE * 61 < clock.db_now()


def test_the_admin_shows_how_long_tickers_are_overdue(staff: Client) -> None:
    market()
    tasks.update_tickers.run()
    assert "on time" in shown(staff, "ticker")
    Ticker.objects.update(as_of=clock.db_now() - timedelta(minutes=4))
    page = shown(staff, "ticker")
    assert "3 min 5" in page
    assert "behind" in page
    assert staff.get("/admin/").context["lateness"]["rows"][-1][0] == "ticker"
