"""Heartbeats and what silence leads to."""

import json
import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from kombu.asynchronous.timer import Timer

from moonx.core import clock, heartbeat, presence
from moonx.core.heartbeat import Pulse
from moonx.core.models import Heartbeat, OutboxEvent
from moonx.living import LoopPulse
from moonx.settings import env

pytestmark = pytest.mark.usefixtures("committed_db")


def until(condition: Callable[[], object], *, timeout_s: float = 5.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def add(role: str, *, silent_s: float, host: str = "h1") -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_heartbeat (instance, role, host, pid, started_at, beat_at, stats) "
            "VALUES (%s, %s, %s, 1, clock_timestamp(), "
            "clock_timestamp() - %s * interval '1 second', '{}')",
            [f"{role}@{host}", role, host, silent_s],
        )


def test_a_process_whose_loop_turns_beats_with_its_numbers() -> None:
    pulse = Pulse("web").start()
    try:
        assert until(Heartbeat.objects.exists)
        row = Heartbeat.objects.get()
        assert (row.role, row.host, row.pid) == ("web", socket.gethostname(), os.getpid())
        assert row.stats["rssBytes"] > 1_000_000
        assert {"cpuSeconds", "uptimeSeconds"} <= set(row.stats)
    finally:
        pulse.stop()


def test_a_process_that_ends_in_order_leaves_no_row() -> None:
    pulse = Pulse("web").start()
    assert until(Heartbeat.objects.exists)
    pulse.stop()
    assert not Heartbeat.objects.exists()


def test_a_loop_that_hangs_stops_beating_and_ends_its_process_after_three_misses() -> None:
    ended: list[int] = []
    pulse = Pulse("web", every_s=0.1, end_process=ended.append).start()
    try:
        assert until(Heartbeat.objects.exists)
        assert until(lambda: ended)
        assert ended[0] == heartbeat.HUNG_EXIT_CODE
        assert Heartbeat.objects.get().beat_at <= clock.db_now() - timedelta(seconds=0.1)
    finally:
        pulse.stop()


def test_a_loop_that_turns_keeps_its_process() -> None:
    ended: list[int] = []
    pulse = Pulse("web", every_s=0.4, end_process=ended.append).start()
    try:
        for _ in range(100):
            pulse.alive()
            time.sleep(0.02)
        assert ended == []
    finally:
        pulse.stop()


def test_a_worker_without_its_broker_pauses_and_is_watched_again_once_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: list[int] = []
    pulse = Pulse("worker:stats", every_s=0.1, end_process=ended.append).start()
    monkeypatch.setattr(LoopPulse, "_pulse", pulse)
    consumer = SimpleNamespace(timer=Timer())
    step = LoopPulse(consumer)
    try:
        step.start(consumer)
        step.stop(consumer)
        assert not until(lambda: ended, timeout_s=0.8)
        step.start(consumer)
        assert until(lambda: ended), "connected, but no timer turns"
    finally:
        pulse.stop()


def test_a_database_that_is_away_neither_ends_the_process_nor_the_beating(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = settings.ENV
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    settings.ENV = env.load()
    ended: list[int] = []
    pulse = Pulse("web", every_s=0.3, end_process=ended.append).start()
    try:
        for _ in range(10):
            pulse.alive()
            time.sleep(0.05)
        settings.ENV = real

        def is_stored() -> bool:
            pulse.alive()
            return Heartbeat.objects.exists()

        assert until(is_stored)
        assert ended == []
    finally:
        settings.ENV = real
        pulse.stop()


def test_three_missed_beats_raise_one_alert() -> None:
    add("relay", silent_s=95)
    add("beat", silent_s=85)
    assert presence.raise_alerts() == 1
    assert presence.raise_alerts() == 0
    event = OutboxEvent.objects.get()
    assert event.name == "system.alert"
    assert event.topics == ["system"]
    assert event.payload["subject"] == "heartbeat:relay@h1"
    assert "relay on h1 has not reported since" in event.payload["message"]


def test_a_process_that_came_back_and_fell_silent_again_raises_a_second_alert() -> None:
    add("web", silent_s=95, host=socket.gethostname())
    assert presence.raise_alerts() == 1
    pulse = Pulse("web").start()
    assert until(presence.living)
    pulse._stop.set()
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        database.execute("UPDATE core_heartbeat SET beat_at = beat_at - interval '2 minutes'")
    assert presence.raise_alerts() == 1


def test_the_living_and_the_silent_are_told_apart() -> None:
    add("beat", silent_s=5)
    add("relay", silent_s=100)
    assert [row.role for row in presence.living()] == ["beat"]
    assert [row.role for row in presence.living(host="elsewhere")] == []
    assert [row.role for row in presence.silent()] == ["relay"]


def test_a_process_silent_for_a_day_is_forgotten() -> None:
    add("beat", silent_s=90_000)
    add("relay", silent_s=80_000)
    assert presence.forget_gone() == 1
    assert Heartbeat.objects.get().role == "relay"


def test_the_resident_memory_is_that_of_this_process() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    measured = heartbeat.measure(since_s=time.monotonic()).rss_bytes
    assert measured == pytest.approx(pages * 4096, rel=0.2)
    assert json.dumps(heartbeat.measure(since_s=0).stats())
