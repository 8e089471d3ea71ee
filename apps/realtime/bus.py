"""The event bus for other services: the published order, copied to a topic exchange."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.conf import settings
from kombu import Connection, Exchange, Producer
from kombu.exceptions import KombuError
from psycopg.rows import args_row
from redis import RedisError
from redis.client import PubSub

from apps.realtime import measures
from apps.realtime.sequencer import FIELDS, KEEPALIVE, OPTIONS, Published
from moonx.core import logs, topics, valkey
from moonx.core.locks import Lock

log = logs.get("moonx.bus")

EXCHANGE = Exchange("moonx.events", type="topic", durable=True)
BATCH = 200
POLL_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
BUS_LOCK_KEY = 1  # beside the relay's own lock, whose key is 0

# Families that other services know under one key; everything else goes by its own name.
COLLECTED = {"portfolio": "portfolio.updates", "sync": "sync.events"}
RENAMED = {"system.alert": "system.alerts", "user.activity": "user.activities"}
PRICES = "price.updates"
# A trade has an event for all and one for each of its owners: who counts trades must not get three.
OWN_TRADES = {name: f"{name}.own" for name in ("trade.executed", "trade.busted")}

OPEN = """
INSERT INTO core_cursor (name, position, updated_at)
SELECT 'bus', coalesce(max(position), 0), clock_timestamp() FROM core_cursor WHERE name = 'relay'
ON CONFLICT (name) DO NOTHING
"""
READ = f"""
SELECT {FIELDS} FROM core_event
WHERE position > (SELECT position FROM core_cursor WHERE name = 'bus')
ORDER BY position LIMIT {BATCH}
"""  # noqa: S608 - constants only
ADVANCE = """
UPDATE core_cursor SET position = %s, updated_at = clock_timestamp() WHERE name = 'bus'
"""


@dataclass(slots=True)
class Pause:
    """The time between attempts: doubled by each failure until something was published."""

    next_s: float = FIRST_PAUSE_S

    def grow(self) -> float:
        """How long to wait this time, in seconds."""
        pause_s, self.next_s = self.next_s, min(self.next_s * 2, LONGEST_PAUSE_S)
        return pause_s

    def reset(self) -> None:
        """It works."""
        self.next_s = FIRST_PAUSE_S


def routing_key(name: str, *, is_own: bool = False) -> str:
    """The key under which an event of this name is published; `is_own`: it is for one user only."""
    if is_own and name in OWN_TRADES:
        return OWN_TRADES[name]
    return RENAMED.get(name) or COLLECTED.get(name.partition(".")[0]) or name


def start(
    *, dsn: str, url: str, stop: threading.Event, moved: threading.Event
) -> threading.Thread | None:
    """Runs the reader in a thread until `stop`; None where no bus is configured (an empty `url`).

    `moved` tells it that there is something to read.
    """
    if not url:
        return None
    thread = threading.Thread(
        target=run,
        kwargs={"dsn": dsn, "url": url, "stop": stop, "moved": moved},
        name="bus",
        daemon=True,
    )
    thread.start()
    return thread


def run(*, dsn: str, url: str, stop: threading.Event, moved: threading.Event) -> None:
    """Copies events until `stop`, at least once each, in order; outages are waited out.

    A consumer drops what it has seen by message id, which is the event's.
    """
    pause = Pause()
    broker = Connection(url)
    transient: tuple[type[BaseException], ...] = (
        *broker.connection_errors,
        *broker.channel_errors,
        *(psycopg.Error, RedisError, KombuError, OSError),
    )
    while not stop.is_set():
        try:
            with _reader(dsn) as reader:
                if _wait_for_turn(reader, stop):
                    with _producer(url) as producer:
                        _copy(reader, producer, pause=pause, stop=stop, moved=moved)
        except transient as error:
            measures.bus_errors.inc()
            pause_s = pause.grow()
            log.warning("bus failed, events wait", error=type(error).__name__, pause_s=pause_s)
            stop.wait(pause_s)


def copy_batch(reader: "psycopg.Connection[Any]", producer: Producer) -> int:
    """Publishes the next events and moves the cursor behind them; returns how many."""
    with reader.cursor(row_factory=args_row(Published)) as cursor:
        events = cursor.execute(READ).fetchall()
    for event in events:
        is_own = any(topics.owner_of(topic) is not None for topic in event.topics)
        key = routing_key(event.name, is_own=is_own)
        _publish(producer, key=key, name=event.name, message_id=event.id, body=_body(event))
    if events:
        reader.execute(ADVANCE, [events[-1].position])
    return len(events)


def _body(event: Published) -> dict[str, Any]:
    return {
        "id": event.id,
        "event": event.name,
        "position": event.position,
        "time": event.created_ms,
        "correlationId": event.correlation_id or None,
        "data": json.loads(event.payload_json),
    }


def _publish(
    producer: Producer, *, key: str, name: str, message_id: int | str, body: dict[str, Any]
) -> None:
    producer.publish(
        body,
        routing_key=key,
        headers={"event": name},
        message_id=str(message_id),
        serializer="json",
        delivery_mode=2,
        timeout=5,
    )
    measures.bus_published.labels(key if key in _KEYS else "other").inc()


def _publish_price(producer: Producer, frame: dict[str, Any]) -> None:
    _publish(producer, key=PRICES, name=frame["type"], message_id=frame["id"], body=frame)


_KEYS = {*COLLECTED.values(), *RENAMED.values(), PRICES}


@contextmanager
def _reader(dsn: str) -> "Iterator[psycopg.Connection[Any]]":
    with psycopg.connect(
        dsn, autocommit=True, options=OPTIONS, application_name="moonx-bus", **KEEPALIVE
    ) as connection:
        yield connection


@contextmanager
def _producer(url: str) -> Iterator[Producer]:
    options = {"confirm_publish": True, "global_keyprefix": settings.ENV.redis_key_prefix}
    with Connection(url, transport_options=options, connect_timeout=5) as broker:
        broker.connect()  # a broker that is away is noticed here, not by the first message
        yield Producer(broker, exchange=EXCHANGE, auto_declare=True)


def _wait_for_turn(reader: "psycopg.Connection[Any]", stop: threading.Event) -> bool:
    """Whether this is the one bus now; False where it is to stop."""
    while not stop.is_set():
        row = reader.execute("SELECT pg_try_advisory_lock(%s, %s)", [Lock.RELAY, BUS_LOCK_KEY])
        if (row.fetchone() or (False,))[0]:
            reader.execute(OPEN)
            return True
        stop.wait(POLL_S)
    return False


def _copy(
    reader: "psycopg.Connection[Any]",
    producer: Producer,
    *,
    pause: Pause,
    stop: threading.Event,
    moved: threading.Event,
) -> None:
    with valkey.pubsub(valkey.client()) as prices:
        prices.subscribe(valkey.key("t:prices"))
        while not stop.is_set():
            told = _copy_prices(prices, producer)
            copied = copy_batch(reader, producer)
            if told or copied:
                pause.reset()
            if copied < BATCH:
                moved.wait(POLL_S)
                moved.clear()


def _copy_prices(prices: PubSub, producer: Producer) -> int:
    told = 0
    while message := prices.get_message(timeout=0):
        if message["type"] == "message":
            _publish_price(producer, json.loads(message["data"]))
            told += 1
    return told
