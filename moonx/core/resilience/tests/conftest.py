"""What tests of circuits share: real commits, after which only few tables are emptied."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

EMPTY = """
ALTER TABLE core_circuit_event DISABLE TRIGGER USER;
TRUNCATE core_circuit, core_circuit_event, core_outbox;
ALTER TABLE core_circuit_event ENABLE TRIGGER USER;
"""


@pytest.fixture
def circuits_db(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, clean_valkey: None
) -> Iterator[None]:
    """Circuits with real commits; emptied afterwards by their owner, who alone may."""
    with django_db_blocker.unblock():
        yield
        connections.close_all()
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        owner.execute(EMPTY.encode())
