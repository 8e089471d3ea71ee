"""The relay against relaying one by one, and its patience beside a long transaction."""

import itertools
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Self

import psycopg
from django.db import connection, transaction

from apps.realtime import relay as realtime_relay
from apps.realtime.publisher import Publisher
from apps.realtime.relay import Relay
from apps.realtime.sequencer import Sequencer
from benchmarks.harness import Bench, Figure, elapsed_ms
from moonx.core import outbox, push, valkey
from moonx.core.events import TradeExecuted

FULL_N = 20_000
KEYS = 100
ONE_BY_ONE_SHARE = 50  # the peer relays one in so many, and is scaled
OPEN_S = 4.0
STALL_LIMIT_S = 1.0

SELECT_ONE = (
    "SELECT id, name, topics, payload, correlation_id, created_at FROM core_outbox "
    "ORDER BY id LIMIT 1 FOR UPDATE"
)
NUMBER_ONE = (
    "UPDATE core_cursor SET position = position + 1, updated_at = clock_timestamp() "
    "WHERE name = 'bench' RETURNING position"
)
KEEP_ONE = (
    "INSERT INTO core_event (position, id, name, key, topics, payload, correlation_id, created_at, "
    "relayed_at) SELECT %s, id, name, key, topics, payload, correlation_id, created_at, "
    "clock_timestamp() FROM core_outbox WHERE id = %s"
)
OPEN_BENCH = (
    "INSERT INTO core_cursor VALUES ('bench', %s, clock_timestamp()) ON CONFLICT (name) "
    "DO UPDATE SET position = excluded.position"
)
APART = 10**12  # the peer's positions begin where ours never come

Facts = Iterator[TradeExecuted]


def run(bench: Bench, *, n: int = FULL_N, open_s: float = OPEN_S) -> None:
    """Relays `n` facts of 100 keys in batches, interleaved with a share of them one by one."""
    facts = _facts()
    peer_n = max(10, n // ONE_BY_ONE_SHARE)
    with Sequencer(os.environ["DATABASE_URL"]) as sequencer:
        bench.check(sequencer.try_lock(), "nobody else relays")
        relay = Relay(sequencer, Publisher(valkey.client()))
        settle(relay)
        with Listener() as listener:
            fill(facts, n)
            drain(relay, n)
            check_order(bench, listener, count=n)
        compare(bench, facts, relay, n=n, peer_n=peer_n)
    check_events(bench, count=n * (bench.rounds + 1))
    beside_an_open_transaction(bench, facts, open_s=open_s)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM core_outbox")
        bench.check(cursor.fetchone() == (0,), "the outbox is empty")


def settle(relay: Relay) -> None:
    """Relays what is there, and lets the push server know the position."""
    while relay.step():
        pass
    relay.step()


def compare(bench: Bench, facts: Facts, relay: Relay, *, n: int, peer_n: int) -> None:
    """The interleaved rounds: each fills the outbox first, which is not timed."""
    ratios, ours_ms, peer_ms = [], [], []
    for number in range(bench.rounds):
        fill(facts, n)
        ours_ms.append(elapsed_ms(lambda: drain(relay, n)))
        fill(facts, peer_n)
        with apart():
            peer_ms.append(elapsed_ms(lambda: one_by_one(peer_n)) * n / peer_n)
        ratios.append(peer_ms[-1] / ours_ms[-1])
        bench.say(
            f"round {number + 1} of {bench.rounds}: {n / ours_ms[-1] * 1000:,.0f} facts/s, "
            f"one by one {n / peer_ms[-1] * 1000:,.0f}/s"
        )
    middle = len(ratios) // 2
    bench.add(
        Figure(
            name="relay.throughput",
            ratio=round(sorted(ratios)[middle], 2),
            goal=100,
            rounds=len(ratios),
            peer=f"one by one: select, number, keep, delete, commit, publish; 5 statements and 1 "
            f"publish a fact, timed on {peer_n:,} facts and scaled × {n / peer_n:.0f}",
            ok=sorted(ratios)[middle] >= 100,
            ours_ms=round(sorted(ours_ms)[middle], 3),
            peer_ms=round(sorted(peer_ms)[middle], 3),
            note=f"{n:,} facts of {KEYS} keys, numbered, kept as events and published; "
            f"1 statement and 1 script a batch",
            more={"factsPerS": round(n / sorted(ours_ms)[middle] * 1000)},
        )
    )


def _facts() -> Facts:
    """Endless trades, numbered so that a reader can tell the order of their keys."""
    for number in itertools.count(1):
        yield TradeExecuted(
            symbol=f"B{number % KEYS}QUOTE",
            id=number,
            first_id=number,
            last_id=number,
            price="105.25",
            quantity="1.500",
            quote_quantity="157.87500",
            is_buyer_maker=False,
            source="matched",
            time=datetime.now(UTC),
        )


def fill(facts: Facts, count: int) -> None:
    """Commits so many facts, 1,000 a transaction."""
    left = count
    while left:
        size = min(1000, left)
        with transaction.atomic():
            outbox.emit_all(itertools.islice(facts, size))
        left -= size


def drain(relay: Relay, count: int) -> None:
    """Steps until so many facts were moved and the last of them was published."""
    moved = 0
    while moved < count:
        moved += relay.step()


def one_by_one(count: int) -> None:
    """The peer: each fact is numbered, kept and deleted in its own transaction, then published."""
    client = valkey.client()
    with psycopg.connect(os.environ["DATABASE_URL"]) as pg:
        for _ in range(count):
            row = pg.execute(SELECT_ONE).fetchone()
            assert row is not None
            numbered = pg.execute(NUMBER_ONE).fetchone()
            assert numbered is not None
            pg.execute(KEEP_ONE, [numbered[0], row[0]])
            pg.execute("DELETE FROM core_outbox WHERE id = %s", [row[0]])
            pg.commit()
            for topic in row[2]:
                frame = peer_frame(row, topic, position=numbered[0])
                client.publish(valkey.key(f"one:{topic}"), frame)


def peer_frame(row: tuple[object, ...], topic: str, *, position: int) -> str:
    """The same frame as ours."""
    created = row[5]
    assert isinstance(created, datetime)
    head = push.head(
        frame_id=str(row[0]),
        name=str(row[1]),
        channel=topic,
        kind="update",
        source_ms=int(created.timestamp() * 1000),
        now_ms=time.time_ns() // 1_000_000,
        data=row[3],
        correlation_id=str(row[4]),
        position=position,
    )
    return head + "}"


@contextmanager
def apart() -> Iterator[None]:
    """The peer's events go under a cursor of its own, and are gone afterwards."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as pg:
        pg.execute(OPEN_BENCH, [APART])
        yield
        pg.execute("DELETE FROM core_event WHERE position > %s", [APART])
        pg.execute("DELETE FROM core_cursor WHERE name = 'bench'")


class Listener:
    """Notes every frame of ours that the push server sends, in the order of arrival."""

    def __init__(self) -> None:
        self.frames: list[tuple[float, dict[str, object]]] = []
        self._pubsub = valkey.pubsub(valkey.client())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._pubsub.psubscribe(valkey.key("t:*"))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._pubsub.close()

    def settle(self) -> None:
        """Returns when nothing has arrived for half a second."""
        seen = -1
        while seen != len(self.frames):
            seen = len(self.frames)
            time.sleep(0.5)

    def _read(self) -> None:
        while not self._stop.is_set():
            message = self._pubsub.get_message(timeout=0.1)
            if message and message["type"] == "pmessage":
                self.frames.append((time.monotonic(), json.loads(message["data"])))


def check_events(bench: Bench, *, count: int) -> None:
    """The events of all rounds stand under consecutive positions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(DISTINCT position), max(position) - min(position) + 1 "
            "FROM (SELECT position FROM core_event ORDER BY position DESC LIMIT %s) latest",
            [count],
        )
        found = cursor.fetchone()
    bench.check(found == (count,) * 3, f"{count:,} events kept under consecutive positions")


def check_order(bench: Bench, listener: Listener, *, count: int) -> None:
    """Positions without hole or double as heard, and each key's facts in the order of its own."""
    listener.settle()
    heard = [frame for _, frame in listener.frames]
    positions = [int(str(frame["position"])) for frame in heard]
    expected = list(range(positions[0], positions[0] + len(positions))) if positions else []
    right = len(heard) == count and positions == expected
    bench.check(right, f"{len(heard):,} of {count:,} positions heard, without gap or double")
    last: dict[object, int] = {}
    inversions = 0
    for frame in heard:
        data = frame["data"]
        assert isinstance(data, dict)
        inversions += last.get(frame["channel"], 0) >= int(data["id"])
        last[frame["channel"]] = int(data["id"])
    bench.check(inversions == 0, f"facts of each key in order ({inversions} inversions)")


def beside_an_open_transaction(bench: Bench, facts: Facts, *, open_s: float) -> None:
    """Facts go out while an older one's transaction stays open; it follows when that commits."""
    with Listener() as listener, _relaying(), psycopg.connect(os.environ["DATABASE_URL"]) as pg:
        time.sleep(0.3)
        pg.execute(
            "INSERT INTO core_outbox (name, key, topics, payload) VALUES "
            "('late', 'late', '[\"late\"]', '{\"id\": 0}')"
        )
        started, sent = time.monotonic(), 0
        while time.monotonic() - started < open_s:
            with transaction.atomic():
                outbox.emit_all(itertools.islice(facts, 1))
            sent += 1
            time.sleep(0.01)
        ended = time.monotonic()
        pg.commit()
        listener.settle()
    heard = [at for at, frame in listener.frames if frame["type"] != "late"]
    moments = [started, *(at for at in heard if at < ended), ended]
    stall_s = max(b - a for a, b in itertools.pairwise(moments))
    late = [at for at, frame in listener.frames if frame["type"] == "late"]
    bench.check(
        len(heard) == sent, f"{sent:,} facts beside an open transaction, {len(heard):,} heard"
    )
    bench.check(
        len(late) == 1 and late[0] >= ended, "the late fact went out once, after its commit"
    )
    bench.add(
        Figure(
            name="relay.stall",
            ratio=None,
            goal=None,
            rounds=1,
            peer="",
            ok=stall_s <= STALL_LIMIT_S,
            ours_ms=round(stall_s * 1000, 1),
            note=f"longest silence beside a write transaction open for {open_s:g} s, a fact every "
            f"10 ms; at most {STALL_LIMIT_S * 1000:.0f} ms",
        )
    )


@contextmanager
def _relaying() -> Iterator[None]:
    stop = threading.Event()
    options = {"dsn": os.environ["DATABASE_URL"], "client": valkey.client(), "stop": stop}
    thread = threading.Thread(target=realtime_relay.run, kwargs=options, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
