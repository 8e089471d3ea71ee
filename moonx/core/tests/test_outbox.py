"""Facts and their events commit together."""

from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_type_hints

import pytest
from django.db import transaction

from moonx.core import events, logs, outbox, valkey
from moonx.core.events import Event, StatsFact, SystemAlert, UserActivity
from moonx.core.models import OutboxEvent
from moonx.core.outbox import OutsideTransaction, WrongColumns

pytestmark = pytest.mark.usefixtures("committed_db")


def alert(subject: str) -> SystemAlert:
    return SystemAlert(subject=subject, message="something happened")


def test_an_event_outside_a_transaction_is_refused() -> None:
    with pytest.raises(OutsideTransaction):
        outbox.emit(alert("a"))


def test_a_rolled_back_fact_leaves_no_event() -> None:
    def fail() -> None:
        with transaction.atomic():
            outbox.emit(alert("a"))
            raise RuntimeError("the fact is lost")

    with pytest.raises(RuntimeError):
        fail()
    assert not OutboxEvent.objects.exists()


def test_events_keep_their_order_and_their_correlation_id() -> None:
    with logs.correlated("request-1"), transaction.atomic():
        outbox.emit(alert("a"), alert("b"), alert("c"))
    rows = list(OutboxEvent.objects.order_by("id"))
    assert [row.payload["subject"] for row in rows] == ["a", "b", "c"]
    assert {row.correlation_id for row in rows} == {"request-1"}
    assert rows[0].topics == ["system"]


def test_the_relay_is_woken_after_commit_and_not_before() -> None:
    with valkey.client().pubsub(  # type: ignore[no-untyped-call]
        ignore_subscribe_messages=True
    ) as listener:
        listener.subscribe(valkey.key("wake"))
        listener.get_message(timeout=1)
        with transaction.atomic():
            outbox.emit(alert("a"))
            assert listener.get_message(timeout=0.05) is None
        assert listener.get_message(timeout=1) is not None


# Per type of a field: columns in SQL, and the values that they have.
SAMPLES: dict[Any, tuple[str, Any]] = {
    str: ("'say \"ü{}''\\'::text", "say \"ü{}'\\"),
    int: ("9007199254740993::bigint", 9007199254740993),
    bool: ("false", False),
    Decimal: ("100.500000000000000000::numeric(78,18)", Decimal("100.500000000000000000")),
    datetime: (
        "timestamptz '2026-11-25 02:30:00.123999Z'",
        datetime(2026, 11, 25, 2, 30, 0, 123999, tzinfo=UTC),
    ),
    str | None: ("NULL::text", None),
    Decimal | None: ("(-0.000000000000000001)::numeric(78,18)", Decimal("-1E-18")),
    datetime | None: ("NULL::timestamptz", None),
    int | None: ("NULL::bigint", None),
}


KINDS = [kind for kind in vars(events).values() if isinstance(kind, type) and hasattr(kind, "name")]
# Made one at a time and in Python only: their figures are nested.
NESTED = [kind for kind in KINDS if issubclass(kind, StatsFact)]
FLAT = [kind for kind in KINDS if kind not in NESTED]


@pytest.mark.parametrize("kind", FLAT, ids=lambda kind: kind.__name__)
def test_events_made_in_the_database_are_those_made_in_python(kind: type[Event]) -> None:
    hints = get_type_hints(kind)
    samples = {field.name: SAMPLES[hints[field.name]] for field in fields(kind)}
    columns = ", ".join(f"{sql} AS {name}" for name, (sql, _) in samples.items())
    with logs.correlated("request-2"), transaction.atomic():
        outbox.emit(kind(**{name: value for name, (_, value) in samples.items()}))
        assert outbox.emit_rows(kind, f"SELECT {columns}", []) == 1
    made, rows_made = OutboxEvent.objects.order_by("id").values_list(
        "name", "key", "topics", "payload", "correlation_id"
    )
    assert rows_made == made


def test_rows_become_events_in_the_order_they_ask_for_each_with_its_own_correlation() -> None:
    select = """
        SELECT n, 'a' || n AS subject, %(text)s::text AS message,
          CASE n WHEN 2 THEN 'order-2' END AS correlation_id
        FROM generate_series(3, 1, -1) AS n
    """
    with logs.correlated("request-3"), transaction.atomic():
        assert outbox.emit_rows(SystemAlert, select, {"text": "100 %"}) == 3
    rows = OutboxEvent.objects.order_by("id")
    assert [row.payload["subject"] for row in rows] == ["a1", "a2", "a3"]
    assert [row.correlation_id for row in rows] == ["request-3", "order-2", "request-3"]
    assert {row.payload["message"] for row in rows} == {"100 %"}


def test_rows_without_the_fields_of_their_event_are_refused_by_name() -> None:
    with (
        transaction.atomic(),
        pytest.raises(WrongColumns, match=r"\['action'\], unknown \['deed'\]"),
    ):
        outbox.emit_rows(UserActivity, "SELECT 1 AS user_id, 'x' AS deed", [])


@pytest.mark.parametrize("kind", NESTED, ids=lambda kind: kind.__name__)
def test_an_event_with_nested_figures_is_not_made_of_rows(kind: type[Event]) -> None:
    columns = ", ".join(f"NULL AS {field.name}" for field in fields(kind))
    with transaction.atomic(), pytest.raises(WrongColumns, match="has no form in SQL"):
        outbox.emit_rows(kind, f"SELECT {columns}", [])


def test_rows_outside_a_transaction_are_refused() -> None:
    with pytest.raises(OutsideTransaction):
        outbox.emit_rows(SystemAlert, "SELECT 'a' AS subject, 'b' AS message", [])
