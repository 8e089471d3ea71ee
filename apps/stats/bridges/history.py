"""What bridges did over time: each request for 7 days, and by the hour for 90."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max, Min, QuerySet

from apps.stats.bridges import verdicts
from apps.stats.bridges.corridors import Subject
from apps.stats.bridges.telling import rate_shown
from apps.stats.bridges.verdicts import NONE, Window
from apps.stats.freshness import HOURS_KEPT, RAW_KEPT
from apps.stats.models import BridgeHour, BridgeSample
from moonx.core.intervals import EPOCH, Interval, to_ms

# A look keeps its samples at its end under the time of its begin: an hour that is folded in between
# would lack them for ever.
LOOK_OVER = timedelta(minutes=2)
KEYS = "provider, source, target, size, simulated, date_trunc('hour', sampled_at, 'UTC')"

# A run that folds an hour again replaces it.
FOLD = f"""
WITH counted AS (
  SELECT {KEYS} AS hour, fault, count(*) AS requests
  FROM stats_bridgesample WHERE sampled_at >= %(start)s AND sampled_at < %(end)s
  GROUP BY {KEYS}, fault
), latencies AS (
  SELECT {KEYS} AS hour, array_agg(latency_ms ORDER BY latency_ms) AS sorted
  FROM stats_bridgesample
  WHERE sampled_at >= %(start)s AND sampled_at < %(end)s AND fault = ''
  GROUP BY {KEYS}
)
INSERT INTO stats_bridgehour
  (provider, source, target, size, simulated, hour, counts, latencies_ms)
SELECT provider, source, target, size, simulated, hour,
  jsonb_object_agg(fault, requests), coalesce(max(sorted), ARRAY[]::int[])
FROM counted LEFT JOIN latencies USING (provider, source, target, size, simulated, hour)
GROUP BY provider, source, target, size, simulated, hour
ON CONFLICT (provider, source, target, size, hour, simulated) DO UPDATE
SET counts = EXCLUDED.counts, latencies_ms = EXCLUDED.latencies_ms
"""  # noqa: S608 - constants of this module


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which subjects; "" and None are any."""

    provider: str = ""
    source: str = ""
    target: str = ""
    size: int | None = None

    def of(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the rows that are wanted."""
        asked = {
            "provider": self.provider,
            "source": self.source,
            "target": self.target,
            "size": self.size,
        }
        return rows.filter(**{name: value for name, value in asked.items() if value})


Series = dict[str, Any]


def raw(wanted: Wanted, *, start: datetime, end: datetime) -> list[Series]:
    """Each request from `start` up to before `end`, by subject, oldest first; as the wire carries
    it. One that was held back was never made, and is left out."""
    rows = BridgeSample.objects.filter(sampled_at__gte=start, sampled_at__lt=end)
    made = wanted.of(rows.exclude(latency_ms=None)).order_by("sampled_at", "id")
    return _series((_subject(row), _of_sample(row)) for row in made)


def hourly(wanted: Wanted, *, start: datetime, end: datetime) -> list[Series]:
    """As `raw`, by the hour: every hour that begins from `start` up to before `end`.

    The hour under way is as it is so far.
    """
    hours = wanted.of(BridgeHour.objects.filter(hour__gte=start, hour__lt=end)).order_by("hour")
    points = [(_subject(row), _of_hour(row)) for row in hours]
    unfolded = max(start, _unfolded())
    rest = wanted.of(BridgeSample.objects.filter(sampled_at__gte=unfolded, sampled_at__lt=end))
    return _series([*points, *_folded(rest.order_by("sampled_at"), start=start)])


def fold(*, now: datetime) -> int:
    """Makes the rows of the hours that are over and have none yet; returns how many rows."""
    start, end = _unfolded(), Interval.H1.floor(now - LOOK_OVER)
    if start >= end:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(FOLD, {"start": start, "end": end})
        return int(cursor.rowcount)


def prune(*, now: datetime) -> int:
    """Deletes what is no longer kept; returns how many rows. What is deleted was folded."""
    fold(now=now)
    samples, _ = BridgeSample.objects.filter(sampled_at__lt=now - RAW_KEPT).delete()
    hours, _ = BridgeHour.objects.filter(hour__lt=now - HOURS_KEPT).delete()
    return samples + hours


def _unfolded() -> datetime:
    """The first hour that has no rows yet: the one after the last that has, or the first of all."""
    last = BridgeHour.objects.aggregate(last=Max("hour"))["last"]
    if last is not None:
        return Interval.H1.shift(Interval.H1.floor(last), 1)
    first = BridgeSample.objects.aggregate(first=Min("sampled_at"))["first"]
    return Interval.H1.floor(first or EPOCH)


def _folded(
    samples: Iterable[BridgeSample], *, start: datetime
) -> list[tuple[Subject, dict[str, Any]]]:
    """The points of hours that are not folded yet, of those that begin from `start` on."""
    hours: dict[tuple[datetime, Subject, bool], list[BridgeSample]] = {}
    for row in samples:
        hour = Interval.H1.floor(row.sampled_at)
        if hour >= start:
            hours.setdefault((hour, _subject(row), row.simulated), []).append(row)
    return [
        (subject, _point(hour, window(rows), is_simulated=simulated))
        for (hour, subject, simulated), rows in hours.items()
    ]


def window(samples: Iterable[BridgeSample]) -> Window:
    """What came of the samples."""
    rows = list(samples)
    counts = Counter(row.fault for row in rows)
    latencies = sorted(row.latency_ms or 0 for row in rows if row.is_ok)
    return windowed(counts, latencies)


def windowed(counts: Mapping[str, int], latencies_ms: Sequence[int]) -> Window:
    """The window of those counts by fault and of quotes' latencies in ascending order."""
    p50, p90, p95, p99 = (nearest_rank(latencies_ms, share) for share in (50, 90, 95, 99))
    return Window(counts=counts, p50_ms=p50, p90_ms=p90, p95_ms=p95, p99_ms=p99)


def nearest_rank(ascending: Sequence[int], percent: int) -> int | None:
    """The value of rank ceil(percent × n / 100); None of none."""
    rank = -(-percent * len(ascending) // 100)
    return ascending[rank - 1] if ascending else None


def _series(points: Iterable[tuple[Subject, dict[str, Any]]]) -> list[Series]:
    found: dict[Subject, list[dict[str, Any]]] = {}
    for subject, point in points:
        found.setdefault(subject, []).append(point)
    return [
        {
            "provider": subject.provider,
            "from": subject.source,
            "to": subject.target,
            "size": str(subject.size),
            "points": found[subject],
        }
        for subject in sorted(found)
    ]


def _subject(row: BridgeSample | BridgeHour) -> Subject:
    return Subject(row.provider, row.source, row.target, row.size)


def _of_hour(row: BridgeHour) -> dict[str, Any]:
    return _point(row.hour, windowed(row.counts, row.latencies_ms), is_simulated=row.simulated)


def _of_sample(row: BridgeSample) -> dict[str, Any]:
    return _point(row.sampled_at, window([row]), is_simulated=row.simulated, verdict=row.verdict)


def _point(
    time: datetime, found: Window, *, is_simulated: bool, verdict: str = ""
) -> dict[str, Any]:
    judged = verdict or verdicts.judge(found, is_open=False, last_fault=NONE).verdict.value
    return {
        "time": to_ms(time),
        "verdict": judged,
        "latencyMs": {"p50": found.p50_ms, "p95": found.p95_ms, "n": found.successes},
        "successRate": rate_shown(found),
        "errors": found.errors,
        "simulated": is_simulated,
    }
