"""The base of every task, called directly and in a real worker on the real broker."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Retry, SoftTimeLimitExceeded
from celery.signals import task_postrun
from django.db import OperationalError, connection, transaction

from moonx.celery import app
from moonx.core import locks, logs, metrics
from moonx.core.jobs import Outcome, job
from moonx.core.locks import Lock

pytestmark = pytest.mark.usefixtures("committed_db")

seen: list[str] = []
faults: list[Exception] = []


@job(name="test.note")
def note() -> Outcome:
    """Notes under which correlation id it ran."""
    seen.append(logs.correlation_id.get())
    return Outcome("Noted {count} things in {ms} ms", {"count": 3})


@job(name="test.falter")
def falter() -> Outcome:
    """Fails with what the test prepared, once each."""
    seen.append("tried")
    if faults:
        raise faults.pop()
    return Outcome("Done")


@pytest.fixture(autouse=True)
def _forget() -> None:
    seen.clear()
    faults.clear()


@pytest.fixture
def worker() -> Iterator[None]:
    """A real worker in this process, whose threads leave no connection open."""

    def close(**_: object) -> None:
        connection.close()

    task_postrun.connect(close)
    with start_worker(app, pool="threads", concurrency=2, perform_ping_check=False):
        yield
    task_postrun.disconnect(close)


def until(condition: Callable[[], object], *, timeout_s: float = 15.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def runs(task: str, result: str) -> float:
    return float(metrics.task_runs.labels(task, result)._value.get())


def skipped(task: str) -> float:
    return float(metrics.task_skipped.labels(task)._value.get())


class Busy:
    """Somebody else who runs a task: holds its lock on a connection of their own."""

    def __init__(self, task: str) -> None:
        self._task = task
        self._held, self._let_go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        with transaction.atomic():
            assert locks.try_hold(Lock.JOB, locks.key_of(self._task))
            self._held.set()
            self._let_go.wait(10)
        connection.close()

    def __enter__(self) -> None:
        self._thread.start()
        assert self._held.wait(5)

    def __exit__(self, *_: object) -> None:
        self._let_go.set()
        self._thread.join()


def test_a_run_says_in_one_line_what_it_did(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="moonx.task"):
        assert note.apply(throw=True).result.startswith("Noted 3 things in ")
    [record] = [row for row in caplog.records if row.name == "moonx.task"]
    line: Any = record.msg
    assert record.levelname == "INFO"
    assert line["event"].startswith("Noted 3 things in ")
    assert (line["task_name"], line["count"]) == ("test.note", 3)
    assert line["ms"] >= 0


def test_what_a_run_worked_on_is_counted_by_item() -> None:
    noted = metrics.task_items.labels("test.note", "count")
    before = noted._value.get()
    note.apply(throw=True)
    assert noted._value.get() == before + 3


def test_a_run_is_skipped_counted_and_warned_of_while_another_is_under_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = skipped("test.note")
    with Busy("test.note"):
        assert note.apply(throw=True).result is None
    assert seen == []
    assert skipped("test.note") == before + 1
    told = [record for record in caplog.records if record.name == "moonx.task"]
    assert [record.levelname for record in told] == ["WARNING"]


def test_the_lock_of_one_task_does_not_stop_another() -> None:
    with Busy("test.falter"):
        note.apply(throw=True)
    assert len(seen) == 1


def test_a_run_that_fails_writes_nothing_and_frees_its_lock() -> None:
    faults.append(ValueError("no"))
    before = runs("test.falter", "failure")
    with pytest.raises(ValueError, match="no"):
        falter.apply(throw=True)
    assert runs("test.falter", "failure") == before + 1
    assert falter.apply(throw=True).result == "Done"


def test_a_lost_database_connection_is_retried() -> None:
    faults.append(OperationalError("server closed the connection"))
    with pytest.raises(Retry):
        falter.apply(throw=True, retries=0).get()
    assert falter.max_retries == 3


def test_a_run_that_takes_too_long_counts_as_a_timeout_and_fails() -> None:
    faults.append(SoftTimeLimitExceeded())
    before = runs("test.falter", "timeout")
    with pytest.raises(SoftTimeLimitExceeded):
        falter.apply(throw=True)
    assert runs("test.falter", "timeout") == before + 1


def test_the_time_limit_warns_the_run_before_it_kills_it() -> None:
    assert 0 < note.soft_time_limit < note.time_limit


def test_a_worker_runs_a_task_under_its_senders_correlation_id(worker: None) -> None:
    with logs.correlated("request-17"):
        note.apply_async(queue="tickers")
    assert until(lambda: seen)
    assert seen == ["request-17"]


def test_a_task_that_nobody_named_gets_a_correlation_id(worker: None) -> None:
    note.apply_async(queue="tickers")
    assert until(lambda: seen)
    assert seen[0]


def test_a_worker_measures_how_late_a_run_starts(worker: None) -> None:
    def late_s() -> Any:
        return metrics.task_lateness.labels("test.note")._sum.get()

    before = late_s()
    note.apply_async(queue="tickers", headers={"moonx_sent_at": f"{time.time() - 7:.3f}"})
    assert until(lambda: seen)
    assert 7 <= late_s() - before < 12


def test_a_message_older_than_its_period_is_not_run(worker: None) -> None:
    note.apply_async(queue="tickers", expires=-1)
    note.apply_async(queue="tickers")
    assert until(lambda: seen)
    time.sleep(0.2)
    assert len(seen) == 1


def test_a_worker_tries_again_after_a_lost_connection(worker: None) -> None:
    faults.append(OperationalError("server closed the connection"))
    falter.apply_async(queue="tickers")
    assert until(lambda: len(seen) == 2)
    assert faults == []
