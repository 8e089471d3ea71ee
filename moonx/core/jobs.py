"""The base of every task: runs singly, within limits, measured, one log line per run."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, ParamSpec

from celery import Task, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, transaction

from moonx.core import locks, logs, metrics
from moonx.core.locks import Lock

P = ParamSpec("P")
log = logs.get("moonx.task")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: a sentence with {fields} and the numbers that fill it ({ms} is added)."""

    sentence: str
    numbers: dict[str, int] = field(default_factory=dict)


# When the message of the run under way was sent, seconds since 1970; None where nobody sent one.
due_at_s: ContextVar[float | None] = ContextVar("due_at_s", default=None)


class Job(Task):  # type: ignore[type-arg]
    """A Celery task whose body is one call; see `job`."""

    single = True

    def run_once(self, body: Callable[[], Outcome]) -> str | None:
        """Runs `body` unless another run of this task holds its lock; logs and counts it.

        Returns the logged sentence, None for a skipped run.
        """
        started = time.monotonic()
        sent = _header(self, "moonx_sent_at")
        due_at_s.set(float(sent) if sent else None)
        self._measure_lateness()
        with logs.correlated(_header(self, "moonx_correlation_id")):
            try:
                outcome = self._locked(body)
            except SoftTimeLimitExceeded:
                metrics.task_runs.labels(self.name, "timeout").inc()
                log.error("run took too long and was ended", task_name=self.name)
                raise
            except Exception:
                metrics.task_runs.labels(self.name, "failure").inc()
                log.exception("run failed", task_name=self.name)
                raise
            return self._report(outcome, duration_s=time.monotonic() - started)

    def _locked(self, body: Callable[[], Outcome]) -> Outcome | None:
        if not self.single:
            return body()
        with transaction.atomic():
            if not locks.try_hold(Lock.JOB, locks.key_of(self.name)):
                return None
            return body()

    def _report(self, outcome: Outcome | None, *, duration_s: float) -> str | None:
        if outcome is None:
            metrics.task_skipped.labels(self.name).inc()
            log.warning("run skipped: the previous one still runs", task_name=self.name)
            return None
        metrics.task_runs.labels(self.name, "success").inc()
        metrics.task_duration.labels(self.name).observe(duration_s)
        for item, count in outcome.numbers.items():
            metrics.task_items.labels(self.name, item).inc(count)
        numbers = {**outcome.numbers, "ms": round(duration_s * 1000)}
        sentence = outcome.sentence.format(**numbers)
        log.info(sentence, task_name=self.name, **numbers)
        return sentence

    def _measure_lateness(self) -> None:
        sent_s = due_at_s.get()
        if sent_s is not None:
            metrics.task_lateness.labels(self.name).observe(max(0.0, time.time() - sent_s))


def _header(task: Any, name: str) -> str:
    """A header our own senders add to the message; empty when the task is called directly."""
    request = task.request
    value = getattr(request, name, None) or (request.headers or {}).get(name)
    return str(value) if value else ""


def job(
    *, name: str, single: bool = True, time_limit_s: int = 60, is_tick: bool = False
) -> Callable[[Callable[P, Outcome]], Any]:
    """A task that re-selects its work from the database, so that losing a message costs nothing.

    `single` runs skip, counted and with a warning, while another run of the task is under way;
    they run in one transaction, which is also the lock's. A lost database connection is retried.
    `is_tick` runs every few seconds and stays out of Flower, whose list it would fill.
    """

    def decorate(function: Callable[P, Outcome]) -> Any:
        def run(self: Job, *args: P.args, **kwargs: P.kwargs) -> str | None:
            return self.run_once(lambda: function(*args, **kwargs))

        run.__name__ = function.__name__
        run.__doc__ = function.__doc__
        run.__module__ = function.__module__
        return shared_task(
            base=Job,
            bind=True,
            name=name,
            single=single,
            send_events=not is_tick,
            time_limit=time_limit_s,
            soft_time_limit=time_limit_s - max(1, time_limit_s // 6),
            autoretry_for=(OperationalError, InterfaceError),
            retry_backoff=1,
            retry_backoff_max=10,
            max_retries=3,
            default_retry_delay=2,
        )(run)  # type: ignore[arg-type]

    return decorate
