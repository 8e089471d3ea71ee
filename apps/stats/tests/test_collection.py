"""A full collection: its parts run side by side, and none stops another."""

from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from apps.stats import collection, collectors, publishing, tasks
from apps.stats.chains import telling
from apps.stats.collectors import Called
from apps.stats.models import ChainSample, ChainWatch, Collector, ProviderAnswer, Published
from apps.stats.tests.watching import NOW, fake_chain, silent
from moonx.core import clock
from moonx.core.metrics import task_runs


def test_parts_run_at_the_same_time_each_by_the_databases_clock(committed_db: None) -> None:
    moments: list[datetime] = []
    together = Barrier(4)  # one that ran alone would wait in vain

    def part(now: datetime) -> None:
        moments.append(now)
        together.wait(timeout=60)

    done = collection.collect_all(dict.fromkeys(("a", "b", "c", "d"), part))
    assert done.done == ("a", "b", "c", "d", "hours", "overview")
    assert all(abs(moment - clock.db_now()) < timedelta(minutes=2) for moment in moments)


def test_a_part_that_fails_stops_no_other_and_is_logged(committed_db: None, caplog: Any) -> None:
    def broken(_: datetime) -> None:
        raise RuntimeError("upstream sent nonsense")

    done = collection.collect_all({"chains": broken, "volumes": lambda _: None})
    assert (done.done, done.failed) == (("volumes", "hours", "overview"), ("chains",))
    assert Published.objects.filter(subject="overview").exists()
    assert "a part of the collection failed" in caplog.text
    assert "upstream sent nonsense" in caplog.text


def test_without_any_upstream_the_tasks_say_what_they_did(committed_db: None) -> None:
    before = task_runs.labels("stats.chain_performance", "success")._value.get()
    sentence = tasks.chain_performance.run()
    assert sentence.startswith("Looked at chains: 0 healthy, 0 degraded, 0 unhealthy, 0 unknown")
    assert task_runs.labels("stats.chain_performance", "success")._value.get() == before + 1


@pytest.mark.django_db
def test_what_nothing_was_heard_of_for_a_week_is_forgotten() -> None:
    gone, here = fake_chain(), fake_chain(slug="here", chain_id=7)
    gone.watch(now=NOW)
    here.watch(now=NOW + timedelta(days=2))
    assert (ChainSample.objects.count(), ProviderAnswer.objects.count()) == (2, 4)
    numbers = collection.prune(now=NOW + timedelta(days=8))
    # The sample and the watch of the one that is gone, and the answers of both.
    assert numbers == {"chains": 6, "bridges": 0, "subjects": 1, "collectors": 0}
    assert set(publishing.newest("")) == {"chain:here"}
    assert ChainWatch.objects.get().chain == "here"
    assert ChainSample.objects.get().chain == "here"
    assert not ProviderAnswer.objects.exists()
    assert collection.prune(now=NOW + timedelta(days=8))["subjects"] == 0


@pytest.mark.django_db
def test_who_was_not_asked_for_a_week_is_no_collector_any_more() -> None:
    for days, name in ((8, "gone"), (6, "here")):
        called = Called(provider=name, fault=None, duration_ms=1)
        collectors.tell("stats.collect_all", [called], now=NOW - timedelta(days=days))
    assert collection.prune(now=NOW)["collectors"] == 1
    assert Collector.objects.get().provider == "here"


@pytest.mark.django_db
def test_a_subject_that_comes_back_goes_on_with_its_numbers() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    silent(made)
    made.watch(now=NOW + timedelta(minutes=1))
    assert made.told()["seq"] == 2
    later = NOW + timedelta(days=9)
    collection.prune(now=later)
    assert telling.snapshot(made.chain) == []
    made.watch(now=later)
    assert made.told()["seq"] == 3
