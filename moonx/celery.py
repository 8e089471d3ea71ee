"""The Celery application, as measured on Valkey: a lost message costs at most one interval."""

import os
import time
from typing import Any

from celery import Celery
from celery.signals import before_task_publish, setup_logging
from kombu import Queue

os.environ.setdefault(
    "DJANGO_SETTINGS_MODULE", f"moonx.settings.{os.environ.get('MOONX_ENV', 'dev')}"
)

from django.conf import settings

from moonx import living
from moonx.core import logs
from moonx.settings.env import QUEUES

VISIBILITY_TIMEOUT_S = 300  # every time limit stays below half of it, or a task would run twice

app = Celery("moonx")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    accept_content=["json"],
    task_serializer="json",
    result_backend=None,
    task_ignore_result=True,
    result_expires=None,
    task_acks_late=True,
    task_retry_on_worker_lost=True,
    task_reject_on_worker_lost=True,
    task_time_limit=60,
    task_soft_time_limit=50,
    task_default_queue="tickers",
    task_create_missing_queues=False,
    task_queues=[Queue(name) for name in QUEUES],
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
    worker_max_memory_per_child=300_000,
    worker_soft_shutdown_timeout=10,
    worker_enable_soft_shutdown_on_idle=False,
    worker_hijack_root_logger=False,
    worker_send_task_events=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "global_keyprefix": settings.ENV.redis_key_prefix,
    },
    enable_utc=True,
    timezone="UTC",
)
app.autodiscover_tasks(["apps.exchange", "apps.realtime", "apps.stats", "apps.sync"])


@setup_logging.connect
def _keep_our_logs(**_: Any) -> None:
    """Connected so that Celery leaves the JSON logging of the settings alone."""


@before_task_publish.connect
def _stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Sends the correlation id and the time along with every message."""
    if headers is not None:
        # Celery keeps a correlation_id of its own (the task's id) under that name.
        headers.setdefault("moonx_correlation_id", logs.correlation_id.get())
        headers.setdefault("moonx_sent_at", f"{time.time():.3f}")


living.install(app)
