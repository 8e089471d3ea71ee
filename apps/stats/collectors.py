"""What became of the calls of a collector: counted in the metrics, and kept in rows for operators.

A run tells all its calls at its end, from the thread of its task.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from django.db import connection

from moonx.core import jobs, metrics
from moonx.core.upstream.faults import Fault

# They say that the provider answered, if not with what was hoped for.
FAIR = frozenset({None, Fault.NO_RESULT})
SUCCESS = "success"

# Rows are written in one order by all, so that two runs never wait for each other in a circle.
KEEP = """
INSERT INTO stats_collector AS kept (name, provider, successes, failures, last_success_at,
  last_failure_at, last_fault, last_duration_ms, last_late_ms)
SELECT %(name)s, provider, good, bad, CASE WHEN good > 0 THEN %(now)s END,
  CASE WHEN bad > 0 THEN %(now)s END, fault, ms, %(late_ms)s
FROM unnest(%(providers)s::text[], %(good)s::bigint[], %(bad)s::bigint[], %(faults)s::text[],
  %(ms)s::int[]) AS told (provider, good, bad, fault, ms)
ORDER BY provider
ON CONFLICT (name, provider) DO UPDATE SET
  successes = kept.successes + EXCLUDED.successes,
  failures = kept.failures + EXCLUDED.failures,
  last_success_at = greatest(kept.last_success_at, EXCLUDED.last_success_at),
  last_failure_at = greatest(kept.last_failure_at, EXCLUDED.last_failure_at),
  last_fault = CASE WHEN EXCLUDED.failures > 0 THEN EXCLUDED.last_fault ELSE kept.last_fault END,
  last_duration_ms = EXCLUDED.last_duration_ms,
  last_late_ms = EXCLUDED.last_late_ms
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One call of a provider, by its public name; `fault` is None where it brought something."""

    provider: str
    fault: Fault | None
    duration_ms: int

    @property
    def is_fair(self) -> bool:
        """Whether the provider did its part."""
        return self.fault in FAIR


def tell(collector: str, calls: Iterable[Called], *, now: datetime) -> None:
    """Counts the calls of a run of the task `collector` and keeps how each provider fared.

    Without calls it does nothing: a run that had nobody to ask is neither good nor bad.
    """
    ordered = sorted(calls, key=lambda one: one.provider)
    if not ordered:
        return
    late_ms = _late_ms()
    if late_ms is not None:
        metrics.collector_lateness.labels(collector).observe(late_ms / 1000)
    groups = [list(group) for _, group in groupby(ordered, key=lambda one: one.provider)]
    for group in groups:
        _count(collector, group, now=now)
    _keep(collector, groups, now=now, late_ms=late_ms)


def _late_ms() -> int | None:
    """From when the run was due to now; None for one that was called directly."""
    due_s = jobs.due_at_s.get()
    return None if due_s is None else max(0, round((time.time() - due_s) * 1000))


def _count(collector: str, calls: Sequence[Called], *, now: datetime) -> None:
    provider = calls[0].provider
    for one in calls:
        result = one.fault or SUCCESS
        metrics.collector_calls.labels(collector, provider, result).inc()
        metrics.collector_duration.labels(collector, provider).observe(one.duration_ms / 1000)
    if any(one.is_fair for one in calls):
        metrics.collector_success_time.labels(collector, provider).set(now.timestamp())


def _keep(
    collector: str, groups: Sequence[Sequence[Called]], *, now: datetime, late_ms: int | None
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            KEEP,
            {
                "name": collector,
                "now": now,
                "late_ms": late_ms,
                "providers": [group[0].provider for group in groups],
                "good": [sum(one.is_fair for one in group) for group in groups],
                "bad": [sum(not one.is_fair for one in group) for group in groups],
                "faults": [_last_fault(group) for group in groups],
                "ms": [max(one.duration_ms for one in group) for group in groups],
            },
        )


def _last_fault(calls: Sequence[Called]) -> str:
    return next((str(one.fault) for one in reversed(calls) if not one.is_fair and one.fault), "")
