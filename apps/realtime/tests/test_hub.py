import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from apps.realtime import hub
from apps.realtime.outlet import MAX_FRAMES, MAX_OPENING_CHARACTERS, Outlet
from apps.realtime.protocol import Code
from apps.realtime.subscriptions import LONGEST_BUFFER, Start, Subscription
from apps.realtime.tests.sockets import connected, set_price, tell
from apps.realtime.tests.support import new_epoch
from moonx.core import topics, valkey
from moonx.core.topics import Namespace, Route

pytestmark = pytest.mark.usefixtures("gateway", "open_reading")


@pytest.fixture
def open_reading(configure: Any) -> None:
    configure(anonymous_read=True)


async def test_a_subscriber_gets_the_snapshot_then_every_frame_once(
    news: list[dict[str, Any]], epoch: str
) -> None:
    tell(1)
    news[:] = [{"n": 1}]
    async with connected() as socket:
        reply = await socket.ask("subscribe", channel="news:today")
        assert reply["type"] == "subscribed"
        assert reply["data"] == {"channel": "news:today", "epoch": epoch, "seq": 1}
        first = await socket.hear()
        assert (first["kind"], first["data"], first["epoch"], first["seq"]) == (
            "snapshot",
            {"n": 1},
            epoch,
            1,
        )
        tell(2)
        tell(3)
        frames = [await socket.hear(), await socket.hear()]
    assert [(frame["kind"], frame["seq"], frame["position"]) for frame in frames] == [
        ("update", 2, 2),
        ("update", 3, 3),
    ]


async def test_frames_that_come_while_the_snapshot_is_made_follow_it(
    news: list[dict[str, Any]],
) -> None:
    late = Ear()
    subscription = hub.current().subscribe(late, Route("news:today"), snapshot=True)
    await asyncio.wait_for(subscription.ready, 10)
    tell(1)
    tell(2)
    await eventually(lambda: len(subscription.buffer) == 2)
    assert late.heard == []
    subscription.go_live()
    tell(3)
    await eventually(lambda: len(late.heard) == 4)
    seqs = [int(text[text.rindex(":") + 1 : -1]) for text in late.heard]
    assert seqs == [0, 1, 2, 3]


async def test_a_new_epoch_gives_every_subscriber_a_fresh_snapshot(
    news: list[dict[str, Any]],
) -> None:
    async with connected() as socket, connected() as other:
        for one in (socket, other):
            await one.ask("subscribe", channel="news:today")
            await one.hear()
        news[:] = [{"n": 7}]
        fresh = new_epoch(position=7)
        for one in (socket, other):
            resync, snapshot = await one.hear(), await one.hear()
            assert (resync["type"], resync["epoch"]) == ("resync", fresh)
            assert (snapshot["data"], snapshot["epoch"]) == ({"n": 7}, fresh)
        tell(8)
        assert (await socket.hear())["data"] == {"n": 8}


async def test_an_emptied_push_server_is_never_silent(news: list[dict[str, Any]]) -> None:
    async with connected() as socket:
        await socket.ask("subscribe", channel="news:today")
        await socket.hear()
        for version in range(1, 4):
            set_price(f"1.{version}", version=version)
            assert (await socket.hear())["seq"] == version
        valkey.client().delete(*valkey.client().keys(valkey.key("*")))
        set_price("2.0", version=4)  # its seq is 1 again: a gap, and there is no epoch
        news[:] = [{"price": "2.0"}]
        fresh = new_epoch()
        resync, snapshot = await socket.hear(), await socket.hear()
        assert (resync["type"], resync["epoch"]) == ("resync", fresh)
        assert snapshot["data"] == {"price": "2.0"}


async def test_a_lost_frame_is_noticed_by_its_number_and_made_good(
    news: list[dict[str, Any]],
) -> None:
    async with connected() as socket:
        await socket.ask("subscribe", channel="news:today")
        await socket.hear()
        tell(1)
        assert (await socket.hear())["seq"] == 1
        valkey.client().hincrby(valkey.key("seq"), "news:today", 1)  # frame 2 never came
        news[:] = [{"n": 2}]
        tell(2)
        assert (await socket.hear())["type"] == "resync"
        snapshot = await socket.hear()
        assert (snapshot["data"], snapshot["seq"]) == ({"n": 2}, 3)


async def test_a_reader_that_was_cut_off_starts_again_from_snapshots(
    news: list[dict[str, Any]],
) -> None:
    async with connected() as socket:
        await socket.ask("subscribe", channel="news:today")
        await socket.hear()
        news[:] = [{"n": 1}]
        cut_reader()
        tell(1)
        while True:  # each time the cut reader comes back it starts anew
            message = await socket.hear()
            if message["kind"] == "snapshot" and message["data"] == {"n": 1}:
                break
        tell(2)
        while True:
            message = await socket.hear()
            if message["kind"] == "update" and message["data"] == {"n": 2}:
                break


async def test_the_last_unsubscriber_ends_the_processes_own_subscription(
    news: list[dict[str, Any]],
) -> None:
    channel = valkey.key("t:news:today")
    async with connected() as socket, connected() as other:
        for one in (socket, other):
            await one.ask("subscribe", channel="news:today", snapshot=False)
        assert listeners(channel) == 1
        await socket.ask("unsubscribe", channel="news:today")
        assert listeners(channel) == 1
        await other.ask("unsubscribe", channel="news:today")
        await eventually(lambda: listeners(channel) == 0)
        await socket.ask("subscribe", channel="news:today", snapshot=False)
        tell(1)
        assert (await socket.hear())["data"] == {"n": 1}


async def test_subscribers_that_come_together_share_a_snapshot(
    news: list[dict[str, Any]],
) -> None:
    own = hub.current()
    both = [own.subscribe(Ear(), Route("news:today"), snapshot=True) for _ in range(50)]
    await asyncio.wait_for(asyncio.gather(*(one.ready for one in both)), 10)
    assert len({id(one.opening) for one in both}) == 1


async def test_a_topic_that_is_left_and_wanted_again_at_once_is_heard(
    news: list[dict[str, Any]],
) -> None:
    own, second = hub.current(), Ear()
    first = own.subscribe(Ear(), Route("news:today"), snapshot=True)
    await asyncio.wait_for(first.ready, 10)
    own.unsubscribe(first)
    again = own.subscribe(
        second, Route("news:today"), snapshot=True
    )  # before the wire heard of the end
    await asyncio.wait_for(again.ready, 10)
    again.go_live()
    tell(1)
    await eventually(lambda: len(second.heard) == 2)
    assert listeners(valkey.key("t:news:today")) == 1


async def test_a_socket_that_ends_while_it_subscribes_ends_in_order(
    news: list[dict[str, Any]],
) -> None:
    valkey.client().delete(valkey.key("epoch"))  # no snapshot until the relay has begun one
    known = hub.current()._topics
    async with connected() as socket:
        await socket.say("subscribe", channel="news:today")
        await eventually(lambda: "news:today" in known)
        (waiting,) = known["news:today"].subscriptions
        waiting.sink.overflow()
        await eventually(lambda: "news:today" not in known)
        waiting.open(Start("e", 0), [], resync="")
        assert (await socket.closed())[0] == Code.SLOW_CONSUMER


async def test_a_frame_that_breaks_the_reader_does_not_end_it(news: list[dict[str, Any]]) -> None:
    async with connected() as socket:
        await socket.ask("subscribe", channel="news:today")
        await socket.hear()
        valkey.client().publish(valkey.key("t:news:today"), "no frame")
        news[:] = [{"n": 1}]
        assert (await socket.hear())["type"] == "resync"
        assert (await socket.hear())["data"] == {"n": 1}
        tell(1)
        assert (await socket.hear())["data"] == {"n": 1}


async def test_a_snapshot_that_fails_unexpectedly_is_tried_again() -> None:
    tries = []

    def snapshot(_: Any) -> topics.Snapshot:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("a row that cannot be shown")
        return [("news.told", {"n": 1})]

    topics.register(
        Namespace(name="brittle", public=True, arity=0, check=lambda _: None, snapshot=snapshot)
    )
    try:
        subscription = hub.current().subscribe(Ear(), Route("brittle"), snapshot=True)
        await asyncio.wait_for(subscription.ready, 10)
    finally:
        topics.forget("brittle")
    assert len(tries) == 3


async def test_a_snapshot_of_many_markets_and_what_came_meanwhile_closes_no_socket(
    news: list[dict[str, Any]],
) -> None:
    news[:] = [{"n": number, "told": "x" * 900} for number in range(1500)]
    async with connected() as socket:
        await socket.ask("subscribe", channel="news:today")
        heard = [(await socket.hear())["data"]["n"] for _ in range(1500)]
        tell(1)
        assert (await socket.hear())["data"] == {"n": 1}
    assert heard == list(range(1500))


async def test_the_frames_kept_during_a_snapshot_are_part_of_the_opening() -> None:
    sent: list[str] = []

    async def send(text: str) -> None:
        sent.append(text)

    outlet = Outlet(send, lambda: sent.append("too slow"))
    subscription = Subscription(
        "t", outlet, wants_snapshot=True, ready=asyncio.get_running_loop().create_future()
    )
    for number in range(1, LONGEST_BUFFER):
        subscription.take(number, "{}")
    subscription.open(Start("e", 0), ["{}"] * 1500, resync="")
    subscription.go_live()
    for _ in range(MAX_FRAMES):
        outlet.deliver("{}")  # the room of live frames is untouched
    await outlet.flush(timeout_s=5)
    assert len(sent) == LONGEST_BUFFER - 1 + 1500 + MAX_FRAMES
    assert "too slow" not in sent


async def test_openings_that_pile_up_before_a_client_that_does_not_read_are_bounded() -> None:
    blocked, gone = asyncio.Event(), asyncio.Event()

    async def never(_: str) -> None:
        await blocked.wait()

    outlet = Outlet(never, gone.set)
    opening = ["x" * 1_000_000]
    for _ in range(MAX_OPENING_CHARACTERS // 1_000_000 + 2):
        outlet.deliver_opening(opening)
    assert gone.is_set()
    await outlet.stop()


async def test_a_client_that_does_not_read_is_given_up_and_holds_nobody_up() -> None:
    blocked, gone = asyncio.Event(), asyncio.Event()

    async def never(_: str) -> None:
        await blocked.wait()

    outlet = Outlet(never, gone.set)
    for number in range(MAX_FRAMES + 2):
        outlet.deliver(str(number))
        if number == 0:
            await asyncio.sleep(0)
    assert gone.is_set()
    assert outlet.queued == 0
    await outlet.stop()


async def test_what_is_kept_for_a_waiting_subscriber_is_bounded() -> None:
    sink = Ear()
    subscription = Subscription(
        "t", sink, wants_snapshot=True, ready=asyncio.get_running_loop().create_future()
    )
    for number in range(LONGEST_BUFFER + 1):
        subscription.take(number, "{}")
    assert (sink.overflows, sink.heard) == (1, [])


class Ear:
    """A subscriber that keeps what it is given."""

    owner: int | None = None

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.overflows = 0

    def deliver(self, text: str) -> None:
        """Keeps it."""
        self.heard.append(text)

    def deliver_opening(self, texts: Iterable[str]) -> None:
        """Keeps them."""
        self.heard.extend(texts)

    def overflow(self) -> None:
        """Counts it."""
        self.overflows += 1


def cut_reader() -> None:
    client = valkey.client()
    for one in client.client_list():
        if one["name"] == hub.CLIENT_NAME and int(one["sub"]):
            client.client_kill_filter(_id=one["id"])


def listeners(channel: str) -> int:
    ((_, count),) = valkey.client().pubsub_numsub(channel)
    return int(count)


async def eventually(condition: Any, *, timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
