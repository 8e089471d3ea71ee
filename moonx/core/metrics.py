"""Prometheus metrics, right under prefork: processes of one host share a directory."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.conf import settings
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    multiprocess,
)
from prometheus_client import REGISTRY as PROCESS_REGISTRY

task_runs = Counter("moonx_task_runs_total", "Finished task runs", ["task", "result"])
task_items = Counter(
    "moonx_task_items_total", "What runs worked on: updated, success, failed …", ["task", "item"]
)
task_skipped = Counter("moonx_task_skipped_total", "Runs skipped: the last one still ran", ["task"])
task_duration = Histogram(
    "moonx_task_duration_seconds",
    "Duration of a task run",
    ["task"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
task_lateness = Histogram(
    "moonx_task_lateness_seconds",
    "From the message's creation to the start of the run",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
market_data_lateness = Histogram(
    "moonx_market_data_lateness_seconds",
    "From the moment at which a bar or the tickers were due to the moment they stood",
    ["what"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400),
)
events_published = Counter("events_published_total", "Events published by the relay")
events_publish_errors = Counter("events_publish_errors_total", "Publishing attempts that failed")
events_publish_duration = Histogram(
    "events_publish_duration_seconds", "One batch from outbox to subscribers"
)
states_refused = Counter("moonx_states_refused_total", "States older than the pushed one")
state_push_errors = Counter("moonx_state_push_errors_total", "State pushes that failed")
relay_position = Gauge(
    "moonx_relay_position", "Last published position", multiprocess_mode="mostrecent"
)
invariant_rows = Gauge(
    "moonx_invariant_rows",
    "What the last check found against an invariant, of what is new or of all",
    ["name", "scope"],
    multiprocess_mode="mostrecent",
)
audit_findings = Gauge(
    "moonx_audit_findings",
    "Fields of bars and tickers that are wrong, as the last look of each check left them",
    ["check"],
    multiprocess_mode="mostrecent",
)
activity_reorgs = Counter(
    "moonx_activity_reorgs_total", "Forks that took back blocks whose addresses stood", ["chain"]
)
activity_disagreements = Counter(
    "moonx_activity_disagreements_total", "Exact counts that their own sketch denied"
)
activity_errors = Counter(
    "moonx_activity_errors_total", "Scans that failed, by what went wrong", ["chain", "kind"]
)
activity_block = Gauge(
    "moonx_activity_block", "Last block scanned", ["chain"], multiprocess_mode="mostrecent"
)
activity_updated = Gauge(
    "moonx_activity_updated_seconds",
    "When a scan last got through, as a Unix time",
    ["chain"],
    multiprocess_mode="mostrecent",
)
circuit_state = Gauge(
    "moonx_circuit_state",
    "0 closed, 1 half open, 2 open, as this host's processes saw it last",
    ["provider", "chain", "kind"],
    multiprocess_mode="mostrecent",
)
circuit_changes = Counter(
    "moonx_circuit_changes_total", "Changes of circuits", ["provider", "chain", "kind", "to"]
)
circuit_openings = Counter(
    "circuit_breaker_open_total", "Closed circuits that opened", ["provider", "chain", "kind"]
)
calls_held_back = Counter(
    "moonx_calls_held_back_total",
    "Calls that were not made: what held them back",
    ["provider", "chain", "kind", "cause"],
)
provider_refusals = Counter(
    "moonx_provider_refusals_total", "429 answers of providers", ["provider"]
)
verdicts = Gauge(
    "moonx_verdict",
    "0 healthy, 1 degraded, 2 unhealthy, 3 unknown, as the subject's last sample said",
    ["subject"],
    multiprocess_mode="mostrecent",
)
collector_calls = Counter(
    "moonx_collector_calls_total",
    "Calls of the collectors of statistics, by whom they asked and how it ended",
    ["collector", "provider", "result"],
)
collector_duration = Histogram(
    "moonx_collector_duration_seconds",
    "Duration of one such call",
    ["collector", "provider"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
collector_lateness = Histogram(
    "moonx_collector_lateness_seconds",
    "From the moment at which a collector was due to the moment its figures stood",
    ["collector"],
    buckets=(0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900),
)
collector_success_time = Gauge(
    "moonx_collector_last_success_timestamp_seconds",
    "When a collector last had an answer, in seconds since 1970",
    ["collector", "provider"],
    multiprocess_mode="max",
)
process_starts = Counter("moonx_process_starts_total", "Starts of a role's process", ["role"])
process_memory = Gauge(
    "moonx_process_memory_bytes", "Resident memory", ["role"], multiprocess_mode="livemostrecent"
)
process_cpu = Gauge(
    "moonx_process_cpu_seconds",
    "Processor time since the start, ended children included",
    ["role"],
    multiprocess_mode="livemostrecent",
)


def registry() -> CollectorRegistry:
    """What to read: all processes of this host where they share a directory, else this one."""
    directory = settings.ENV.prometheus_multiproc_dir
    if directory is None:
        return PROCESS_REGISTRY
    _forget_dead(directory)
    shared = CollectorRegistry()
    multiprocess.MultiProcessCollector(  # type: ignore[no-untyped-call]
        shared, path=str(directory)
    )
    return shared


def exposition() -> bytes:
    """All metrics of this host's processes in Prometheus' text format."""
    return generate_latest(registry())


def total(families: Iterable[Metric], name: str, **labels: str) -> float:
    """The sum of a sample over the processes and all labels but the given; 0 where none is."""
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def serve(port: int) -> None:
    """Serves the metrics of a process that is no web server, from a thread."""

    def answer(_: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = exposition()
        start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
        return [body]

    server = make_server(settings.ENV.moonx_host, port, answer, handler_class=_QuietHandler)
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """A scrape every few seconds is not news."""


def _forget_dead(directory: Path) -> None:
    """Drops the gauges of processes that are no more, however they ended.

    Their counters and histograms stay: what they counted happened.
    """
    for path in directory.glob("gauge_live*_*.db"):
        pid = int(path.stem.rsplit("_", 1)[1])
        if not _is_alive(pid):
            multiprocess.mark_process_dead(  # type: ignore[no-untyped-call]
                pid, path=str(directory)
            )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
