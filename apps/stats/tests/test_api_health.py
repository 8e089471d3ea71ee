"""How chains and bridges do, over HTTP: from rows, with their age, kept by tag."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.stats.freshness import Kind
from apps.stats.models import Published
from apps.stats.vocabulary import Verdict
from moonx.core import clock, paces
from moonx.core.chains import registry
from moonx.core.events import (
    StatsBridgeLatencyUpdated,
    StatsChainPerformanceUpdated,
    StatsFact,
    StatsOverviewUpdated,
)
from moonx.core.intervals import to_ms

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

# One for all: each new one builds the chain of middleware anew.
CLIENT = Client()

SECOND = timedelta(seconds=1)


def get(path: str, **headers: str) -> Any:
    return CLIENT.get(f"/api/v1/stats{path}", headers=headers)


def keep(subject: str, event: StatsFact) -> None:
    fields = {"payload": event.payload(), "as_of": event.as_of, "seq": event.seq}
    Published.objects.update_or_create(subject=subject, defaults=fields)


def chain_event(**fields: Any) -> StatsChainPerformanceUpdated:
    chain = registry.find("rei")
    now = clock.db_now()
    told: dict[str, Any] = {
        "seq": 3,
        "heartbeat": False,
        "as_of": now,
        "chain": chain.slug,
        "chain_id": chain.chain_id,
        "verdict": Verdict.HEALTHY,
        "reasons": (),
        "providers": (
            {
                "name": "rpc.rei.network",
                "state": "ok",
                "lag_blocks": 0,
                "error_rate": "0",
                "p95_ms": 80,
            },
        ),
        "block_time_ms": {"p50": 3000, "p95": 3000, "p99": 4000, "n": 300},
        "tps": "1.25",
        "gas_used_ratio": "0.02",
        "base_fee_wei": None,
        "head": 30_000_000,
        "head_age_ms": 2_000,
        "finality_lag_ms": 9_000,
        "reorgs1h": {"count": 0, "max_depth": 0},
        "volume24h_usd": "1250000.5",
        "tvl_usd": None,
        "sampled_at": now,
        "simulated": False,
    }
    return StatsChainPerformanceUpdated(**{**told, **fields})


def bridge_event(**fields: Any) -> StatsBridgeLatencyUpdated:
    now = clock.db_now()
    told: dict[str, Any] = {
        "seq": 1,
        "heartbeat": False,
        "as_of": now,
        "provider": "lifi",
        "from_": "ethereum",
        "to": "base",
        "size": "1000",
        "verdict": Verdict.DEGRADED,
        "reasons": ({"rule": "latencyP95", "value": 3_200, "limit": 3_000},),
        "latency_ms": {
            **dict.fromkeys(("p50", "p90", "dayP50", "dayP90"), 410),
            **dict.fromkeys(("p95", "p99", "dayP95", "dayP99"), 3_200),
            "n": 12,
            "censored": 1,
            "dayN": 12,
            "dayCensored": 1,
        },
        "success_rate": "0.96",
        "errors": {"timeout": 1},
        "sampled_at": now,
        "simulated": True,
    }
    return StatsBridgeLatencyUpdated(**{**told, **fields})


def shown(name: str, place: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = get(f"/{name}").json()[name][place]
    return found


def chain_shown(slug: str = "rei") -> dict[str, Any]:
    return next(one for one in get("/chains").json()["chains"] if one["chain"] == slug)


def test_a_chain_is_told_as_its_event_told_it_with_its_age() -> None:
    event = chain_event()
    keep("chain:rei", event)
    found = chain_shown()
    assert event.payload().items() <= found.items()
    assert 0 <= found["ageMs"] < 60_000
    assert (found["isStale"], found["name"], found["isEnabled"]) == (False, "REI Network", False)


def test_a_chain_that_nobody_looked_at_is_unknown_and_its_figures_are_null() -> None:
    answer = get("/chains").json()
    assert {one["chain"] for one in answer["chains"]} == {one.slug for one in registry.all()}
    found = chain_shown()
    assert found["verdict"] == "unknown"
    assert found["reasons"] == [{"rule": "noSample", "value": 0, "limit": 1}]
    for name in ("tps", "head", "headAgeMs", "baseFeeWei", "tvlUsd", "sampledAt", "ageMs"):
        assert found[name] is None, name
    assert found["isStale"] is True


@pytest.mark.parametrize("verdict", [Verdict.HEALTHY, Verdict.DEGRADED])
def test_what_is_stale_keeps_its_figures_and_is_never_healthy(verdict: Verdict) -> None:
    sampled = clock.db_now() - Kind.CHAINS.least - SECOND
    keep("chain:rei", chain_event(verdict=verdict, sampled_at=sampled))
    found = chain_shown()
    assert (found["tps"], found["head"]) == ("1.25", 30_000_000)
    assert (found["isStale"], found["verdict"]) == (True, "unknown")
    limit = Kind.CHAINS.least // (SECOND / 1000)
    assert found["reasons"] == [{"rule": "stale", "value": None, "limit": limit}]
    assert found["ageMs"] > limit


def test_what_is_looked_at_less_often_is_stale_later() -> None:
    name = Kind.CHAINS.task
    pace = IntervalSchedule.objects.create(every=10, period=IntervalSchedule.MINUTES)
    PeriodicTask.objects.create(name=name, task=name, interval=pace)
    paces.forget()
    keep("chain:rei", chain_event(sampled_at=clock.db_now() - timedelta(minutes=29)))
    on_time = chain_shown()
    keep("chain:rei", chain_event(sampled_at=clock.db_now() - timedelta(minutes=31)))
    late = chain_shown()
    assert (on_time["isStale"], on_time["verdict"]) == (False, "healthy")
    assert (late["isStale"], late["verdict"]) == (True, "unknown")
    assert on_time["staleAfterMs"] == 1_815_000


def test_what_is_stale_and_was_unhealthy_stays_so() -> None:
    sampled = clock.db_now() - Kind.BRIDGES.least - SECOND
    keep("bridge:lifi:a:b:1", bridge_event(verdict=Verdict.UNHEALTHY, sampled_at=sampled))
    found = shown("bridges")
    assert (found["isStale"], found["verdict"]) == (True, "unhealthy")


def test_bridges_are_told_as_their_events_told_them() -> None:
    events = [bridge_event(provider=name) for name in ("relay", "lifi")]
    for event in events:
        keep(event.key, event)
    told = get("/bridges").json()["bridges"]
    assert [one["provider"] for one in told] == ["lifi", "relay"]
    assert events[1].payload().items() <= told[0].items()


def test_the_overview_is_told_with_the_time_of_its_collection() -> None:
    now = clock.db_now()
    event = StatsOverviewUpdated(
        seq=2,
        heartbeat=True,
        as_of=now,
        chains={"healthy": 1, "degraded": 0, "unhealthy": 0, "unknown": 7},
        bridges={"healthy": 27, "degraded": 0, "unhealthy": 0, "unknown": 0},
        active24h=120,
        volume24h="12.5",
        tvl=None,
        simulated=True,
        simulated_bridges=False,
    )
    keep("overview", event)
    found = get("/overview").json()
    assert found["publishedAt"] == to_ms(now)
    assert (found["active24h"], found["volume24h"], found["tvl"]) == (120, "12.5", None)
    assert (found["isStale"], found["chains"]["unknown"]) == (False, 7)


def test_before_the_first_collection_the_overview_knows_nothing() -> None:
    found = get("/overview").json()
    assert found["chains"] == {"healthy": 0, "degraded": 0, "unhealthy": 0, "unknown": 0}
    assert (found["active24h"], found["publishedAt"], found["isStale"]) == (None, None, True)


@pytest.mark.parametrize("path", ["/chains", "/bridges", "/overview"])
def test_an_answer_that_differs_in_its_age_alone_is_not_sent_again(path: str) -> None:
    keep("chain:rei", chain_event())
    keep("bridge:lifi:ethereum:base:1000", bridge_event())
    first = get(path)
    assert first["Cache-Control"] == "no-cache"
    again = get(path, if_none_match=first["ETag"])
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    keep("chain:rei", chain_event(tps="1.26"))
    keep("bridge:lifi:ethereum:base:1000", bridge_event(size="7"))
    keep("overview", overview_of(9))
    changed = get(path, if_none_match=first["ETag"])
    assert (changed.status_code, changed["ETag"] == first["ETag"]) == (200, False)


def test_a_stale_chain_is_not_sent_again_while_it_grows_older() -> None:
    sampled = clock.db_now() - Kind.CHAINS.least - SECOND
    keep("chain:rei", chain_event(sampled_at=sampled))
    first = get("/chains")
    assert chain_shown()["isStale"]
    assert get("/chains", if_none_match=first["ETag"]).status_code == 304


def overview_of(active: int) -> StatsOverviewUpdated:
    return StatsOverviewUpdated(
        seq=1,
        heartbeat=False,
        as_of=datetime(2026, 11, 26, tzinfo=UTC),
        chains=dict.fromkeys(Verdict, 1),
        bridges=dict.fromkeys(Verdict, 0),
        active24h=active,
        volume24h=None,
        tvl=None,
        simulated=False,
        simulated_bridges=True,
    )


def test_the_number_of_queries_does_not_grow_with_the_bridges() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as found:
            get("/bridges")
        return len(found)

    keep("bridge:lifi:ethereum:base:1", bridge_event())
    queries()  # reads how often bridges are asked, which is remembered
    before = queries()
    for size in range(2, 30):
        keep(f"bridge:lifi:ethereum:base:{size}", bridge_event(size=str(size)))
    assert queries() == before


@pytest.mark.parametrize("path", ["/chains", "/bridges", "/overview"])
def test_these_paths_take_no_other_method(path: str) -> None:
    answer = CLIENT.post(f"/api/v1/stats{path}")
    assert answer.status_code == 405
    assert answer.json() == {"code": "wrongMethod", "message": "This path answers GET only."}


def test_requests_weigh_on_the_address_with_those_of_all_interfaces(settings: Any) -> None:
    settings.ENV = settings.ENV.model_copy(
        update={"rate_limit_weight_per_minute": 4, "rate_limit_enabled": True}
    )
    assert [get("/overview").status_code for _ in range(3)] == [200, 200, 429]
    refused = get("/chains")
    assert refused.json()["code"] == "tooManyRequests"
    assert 1 <= int(refused["Retry-After"]) <= 61
