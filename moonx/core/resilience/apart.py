"""Work in the database that belongs to no caller's transaction."""

from collections.abc import Callable
from typing import TypeVar

from moonx.core import abreast

T = TypeVar("T")


def apart(work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread and so on a connection of its own.

    The caller may be in the middle of a transaction: what happened to a provider must neither wait
    for its commit, with the circuit's row locked for every worker, nor be lost with its rollback.
    """
    return abreast.run({"apart": work})["apart"].result()
