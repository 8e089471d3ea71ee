"""Damage that nobody can do by the rules: planted by the tables' owner, past every guard."""

import os
import time
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


def settle() -> None:
    """Waits until no transaction of the server, of any database, is older than what was written."""
    query = (
        "SELECT pg_snapshot_xmin(pg_current_snapshot()) > xid FROM exchange_journal "
        "ORDER BY xid DESC LIMIT 1"
    )
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as connection:
        for _ in range(1_000):
            row = connection.execute(query).fetchone()
            if row is None or row[0]:
                return
            time.sleep(0.01)
    raise AssertionError("an old transaction does not end")
