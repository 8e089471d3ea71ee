"""How collectors fare is counted and kept, by whom they ask."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connections

from apps.stats import collectors
from apps.stats.collectors import Called
from apps.stats.models import Collector
from moonx.core import jobs, metrics
from moonx.core.upstream.faults import Fault

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
TASK = "stats.bridge_latency"


def called(provider: str = "lifi", fault: Fault | None = None, ms: int = 200) -> Called:
    return Called(provider=provider, fault=fault, duration_ms=ms)


def counted(result: str, provider: str) -> float:
    return metrics.total(
        metrics.registry().collect(),
        "moonx_collector_calls_total",
        collector=TASK,
        provider=provider,
        result=result,
    )


@pytest.mark.django_db
def test_each_provider_of_a_run_is_kept_with_its_last_success_and_failure() -> None:
    calls = [called(), called(fault=Fault.TIMEOUT, ms=3000), called("relay")]
    collectors.tell(TASK, calls, now=NOW)
    lifi, relay = Collector.objects.all()
    assert (lifi.provider, lifi.successes, lifi.failures) == ("lifi", 1, 1)
    assert (lifi.last_success_at, lifi.last_failure_at, lifi.last_fault) == (NOW, NOW, "timeout")
    assert lifi.last_duration_ms == 3000
    assert (relay.successes, relay.last_failure_at, relay.last_fault) == (1, None, "")


@pytest.mark.django_db
def test_what_went_well_before_stays_told_when_a_run_fails() -> None:
    later = NOW + timedelta(minutes=2)
    collectors.tell(TASK, [called()], now=NOW)
    collectors.tell(TASK, [called(fault=Fault.SERVER)], now=later)
    row = Collector.objects.get()
    assert (row.last_success_at, row.last_failure_at) == (NOW, later)
    assert (row.successes, row.failures, row.last_fault) == (1, 1, "server")
    collectors.tell(TASK, [called()], now=later)
    row.refresh_from_db()
    assert (row.last_success_at, row.last_fault) == (later, "server")


@pytest.mark.django_db
def test_a_fair_answer_without_result_is_no_failure() -> None:
    collectors.tell(TASK, [called(fault=Fault.NO_RESULT)], now=NOW)
    row = Collector.objects.get()
    assert (row.successes, row.failures, row.last_fault) == (1, 0, "")


@pytest.mark.django_db
def test_calls_are_counted_by_how_they_ended() -> None:
    before = counted("timeout", "oneinch"), counted("success", "oneinch")
    calls = [called("oneinch", Fault.TIMEOUT), called("oneinch"), called("oneinch")]
    collectors.tell(TASK, calls, now=NOW)
    assert counted("timeout", "oneinch") == before[0] + 1
    assert counted("success", "oneinch") == before[1] + 2
    name = "moonx_collector_last_success_timestamp_seconds"
    families = list(metrics.registry().collect())
    assert metrics.total(families, name, provider="oneinch") == NOW.timestamp()


@pytest.mark.django_db
def test_lateness_reaches_from_when_the_run_was_due_to_when_its_figures_stand() -> None:
    token = jobs.due_at_s.set(time.time() - 7)
    try:
        collectors.tell(TASK, [called()], now=NOW)
    finally:
        jobs.due_at_s.reset(token)
    assert 7_000 <= (Collector.objects.get().last_late_ms or 0) < 9_000


@pytest.mark.django_db
def test_a_run_that_asked_nobody_is_told_of_nobody() -> None:
    collectors.tell(TASK, [], now=NOW)
    assert not Collector.objects.exists()


def test_runs_at_the_same_time_lose_no_count(committed_db: None) -> None:
    def run(_: int) -> None:
        try:
            collectors.tell(TASK, [called("b"), called("a")], now=NOW)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(40)))
    assert [row.successes for row in Collector.objects.all()] == [40, 40]
