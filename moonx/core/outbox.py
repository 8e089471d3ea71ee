"""The transactional outbox: a fact is written in the transaction that makes it true."""

import json
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, get_args, get_type_hints

from django.db import connection, transaction
from redis import RedisError

from moonx.core import logs, prepared, valkey
from moonx.core.events import Event, camel, parts, wire

log = logs.get("moonx.outbox")

INSERT = """
INSERT INTO core_outbox (name, key, topics, payload, correlation_id)
SELECT u.name, u.key, u.topics, u.payload, %s
FROM unnest(%s::text[], %s::text[], %s::json[], %s::json[])
  WITH ORDINALITY AS u(name, key, topics, payload, n)
ORDER BY u.n
"""

INSERT_ROWS = """
INSERT INTO core_outbox (name, key, topics, payload, correlation_id)
SELECT '{name}', {key}, {topics}::json, {payload}::json, {correlation}
FROM ({select}) r {order}
"""

# How the columns of a type are spelled on the wire, as events.wire spells its values. PostgreSQL's
# own builders of JSON take twice as long. A double has a moment's microseconds to 0.0004 ms, which
# the addend makes up for.
SPELLINGS: dict[type, str] = {
    str: "to_json(r.{name}::text)",
    int: "r.{name}::bigint",
    bool: "r.{name}::boolean::text",
    Decimal: "'\"' || trim_scale(r.{name}::numeric) || '\"'",
    datetime: "floor(date_part('epoch', r.{name}::timestamptz) * 1000 + 0.0005)::bigint",
}

CORRELATION, ORDER = "correlation_id", "n"


class OutsideTransaction(RuntimeError):
    """An event emitted outside a transaction could be published although its fact was lost."""


class WrongColumns(TypeError):
    """A statement whose columns are not the fields of the event that it is to make."""


def emit(*events: Event) -> None:
    """Writes `events`, in order, in the current transaction; the relay is woken after commit.

    The caller must hold the lock of each event's key. Raises OutsideTransaction outside one.
    """
    emit_all(events)


def emit_all(events: Iterable[Event]) -> None:
    """As `emit`, in one statement for any number of events."""
    _refuse_outside_transaction()
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
                [_json(event.topics) for event in rows],
                [_json(event.payload()) for event in rows],
            ],
        )
    _wake_relay_once()


def emit_rows(event: type[Event], select: str, params: Sequence[Any] | Mapping[str, Any]) -> int:
    """As `emit`, of the rows that a constant SELECT makes from `params`; returns how many.

    Its columns are the event's fields, under their names; those with a default may be missing. A
    column `correlation_id` stands above the caller's own, and a column `n` orders the events. The
    rows never leave the database. Raises WrongColumns where fields are missing or none knows a
    column.
    """
    _refuse_outside_transaction()
    statement = _statements.get((event, select))
    if statement is None:
        statement = _statements[event, select] = _statement(event, select, params)
    with prepared.cursor() as cursor:
        cursor.execute(statement, _with_correlation(params))
        written = int(cursor.rowcount)
    if written:
        _wake_relay_once()
    return written


def waiting(*, at_most: int) -> int:
    """How many committed events wait for the relay, counted up to `at_most`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM core_outbox LIMIT %s) AS found", [at_most]
        )
        row = cursor.fetchone()
    return int(row[0])


_statements: dict[tuple[type[Event], str], str] = {}


def _with_correlation(params: Sequence[Any] | Mapping[str, Any]) -> Any:
    own = logs.correlation_id.get()
    return {**params, "emitter": own} if isinstance(params, Mapping) else [own, *params]


def _statement(event: type[Event], select: str, params: Sequence[Any] | Mapping[str, Any]) -> str:
    columns = _columns(select, params)
    known = {field.name: field for field in fields(event)}
    needed = {name for name, field in known.items() if field.default is MISSING}
    missing, unknown = needed - columns, columns - known.keys() - {CORRELATION, ORDER}
    if missing or unknown:
        raise WrongColumns(
            f"{event.__name__}: missing columns {sorted(missing)}, unknown {sorted(unknown)}"
        )
    own = "%(emitter)s" if isinstance(params, Mapping) else "%s"
    told = f"r.{CORRELATION}" if CORRELATION in columns else "NULL"
    return INSERT_ROWS.format(
        name=event.name,
        key=_filled(event.key_form),
        topics=_joined("[", [f"to_json({_filled(form)})" for form in event.topic_forms], "]"),
        payload=_joined("{", [_spelled(event, one, columns) for one in known.values()], "}"),
        correlation=f"coalesce({told}, {own}::text)",
        select=select,
        order=f"ORDER BY r.{ORDER}" if ORDER in columns else "",
    )


def _columns(select: str, params: Sequence[Any] | Mapping[str, Any]) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM ({select}) r LIMIT 0", params)  # noqa: S608 - the caller's constant
        return {column.name for column in cursor.description}


def _filled(form: str) -> str:
    """A form of a key or topic as SQL."""
    told = [f"'{text}', r.{field}::text" if field else f"'{text}'" for text, field in parts(form)]
    return f"concat({', '.join(told)})"


def _joined(opening: str, items: Sequence[str], closing: str) -> str:
    """Items, each one argument or more of concat, as a list or an object."""
    inside = ", ',', ".join(items) or "''"
    return f"concat('{opening}', {inside}, '{closing}')"


def _spelled(event: type[Event], field: "Field[Any]", columns: set[str]) -> str:
    """A field and its value, as arguments of concat."""
    if field.name in columns:
        kind, is_optional = _type_of(event, field.name)
        value = SPELLINGS[kind].format(name=field.name)
        if is_optional:
            value = f"coalesce(({value})::text, 'null')"
    else:
        value = f"'{_json(wire(field.default))}'"
    return f"""'"{camel(field.name)}":', {value}"""


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _type_of(event: type[Event], name: str) -> tuple[type, bool]:
    """The type of a field's values besides None, and whether it may be None."""
    hint = get_type_hints(event)[name]
    options = get_args(hint) or (hint,)
    kinds = [one for one in options if one is not types.NoneType]
    if len(kinds) != 1 or kinds[0] not in SPELLINGS:
        raise WrongColumns(f"{event.__name__}.{name}: {hint} has no form in SQL")
    return kinds[0], len(options) > 1


def _refuse_outside_transaction() -> None:
    if not connection.in_atomic_block:
        raise OutsideTransaction("emit events inside the transaction that makes them true")


def _wake_relay_once() -> None:
    """After commit, however many facts the transaction wrote."""
    if not any(call is wake_relay for _, call, *_ in connection.run_on_commit):
        transaction.on_commit(wake_relay)


def wake_relay() -> None:
    """Tells the relay that something committed; it finds out by itself within 200 ms anyway."""
    try:
        valkey.client().publish(valkey.key("wake"), b"1")
    except (RedisError, OSError) as error:
        log.debug("relay not woken, it will poll", error=type(error).__name__)
