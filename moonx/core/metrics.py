"""Prometheus metrics, right under prefork: processes of one host share a directory."""

from django.conf import settings
from prometheus_client import REGISTRY as PROCESS_REGISTRY
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

task_runs = Counter("moonx_task_runs_total", "Finished task runs", ["task", "result"])
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


def exposition() -> bytes:
    """All metrics of this host's processes in Prometheus' text format."""
    if settings.ENV.prometheus_multiproc_dir is None:
        return generate_latest(PROCESS_REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(  # type: ignore[no-untyped-call]
        registry, path=str(settings.ENV.prometheus_multiproc_dir)
    )
    return generate_latest(registry)
