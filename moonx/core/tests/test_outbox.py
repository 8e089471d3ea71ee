"""Facts and their events commit together."""

import pytest
from django.db import transaction

from moonx.core import logs, outbox, valkey
from moonx.core.events import SystemAlert
from moonx.core.models import OutboxEvent
from moonx.core.outbox import OutsideTransaction

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
