"""The admin as operators use it: pages, what they say, and trades to look at."""

from typing import Any

from django.db import connection
from django.test import Client

from apps.exchange.models import (
    Market,
    Order,
)
from apps.exchange.tests import trading
from moonx.core import logs
from moonx.core.models import PublishedEvent

WHY = {"reason": "a customer asked for it", "_form_submitted": "True"}


def page(row: Any, *, tail: str = "change") -> str:
    return f"/admin/exchange/{row._meta.model_name}/{row.pk}/{tail}/"


def body(client: Client, address: str, **query: Any) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200, address
    text: str = answer.content.decode()
    return text


def said(client: Client, address: str) -> str:
    return " ".join(str(message) for message in client.get(address).context["messages"])


def traded(market: Market) -> tuple[Order, Order]:
    """A maker and a taker, one trade between them."""
    with logs.correlated("maker-chain"):
        maker = trading.sell(market, trading.rich(), "3000", "2")
    with logs.correlated("taker-chain"):
        taker = trading.buy(market, trading.rich(), "3000", "1")
    maker.refresh_from_db()
    return maker, taker


def publish() -> None:
    """As the relay does: what waits gets its position."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_event (position, id, name, key, topics, payload, correlation_id, "
            "created_at, relayed_at) SELECT row_number() OVER (ORDER BY id), id, name, key, "
            "topics, payload, correlation_id, created_at, clock_timestamp() FROM core_outbox"
        )


def event(name: str, **fields: Any) -> PublishedEvent:
    return PublishedEvent.objects.filter(name=name, **fields).latest("position")
