"""Work in the database that belongs to no caller's transaction."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.db import connections

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread and so on a connection of its own.

    The caller may be in the middle of a transaction: what happened to a provider must neither wait
    for its commit, with the circuit's row locked for every worker, nor be lost with its rollback.
    """

    def in_own_connection() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1, "circuits") as pool:
        return pool.submit(copy_context().run, in_own_connection).result()
