"""Fixtures for every test: databases stand already, and committed rows are cleaned by the owner."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import psycopg
import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from moonx.core import valkey
from moonx.core.resilience import circuits

# What migrations put there and no test changes.
KEPT = {
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "exchange_candlewatermark",
    "core_chain",
    "exchange_feetier",
}
# What a change of a circuit commits at once, on a connection of its own.
LEFT_APART = "SELECT FROM core_circuit UNION ALL SELECT FROM core_outbox LIMIT 1"
# Nobody may empty them, so their owner lifts the ban for the moment.
APPEND_ONLY = (
    "core_circuit_event",
    "exchange_journal",
    "exchange_entry",
    "exchange_amendment",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """After each test, when its transaction is over, what it committed apart from it goes too."""
    yield
    owner = _owner()
    if owner.execute(LEFT_APART).rowcount:
        with owner.transaction(), _append_only_lifted(owner):
            owner.execute("TRUNCATE core_circuit_event, core_circuit, core_outbox RESTART IDENTITY")
        empty_valkey()


@cache
def _owner() -> psycopg.Connection:
    url, patience = os.environ["DATABASE_OWNER_URL"], "-c lock_timeout=10s"
    return psycopg.connect(url, autocommit=True, options=patience)


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """The worker's database was made by the stores plugin."""


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """The database with real commits; emptied afterwards by its owner, who alone may."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()
        empty_database()
    empty_valkey()


@pytest.fixture
def clean_valkey() -> Iterator[None]:
    """This worker's keys on the push server are gone before and after."""
    empty_valkey()
    yield
    empty_valkey()


def empty_database() -> None:
    """Empties every table as the owner; candle watermarks stand at the present again."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
        rows = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition"
        ).fetchall()
        names = ", ".join(f'"{name}"' for (name,) in rows if name not in KEPT)
        with _append_only_lifted(connection):
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        connection.execute("SELECT exchange_reset_watermarks()")


@contextmanager
def _append_only_lifted(connection: psycopg.Connection) -> Iterator[None]:
    for table in APPEND_ONLY:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield
    for table in APPEND_ONLY:
        connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def empty_valkey() -> None:
    """Deletes this worker's keys on the push server, and what it keeps of them by itself."""
    client = valkey.client()
    for key in client.scan_iter(match=valkey.key("*"), count=1000):
        client.delete(key)
    circuits.forget()
