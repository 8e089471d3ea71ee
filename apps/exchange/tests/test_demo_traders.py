"""Demo traders at work, against a real server over HTTP."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection

from apps.exchange import markets, orders
from apps.exchange.demo import people
from apps.exchange.demo.client import Client, Refused, signed
from apps.exchange.demo.traders import KEY, MOST_A_SECOND, Traders
from apps.exchange.ledger import reconcile
from apps.exchange.models import OPEN, Market, Order, OrderType, TimeInForce, Trade
from apps.exchange.tests.server import serving
from moonx.core.locks import Lock

pytestmark = pytest.mark.usefixtures("committed_db")

MOST_OPEN = 60
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[str]:
    """A real server process over this test's database; yields its address."""
    with serving() as address:
        yield address


@contextmanager
def trading_at(address: str) -> Iterator[None]:
    """Demo traders in a thread of their own; they end at once with the block."""
    stop = threading.Event()

    def body() -> None:
        try:
            Traders(address, stop=stop).run()
        finally:
            connection.close()

    thread = threading.Thread(target=body)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        begun_s = time.monotonic()
        thread.join(timeout=20)
    assert not thread.is_alive()
    assert time.monotonic() - begun_s < 3


def wait_for(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def count(symbol: str) -> int:
    return Order.objects.filter(market__symbol=symbol).count()


def is_two_sided(symbol: str) -> bool:
    rows = Order.objects.filter(OPEN, market__symbol=symbol)
    return set(rows.values_list("side", flat=True)) == {"BUY", "SELL"}


def test_they_make_books_on_both_sides_and_trade_at_no_more_than_their_pace(server: str) -> None:
    with trading_at(server):
        wait_for(lambda: Trade.objects.filter(market__symbol="ETHUSDC").exists())
        wait_for(lambda: Trade.objects.filter(market__symbol="BTCUSDC").exists())
        for symbol in ("ETHUSDC", "BTCUSDC"):
            assert is_two_sided(symbol)
    sent = list(Order.objects.order_by("created_at").values_list("created_at", flat=True))
    for first, last in zip(sent, sent[MOST_A_SECOND:], strict=False):
        assert (last - first).total_seconds() > 0.8, "a second, but for the way to the server"
    for symbol in ("ETHUSDC", "BTCUSDC"):
        assert Order.objects.filter(OPEN, market__symbol=symbol).count() <= MOST_OPEN
    assert {OrderType.MARKET, OrderType.LIMIT_MAKER} <= set(
        Order.objects.values_list("type", flat=True)
    )
    for order in Order.objects.filter(time_in_force=TimeInForce.GTD):
        assert order.expires_at is not None
    assert not reconcile.check_all(acts=False).broken


def test_only_one_process_trades_and_the_other_takes_over(server: str) -> None:
    other = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    other.execute("SELECT pg_advisory_lock(%s, %s)", [Lock.DEMO.value, KEY])
    with trading_at(server):
        time.sleep(1.5)
        assert not Order.objects.exists()
        other.close()
        wait_for(Order.objects.exists)


def test_they_go_on_after_the_loss_of_their_connection_and_their_lock(server: str) -> None:
    with trading_at(server):
        wait_for(lambda: Order.objects.count() >= 3)
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
            ended = database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND "
                "classid = %s AND objid = %s AND granted AND database = "
                "(SELECT oid FROM pg_database WHERE datname = current_database())",
                [Lock.DEMO.value, KEY],
            )
            assert ended.rowcount == 1
        before = Order.objects.count()
        wait_for(lambda: Order.objects.count() >= before + 3)


def test_a_second_start_goes_on_with_the_orders_of_the_first(server: str) -> None:
    with trading_at(server):
        wait_for(lambda: Order.objects.filter(OPEN).count() >= 5)
    stood = set(Order.objects.filter(OPEN).values_list("pk", flat=True))
    with trading_at(server):
        before = Order.objects.count()
        wait_for(lambda: Order.objects.count() >= before + 5)
    assert stood & set(Order.objects.filter(OPEN).values_list("pk", flat=True))
    assert User.objects.filter(username__startswith="demo-").count() == len(people.FUNDS)


def test_without_a_server_they_wait_and_end_at_once() -> None:
    with trading_at(NOWHERE):
        wait_for(lambda: Market.objects.filter(symbol="ETHUSDC").exists())
        time.sleep(1)
    assert not Order.objects.exists()


def test_a_halted_market_is_left_alone_while_the_other_goes_on(server: str) -> None:
    with trading_at(server):
        wait_for(lambda: is_two_sided("ETHUSDC") and is_two_sided("BTCUSDC"))
        markets.halt(Market.objects.get(symbol="BTCUSDC"), reason="a test", by="test")
        halted, others = count("BTCUSDC"), count("ETHUSDC")
        wait_for(lambda: count("ETHUSDC") >= others + 8)
        assert count("BTCUSDC") == halted


def test_a_frozen_trader_is_left_out_while_the_others_go_on(server: str) -> None:
    with trading_at(server):
        wait_for(lambda: Order.objects.filter(owner__username=people.MAKERS[0]).exists())
        frozen = User.objects.get(username=people.MAKERS[0])
        orders.freeze(frozen.pk, reason="a test")
        begun = Order.objects.filter(owner=frozen).count()
        total = Order.objects.count()
        wait_for(lambda: Order.objects.count() >= total + 8)
        assert Order.objects.filter(owner=frozen).count() == begun


def test_a_client_is_refused_with_a_code_and_a_sentence(server: str) -> None:
    trader = people.prepare()[0]
    client = Client(server, key=trader.key, secret="another secret")
    with pytest.raises(Refused) as refusal:
        client.balances()
    client.close()
    assert (refusal.value.code, refusal.value.status) == (-1022, 400)
    assert str(refusal.value) == "-1022 Signature for this request is not valid."


def test_parameters_are_signed_as_they_are_sent() -> None:
    query = signed({"symbol": "ETHUSDC", "side": "BUY"}, secret="s3cret", sent_ms=1499827319559)
    assert query == (
        "symbol=ETHUSDC&side=BUY&recvWindow=5000&timestamp=1499827319559&signature="
        "b40797436189ff9cbb5ab80a091ba97b0c01cb66adf81409924b67469d1e85e6"
    )
