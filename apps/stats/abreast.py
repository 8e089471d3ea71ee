"""Waiting for many others at once: works side by side, each with its own outcome."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db import connections

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Generic[T]):
    """How a work ended: with its value, or the error that ended it."""

    value: T | None
    error: BaseException | None
    duration_s: float

    def result(self) -> T:
        """The value; raises the error that there is in its place."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # a work's own None is its value


def run(works: Mapping[str, Callable[[], T]]) -> dict[str, Done[T]]:
    """Runs all works at the same time, each in a thread; none of them stops another.

    The threads end here, and give back the database connections that they took.
    """
    if not works:
        return {}
    with ThreadPoolExecutor(len(works), thread_name_prefix="abreast") as threads:
        begun = {
            name: threads.submit(copy_context().run, _timed, work) for name, work in works.items()
        }
    return {name: future.result() for name, future in begun.items()}


def _timed(work: Callable[[], T]) -> Done[T]:
    begun_s = time.monotonic()
    value, error = None, None
    try:
        value = work()
    except Exception as failure:  # noqa: BLE001 - handed to who asked, with its traceback
        error = failure
    finally:
        connections.close_all()
    return Done(value=value, error=error, duration_s=time.monotonic() - begun_s)
