"""The one published order: committed events leave the outbox and get positions without gaps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import psycopg
from psycopg.rows import args_row

from moonx.core.locks import Lock

KEEP_DAYS = 7  # of published events; what must never be lost is in the rows they tell of
AHEAD_DAYS = 3  # partitions made before they are needed, should nobody roll them for days

# A dead connection must be noticed within seconds by both ends, or its lock would outlive it.
OPTIONS = "-c client_connection_check_interval=1000 -c statement_timeout=30000 -c timezone=UTC"
KEEPALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

OPEN = """
INSERT INTO core_cursor (name, position, updated_at)
SELECT 'relay', coalesce(max(position), 0), clock_timestamp() FROM core_event
ON CONFLICT (name) DO NOTHING
"""

FIELDS = (
    "position, id, name, topics::text, payload::text, correlation_id, "
    "floor(extract(epoch FROM created_at) * 1000)::bigint"
)

# What is visible leaves the outbox in the order of ids: events of one key were inserted under that
# key's lock, so a later one is never visible before an earlier one. The cursor's row lock makes the
# numbers gapless even if two sessions believed that they were the relay.
MOVE = f"""
WITH base AS (
  SELECT position FROM core_cursor WHERE name = 'relay' FOR UPDATE
),
moved AS (
  DELETE FROM core_outbox
  WHERE id IN (SELECT id FROM core_outbox ORDER BY id LIMIT %s) AND EXISTS (SELECT FROM base)
  RETURNING *
),
advanced AS (
  UPDATE core_cursor
  SET position = position + (SELECT count(*) FROM moved), updated_at = clock_timestamp()
  WHERE name = 'relay' AND EXISTS (SELECT FROM moved)
)
INSERT INTO core_event (position, id, name, key, topics, payload, correlation_id, created_at,
  relayed_at)
SELECT base.position + row_number() OVER (ORDER BY moved.id), moved.id, name, key, topics, payload,
  correlation_id, created_at, clock_timestamp()
FROM moved, base
RETURNING {FIELDS}
"""  # noqa: S608 - constants only

READ = f"SELECT {FIELDS} FROM core_event WHERE position > %s ORDER BY position LIMIT %s"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Published:
    """An event with its place in the published order.

    Topics and payload stay the JSON that PostgreSQL spells: parsing and spelling again what is only
    passed on took half of the relay's time.
    """

    position: int
    id: int
    name: str
    topics_json: str
    payload_json: str
    correlation_id: str
    created_ms: int

    @property
    def topics(self) -> tuple[str, ...]:
        """The channels that carry it."""
        return _topics(self.topics_json)


@lru_cache(maxsize=4096)
def _topics(topics_json: str) -> tuple[str, ...]:
    return tuple(json.loads(topics_json))


class Sequencer:
    """PostgreSQL's side of the relay: one connection that holds the relay's lock and moves events.

    Because both are one connection, whoever lost the lock cannot number anything any more. Every
    method raises psycopg.Error where the connection is lost.
    """

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(
            dsn, autocommit=True, options=OPTIONS, application_name="moonx-relay", **KEEPALIVE
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def try_lock(self) -> bool:
        """Takes the relay's lock for the life of this connection; False while another holds it."""
        row = self._one("SELECT pg_try_advisory_lock(%s, 0)", [Lock.RELAY.value])
        if row[0]:
            self._connection.execute(OPEN)
        return bool(row[0])

    def move(self, *, limit: int) -> list[Published]:
        """Numbers up to `limit` waiting events, in order; they are committed when this returns."""
        with self._connection.cursor(row_factory=args_row(Published)) as cursor:
            rows = cursor.execute(MOVE, [limit]).fetchall()
        return sorted(rows, key=lambda event: event.position)

    def position(self) -> int:
        """The last position given."""
        row = self._one("SELECT position FROM core_cursor WHERE name = 'relay'", [])
        return int(row[0])

    def read(self, *, after: int, limit: int) -> list[Published]:
        """The events that follow a position, oldest first; those past retention are gone."""
        with self._connection.cursor(row_factory=args_row(Published)) as cursor:
            return cursor.execute(READ, [after, limit]).fetchall()

    def roll_days(self) -> int:
        """Makes room for the days to come and drops those past retention; returns how many."""
        return int(self._one("SELECT core_roll_events(%s, %s)", [KEEP_DAYS, AHEAD_DAYS])[0])

    def _one(self, statement: str, values: Sequence[Any]) -> tuple[Any, ...]:
        found = self._connection.execute(statement.encode(), values)
        row: tuple[Any, ...] | None = found.fetchone()
        if row is None:
            raise psycopg.OperationalError("the relay's cursor row is missing")
        return row
