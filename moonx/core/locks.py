"""Advisory locks: they vanish with the transaction or the connection that holds them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any
from zlib import crc32

from django.db import OperationalError, connection
from psycopg import errors


class Lock(IntEnum):
    """The kinds of lock; each has its own key space."""

    MARKET = 1
    CANDLE_FOLD = 2
    JOB = 3
    RELAY = 4
    DEMO = 5
    IMPORT = 6
    EVENT_DAYS = 7  # taken by the function core_roll_events
    ACTIVITY = 8  # of one chain: its leaves, roll-ups, records and cursor
    ACTIVITY_DAYS = 9  # taken by the function stats_roll_activity


class LockBusy(Exception):
    """Somebody else held the lock for longer than we were willing to wait. Transient."""


def key_of(name: str) -> int:
    """A stable 31-bit lock key for a name."""
    return crc32(name.encode()) & 0x7FFF_FFFF


def hold(lock: Lock, key: int = 0, *, shared: bool = False, wait_ms: int = 2000) -> None:
    """Holds the lock until the surrounding transaction ends.

    Waits up to `wait_ms`, then raises LockBusy: work that a wake-up announces must wait, or what
    commits during the holder's last pass would be left to the sweep.
    """
    _require_transaction()
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    with _busy(f"{lock.name} {key} was held for over {wait_ms} ms"), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT set_config('lock_timeout', %s, true), {function}(%s, %s)",
            [f"{wait_ms}ms", lock.value, key],
        )


def hold_rows(select: str, params: Sequence[Any], *, what: str, wait_ms: int = 2000) -> None:
    """Holds rows until the transaction ends, in the order in which `select` locks them.

    Waits as `hold` for each of them, then raises LockBusy.
    """
    _require_transaction()
    with _busy(f"{what} were held for over {wait_ms} ms"), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{wait_ms}ms"])
        cursor.execute(select, params)


@contextmanager
def _busy(sentence: str) -> Iterator[None]:
    """Says who was waited for in vain, in place of the database's own words."""
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, errors.LockNotAvailable):
            raise LockBusy(sentence) from error
        raise


def try_hold(lock: Lock, key: int = 0) -> bool:
    """Takes the lock until the transaction ends if it is free; says whether it was."""
    _require_transaction()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", [lock.value, key])
        row = cursor.fetchone()
    return bool(row[0])


@contextmanager
def session(lock: Lock, key: int = 0) -> Iterator[bool]:
    """Tries a lock that lasts as long as the connection; yields whether it was free.

    Only for a process that is the single one of its kind, on a connection of its own.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [lock.value, key])
        row = cursor.fetchone()
        got = bool(row[0])
    try:
        yield got
    finally:
        if got and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [lock.value, key])


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise RuntimeError("a transaction lock outside a transaction would be released at once")
