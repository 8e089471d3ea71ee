"""A full collection: its parts run side by side, and none stops another."""

from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from apps.stats import collection, tasks
from apps.stats.models import ChainHour, ChainSample, ChainWatch, Published
from apps.stats.tests.watching import NOW
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
def test_subjects_of_which_nothing_was_heard_for_a_week_are_forgotten() -> None:
    for days, slug in ((8, "gone"), (6, "here")):
        at = NOW - timedelta(days=days)
        Published.objects.create(subject=f"chain:{slug}", as_of=at, payload={})
        ChainWatch.objects.create(chain=slug, looked_at=at)
    numbers = collection.prune(now=NOW)
    assert numbers == {"chains": 1, "bridges": 0, "subjects": 1}
    assert Published.objects.get().subject == "chain:here"
    assert ChainWatch.objects.get().chain == "here"
    assert not ChainHour.objects.exists()
    assert not ChainSample.objects.exists()
