"""What others see of a book, and how they are told."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from redis import RedisError
from redis.client import PubSub

from apps.exchange import book
from apps.exchange.book import levels, pushing
from apps.exchange.models import (
    Account,
    BookVersion,
    Market,
    Order,
    OrderStatus,
    OrderType,
    SelfTrade,
    Side,
    Stage,
    TimeInForce,
)
from apps.exchange.tests.factory import market
from moonx.core import clock, topics, valkey
from moonx.core import push as publish
from moonx.core.topics import Route, UnknownTopic

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def rests(where: Market, side: Side, price: str, quantity: str = "1", **more: Any) -> Order:
    """An order in the market's book, however it came there."""
    owner, _ = User.objects.get_or_create(username="maker")
    accounts = [
        Account.objects.get_or_create(owner=owner, asset=asset, defaults={"balance": Decimal(0)})[0]
        for asset in (where.base, where.quote)
    ]
    now = clock.db_now()
    values = {
        "client_order_id": f"c{Order.objects.count()}",
        "priority": Order.objects.count() + 1,
        "status": OrderStatus.NEW,
        "stage": Stage.BOOK,
        **more,
    }
    return Order.objects.create(
        market=where,
        owner=owner,
        base_account=accounts[0],
        quote_account=accounts[1],
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        self_trade=SelfTrade.EXPIRE_MAKER,
        price=Decimal(price),
        quantity=Decimal(quantity),
        maker_fee_bps=Decimal(0),
        taker_fee_bps=Decimal(0),
        hold=Decimal(0),
        held=Decimal(0),
        created_at=now,
        updated_at=now,
        **values,
    )


def copied(order: Order, number: int) -> Order:
    """The same at another price, not stored yet."""
    values = {field.attname: getattr(order, field.attname) for field in Order._meta.concrete_fields}
    price = order.price and order.price + number * order.market.tick_size
    own = {"id": None, "client_order_id": f"n{number}", "priority": number, "price": price}
    return Order(**values | own)


def changes(where: Market) -> None:
    with transaction.atomic():
        book.changed(where)


Hear = Callable[..., dict[str, Any] | None]


@contextmanager
def listening(where: Market) -> Iterator[Hear]:
    """The book's next frame within the time, or None."""
    pubsub: PubSub
    with valkey.pubsub(valkey.client()) as pubsub:
        pubsub.subscribe(valkey.key(f"t:{pushing.topic_of(where.symbol)}"))
        pubsub.get_message(timeout=5)

        def hear(timeout_s: float = 5) -> dict[str, Any] | None:
            message = pubsub.get_message(timeout=timeout_s)
            return json.loads(message["data"]) if message else None

        yield hear


def test_levels_add_up_what_is_left_of_the_orders_at_a_price_the_best_first() -> None:
    where, other = market(), market("XRPUSD")
    rests(where, Side.BUY, "1.01", "5", filled_quantity=2, status=OrderStatus.PARTIALLY_FILLED)
    rests(where, Side.BUY, "1.01", "4", prevented_quantity=1)
    rests(where, Side.BUY, "1.05", "1")
    rests(where, Side.SELL, "1.20", "7")
    rests(where, Side.SELL, "1.10", "3")
    rests(other, Side.SELL, "9.99")
    found = book.depth(where, 50)
    assert found.bids == [(Decimal("1.05"), 1), (Decimal("1.01"), 6)]
    assert found.asks == [(Decimal("1.10"), 3), (Decimal("1.20"), 7)]
    assert book.depth(where, 1).bids == found.bids[:1]


def test_what_waits_is_done_or_has_expired_is_no_part_of_the_book() -> None:
    where = market()
    now = clock.db_now()
    rests(where, Side.BUY, "1.00", stage=Stage.ARRIVED)
    rests(where, Side.BUY, "1.01", stage=Stage.STOPPED)
    rests(where, Side.BUY, "1.02", stage=Stage.DONE, status=OrderStatus.CANCELED)
    rests(where, Side.BUY, "1.03", expires_at=now - timedelta(seconds=1))
    rests(where, Side.BUY, "1.04", expires_at=now + timedelta(hours=1))
    assert book.depth(where, 50).bids == [(Decimal("1.04"), 1)]


def test_many_markets_are_read_in_one_statement(django_assert_num_queries: Any) -> None:
    full, empty = market(), market("XRPUSD")
    rests(full, Side.SELL, "2.00", "3")
    changes(full)
    with django_assert_num_queries(1):
        found = book.depths([full, empty], 1)
    assert (found[full.pk].asks, found[full.pk].version) == ([(Decimal(2), 3)], 1)
    assert (found[empty.pk].bids, found[empty.pk].asks, found[empty.pk].version) == ([], [], 0)


def test_a_side_is_read_no_further_than_the_last_level_that_is_wanted() -> None:
    where = market()
    first = rests(where, Side.SELL, "1.00")
    many = [copied(first, number) for number in range(2, 2000)]
    Order.objects.bulk_create(many)
    with connection.cursor() as cursor:
        values: dict[str, Any] = {"markets": [where.pk], "limit": 10}
        cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + levels.DEPTH, values)
        plan = cursor.fetchone()[0]
    touched = [
        node["Actual Rows"]
        for node in _nodes(json.loads(plan) if isinstance(plan, str) else plan)
        if "order_book" in str(node.get("Index Name"))
    ]
    assert max(touched) < 20


def _nodes(plan: Any) -> Iterator[dict[str, Any]]:
    if isinstance(plan, list):
        for part in plan:
            yield from _nodes(part)
    elif isinstance(plan, dict):
        yield plan
        for part in plan.values():
            yield from _nodes(part)


def test_a_push_carries_the_whole_book_in_the_markets_digits() -> None:
    where = market()
    rests(where, Side.BUY, "1", "2")
    rests(where, Side.SELL, "1.5", "3")
    changes(where)
    with listening(where) as hear:
        book.push(where)
        frame = hear()
    assert frame is not None
    assert (frame["type"], frame["channel"], frame["kind"]) == (
        "book.updated",
        "book:XRPETH",
        "update",
    )
    data = frame["data"]
    assert (data["symbol"], data["version"]) == ("XRPETH", 1)
    assert (data["bids"], data["asks"]) == ([["1.00", "2"]], [["1.50", "3"]])
    assert frame["sourceTs"] <= data["asOf"] <= frame["pubTs"]


def test_however_often_a_book_changes_it_is_pushed_ten_times_a_second_and_the_last_arrives() -> (
    None
):
    where = market()
    with listening(where) as hear:
        began = time.monotonic()
        while time.monotonic() - began < 1:
            changes(where)
            book.push(where)
        lasted_s = time.monotonic() - began
        last = BookVersion.objects.get(market=where).version
        frames = [hear()]
        while frames[-1] and frames[-1]["data"]["version"] < last:
            frames.append(hear())
        assert hear(0.3) is None
    versions = [frame["data"]["version"] for frame in frames if frame]
    assert versions == sorted(set(versions))
    assert versions[-1] == last > len(versions)
    assert len(versions) <= 10 * lasted_s + 2


def test_many_markets_that_change_at_once_are_pushed_with_one_query(
    django_assert_num_queries: Any,
) -> None:
    where = [market(f"XRP{number}A") for number in range(30)]
    with django_assert_num_queries(1):
        levels.changed(*where)
    with django_assert_num_queries(1):
        book.push(*where)
    pushed = publish.pushed_versions([pushing.topic_of(one.symbol) for one in where])
    assert list(pushed.values()) == [1] * 30


def test_markets_do_not_wait_for_each_other() -> None:
    first, second = market(), market("XRPUSD")
    changes(first)
    changes(second)
    with listening(first) as hear_first, listening(second) as hear_second:
        book.push(first)
        book.push(second)
        frames = [hear_first(), hear_second()]
    assert [frame and frame["channel"] for frame in frames] == ["book:XRPETH", "book:XRPUSD"]


def test_the_thread_that_pushes_later_ends_and_gives_its_connection_back() -> None:
    where = market()
    for _ in range(2):
        changes(where)
        book.push(where)
    thread = pushing.later._thread
    assert thread is not None
    thread.join(timeout=5)
    assert not thread.is_alive()
    changes(where)
    for _ in range(2):
        book.push(where)
    assert pushing.later._thread not in {None, thread}


def test_what_never_arrived_is_sent_by_the_sweep_and_only_that() -> None:
    shown, missed = market(), market("XRPUSD")
    market("XRPBTC")  # it has no book
    for where in (shown, missed):
        changes(where)
    book.push(shown)
    with listening(missed) as hear:
        assert book.push_missed() == 1
        frame = hear()
        assert frame is not None
        assert frame["data"]["version"] == 1
        assert book.push_missed() == 0


def test_a_book_is_never_replaced_by_an_older_one() -> None:
    where = market()
    changes(where)
    old = book.depth(where, 50)
    changes(where)
    book.push(where)
    while publish.pushed_versions(["book:XRPETH"]) != {"book:XRPETH": 2}:  # perhaps by the thread
        time.sleep(0.01)
    with listening(where) as hear:
        publish.publish_states([pushing._state(where, old)], now=old.as_of)
        assert hear(0.1) is None


def test_a_push_server_that_is_away_fails_no_match(monkeypatch: pytest.MonkeyPatch) -> None:
    where = market()
    changes(where)
    gone = valkey.connect("redis://127.0.0.1:1/0")
    with pytest.raises(RedisError):
        gone.ping()
    monkeypatch.setattr(valkey, "client", lambda: gone)
    book.push(where)
    assert book.push_missed() == 0
    monkeypatch.undo()
    assert book.push_missed() == 1


def test_a_newcomer_gets_the_same_book() -> None:
    where = market()
    rests(where, Side.BUY, "1", "2")
    changes(where)
    with listening(where) as hear:
        book.push(where)
        frame = hear()
    assert frame is not None
    ((name, data, channel),) = topics.snapshot(Route("book:XRPETH"))
    assert (name, channel) == ("book.updated", "book:XRPETH")
    assert data == {**frame["data"], "asOf": data["asOf"]}
    with pytest.raises(UnknownTopic):
        topics.find("book:NONE")
