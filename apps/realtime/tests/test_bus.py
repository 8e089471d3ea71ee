import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from kombu import Connection, Queue

from apps.realtime import bus
from apps.realtime.tests.support import NOON, drain, emit, fact, own_facts, working_relay
from moonx.core import outbox, push, valkey
from moonx.core.events import SystemAlert
from moonx.core.push import State

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


@pytest.fixture
def running_bus() -> Iterator[threading.Event]:
    stop, moved = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=bus.run,
        kwargs={
            "dsn": settings.ENV.direct_dsn(),
            "url": os.environ["BROKER_URL"],
            "stop": stop,
            "moved": moved,
        },
    )
    thread.start()
    yield moved
    stop.set()
    moved.set()
    thread.join(timeout=10)
    assert not thread.is_alive()


def consume(
    queue: Queue, *, count: int, timeout_s: float = 10
) -> list[tuple[str, str, dict[str, Any]]]:
    """(routing key, message id, body) of the next messages."""
    options = {"global_keyprefix": settings.ENV.redis_key_prefix}
    got: list[tuple[str, str, Any]] = []

    def take(body: dict[str, Any], message: object) -> None:
        info = message.delivery_info  # type: ignore[attr-defined]
        got.append((info["routing_key"], message.properties["message_id"], body))  # type: ignore[attr-defined]
        message.ack()  # type: ignore[attr-defined]

    with (
        Connection(os.environ["BROKER_URL"], transport_options=options) as broker,
        broker.Consumer(queue, callbacks=[take]),
    ):
        deadline = time.monotonic() + timeout_s
        while len(got) < count and time.monotonic() < deadline:
            with suppress(TimeoutError):
                broker.drain_events(timeout=0.5)
    return got


def bound(name: str, key: str) -> Queue:
    """A queue of another service, bound before anything is published."""
    queue = Queue(name, exchange=bus.EXCHANGE, routing_key=key)
    options = {"global_keyprefix": settings.ENV.redis_key_prefix}
    with Connection(os.environ["BROKER_URL"], transport_options=options) as broker:
        queue(broker.default_channel).declare()
    return queue


def test_other_services_get_every_event_in_order_under_its_name() -> None:
    queue = bound("audit", "trade.executed")
    with working_relay() as relay, bus._reader(settings.ENV.direct_dsn()) as reader:
        drain(relay)
        reader.execute(bus.OPEN)
        emit(1, 2, 3)
        drain(relay)
        with bus._producer(os.environ["BROKER_URL"]) as producer:
            assert bus.copy_batch(reader, producer) == 3
            assert bus.copy_batch(reader, producer) == 0
    messages = consume(queue, count=3)
    assert [body["data"]["id"] for _, _, body in messages] == [1, 2, 3]
    assert [body["position"] for _, _, body in messages] == [1, 2, 3]
    assert [message_id for _, message_id, _ in messages] == [
        str(body["id"]) for _, _, body in messages
    ]


def test_who_counts_trades_gets_none_of_their_owners_events() -> None:
    trades, owners = bound("counter", "trade.executed"), bound("statements", "trade.executed.own")
    with working_relay() as relay, bus._reader(settings.ENV.direct_dsn()) as reader:
        drain(relay)
        reader.execute(bus.OPEN)
        with transaction.atomic():
            outbox.emit(*own_facts(42), fact(1))
        drain(relay)
        with bus._producer(os.environ["BROKER_URL"]) as producer:
            assert bus.copy_batch(reader, producer) == 4
    ((_, _, public),) = consume(trades, count=1)
    ((_, _, own),) = consume(owners, count=1)
    assert (public["event"], public["data"]["id"]) == ("trade.executed", 1)
    assert (own["event"], own["data"]["userId"]) == ("trade.executed", 42)


def test_alerts_and_prices_travel_under_the_keys_other_services_know(
    running_bus: threading.Event,
) -> None:
    queue = bound("dashboard", "system.alerts")
    prices = bound("quotes", "price.updates")
    with working_relay() as relay:
        drain(relay)
        time.sleep(1.0)  # the bus has opened its cursor and listens
        with transaction.atomic():
            outbox.emit(SystemAlert(subject="relay", message="late"))
        drain(relay)
        running_bus.set()
        push.publish_states(
            [
                State(
                    topic="prices",
                    key="prices:X",
                    name="price_update",
                    version=1,
                    data={"price": "1.5"},
                    source_time=NOON,
                )
            ],
            now=NOON,
        )
        ((_, _, alert),) = consume(queue, count=1)
        ((_, _, price),) = consume(prices, count=1)
    assert (alert["event"], alert["data"]["message"]) == ("system.alert", "late")
    assert price["data"] == {"price": "1.5"}


def test_a_broker_that_is_away_is_asked_less_and_less_often() -> None:
    class Impatient(threading.Event):
        """Notes how long it is waited for, and is set the fourth time."""

        def __init__(self) -> None:
            super().__init__()
            self.pauses: list[float | None] = []

        def wait(self, timeout: float | None = None) -> bool:
            self.pauses.append(timeout)
            if len(self.pauses) == 4:
                self.set()
            return self.is_set()

    stop = Impatient()
    nowhere = "redis://127.0.0.1:1/0"
    bus.run(dsn=settings.ENV.direct_dsn(), url=nowhere, stop=stop, moved=threading.Event())
    assert stop.pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_standby_hears_no_prices_before_it_has_the_lock() -> None:
    stop, moved = threading.Event(), threading.Event()
    channel = valkey.key("t:prices")

    def listeners() -> int:
        ((_, count),) = valkey.client().pubsub_numsub(channel)
        return int(count)

    with bus._reader(settings.ENV.direct_dsn()) as holder:
        assert bus._wait_for_turn(holder, stop)
        thread = threading.Thread(
            target=bus.run,
            kwargs={
                "dsn": settings.ENV.direct_dsn(),
                "url": os.environ["BROKER_URL"],
                "stop": stop,
                "moved": moved,
            },
        )
        thread.start()
        time.sleep(0.3)
        as_standby = listeners()
    deadline = time.monotonic() + 10
    while not listeners() and time.monotonic() < deadline:
        time.sleep(0.02)
    at_work = listeners()
    stop.set()
    moved.set()
    thread.join(timeout=10)
    assert (as_standby, at_work, listeners()) == (0, 1, 0)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("portfolio.updated", "portfolio.updates"),
        ("sync.failed", "sync.events"),
        ("system.alert", "system.alerts"),
        ("user.activity", "user.activities"),
        ("order.filled", "order.filled"),
    ],
)
def test_families_are_collected_under_one_key(name: str, key: str) -> None:
    assert bus.routing_key(name) == key
