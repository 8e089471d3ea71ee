"""Empties a run's own stores for the next one; as the owner, who alone may."""

import os

import psycopg

from moonx.core import valkey

# What migrations put there and no run changes.
KEPT = (
    "django_migrations",
    "django_content_type",
    "auth_permission",
    "exchange_candlewatermark",
    "core_chain",
    "exchange_feetier",
)
APPEND_ONLY = (
    "core_circuit_event",
    "exchange_journal",
    "exchange_entry",
    "exchange_amendment",
)
TABLES = """
SELECT string_agg(quote_ident(relname), ', ') FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname <> ALL(%s)
"""


def empty() -> None:
    """Rows, sequences and the push server."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        row = owner.execute(TABLES, [list(KEPT)]).fetchone()
        assert row is not None
        for table in APPEND_ONLY:
            owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        owner.execute(f"TRUNCATE {row[0]} RESTART IDENTITY CASCADE".encode())
        for table in APPEND_ONLY:
            owner.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())
        owner.execute("SELECT exchange_reset_watermarks()")
    client = valkey.client()
    for key in client.scan_iter(match=valkey.key("*"), count=1000):
        client.delete(key)
