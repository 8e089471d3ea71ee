"""Fixtures for every test: databases stand already, and committed rows are cleaned by the owner."""

import os
from collections.abc import Iterator

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
# Nobody may empty them, so their owner lifts the ban for the moment.
APPEND_ONLY = (
    "core_circuit_event",
    "exchange_journal",
    "exchange_entry",
    "exchange_amendment",
)


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
        for table in APPEND_ONLY:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        connection.execute(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
        for table in APPEND_ONLY:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        connection.execute("SELECT exchange_reset_watermarks()")


def empty_valkey() -> None:
    """Deletes this worker's keys on the push server, and what it keeps of them by itself."""
    client = valkey.client()
    for key in client.scan_iter(match=valkey.key("*"), count=1000):
        client.delete(key)
    circuits.forget()
