import asyncio
import json
import time
from typing import Any

import pytest
import redis
import redis.asyncio
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from apps.realtime import hub, registry, signin
from apps.realtime.models import SignIn
from apps.realtime.protocol import Code
from apps.realtime.tests.sockets import Socket, communicate, connected, set_price, text
from apps.realtime.tests.support import drain, working_relay
from apps.realtime.threads import in_thread
from moonx.core import clock, outbox, tokens, valkey
from moonx.core.events import SystemAlert
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("gateway")


@pytest.fixture
def open_reading(configure: Any) -> None:
    configure(anonymous_read=True)


async def test_public_channels_need_a_token_unless_the_setting_opens_them(
    news: Any, configure: Any
) -> None:
    async with connected() as socket:
        refused = await socket.ask("subscribe", channel="news:today")
        assert (refused["type"], refused["data"]["code"]) == ("error", Code.TOKEN_NEEDED)
    configure(anonymous_read=True)
    async with connected() as socket:
        assert (await socket.ask("subscribe", channel="news:today"))["type"] == "subscribed"
        refused = await socket.ask("subscribe", channel="secrets")
        assert refused["data"]["code"] == Code.TOKEN_NEEDED


async def test_nobody_hears_what_is_somebodys_own_without_being_somebody(
    open_reading: None, alices_token: str
) -> None:
    async with connected() as socket:
        refused = await socket.ask("subscribe", channel="orders@me")
        assert refused["data"]["code"] == Code.TOKEN_NEEDED
        await socket.ask("authenticate", token=alices_token)
        for channel in ("orders@1", "orders@me:2", "user:1"):
            refused = await socket.ask("subscribe", channel=channel)
            assert refused["type"] == "error", channel


async def test_a_socket_without_a_token_in_time_is_closed(configure: Any) -> None:
    configure(ws_auth_timeout_s=0)
    async with connected() as socket:
        assert (await socket.closed())[0] == Code.AUTH_TIMEOUT


async def test_hearing_a_channel_already_one_is_told_how_far_it_has_come(
    news: Any, open_reading: None
) -> None:
    async with connected() as socket:
        first = (await socket.ask("subscribe", channel="news:today"))["data"]
        await socket.hear()  # the snapshot
        set_price("1.00", version=1)
        heard = await socket.hear()
        again = (await socket.ask("subscribe", channel="news:today"))["data"]
    assert again == {**first, "seq": heard["seq"]}
    assert again["seq"] == first["seq"] + 1


async def test_several_channels_get_one_reply(news: Any, open_reading: None) -> None:
    async with connected() as socket:
        reply = await socket.ask("subscribe", channels=["news:a", "news:b"], snapshot=False)
        assert [one["channel"] for one in reply["data"]["channels"]] == ["news:a", "news:b"]
        listed = await socket.ask("list")
        assert listed["data"]["subscribed"] == ["news:a", "news:b"]


async def test_one_unknown_channel_refuses_the_whole_request(news: Any, open_reading: None) -> None:
    async with connected() as socket:
        refused = await socket.ask("subscribe", channels=["news:a", "nonsense", "news:none"])
        assert refused["data"]["code"] == Code.UNKNOWN_CHANNEL
        assert "nonsense" in refused["data"]["message"]
        assert (await socket.ask("list"))["data"]["subscribed"] == []


@pytest.mark.parametrize(
    "sent",
    [
        "not json",
        "[]",
        '{"type":"ping","data":NaN}',
        '{"type":"ping","data":[]}',
        '{"type":5}',
        '{"id":{},"type":"ping"}',
        '{"type":"' + "x" * 65 + '"}',
        '{"type":"ping","data":{"a":' + "[" * 9 + "]" * 9 + "}}",
        "[" * 60_000,
        '{"type":"ping","data":' + "9" * 5000 + "}",
        '{"type":"subscribe","data":{}}',
        '{"type":"subscribe","data":{"channel":"a b"}}',
        '{"type":"subscribe","data":{"channels":[1]}}',
        '{"type":"subscribe","data":{"channel":"prices","snapshot":"no"}}',
        text({"type": "subscribe", "data": {"channels": [f"news:{n}" for n in range(101)]}}),
        '{"type":"explode"}',
        "x" * 65_537,
    ],
)
async def test_a_frame_that_is_not_the_protocol_gets_an_error_and_the_socket_lives(
    sent: str, open_reading: None
) -> None:
    async with connected() as socket:
        await socket.raw.send_to(text_data=sent)
        refused = await socket.hear()
        assert (refused["type"], refused["data"]["code"]) == ("error", Code.BAD_PROTOCOL)
        assert refused["data"]["message"]
        assert (await socket.ask("ping"))["type"] == "pong"


async def test_binary_frames_are_answered_too(open_reading: None) -> None:
    async with connected() as socket:
        await socket.raw.send_to(bytes_data=b"\x00")
        assert (await socket.hear())["data"]["code"] == Code.BAD_PROTOCOL


async def test_three_messages_that_are_not_the_protocol_end_the_socket(
    open_reading: None,
) -> None:
    async with connected() as socket:
        for _ in range(3):
            await socket.raw.send_to(text_data="{")
        assert (await socket.closed())[0] == Code.BAD_PROTOCOL


async def test_too_many_messages_are_refused_and_then_end_the_socket(
    open_reading: None, configure: Any
) -> None:
    configure(anonymous_read=True, rate_limit_max_messages_per_minute=60)
    async with connected() as socket:
        for _ in range(30):
            assert (await socket.ask("ping"))["type"] == "pong"
        await socket.say("ping")
        refused = await socket.hear()
        assert refused["data"]["code"] == Code.RATE_LIMITED
        assert refused["data"]["retryAfter"] == 1
        for _ in range(40):
            await socket.say("ping")
        assert (await socket.closed())[0] == Code.RATE_LIMITED


async def test_a_socket_hears_at_most_two_hundred_channels(news: Any, open_reading: None) -> None:
    async with connected() as socket:
        for start in (0, 100):
            names = [f"news:{number}" for number in range(start, start + 100)]
            reply = await socket.ask("subscribe", channels=names, snapshot=False)
            assert reply["type"] == "subscribed"
        refused = await socket.ask("subscribe", channel="news:more")
        assert refused["data"]["code"] == Code.TOO_MANY_CHANNELS


async def test_an_address_may_open_so_many_sockets(open_reading: None, configure: Any) -> None:
    configure(anonymous_read=True, rate_limit_max_connections_per_ip=2)
    async with connected(), connected() as second:
        third = communicate()
        assert (await third.connect(timeout=10))[0]
        assert (await Socket(third).closed())[0] == Code.TOO_MANY_CONNECTIONS
        await third.disconnect(timeout=10)
        async with connected(address="10.0.0.2"):
            pass
        await second.raw.disconnect(timeout=10)
        async with connected():
            pass


async def test_a_killed_process_leaves_no_socket_counted_for_longer_than_a_lease(
    open_reading: None, configure: Any
) -> None:
    configure(anonymous_read=True, rate_limit_max_connections_per_ip=1)
    key = valkey.key("sockets:10.0.0.1")
    valkey.client().zadd(key, {"left behind": time.time() - 1})
    async with connected():
        assert valkey.client().zcard(key) == 1


async def test_a_full_process_takes_no_further_socket(open_reading: None, configure: Any) -> None:
    configure(anonymous_read=True, ws_max_connections=1)
    async with connected():
        refused = communicate()
        refused.scope["extensions"] = {"websocket.http.response": {}}
        await refused.send_input({"type": "websocket.connect"})
        start, body = await refused.receive_output(10), await refused.receive_output(10)
        assert start["status"] == 503
        assert (b"retry-after", b"30") in start["headers"]
        assert json.loads(body["body"])["code"] == "full"


@pytest.mark.parametrize(
    ("headers", "let_in"),
    [
        ({}, True),
        ({"origin": "http://moonx.test"}, True),
        ({"origin": "http://moonx.test:80"}, True),
        ({"origin": "https://front.example"}, True),
        ({"origin": "http://evil.test"}, False),
        ({"origin": "http://moonx.test.evil.test"}, False),
        ({"origin": "http://moonx.test:8080"}, False),
        ({"origin": "https://moonx.test"}, False),
        ({"origin": "null"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://front.example"}, False),
        ({"origin": "http://moonx.test@evil.test"}, False),
    ],
)
async def test_only_our_own_pages_and_those_allowed_open_sockets(
    headers: dict[str, str], let_in: bool, open_reading: None, configure: Any
) -> None:
    configure(anonymous_read=True, allowed_origins=("https://front.example",))
    communicator = communicate(headers=headers)
    accepted, _ = await communicator.connect(timeout=10)
    assert accepted is let_in
    if accepted:
        await communicator.disconnect(timeout=10)


async def test_a_page_whose_name_was_made_to_point_here_is_foreign(
    open_reading: None, settings: Any
) -> None:
    settings.ALLOWED_HOSTS = ["moonx.test"]
    headers = {"host": "rebound.test", "origin": "http://rebound.test"}
    assert not await let_in(communicate(headers=headers))


@pytest.mark.parametrize("path", ["/ws?token=abc", "/ws?access_token=abc", "/other"])
async def test_a_token_in_the_address_or_another_path_opens_nothing(path: str) -> None:
    assert not await let_in(communicate(path))


async def test_a_forged_token_ends_the_socket_and_a_stale_one_says_refresh(alice: User) -> None:
    async with connected() as socket:
        await socket.say("authenticate", token="ey.forged.token")
        assert (await socket.hear())["type"] == "auth_failed"
        assert (await socket.closed())[0] == Code.INVALID_TOKEN
    stale = tokens.issuer().issue(subject=str(alice.pk), session="", ttl_s=-60)
    async with connected() as socket:
        await socket.say("authenticate", token=stale)
        assert (await socket.hear())["type"] == "auth_failed"
        assert (await socket.closed())[0] == Code.TOKEN_EXPIRED


async def test_a_token_with_half_a_character_is_told_so_and_ends_the_socket() -> None:
    async with connected() as socket:
        await socket.raw.send_to(
            text_data='{"id": "m1", "type": "authenticate", "data": {"token": "\\ud800"}}'
        )
        assert (await socket.hear())["type"] == "auth_failed"
        assert (await socket.closed())[0] == Code.INVALID_TOKEN


async def test_a_socket_ends_when_its_token_does_and_a_new_token_prolongs_it(alice: User) -> None:
    def token(ttl_s: int) -> str:
        return tokens.issuer().issue(subject=str(alice.pk), session="", ttl_s=ttl_s)

    async with connected() as socket, connected() as renewed:
        await socket.ask("authenticate", token=token(2))
        await renewed.ask("authenticate", token=token(2))
        assert (await renewed.ask("refresh", token=token(600)))["type"] == "auth_success"
        assert (await socket.closed())[0] == Code.TOKEN_EXPIRED
        assert (await renewed.ask("ping"))["type"] == "pong"


async def test_signing_out_closes_the_sockets_of_that_sign_in(alice: User) -> None:
    pair = await in_thread(lambda: open_sign_in(alice))
    async with connected() as socket:
        assert (await socket.ask("authenticate", token=pair.access))["type"] == "auth_success"
        await in_thread(lambda: signin.sign_out(pair.refresh))
        assert (await socket.closed())[0] == Code.REVOKED
    async with connected() as socket:
        await socket.say("authenticate", token=pair.access)
        assert (await socket.hear())["type"] == "auth_failed"


async def test_a_socket_has_one_user(alice: User, alices_token: str) -> None:
    bob = await in_thread(lambda: User.objects.create_user("bob", "", "battery staple"))
    bobs = tokens.issuer().issue(subject=str(bob.pk), session="", ttl_s=600)
    async with connected() as socket:
        await socket.ask("authenticate", token=alices_token)
        refused = await socket.ask("authenticate", token=bobs)
        assert refused["data"]["code"] == Code.BAD_PROTOCOL


async def test_opening_a_socket_is_a_users_activity(alice: User, alices_token: str) -> None:
    async with connected() as socket:
        await socket.ask("authenticate", token=alices_token)
    (event,) = await in_thread(lambda: list(OutboxEvent.objects.filter(name="user.activity")))
    assert event.payload == {"userId": alice.pk, "action": "socket_connect"}


async def test_alerts_reach_whoever_has_a_token(alices_token: str) -> None:
    async with connected() as socket:
        await socket.ask("authenticate", token=alices_token)
        await socket.ask("subscribe", channel="system")
        await in_thread(alert)
        frame = await socket.hear()
        assert (frame["type"], frame["data"]["message"]) == ("system.alert", "disk is full")


async def test_the_registry_shows_who_is_connected(
    news: Any, alices_token: str, alice: User
) -> None:
    async with connected() as socket:
        await socket.ask("authenticate", token=alices_token)
        await socket.ask("subscribe", channel="news:today")
        await registry.current()._write_once(renew=True)
        page = await in_thread(lambda: Client().get("/connections").json())
        assert (page["total"], page["byState"]) == (1, {"authenticated": 1})
        assert page["byChannel"] == {"news:today": 1}
        (item,) = page["items"]
        assert (item["user"], item["ip"], item["channels"]) == (
            str(alice.pk),
            "10.0.0.1",
            ["news:today"],
        )
        outside = Client(REMOTE_ADDR="203.0.113.9")
        assert (await in_thread(lambda: outside.get("/connections").status_code)) == 404
    await registry.current()._write_once(renew=False)
    assert registry.read(valkey.client())[0] == []


async def test_a_connection_that_left_while_the_push_server_was_away_is_removed_later() -> None:
    away = redis.asyncio.Redis(port=1, socket_connect_timeout=0.2)
    here = hub.connect()
    own = registry.Registry(here)
    entry = registry.Entry("e1", "10.0.0.7", lambda: {"since": 1, "id": "e1"})
    own.entries[entry.id] = entry
    own.touch(entry.id)
    await own._write_once(renew=True)
    assert len(registry.read(valkey.client())[0]) == 1
    own.client = away
    await own.leave(entry)
    with pytest.raises(redis.RedisError):
        await own._write_once(renew=False)
    own.client = here
    await own._write_once(renew=False)
    assert registry.read(valkey.client())[0] == []
    await own.close()
    await here.aclose()


async def test_states_of_an_older_version_never_reach_a_socket(
    news: Any, open_reading: None
) -> None:
    async with connected() as socket:
        await socket.ask("subscribe", channel="news:today", snapshot=False)
        set_price("3", version=3)
        set_price("2", version=2)
        set_price("4", version=4)
        prices = [(await socket.hear())["data"]["price"] for _ in range(2)]
    assert prices == ["3", "4"]


async def test_a_busy_server_says_so_and_the_socket_lives(
    news: Any, open_reading: None, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.realtime.consumers.SUBSCRIBE_TIMEOUT_S", 0.2)
    valkey.client().delete(valkey.key("epoch"))  # the relay has not begun one yet
    async with connected() as socket:
        refused = await socket.ask("subscribe", channel="news:today")
        assert refused["data"]["code"] == Code.TRY_LATER
        assert refused["data"]["retryAfter"] > 0
        assert (await socket.ask("list"))["data"]["subscribed"] == []


async def let_in(communicator: WebsocketCommunicator) -> bool:
    accepted, _ = await communicator.connect(timeout=10)
    await asyncio.sleep(0)
    return bool(accepted)


def alert() -> None:
    with working_relay() as relay:
        drain(relay)
        with transaction.atomic():
            outbox.emit(SystemAlert(subject="disk", message="disk is full"))
        drain(relay)


def open_sign_in(user: User) -> signin.Pair:
    family = SignIn.objects.create(user=user, created_at=clock.db_now())
    return signin._next_pair(family)
