"""Fixtures for every test: databases stand already, and committed rows are cleaned by the owner."""

from collections.abc import Iterator

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from chaos.emptied import empty_apart, empty_database, empty_valkey


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """After a test that is rolled back, what it committed apart from its transaction goes too."""
    try:
        yield
    finally:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        if "db" in fixtures or item.get_closest_marker("django_db"):
            empty_apart()


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
