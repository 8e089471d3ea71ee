"""The transactional outbox: a fact is written in the transaction that makes it true."""

from collections.abc import Iterable

from django.db import connection, transaction
from psycopg.types.json import Jsonb
from redis import RedisError

from moonx.core import logs, valkey
from moonx.core.events import Event

log = logs.get("moonx.outbox")

INSERT = """
INSERT INTO core_outbox (name, key, topics, payload, correlation_id)
SELECT u.name, u.key, u.topics, u.payload, %s
FROM unnest(%s::text[], %s::text[], %s::jsonb[], %s::jsonb[])
  WITH ORDINALITY AS u(name, key, topics, payload, n)
ORDER BY u.n
"""


class OutsideTransaction(RuntimeError):
    """An event emitted outside a transaction could be published although its fact was lost."""


def emit(*events: Event) -> None:
    """Writes `events`, in order, in the current transaction; the relay is woken after commit.

    The caller must hold the lock of each event's key. Raises OutsideTransaction outside one.
    """
    emit_all(events)


def emit_all(events: Iterable[Event]) -> None:
    """As `emit`, in one statement for any number of events."""
    if not connection.in_atomic_block:
        raise OutsideTransaction("emit events inside the transaction that makes them true")
    rows = list(events)
    if not rows:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            INSERT,
            [
                logs.correlation_id.get(),
                [event.name for event in rows],
                [event.key for event in rows],
                [Jsonb(event.topics) for event in rows],
                [Jsonb(event.payload()) for event in rows],
            ],
        )
    transaction.on_commit(wake_relay)


def wake_relay() -> None:
    """Tells the relay that something committed; it finds out by itself within 200 ms anyway."""
    try:
        valkey.client().publish(valkey.key("wake"), b"1")
    except (RedisError, OSError) as error:
        log.debug("relay not woken, it will poll", error=type(error).__name__)
