"""What the tests of this app share: facts to publish, and stores that fail on demand."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

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
from moonx.core.events import (
    BalanceCredited,
    Event,
    OrderFilled,
    OwnTradeExecuted,
    TradeExecuted,
)

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


def own_facts(user_id: int) -> list[Event]:
    """One fact of each kind that is the user's own; each names the user in `userId`."""
    pair = {"symbol": "XRPETH", "base_asset": "XRP", "quote_asset": "ETH", "fee_asset": "ETH"}
    order = OrderFilled(
        user_id=user_id,
        order_id=7,
        client_order_id="mine",
        side="BUY",
        type="LIMIT",
        time_in_force="GTC",
        status="FILLED",
        price=Decimal("0.002"),
        stop_price=None,
        quantity=Decimal(10),
        quote_order_quantity=None,
        filled_quantity=Decimal(10),
        prevented_quantity=Decimal(0),
        filled_quote=Decimal("0.02"),
        fee=Decimal("0.00002"),
        self_trade="EXPIRE_MAKER",
        expires_at=None,
        reason="",
        created_at=NOON,
        updated_at=NOON,
        **pair,
    )
    fill = OwnTradeExecuted(
        user_id=user_id,
        trade_id=3,
        order_id=7,
        side="SELL",
        is_maker=False,
        price=Decimal("0.002"),
        quantity=Decimal(10),
        quote_quantity=Decimal("0.02"),
        fee=Decimal("0.00002"),
        time=NOON,
        **pair,
    )
    balance = BalanceCredited(
        user_id=user_id,
        asset="XRP",
        amount=Decimal(10),
        balance=Decimal(10),
        held=Decimal(0),
        available=Decimal(10),
        order_id=7,
        reason="",
        time=NOON,
    )
    return [order, fill, balance]


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


def new_epoch(*, position: int = 0) -> str:
    """Begins an epoch, as a relay does; returns its id."""
    publisher = Publisher(valkey.client())
    epoch = publisher.begin_epoch(position=position, found=publisher.stored())
    assert epoch is not None
    return epoch


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
    """Broken on purpose: publishes whatever it is given, without comparing positions."""

    script = Publisher.script.replace("if stored ~= ARGV[1] then return stored end", "")


class AuthService:
    """Another service's token check: answers `status` and `body`, keeps what it was asked."""

    def __init__(self) -> None:
        self.status, self.body = 200, "{}"
        self.asked: list[tuple[str, str | None]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service.asked.append((self.path, self.headers["Authorization"]))
                self.send_response(service.status)
                self.send_header("Location", f"{service.url}/elsewhere")
                self.end_headers()
                self.wfile.write(service.body.encode())

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answers no more."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
