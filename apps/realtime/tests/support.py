"""What the tests of this app share: facts to publish, and stores that fail on demand."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction
from redis import ConnectionError as Lost
from redis import Redis

from apps.realtime.audit import Numbered
from apps.realtime.publisher import Publisher
from apps.realtime.relay import Relay
from apps.realtime.sequencer import Published, Sequencer
from moonx.core import logs, outbox, valkey
from moonx.core.events import TradeExecuted

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def fact(number: int, *, symbol: str = "XRPETH") -> TradeExecuted:
    """A trade whose id is `number`."""
    return TradeExecuted(
        symbol=symbol,
        id=number,
        first_id=number,
        last_id=number,
        price="0.00150",
        quantity="10",
        quote_quantity="0.01500",
        is_buyer_maker=False,
        source="matched",
        time=NOON,
    )


def emit(*numbers: int, symbol: str = "XRPETH", correlation: str = "") -> None:
    """Commits one fact per number, in one transaction."""
    with logs.correlated(correlation), transaction.atomic():
        outbox.emit_all(fact(number, symbol=symbol) for number in numbers)


@contextmanager
def working_relay(publisher: Publisher | None = None) -> Iterator[Relay]:
    """A relay that holds the lock."""
    with Sequencer(settings.ENV.direct_dsn()) as sequencer:
        assert sequencer.try_lock()
        yield Relay(sequencer, publisher or Publisher(valkey.client()))


def drain(relay: Relay) -> None:
    """Steps until nothing waits and subscribers have everything."""
    while relay.step() or relay.published is None:
        pass


def numbered() -> dict[int, Numbered]:
    """Every numbered event by its position."""
    with psycopg.connect(settings.ENV.direct_dsn()) as connection:
        rows = connection.execute("SELECT position, id, topics FROM core_event").fetchall()
    return {position: Numbered(event_id, topics) for position, event_id, topics in rows}


def trade_ids() -> list[int]:
    """The trades of the numbered events, in the published order."""
    with psycopg.connect(settings.ENV.direct_dsn()) as connection:
        rows = connection.execute("SELECT payload->'id' FROM core_event ORDER BY position")
        return [number for (number,) in rows.fetchall()]


def forget_position() -> None:
    """As an emptied push server."""
    client = valkey.client()
    for key in client.scan_iter(match=valkey.key("*")):
        client.delete(key)


class LostReply(Publisher):
    """Publishes, and then the connection breaks before the reply arrives: once."""

    broken = False

    def publish(self, events: Sequence[Published], *, after: int) -> str:
        reply = super().publish(events, after=after)
        if not self.broken:
            self.broken = True
            raise Lost("cut before the reply")
        return reply


class Unreachable(Publisher):
    """A push server that does not answer while `down`."""

    down = True

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.attempts = 0

    def stored(self) -> Any:
        self.attempts += 1
        if self.down:
            raise Lost("no route")
        return super().stored()


class Careless(Publisher):
    """The seeded bug: publishes whatever it is given, without comparing positions."""

    script = Publisher.script.replace("if stored ~= ARGV[1] then return stored end", "")
