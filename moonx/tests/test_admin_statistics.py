"""Statistics on the admin's first page."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.stats import collectors
from apps.stats.collectors import Called
from apps.stats.models import ActivityCursor, Published
from moonx.admin import statistics
from moonx.admin.cards import Card
from moonx.core import clock
from moonx.core.chains import registry
from moonx.core.intervals import to_ms
from moonx.core.resilience.circuit import CallClass, CircuitState
from moonx.core.resilience.models import Circuit
from moonx.core.upstream.faults import Fault

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ops"))
    return client


@pytest.fixture(autouse=True)
def _one_chain_is_on(settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(
        update={"rpc_url_rei": type(settings.ENV.database_url)("http://127.0.0.1:9")}
    )


def card(title: str) -> Card:
    return next(one for one in statistics.cards(now=clock.db_now()) if one.title == title)


def test_an_open_circuit_is_named() -> None:
    assert card("Open circuits").is_fine
    Circuit.objects.create(
        key="k",
        provider="lifi",
        kind=CallClass.QUOTE,
        state=CircuitState.OPEN,
        since=clock.db_now(),
    )
    found = card("Open circuits")
    assert (found.is_fine, found.figure) == (False, "1")
    assert "lifi" in found.sentence


def told(subject: str, verdict: str, *, age: timedelta = timedelta(0)) -> None:
    sampled = clock.db_now() - age
    reasons = [{"rule": "headAge"}] if verdict != "healthy" else []
    payload = {"verdict": verdict, "reasons": reasons, "sampledAt": to_ms(sampled)}
    fields = {"payload": payload, "as_of": sampled}
    Published.objects.update_or_create(subject=subject, defaults=fields)


BOTH = pytest.mark.parametrize(
    ("subject", "title", "name"),
    [
        ("chain:rei", "Unhealthy chains", "rei"),
        ("bridge:relay:base:bsc:100", "Unhealthy bridges", "relay:base:bsc:100"),
    ],
)


@BOTH
def test_what_is_unhealthy_is_named(subject: str, title: str, name: str, staff: Client) -> None:
    for verdict in ("healthy", "degraded"):
        told(subject, verdict)
        assert card(title).is_fine
    told(subject, "unhealthy")
    found = card(title)
    assert (found.is_fine, found.figure, found.sentence) == (False, "1", name)
    page = staff.get(found.link)
    assert page.status_code == 200
    assert subject in page.content.decode()


@BOTH
def test_what_is_not_known_is_not_fine(subject: str, title: str, name: str) -> None:
    told(subject, "unknown")
    found = card(title)
    assert (found.is_fine, found.sentence) == (False, f"1 unknown: {name}")
    told(subject, "healthy", age=timedelta(minutes=7))
    assert card(title) == found


def test_what_nobody_looked_at_yet_is_not_fine() -> None:
    found = card("Unhealthy chains")
    assert (found.is_fine, found.sentence) == (False, "not looked at yet: rei")
    found = card("Unhealthy bridges")
    assert (found.is_fine, found.sentence) == (False, "Not looked at yet.")


def test_a_chain_that_is_off_needs_nobody() -> None:
    told("chain:rei", "healthy")
    told("chain:base", "unhealthy")
    assert card("Unhealthy chains").is_fine


def test_a_scan_that_did_not_get_through_for_a_while_is_late() -> None:
    assert [chain.slug for chain in registry.enabled()] == ["rei"]
    assert card("Late activity scan").sentence == "rei"
    now = clock.db_now()
    ActivityCursor.objects.create(chain="rei", updated_at=now)
    assert card("Late activity scan").is_fine
    ActivityCursor.objects.update(updated_at=now - statistics.SCAN_LATE_AFTER * 2)
    assert not card("Late activity scan").is_fine


def test_collectors_are_told_with_their_lateness_and_a_way_to_run_them(staff: Client) -> None:
    now = clock.db_now()
    every = IntervalSchedule.objects.create(every=120, period=IntervalSchedule.SECONDS)
    name = "stats.bridge_latency"
    entry = PeriodicTask.objects.create(name=name, task=name, interval=every, queue="stats")
    failed = Called(provider="lifi", fault=Fault.TIMEOUT, duration_ms=9)
    collectors.tell(name, [failed], now=now)
    collectors.tell(
        name,
        [Called(provider="relay", fault=None, duration_ms=9)],
        now=now - timedelta(minutes=5),
    )
    lifi, relay = statistics.collectors(now=now)["rows"]
    assert lifi[1:4] == ["lifi", "failing", "never"]
    assert lifi[4].startswith("timeout, ")
    assert (relay[2], relay[5]) == ("fine", "180 s")
    page = staff.get("/admin/").content.decode()
    assert reverse("admin:django_celery_beat_periodictask_run_one", args=[entry.pk]) in page
    assert "Unhealthy bridges" in page
