"""Waiting for many others at once: works side by side, in threads that end with them.

A thread works in its caller's context and gives back the database connections that it took.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connections

A = TypeVar("A")
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
    """Runs all works at the same time; each has its own outcome and stops no other."""
    if not works:
        return {}
    with ThreadPoolExecutor(len(works), thread_name_prefix="abreast") as threads:
        begun = {
            name: threads.submit(copy_context().run, _timed, work) for name, work in works.items()
        }
    return {name: future.result() for name, future in begun.items()}


def each(work: Callable[[A], T], many: Sequence[A], *, most: int) -> list[T]:
    """`work` of each, at most so many at once, in their order; of one alone in no thread.

    Raises what the first of them in this order raised, once those that had begun are over; the
    others are not begun.
    """
    if len(many) < 2:
        return [work(one) for one in many]
    with ThreadPoolExecutor(min(most, len(many)), thread_name_prefix="abreast") as threads:
        begun = [threads.submit(copy_context().run, _closing, work, one) for one in many]
        try:
            return [future.result() for future in begun]
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _timed(work: Callable[[], T]) -> Done[T]:
    begun_s = time.monotonic()
    value, error = None, None
    try:
        value = _closing(work)
    except Exception as failure:  # noqa: BLE001 - handed to who asked, with its traceback
        error = failure
    return Done(value=value, error=error, duration_s=time.monotonic() - begun_s)


def _closing(work: Callable[..., T], *arguments: Any) -> T:
    try:
        return work(*arguments)
    finally:
        connections.close_all()
