"""One look at all bridges, against the simulator: what is asked, kept and told."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from pydantic import SecretStr

from apps.stats.bridges import collecting, corridors
from apps.stats.bridges.collecting import Collected
from apps.stats.models import BridgeSample, Published
from apps.stats.tests.answering import Answering, Says
from moonx.core import abreast, locks, resilience, topics
from moonx.core.locks import Lock
from moonx.core.models import OutboxEvent
from moonx.core.upstream.faults import Fault
from moonx.core.upstream.names import Service
from moonx.simulator.tests import examples
from moonx.simulator.tests.server import Simulator

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
EACH = 3 * 3  # corridors and sizes, of one bridge
SECRET = "k3y-of-ours"


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(
    running: Simulator, settings: Any, clean_valkey: None, committed_db: None
) -> Simulator:
    """A quick one that stands in for all bridges."""
    settings.ENV = settings.ENV.model_copy(update={"simulator_url": running.url})
    running.order(seed=1, service="*", latencyMs=0)
    forget_circuits()
    return running


@pytest.fixture
def alone(simulator: Simulator, settings: Any) -> Simulator:
    """As `simulator`, of one corridor in one size."""
    update = {"bridge_corridors": ("USDC:ethereum>base",), "bridge_sizes": ("100",)}
    settings.ENV = settings.ENV.model_copy(update=update)
    return simulator


def forget_circuits() -> None:
    resilience.circuits.forget()
    resilience.limits.forget()


def look(minutes: float = 0) -> Collected:
    return collecting.collect(now=NOW + timedelta(minutes=minutes))


def told(provider: str, *, size: int = 100) -> dict[str, Any]:
    """What is known of ethereum>base."""
    payload: dict[str, Any] = Published.objects.get(
        subject=f"bridge:{provider}:ethereum:base:{size}"
    ).payload
    return payload


def real(settings: Any, **variables: Any) -> None:
    settings.ENV = settings.ENV.model_copy(update=variables)


def test_a_look_asks_every_bridge_on_every_way_in_every_size(simulator: Simulator) -> None:
    assert look() == Collected(quotes=3 * EACH, told=3 * EACH)
    rows = list(BridgeSample.objects.all())
    assert {(row.fault, row.simulated, row.sampled_at) for row in rows} == {("", True, NOW)}
    assert {row.provider for row in rows} == {"lifi", "relay", "1inch"}
    assert {(row.source, row.target) for row in rows} == {
        ("ethereum", "base"),
        ("base", "arbitrum"),
        ("bsc", "base"),
    }
    assert all(row.route_ms and row.latency_ms is not None for row in rows)


def test_a_verdict_stands_with_the_fifth_look_and_is_told_then(alone: Simulator) -> None:
    verdicts = []
    for minute in range(6):
        look(minute)
        verdicts.append(told("relay")["verdict"])
    assert verdicts == ["unknown"] * 4 + ["healthy"] * 2
    assert (
        list(
            BridgeSample.objects.filter(provider="relay")
            .order_by("id")
            .values_list("verdict", flat=True)
        )
        == verdicts
    )
    events = OutboxEvent.objects.filter(key="bridge:relay:ethereum:base:100").order_by("id")
    changes = [one.payload["verdict"] for one in events if not one.payload["heartbeat"]]
    assert changes[0] == "unknown"
    assert "healthy" in changes
    assert {tuple(one.topics) for one in events} == {("bridges",)}


def test_what_is_told_has_the_figures_and_says_that_they_are_simulated(alone: Simulator) -> None:
    before(8)
    alone.order(service="relay", errorShare=1)
    look()
    alone.order(service="relay", errorShare=0)
    look(1)
    payload = told("relay")
    assert (payload["successRate"], payload["errors"]) == ("0.9000", {"server": 1})
    assert payload["verdict"] == "degraded"
    assert payload["reasons"] == [{"rule": "successRate", "value": "0.9000", "limit": "0.95"}]
    latency = payload["latencyMs"]
    assert (latency["n"], latency["dayN"], latency["censored"]) == (9, 9, 0)
    assert 0 <= latency["p50"] <= latency["p90"] <= latency["p95"] <= latency["p99"]
    assert payload["simulated"] is True
    assert (payload["from"], payload["to"], payload["size"]) == ("ethereum", "base", "100")


def test_the_percentiles_of_sql_are_nearest_rank_over_quotes_of_the_hour(alone: Simulator) -> None:
    # Twenty quotes of 10 to 200 ms within the hour, one before it, and a slow failure.
    ages = [timedelta(minutes=place) for place in range(20)] + [timedelta(minutes=61)]
    latencies = [*range(10, 201, 10), 9_000]
    made = [("", age, ms) for age, ms in zip(ages, latencies, strict=True)]
    made.append((Fault.TIMEOUT.value, timedelta(minutes=1), 10_000))
    BridgeSample.objects.bulk_create(sample(fault, NOW - age, ms) for fault, age, ms in made)
    window = collecting.judge(corridors.watched(), now=NOW)[subject("relay")]
    hour, day = window.hour, window.day
    assert (hour.p50_ms, hour.p90_ms, hour.p95_ms, hour.p99_ms) == (100, 180, 190, 200)
    assert (hour.successes, hour.attempts, hour.censored) == (20, 21, 1)
    assert (day.p50_ms, day.p99_ms, day.successes) == (110, 9_000, 21)


def sample(fault: str, at: datetime, latency_ms: int | None, **more: Any) -> BridgeSample:
    usual = {"provider": "relay", "simulated": True, **more}
    return BridgeSample(
        source="ethereum",
        target="base",
        asset="USDC",
        size=100,
        fault=fault,
        latency_ms=latency_ms,
        sampled_at=at,
        **usual,
    )


def before(count: int) -> None:
    """So many quotes of each bridge in the minutes before."""
    BridgeSample.objects.bulk_create(
        sample("", NOW - timedelta(minutes=place + 1), 50, provider=provider)
        for place in range(count)
        for provider in ("lifi", "relay", "1inch")
    )


def subject(provider: str) -> corridors.Subject:
    return corridors.Subject(provider, "ethereum", "base", 100)


def test_real_and_simulated_samples_are_never_mixed(alone: Simulator, settings: Any) -> None:
    before(6)
    with Answering() as server:
        server.says = Says(body=examples.raw("relay__quote_v2"))
        real(settings, relay_base_url=server.url)
        look()
    payload = told("relay")
    assert (payload["simulated"], payload["verdict"]) == (False, "unknown")
    assert payload["latencyMs"]["n"] == payload["latencyMs"]["dayN"] == 1


def test_one_bridge_that_fails_costs_no_other(alone: Simulator) -> None:
    alone.order(service="lifi", htmlShare=1)
    alone.order(service="relay", halfShare=1)
    for minute in range(4):
        found = look(minute)
        assert (found.quotes, found.failed) == (1, 2)
    look(5)
    assert told("1inch")["verdict"] == "healthy"
    assert told("lifi")["verdict"] == told("relay")["verdict"] == "unhealthy"
    assert told("lifi")["errors"]["malformed"] >= 4


def test_a_bridge_that_is_down_is_unhealthy_though_nobody_asks_it_any_more(
    alone: Simulator,
) -> None:
    before(30)
    alone.order(service="relay", errorShare=1)
    for minute in range(7):
        look(minute)
    payload = told("relay")
    assert payload["verdict"] == "unhealthy"
    assert payload["reasons"][0]["rule"] == "circuit"
    assert payload["errors"]["heldBack"] > 0
    assert float(payload["successRate"]) > 0.7  # which alone would not say so


def test_being_asked_too_often_is_not_held_against_the_bridge(alone: Simulator) -> None:
    before(5)
    alone.order(service="relay", rateLimitedShare=1)
    look()
    found = look(1)
    assert found.held_back == 1  # all workers leave it alone for a while
    payload = told("relay")
    assert (payload["verdict"], payload["successRate"]) == ("healthy", "1.0000")
    assert payload["errors"] == {"heldBack": 1, "rateLimited": 1}


def test_without_a_key_lifi_is_asked_what_it_allows_and_the_answer_says_so(
    simulator: Simulator, settings: Any
) -> None:
    with Answering() as server:
        server.says = Says(body=examples.raw("lifi__quote"))
        real(settings, lifi_base_url=server.url)
        first = look()
        rest = [look(2 * run) for run in range(1, 5)]
        assert (first.quotes, first.held_back) == (3 * EACH, 0)
        assert {(one.quotes, one.held_back) for one in rest} == {(2 * EACH + 1, EACH - 1)}
        assert len(server.asked) == EACH + len(rest)
        assert len({one.query["fromAmount"] for one in server.asked[EACH:]}) > 1
    payload = told("lifi")
    assert payload["verdict"] == "unknown"
    assert payload["reasons"] == [
        {"rule": "samples", "value": 2, "limit": 5},
        {"rule": "heldBack", "value": 3, "limit": 0},
    ]


def test_oneinch_is_asked_once_a_second(alone: Simulator, settings: Any) -> None:
    with Answering() as server:
        server.says = Says(body=examples.raw("1inch__fusionplus_quote_receive"))
        real(
            settings,
            oneinch_base_url=server.url,
            oneinch_api_key=SecretStr(SECRET),
            bridge_sizes=("100", "1000"),
        )
        begun_s = time.monotonic()
        found = look()
        assert time.monotonic() - begun_s > 1
    assert (found.quotes, found.failed, found.held_back) == (6, 0, 0)
    assert [one.headers["authorization"] for one in server.asked] == [f"Bearer {SECRET}"] * 2


def test_a_bridge_that_is_off_is_not_watched_and_says_so_once(
    alone: Simulator, settings: Any
) -> None:
    look()
    real(settings, simulator_url="")
    watched = corridors.watched()
    assert set(watched) == {Service.LIFI, Service.RELAY}
    judged = collecting.judge(watched, now=NOW + timedelta(minutes=7))
    collecting.tell(judged, now=NOW + timedelta(minutes=7))
    payload = told("1inch")
    assert (payload["verdict"], payload["reasons"][0]["rule"]) == ("unknown", "notWatched")
    collecting.tell(judged, now=NOW + timedelta(minutes=30))
    assert told("1inch")["seq"] == payload["seq"]


def test_a_second_look_at_the_same_time_does_nothing(alone: Simulator) -> None:
    with transaction.atomic():
        locks.hold(Lock.JOB, locks.key_of("stats.bridges"))
        done = abreast.run({"other": look})
        assert done["other"].result() == Collected()
    assert BridgeSample.objects.count() == 0
    assert look().quotes == 3


def test_a_look_takes_little_more_than_one_upstream_time(simulator: Simulator) -> None:
    simulator.order(service="*", latencyMs=200)
    look()  # connections and circuits are made
    begun_s = time.monotonic()
    assert look(1).quotes == 3 * EACH
    slowest_ms = max(row.latency_ms or 0 for row in BridgeSample.objects.all())
    assert time.monotonic() - begun_s < slowest_ms / 1000 + 1


def test_a_newcomer_to_the_channel_is_told_all_that_is_known(alone: Simulator) -> None:
    look()
    namespace, args = topics.find("bridges")
    assert (namespace.public, args) == (True, [])
    found = namespace.snapshot(args)
    assert {name for name, _ in found} == {"stats.bridge_latency_updated"}
    assert [data["provider"] for _, data in found] == ["1inch", "lifi", "relay"]


def test_no_key_is_kept_or_told(alone: Simulator, settings: Any) -> None:
    with Answering() as server:
        server.says = Says(status=401, body=b'{"message":"k3y-of-ours"}')
        real(settings, lifi_base_url=server.url, lifi_api_key=SecretStr(SECRET))
        look()
    with connection.cursor() as cursor:
        for table in ("stats_bridgesample", "stats_published", "core_outbox"):
            cursor.execute(f"SELECT string_agg(t::text, ' ') FROM {table} t")  # noqa: S608
            assert SECRET not in cursor.fetchone()[0]
    assert told("lifi")["errors"] == {"authentication": 1}
