"""Health over HTTP, against the real stores and against stores that hang."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.test import AsyncClient, Client

from apps.stats.models import ActivityCursor
from moonx import health
from moonx.core import clock
from moonx.processing import Processing
from moonx.settings import env

pytestmark = pytest.mark.usefixtures("committed_db", "unread")


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """No earlier look at the stores is remembered."""
    monkeypatch.setattr(health, "_looks", health.Looks())
    monkeypatch.setattr(health, "processing", Processing())


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Names other servers than the tests' own."""

    def use(**urls: str) -> None:
        for name, value in urls.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(settings, "ENV", env.load())

    return use


@contextmanager
def hanging_server() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener.getsockname()[1]


async def test_a_living_process_says_so_without_asking_its_stores(servers: Any) -> None:
    servers(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    response = await AsyncClient().get("/health/live")
    assert response.status_code == 200


async def test_a_ready_process_tells_of_each_dependency() -> None:
    response = await AsyncClient().get("/health/ready")
    assert response.status_code == 200
    checks = response.json()["checks"]
    assert set(checks) == {"database", "broker", "cache", "relay", "auth", "kafka"}
    assert all(check["ok"] for check in checks.values())


async def test_the_former_health_document_is_complete() -> None:
    response = await AsyncClient().get("/health")
    body = response.json()
    assert response.status_code == 200
    assert body["status"] == "healthy"
    assert abs(body["timestamp"] - time.time() * 1000) < 60_000
    assert {"redis", "kafka", "auth", "database"} <= set(body["services"])
    assert all(value is True for value in body["services"].values())
    assert set(body["metrics"]) == {
        "totalConnections",
        "activeConnections",
        "messagesSent",
        "messagesReceived",
    }
    assert body["processing"] == {}


async def test_the_former_health_document_tells_how_far_each_chain_was_scanned() -> None:
    await asyncio.to_thread(_scan)
    body = (await AsyncClient().get("/health")).json()
    (told,) = body["processing"].items()
    assert told[0] == "rei"
    assert told[1].pop("ageSeconds") >= 60
    assert told[1].pop("updatedAt") > 1_700_000_000_000
    assert told[1] == {"status": "idle", "lastProcessedBlock": 7, "errors": {"timeout": 2}}


def _scan() -> None:
    ActivityCursor.objects.create(
        chain="rei",
        last_block=7,
        updated_at=clock.db_now() - timedelta(minutes=1),
        errors={"timeout": 2},
    )
    connection.close()


async def test_a_reading_that_hangs_holds_up_no_answer_and_is_not_begun_again() -> None:
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as database:
        database.execute("LOCK TABLE stats_activity_cursor IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):
            async with asyncio.timeout(30):
                answers = await asyncio.gather(*(AsyncClient().get("/health") for _ in range(3)))
            assert [one.json()["processing"] for one in answers] == [{}] * 3
        waiting = database.execute(
            "SELECT count(*) FROM pg_locks "
            "WHERE NOT granted AND relation = 'stats_activity_cursor'::regclass"
        ).fetchone()
        database.rollback()
    assert waiting == (1,)


async def test_without_its_database_a_process_is_neither_ready_nor_healthy(servers: Any) -> None:
    servers(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert (await AsyncClient().get("/health/ready")).status_code == 503
    response = await AsyncClient().get("/health")
    assert response.status_code == 503
    assert response.json()["status"] == "unhealthy"
    assert response.json()["services"]["database"] is False


async def test_without_its_broker_a_process_is_degraded_but_serves(servers: Any) -> None:
    servers(BROKER_URL="redis://127.0.0.1:9/0")
    response = await AsyncClient().get("/health")
    assert response.status_code == 200
    assert response.json()["status"] == "degraded"
    assert response.json()["services"]["redis"] is False
    assert (await AsyncClient().get("/health/ready")).status_code == 200


async def test_stores_that_hang_do_not_hang_the_answer(servers: Any) -> None:
    with hanging_server() as port:
        servers(
            DATABASE_URL=f"postgresql://nobody@127.0.0.1:{port}/none",
            CACHE_URL=f"redis://127.0.0.1:{port}/0",
            BROKER_URL=f"redis://127.0.0.1:{port}/0",
        )
        started = time.monotonic()
        response = await AsyncClient().get("/health/ready")
    assert time.monotonic() - started < health.CHECK_TIMEOUT_S + 1.5
    assert response.status_code == 503
    assert response.json()["checks"]["database"]["fault"] == "no answer in time"


async def test_no_fault_tells_an_address_or_a_password(servers: Any) -> None:
    servers(DATABASE_URL="postgresql://nobody:hunter2@127.0.0.1:9/none")
    response = await AsyncClient().get("/health/ready")
    assert "hunter2" not in response.content.decode()
    assert "127.0.0.1" not in response.content.decode()


async def test_an_event_that_waits_for_the_relay_for_long_degrades_health() -> None:
    await asyncio.to_thread(_leave_an_old_event)
    response = await AsyncClient().get("/health")
    assert response.json()["services"]["relay"] is False
    assert response.json()["status"] == "degraded"


def _leave_an_old_event() -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as database:
        database.execute(
            "INSERT INTO core_outbox (name, key, topics, payload, created_at) "
            "VALUES ('system.alert', 'k', '[]', '{}', clock_timestamp() - interval '1 minute')"
        )


async def test_the_stores_are_looked_at_once_a_second_however_often_one_asks(servers: Any) -> None:
    assert (await AsyncClient().get("/health/ready")).status_code == 200
    servers(DATABASE_URL="postgresql://nobody@127.0.0.1:9/none")
    assert (await AsyncClient().get("/health/ready")).status_code == 200


async def test_many_who_ask_at_once_share_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []

    async def counted() -> None:
        looks.append(None)
        await asyncio.sleep(0.05)

    monkeypatch.setattr(health, "CHECKS", dict.fromkeys(health.CHECKS, counted))
    asking = [asyncio.create_task(health.look_at_all()) for _ in range(50)]
    await asyncio.sleep(0)
    asking.pop(0).cancel()
    found = await asyncio.gather(*asking)
    assert len(looks) == len(health.CHECKS)
    assert all(probes["database"].ok for probes in found)


def test_metrics_are_for_internal_networks_and_staff() -> None:
    inside = Client().get("/metrics")
    outside = Client(REMOTE_ADDR="203.0.113.7").get("/metrics")
    assert inside.status_code == 200
    assert b"moonx_task_runs_total" in inside.content
    assert outside.status_code == 404
