"""Seeded bugs: what a careless relay or a careless writer does, to prove that it is found."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction

from apps.exchange import candles
from apps.exchange.bars import Bar
from apps.exchange.models import Market
from apps.exchange.trades import hold_market
from apps.realtime.publisher import OK, Publisher, Stored
from apps.realtime.relay import Relay
from apps.realtime.sequencer import Published, Sequencer
from moonx.core import outbox, valkey
from moonx.core.events import Event

# Each bug's window is held open a little, so that a few kills find it.
WINDOW_S = 0.05


class Bug(StrEnum):
    """What is wrong; NONE is the product as it is."""

    NONE = "none"
    RELAY_DOUBLES = "relay-doubles"
    RELAY_FORGETS = "relay-forgets"
    RELAY_EARLY = "relay-early"
    BAR_APART = "bar-apart"
    FACT_APART = "fact-apart"

    @property
    def is_relays(self) -> bool:
        """Whether the relay has it."""
        return self.value.startswith("relay")


# What must be found, at least, where the bug is.
TELLTALE = {
    Bug.RELAY_DOUBLES: "doubled of",
    Bug.RELAY_FORGETS: "lost of",
    Bug.RELAY_EARLY: "not committed yet",
    Bug.BAR_APART: "1m bars that differ",
    Bug.FACT_APART: "trades without their fact",
}


class Doubling(Publisher):
    """Notes the position after it has published, not with it: killed between, it repeats."""

    def publish(self, events: Sequence[Published], *, after: int) -> str:  # noqa: ARG002
        """Publishes one by one."""
        heads = self._heads(events)
        for topic, head in zip(heads[::2], heads[1::2], strict=True):
            seq = self._client.hincrby(valkey.key("seq"), topic, 1)
            self._client.publish(valkey.key(f"t:{topic}"), f'{head},"seq":{seq}}}')
            time.sleep(0.003)
        self._client.set(valkey.key("position"), events[-1].position)
        return OK


class Forgetting(Publisher):
    """Takes what is numbered for published when it starts: killed between, it leaves that out."""

    def __init__(self, sequencer: Sequencer) -> None:
        super().__init__(valkey.client())
        self._sequencer = sequencer
        self._assumed = False

    def stored(self) -> Stored:
        """At the first look the push server is told to stand where the database stands."""
        if not self._assumed and self._client.exists(valkey.key("position")):
            self._client.set(valkey.key("position"), self._sequencer.position())
        self._assumed = True
        return super().stored()

    def publish(self, events: Sequence[Published], *, after: int) -> str:
        """As the real one, a little later."""
        time.sleep(WINDOW_S)
        return super().publish(events, after=after)


def relay_early(dsn: str) -> None:
    """Publishes first and commits then, for ever."""
    with Sequencer(dsn) as sequencer:
        _wait_for_lock(sequencer)
        publisher = Publisher(valkey.client())
        Relay(sequencer, publisher).step()  # begins an epoch where there is none
        sequencer._connection.autocommit = False
        while True:
            if events := sequencer.move(limit=500):
                publisher.publish(events, after=events[0].position - 1)
            time.sleep(0.01)
            sequencer._connection.commit()


def relay_with(bug: Bug, dsn: str) -> None:
    """Relays with a publisher that has the bug, for ever."""
    if bug is Bug.RELAY_EARLY:
        relay_early(dsn)
    with Sequencer(dsn) as sequencer:
        _wait_for_lock(sequencer)
        careless = Doubling(valkey.client()) if bug is Bug.RELAY_DOUBLES else Forgetting(sequencer)
        relay = Relay(sequencer, careless)
        while True:
            if not relay.step():
                time.sleep(0.01)


def _wait_for_lock(sequencer: Sequencer) -> None:
    while not sequencer.try_lock():
        time.sleep(0.02)


def plant(bug: Bug) -> None:
    """Makes this process's writer careless; only ever in a process that exists for that."""
    if bug is Bug.BAR_APART:
        real_merge = candles.merge_minutes

        def merge_later(market: Market, deltas: Mapping[datetime, Bar]) -> None:
            def merge() -> None:
                hold_market(market)
                real_merge(market, deltas)

            transaction.on_commit(lambda: _later(merge))

        candles.merge_minutes = merge_later
    if bug is Bug.FACT_APART:
        real_emit = outbox.emit_rows

        def emit_later(event: type[Event], select: str, params: Any) -> int:
            transaction.on_commit(lambda: _later(lambda: real_emit(event, select, params)))
            return 0

        outbox.emit_rows = emit_later


def _later(work: Callable[[], object]) -> None:
    time.sleep(WINDOW_S)
    with transaction.atomic():
        work()
