"""Structured JSON logs whose correlation id follows a request into tasks and pushes."""

import logging
import logging.config
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import uuid4

# structlog takes up rich wherever it is installed: a tenth of the start of every process, for
# tracebacks that no JSON line shows.
sys.modules.setdefault("rich", None)  # type: ignore[arg-type]
import structlog  # noqa: E402
from structlog.typing import EventDict, Processor  # noqa: E402

if sys.modules["rich"] is None:
    del sys.modules["rich"]

correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")

# Loggers that would print URLs (which may hold keys) or one line per request.
QUIET = (
    "web3",
    "uvicorn.access",
    "websockets",
    "amqp",
    "axes",
    # Two lines a task beside the one that says what it did.
    "celery.worker.strategy",
    "celery.app.trace",
    "celery.beat",
)
# It warns with the whole URL where a header is malformed.
SILENT = ("urllib3",)


def new_correlation_id() -> str:
    """A fresh id for a chain of work that nobody named yet."""
    return uuid4().hex[:16]


@contextmanager
def correlated(value: str = "") -> Iterator[str]:
    """Names the work inside the block; an empty value keeps the current id or makes one."""
    chosen = value or correlation_id.get() or new_correlation_id()
    token = correlation_id.set(chosen)
    try:
        yield chosen
    finally:
        correlation_id.reset(token)


def get(name: str) -> Any:
    """A structured logger: `log.info("sentence", key=value)`."""
    return structlog.get_logger(name)


def _add_correlation(_: Any, __: str, event: EventDict) -> EventDict:
    if current := correlation_id.get():
        event["correlation_id"] = current
    return event


def is_debug() -> bool:
    """Whether lines about single items are wanted."""
    return logging.getLogger().isEnabledFor(logging.DEBUG)


def configure(options: dict[str, Any]) -> None:
    """Sends every log line of this process to stderr as one JSON object."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_correlation,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(["task_name"]),
    ]
    service = options.get("service", "")

    def add_service(_: Any, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.PositionalArgumentsFormatter()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                add_service,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(str(options.get("level", "info")).upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
