"""What is a user's own reaches that user and nobody else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from apps.realtime import auth, hub
from apps.realtime.hub import NotYours
from apps.realtime.protocol import Code
from apps.realtime.tests.sockets import Socket, connected
from apps.realtime.tests.support import AuthService, drain, own_facts, working_relay
from apps.realtime.tests.test_hub import Ear, eventually
from apps.realtime.threads import in_thread
from moonx.core import logs, outbox, tokens, topics
from moonx.core.topics import Route, UnknownTopic

pytestmark = pytest.mark.usefixtures("gateway")

OWN = ["orders@me", "trades@me", "balances@me", "orders", "trades"]


def happen(*user_ids: int, correlation: str = "") -> None:
    """Each user's facts, committed and published."""
    with logs.correlated(correlation), transaction.atomic():
        outbox.emit_all(fact for user_id in user_ids for fact in own_facts(user_id))
    with working_relay() as relay:
        drain(relay)


def token_of(user: User) -> str:
    return tokens.issuer().issue(subject=str(user.pk), session="", ttl_s=600)


@asynccontextmanager
async def signed_in(user: User) -> AsyncIterator[Socket]:
    async with connected() as socket:
        assert (await socket.ask("authenticate", token=token_of(user)))["type"] == "auth_success"
        yield socket


@pytest.fixture
def bob(committed_db: None) -> User:
    return User.objects.create_user("bob", "bob@example.com", "battery staple")


@pytest.fixture
def carol(committed_db: None) -> User:
    return User.objects.create_user("carol", "carol@example.com", "horse battery")


@pytest.fixture
def service(configure: Any) -> Iterator[AuthService]:
    with AuthService() as running:
        configure(auth_service_url=running.url, auth_service_verify_endpoint="/check")
        yield running
    auth._external._known.clear()


async def test_of_all_users_and_all_channels_each_hears_only_what_is_theirs(
    alice: User, bob: User, carol: User
) -> None:
    users = [alice, bob, carol]
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(signed_in(user)) for user in users]
        for socket in sockets:
            assert (await socket.ask("subscribe", channels=OWN))["type"] == "subscribed"
        await in_thread(lambda: happen(bob.pk, alice.pk, carol.pk, alice.pk))
        for user, socket, times in zip(users, sockets, (2, 1, 1), strict=True):
            heard = [await socket.hear() for _ in range(len(OWN) * times)]
            assert {frame["data"]["userId"] for frame in heard} == {user.pk}
            assert {frame["channel"] for frame in heard} == {
                "orders@me",
                "trades@me",
                "balances@me",
            }
            assert str(user.pk) not in {frame["channel"].partition("@")[2] for frame in heard}
            assert await socket.raw.receive_nothing(timeout=0.1)


async def test_nobody_names_the_channels_of_another(alice: User, bob: User) -> None:
    names = [
        f"{family}{form.format(bob.pk)}"
        for family in ("orders", "trades", "balances")
        for form in ("@{}", "@me:{}", "@ME", "@0{}", "@bob", "@me:me", "@{}:x")
    ]
    async with signed_in(alice) as socket:
        for name in names:
            refused = await socket.ask("subscribe", channel=name)
            assert refused["data"]["code"] == Code.UNKNOWN_CHANNEL, name
        assert (await socket.ask("list"))["data"]["subscribed"] == []


@pytest.mark.parametrize("channel", OWN)
async def test_own_channels_need_a_token_even_where_reading_is_open(
    channel: str, configure: Any
) -> None:
    configure(anonymous_read=True)
    async with connected() as socket:
        refused = await socket.ask("subscribe", channel=channel)
        assert refused["data"]["code"] == Code.TOKEN_NEEDED


async def test_frames_carry_what_the_client_subscribed_and_count_as_others_do(
    alice: User, epoch: str
) -> None:
    async with signed_in(alice) as socket:
        reply = await socket.ask("subscribe", channel="balances@me")
        assert reply["data"] == {"channel": "balances@me", "epoch": epoch, "seq": 0}
        await in_thread(lambda: happen(alice.pk, alice.pk, correlation="request-9"))
        first, second = await socket.hear(), await socket.hear()
        assert (await socket.ask("unsubscribe", channel="balances@me"))["type"] == "unsubscribed"
    assert [(frame["channel"], frame["seq"]) for frame in (first, second)] == [
        ("balances@me", 1),
        ("balances@me", 2),
    ]
    assert (first["type"], first["kind"]) == ("balance.credited", "update")
    assert {first["correlationId"], second["correlationId"]} == {"request-9"}


async def test_aliases_tell_the_same_in_the_words_of_the_former_services(alice: User) -> None:
    async with signed_in(alice) as socket:
        await socket.ask("subscribe", channels=["orders", "trades"])
        await in_thread(lambda: happen(alice.pk))
        order, trade = await socket.hear(), await socket.hear()
    assert (order["type"], order["channel"], order["seq"]) == ("order_update", "orders@me", 1)
    assert order["data"] | {"orderId": 7, "userId": alice.pk, "status": "filled"} == order["data"]
    bought = {"tokenIn": "ETH", "tokenOut": "XRP", "amountIn": "0.02", "amountOut": "10"}
    assert order["data"] | bought | {"chainId": None, "clientOrderId": "mine"} == order["data"]
    assert (trade["type"], trade["channel"]) == ("trade_update", "trades@me")
    sold = {"tokenIn": "XRP", "tokenOut": "ETH", "amountIn": "10", "amountOut": "0.02"}
    assert trade["data"] | sold | {"tradeId": 3, "txHash": None, "chainId": None} == trade["data"]


async def test_a_name_and_its_alias_are_heard_side_by_side(alice: User) -> None:
    async with signed_in(alice) as socket:
        await socket.ask("subscribe", channels=["orders@me", "orders"])
        await in_thread(lambda: happen(alice.pk))
        frames = [await socket.hear(), await socket.hear()]
        assert {frame["type"] for frame in frames} == {"order.filled", "order_update"}
        await socket.ask("unsubscribe", channel="orders")
        await in_thread(lambda: happen(alice.pk))
        assert (await socket.hear())["type"] == "order.filled"
        assert await socket.raw.receive_nothing(timeout=0.1)


async def test_families_say_what_they_are_aliases_of(alice: User) -> None:
    async with signed_in(alice) as socket:
        families = (await socket.ask("list"))["data"]["families"]
    assert {"name": "orders", "arguments": 0, "public": False, "aliasOf": "orders@me"} in families
    assert {"name": "trades", "arguments": 1, "public": True, "aliasOf": None} in families


async def test_a_user_of_another_service_hears_what_is_theirs_here(
    service: AuthService, alice: User
) -> None:
    """Their id there may be the number of somebody else here."""
    service.body = f'{{"user": {{"id": "{alice.pk}", "email": "zoe@example.com"}}}}'
    async with connected() as socket:
        await socket.ask("authenticate", token="theirs")
        assert (await socket.ask("subscribe", channel="orders@me"))["type"] == "subscribed"
        zoe = await in_thread(lambda: User.objects.get(email="zoe@example.com"))
        await in_thread(lambda: happen(alice.pk, zoe.pk))
        assert (await socket.hear())["data"]["userId"] == zoe.pk != alice.pk


async def test_a_closed_account_of_another_service_has_nothing_of_its_own(
    service: AuthService,
) -> None:
    service.body = '{"user": {"id": "user_1", "email": "zoe@example.com"}}'
    await in_thread(lambda: User.objects.create_user("external:user_1", is_active=False))
    async with connected() as socket:
        await socket.ask("authenticate", token="theirs")
        refused = await socket.ask("subscribe", channel="orders@me")
        assert refused["data"]["code"] == Code.TOKEN_NEEDED


async def test_a_stranger_who_got_past_the_door_is_told_nothing(alice: User, bob: User) -> None:
    """The hub compares owners again, when one subscribes and for each frame."""
    own, ear, stranger = hub.current(), Ear(), Ear()
    ear.owner, stranger.owner = alice.pk, bob.pk
    route = Route(f"orders@{alice.pk}")
    for nobody in (Ear(), stranger):
        with pytest.raises(NotYours):
            own.subscribe(nobody, route, snapshot=True)
    stranger.owner = alice.pk
    both = [own.subscribe(one, route, snapshot=False) for one in (ear, stranger)]
    await asyncio.wait_for(asyncio.gather(*(one.ready for one in both)), 10)
    for one in both:
        one.go_live()
    stranger.owner = bob.pk
    await in_thread(lambda: happen(alice.pk))
    await eventually(lambda: ear.heard)
    assert stranger.heard == []


def test_what_is_own_has_a_topic_that_is_not_its_name() -> None:
    (family,) = topics.find_all(["orders@me"])
    assert topics.route("orders@me", family, owner=42) == Route("orders@42")
    assert (topics.channel_of("orders@42"), topics.owner_of("orders@42")) == ("orders@me", 42)
    assert (topics.channel_of("book:X"), topics.owner_of("book:X")) == ("book:X", None)
    with pytest.raises(ValueError, match="nobody"):
        topics.route("orders@me", family, owner=None)
    with pytest.raises(UnknownTopic, match="takes 0 or 1 arguments, not 2"):
        topics.find("trades:A:B")
