"""The beat table and how it is installed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from apps.exchange import freshness
from moonx import schedule
from moonx.celery import app
from moonx.core import paces
from moonx.schedule import SCHEDULE, Entry
from moonx.settings.env import QUEUES

# What operators know from the former services: entry, pace, queue.
TABLE = {
    "exchange.update_tickers": ("every 5 s", "tickers"),
    "exchange.close_candles_1m": ("at * * * * * UTC", "candles"),
    "exchange.close_candles_5m": ("at */5 * * * * UTC", "candles"),
    "exchange.close_candles_15m": ("at */15 * * * * UTC", "candles"),
    "exchange.close_candles_30m": ("at */30 * * * * UTC", "candles"),
    "exchange.close_candles_1h": ("at 0 * * * * UTC", "candles"),
    "exchange.close_candles_4h": ("at 0 */4 * * * UTC", "candles"),
    "exchange.close_candles_1d": ("at 0 0 * * * UTC", "candles"),
    "exchange.close_candles_1w": ("at 0 0 * * 1 UTC", "candles"),
    "exchange.close_candles_1M": ("at 0 0 1 * * UTC", "candles"),
    "exchange.sweep_matching": ("every 1 s", "matching"),
    "exchange.expire_orders": ("every 10 s", "expiry"),
    "exchange.reconcile": ("every 60 s", "expiry"),
    "exchange.audit_market_data": ("every 30 s", "stats"),
    "exchange.reconcile_all": ("at 20 0 * * * UTC", "expiry"),
    "stats.scan_activity": ("every 15 s", "stats"),
    "stats.prune_activity": ("at 40 0 * * * UTC", "stats"),
    "realtime.check_heartbeats": ("every 30 s", "stats"),
    "stats.chain_performance": ("at * * * * * UTC", "stats"),
    "stats.collect_all": ("at */5 * * * * UTC", "stats"),
    "stats.prune": ("at 40 0 * * * UTC", "stats"),
    "realtime.prune_events": ("at 10 0 * * * UTC", "stats"),
    "stats.bridge_latency": ("at */2 * * * * UTC", "stats"),
}

by_task = pytest.mark.parametrize("entry", SCHEDULE, ids=lambda entry: entry.task)


def test_the_schedule_equals_the_published_table() -> None:
    assert {entry.task: (str(entry.when), entry.queue) for entry in SCHEDULE} == TABLE


def test_tickers_are_called_late_by_the_pace_of_the_table() -> None:
    assert schedule.find("exchange.update_tickers").when.period == freshness.TICKER_PERIOD


@by_task
def test_an_entry_names_a_registered_task(entry: Entry) -> None:
    app.loader.import_default_modules()
    assert entry.task in app.tasks


def test_every_task_of_ours_has_an_entry() -> None:
    app.loader.import_default_modules()
    ours = {name for name in app.tasks if not name.startswith(("celery.", "test."))}
    assert ours - set(schedule.known_tasks()) == set()


@by_task
def test_an_entry_names_a_known_queue(entry: Entry) -> None:
    assert entry.queue in QUEUES


@pytest.mark.django_db
@by_task
def test_a_message_expires_within_its_period_whenever_it_is_sent(entry: Entry) -> None:
    schedule.install()
    row = PeriodicTask.objects.get(name=entry.task)
    for month in range(1, 13):
        period = paces.period_of(row, now=datetime(2026, month, 1, 12, tzinfo=UTC))
        assert 0 < (row.expire_seconds or 0) <= period.total_seconds()


@by_task
def test_a_run_ends_before_another_worker_could_take_its_message(entry: Entry) -> None:
    app.loader.import_default_modules()
    visible_again_s = app.conf.broker_transport_options["visibility_timeout"]
    assert app.tasks[entry.task].time_limit < visible_again_s / 2


@by_task
def test_what_runs_every_few_seconds_stays_out_of_flower(entry: Entry) -> None:
    app.loader.import_default_modules()
    assert app.tasks[entry.task].send_events == (entry.expires_s >= 10)


@pytest.mark.django_db
def test_installing_creates_every_entry_once() -> None:
    assert schedule.install().created == [entry.task for entry in SCHEDULE]
    assert schedule.install() == schedule.Installed(created=[], disabled=[])
    assert PeriodicTask.objects.count() == len(SCHEDULE)
    assert list(schedule.differences()) == []


@pytest.mark.django_db
def test_installing_keeps_what_operators_changed() -> None:
    schedule.install()
    slower = IntervalSchedule.objects.create(every=20, period=IntervalSchedule.SECONDS)
    row = PeriodicTask.objects.get(name="exchange.update_tickers")
    row.interval, row.queue, row.expire_seconds, row.enabled = slower, "candles", 11, False
    row.description = "slower while we measure"
    row.save()

    schedule.install()

    row.refresh_from_db()
    assert row.interval == slower
    assert (row.queue, row.expire_seconds, row.enabled) == ("candles", 11, False)
    assert row.description == "slower while we measure"


@pytest.mark.django_db
def test_an_entry_gone_from_the_code_is_disabled_and_not_deleted() -> None:
    old = PeriodicTask.objects.create(
        name="exchange.forgotten",
        task="exchange.forgotten",
        interval=IntervalSchedule.objects.create(every=9, period=IntervalSchedule.SECONDS),
    )
    assert schedule.install().disabled == ["exchange.forgotten"]
    old.refresh_from_db()
    assert old.enabled is False


@pytest.mark.django_db
def test_a_second_entry_for_a_known_task_stays_enabled() -> None:
    extra = PeriodicTask.objects.create(
        name="tickers at night",
        task="exchange.update_tickers",
        crontab=CrontabSchedule.objects.create(minute="0", hour="3"),
    )
    assert schedule.install().disabled == []
    extra.refresh_from_db()
    assert extra.enabled is True


@pytest.mark.django_db
def test_what_runs_differently_from_the_table_is_told() -> None:
    schedule.install()
    PeriodicTask.objects.filter(name="exchange.close_candles_1d").delete()
    PeriodicTask.objects.filter(name="exchange.close_candles_1h").update(enabled=False)
    fast = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.filter(name="exchange.update_tickers").update(interval=fast)
    assert sorted(schedule.differences()) == [
        "exchange.close_candles_1d is missing",
        "exchange.close_candles_1h is disabled",
        "exchange.update_tickers runs every 1 s on tickers, by default every 5 s on tickers",
    ]


@pytest.mark.django_db
def test_a_period_is_the_gap_between_the_next_two_runs() -> None:
    monthly = PeriodicTask(crontab=CrontabSchedule(minute="0", hour="0", day_of_month="1"))
    february = datetime(2026, 1, 20, tzinfo=UTC)
    assert paces.period_of(monthly, now=february) == timedelta(days=28)


def test_the_environment_says_when_an_entry_runs_at_first(settings: Any) -> None:
    wanted = {"stats_collection_interval": "5,35 9-17 * * 1-5"}
    settings.ENV = settings.ENV.model_copy(update=wanted)
    usual = Entry(task="stats.collect_all", when=schedule.Every(300), queue="stats")
    first = schedule.at_first(usual)
    assert str(first.when) == "at 5,35 9-17 * * 1-5 UTC"
    assert first.when.period == timedelta(minutes=30)
    other = Entry(task="stats.bridge_latency", when=schedule.Every(120), queue="stats")
    assert schedule.at_first(other) == other


@pytest.mark.django_db
def test_what_the_simulator_answers_is_asked_more_often(settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update={"simulator_url": "http://127.0.0.1:1"})
    schedule.install()
    row = PeriodicTask.objects.get(name="stats.bridge_latency")
    assert (schedule.describe(row), row.expire_seconds) == ("every 20 s", 20)
    assert list(schedule.differences()) == []
    wanted = {"bridge_latency_interval": "*/4 * * * *"}
    settings.ENV = settings.ENV.model_copy(update=wanted)
    assert str(schedule.find("stats.bridge_latency").when) == "at */4 * * * * UTC"


@pytest.mark.django_db
def test_what_the_environment_names_is_the_first_value_of_a_row_and_no_later_one(
    settings: Any,
) -> None:
    plain = settings.ENV

    def install(calendar: str) -> PeriodicTask:
        settings.ENV = plain.model_copy(update={"chain_performance_interval": calendar})
        schedule.install()
        return PeriodicTask.objects.get(name="stats.chain_performance")

    assert schedule.describe(install("*/3 * * * *")) == "at */3 * * * * UTC"
    assert list(schedule.differences()) == []
    assert schedule.describe(install("*/7 * * * *")) == "at */3 * * * * UTC"
    assert len(list(schedule.differences())) == 1
