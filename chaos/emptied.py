"""Empties a run's own stores for the next one; as the owner, who alone may."""

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import psycopg

from moonx.core import paces, valkey
from moonx.core.resilience import circuits

# What migrations put there and no run changes.
KEPT = [
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "exchange_candlewatermark",
    "core_chain",
    "exchange_feetier",
]
TABLES = """
SELECT format('%%I', relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace
  AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> ALL (%(kept)s)
"""
REWIND = """
SELECT setval(format('%%I', sequencename)::regclass, start_value, false) FROM pg_sequences
WHERE schemaname = 'public' AND last_value IS NOT NULL AND sequencename <> ALL (%(kept)s)
"""
# Nobody may empty them, so their owner lifts the ban for the moment.
APPEND_ONLY = (
    "core_circuit_event",
    "exchange_journal",
    "exchange_entry",
    "exchange_amendment",
)
# What a change of a circuit commits at once, on a connection of its own.
APART = "core_circuit_event, core_circuit, core_outbox"
IS_LEFT_APART = "SELECT FROM core_circuit UNION ALL SELECT FROM core_outbox LIMIT 1"
TRIES = 3
PATIENCE = "-c lock_timeout=30s"  # whoever holds a lock for longer is told of, and not waited for


def empty() -> None:
    """Rows, sequences and the push server."""
    empty_database()
    empty_valkey()


def empty_database() -> None:
    """No rows but what migrations put there; sequences and candle watermarks as at first."""
    for _ in range(TRIES - 1):
        try:
            return _empty_database()
        except psycopg.errors.DeadlockDetected:
            continue  # with the end of a push, which waits for this and had what this waits for
    return _empty_database()


def _empty_database() -> None:
    with _lifted() as owner:
        filled = [name for (name,) in owner.execute(_filled().encode()).fetchall()]
        if filled:  # a few of many: each that is truncated gets new files
            owner.execute(f"TRUNCATE {', '.join(filled)} CASCADE".encode())
        owner.execute(REWIND, {"kept": [f"{name}_id_seq" for name in KEPT]})
        owner.execute("SELECT exchange_reset_watermarks()")


def empty_apart() -> None:
    """What was committed apart from a transaction that was rolled back, if there is any."""
    if _kept_open().execute(IS_LEFT_APART).rowcount:
        with _lifted() as owner:
            owner.execute(f"TRUNCATE {APART} RESTART IDENTITY".encode())
        empty_valkey()


def empty_valkey() -> None:
    """No keys of this run on the push server, nor what this process remembers of the stores."""
    client = valkey.client()
    for key in client.scan_iter(match=valkey.key("*"), count=1000):
        client.delete(key)
    circuits.forget()
    paces.forget()


def _owner() -> psycopg.Connection:
    return psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True, options=PATIENCE)


@cache
def _kept_open() -> psycopg.Connection:
    """One connection for the many times that there is nothing to do."""
    owner = _owner()
    atexit.register(owner.close)
    return owner


@cache
def _filled() -> str:
    """The query for the tables that have rows."""
    with _owner() as owner:
        names = owner.execute(TABLES, {"kept": KEPT}).fetchall()
    return " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (TABLE {name})" for (name,) in names)


@contextmanager
def _lifted() -> Iterator[psycopg.Connection]:
    """A transaction of the owner in which append-only tables may be emptied."""
    with _owner() as owner, owner.transaction():
        for table in APPEND_ONLY:
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        yield owner
        for table in APPEND_ONLY:
            owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
