"""Damage that nobody can do by the rules: planted by the tables' owner, past every guard."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

GUARDED = ("exchange_journal", "exchange_entry", "exchange_account")


def as_owner(statement: str, values: Sequence[Any] = ()) -> None:
    """Runs one statement as the owner of the tables, with every guard in place."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
        connection.execute(statement.encode(), values)


def plant(*statements: str) -> None:
    """Commits damage: runs statements as the owner while triggers sleep."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as connection:
        _lift(connection)
        _run(connection, statements)
        # Keys are checked at the end otherwise, when triggers cannot be switched any more.
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in GUARDED:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())


@contextmanager
def damaged(*statements: str) -> Iterator[psycopg.ClientCursor[Any]]:
    """What is damaged, as the owner's own transaction sees it; at the end nothing was."""
    url = os.environ["DATABASE_OWNER_URL"]
    with psycopg.connect(url) as connection:
        _lift(connection)
        _run(connection, statements)
        yield psycopg.ClientCursor(connection)
        connection.rollback()


def _lift(connection: psycopg.Connection) -> None:
    for table in GUARDED:
        connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())


def _run(connection: psycopg.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        if not connection.execute(statement.encode()).rowcount:
            raise AssertionError(f"nothing was damaged by {statement}")
