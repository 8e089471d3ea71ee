"""What came of the last hour's and the last day's requests, and what was asked when: by SQL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.stats.bridges import corridors
from apps.stats.bridges.corridors import Subject
from apps.stats.bridges.load import Past
from apps.stats.bridges.verdicts import Window
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.faults import Fault
from moonx.core.upstream.names import Service

HOUR, DAY, NO_TIME = timedelta(hours=1), timedelta(days=1), timedelta(0)
SHARES = "ARRAY[0.5, 0.9, 0.95, 0.99]"

# percentile_disc is the nearest rank: the first value whose share of all that are no greater
# reaches what is asked for. Samples of the simulator and of the real service are never mixed.
COUNTS = """
SELECT provider, source, target, size, fault,
       count(*) FILTER (WHERE sampled_at > %(hour)s), count(*)
FROM stats_bridgesample
WHERE sampled_at > %(day)s AND sampled_at <= %(now)s
  AND (provider, simulated) IN (SELECT * FROM unnest(%(providers)s::text[], %(simulated)s::bool[]))
GROUP BY provider, source, target, size, fault
"""
LATENCIES = f"""
SELECT provider, source, target, size,
       percentile_disc({SHARES}) WITHIN GROUP (ORDER BY latency_ms)
         FILTER (WHERE sampled_at > %(hour)s),
       percentile_disc({SHARES}) WITHIN GROUP (ORDER BY latency_ms)
FROM stats_bridgesample
WHERE sampled_at > %(day)s AND sampled_at <= %(now)s AND fault = ''
  AND (provider, simulated) IN (SELECT * FROM unnest(%(providers)s::text[], %(simulated)s::bool[]))
GROUP BY provider, source, target, size
"""  # noqa: S608 - constants of this module
NEWEST = """
SELECT DISTINCT ON (provider, source, target, size)
       provider, source, target, size, sampled_at, fault
FROM stats_bridgesample
WHERE sampled_at > %(day)s AND sampled_at <= %(now)s AND fault <> %(held_back)s
  AND (provider, simulated) IN (SELECT * FROM unnest(%(providers)s::text[], %(simulated)s::bool[]))
ORDER BY provider, source, target, size, sampled_at DESC, id DESC
"""
PASTS = """
SELECT wanted.provider, count(s.id), max(s.sampled_at)
FROM unnest(%(providers)s::text[], %(since)s::timestamptz[]) AS wanted (provider, since)
JOIN stats_bridgesample s ON s.provider = wanted.provider
  AND s.sampled_at > wanted.since AND s.fault <> %(held_back)s AND NOT s.simulated
GROUP BY wanted.provider
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest request of a subject that was made, and its fault."""

    at: datetime | None
    fault: str


NEVER = Newest(at=None, fault="")

Watched = Mapping[Service, Endpoint]


def newest(watched: Watched, *, now: datetime) -> dict[Subject, Newest]:
    """Each subject's newest request of the day before `now`."""
    rows = _rows(NEWEST, _params(watched, now=now))
    return {Subject(*key): Newest(at=at, fault=fault) for *key, at, fault in rows}


def windows(
    watched: Watched, *, now: datetime
) -> tuple[dict[Subject, Window], dict[Subject, Window]]:
    """Each subject's last hour and last day; one without any request has none."""
    params = _params(watched, now=now)
    shares = {
        Subject(*key): spans
        for *key, hour, day in _rows(LATENCIES, params)
        for spans in [(hour, day)]
    }
    counts: dict[Subject, dict[str, tuple[int, int]]] = {}
    for *key, fault, of_hour, of_day in _rows(COUNTS, params):
        counts.setdefault(Subject(*key), {})[fault] = of_hour, of_day
    hour, day = (
        {
            subject: _window(found, shares.get(subject, (None, None))[place], place=place)
            for subject, found in counts.items()
        }
        for place in range(2)
    )
    return hour, day


def _params(watched: Watched, *, now: datetime) -> dict[str, Any]:
    return {
        "now": now,
        "hour": now - HOUR,
        "day": now - DAY,
        "providers": [service.value for service in watched],
        "simulated": [endpoint.is_simulated for endpoint in watched.values()],
        "held_back": Fault.HELD_BACK.value,
    }


def _window(
    counts: Mapping[str, tuple[int, int]], percentiles: list[int] | None, *, place: int
) -> Window:
    p50, p90, p95, p99 = percentiles or (None,) * 4
    known = {fault: spans[place] for fault, spans in counts.items() if spans[place]}
    return Window(counts=known, p50_ms=p50, p90_ms=p90, p95_ms=p95, p99_ms=p99)


def pasts(watched: Watched, *, now: datetime) -> dict[Service, Past]:
    """What each bridge was really asked within the window of its allowance."""
    spans = [corridors.allowance(service, endpoint) for service, endpoint in watched.items()]
    since = [now - (one.window if one else NO_TIME) for one in spans]
    params = {
        "providers": [service.value for service in watched],
        "since": since,
        "held_back": Fault.HELD_BACK.value,
    }
    found = {
        Service(name): Past(count=count, last=last) for name, count, last in _rows(PASTS, params)
    }
    return {service: found.get(service, Past()) for service in watched}


def _rows(select: str, params: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(select, params)
        yield from cursor.fetchall()
