"""The hub: one reader per process; each frame is decoded once and handed to every subscriber."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from django.db import Error as DatabaseError
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from apps.realtime import measures
from apps.realtime.subscriptions import Phase, Sink, Start, Subscription, Topic
from apps.realtime.threads import in_thread
from moonx.core import logs, push, topics, valkey
from moonx.core.topics import Route

log = logs.get("moonx.hub")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
LASTING_S = 5.0  # a connection that held so long was good: the next pause is short again
SEQ = '"seq":'
CLIENT_NAME = f"moonx-gateway-{os.getpid()}"
StoreErrors = (RedisError, OSError, DatabaseError, TimeoutError)


class NotYours(Exception):
    """A topic was asked for by another than its owner: a fault of ours. Permanent."""


class NoEpoch(Exception):
    """The push server has no epoch (yet): the relay is about to begin one. Transient."""


class Hub:
    """Topics, their subscribers, and the one reader; lives on one event loop."""

    def __init__(self, client: redis.asyncio.Redis) -> None:
        self.client = client
        self.listeners: set[Callable[[dict[str, Any]], None]] = set()
        self._topics: dict[str, Topic] = {}
        self._prefix = valkey.key("t:")
        self._control = valkey.key("control").encode()
        self._pubsub: PubSub | None = None
        # What was asked for on the current connection, and for whom: a topic that is forgotten and
        # wanted again before the wire heard of it is another Topic, which needs its own answer.
        self._wire: dict[str, Topic] = {}
        self._wire_lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader = asyncio.create_task(self._read())

    def subscribe(self, sink: Sink, route: Route, *, snapshot: bool) -> Subscription:
        """Registers at once; the subscription is `ready` when its snapshot is there.

        Who asked then calls `go_live`. Frames that come before are kept for it. Raises NotYours
        where the sink is another user's.
        """
        ready = asyncio.get_running_loop().create_future()
        subscription = Subscription(route.topic, sink, snapshot, ready, route.alias)
        known = self._topics.get(route.topic) or _topic(route.topic)
        if not known.is_for(sink):
            raise NotYours(route.topic)
        if route.topic not in self._topics:
            self._topics[route.topic] = known
            self._spawn(self._adjust(route.topic))
        known.subscriptions.add(subscription)
        measures.subscriptions.labels(known.label).inc()
        if known.confirmed:
            self._serve(known)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forgets a subscription; the last one of a topic ends the process's own."""
        known = self._topics.get(subscription.topic)
        if known is None or subscription not in known.subscriptions:
            return
        known.subscriptions.remove(subscription)
        measures.subscriptions.labels(known.label).dec()
        if not known.subscriptions:
            del self._topics[subscription.topic]
            self._spawn(self._adjust(subscription.topic))

    async def close(self) -> None:
        """Ends the reader and every connection of the hub."""
        tasks = [self._reader, *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.client.aclose()

    # The reader

    async def _read(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            await self._read_one_connection()
            lasted_s = time.monotonic() - began
            pause_s = FIRST_PAUSE_S if lasted_s > LASTING_S else min(pause_s * 2, LONGEST_PAUSE_S)
            await asyncio.sleep(pause_s)

    async def _read_one_connection(self) -> None:
        """Takes what comes, and returns when the connection is of no more use."""
        pubsub = self.client.pubsub()
        try:
            await self._attach(pubsub)
            while True:
                message = await pubsub.get_message(timeout=5)
                if message is not None:
                    self._take(message)
        except (RedisError, OSError) as error:
            measures.reader_reconnects.inc()
            log.warning("reader lost the push server", error=type(error).__name__)
        except Exception:  # a reader that ended would leave every socket silent for good
            measures.hub_faults.labels("reader").inc()
            log.exception("reader failed, it starts again")
        finally:
            self._detach()
            await _quietly_close(pubsub)

    async def _attach(self, pubsub: PubSub) -> None:
        async with self._wire_lock:
            wanted = dict(self._topics)
            channels = [self._prefix + topic for topic in wanted]
            await pubsub.subscribe(valkey.key("control"), *channels)
            self._pubsub, self._wire = pubsub, wanted
        for topic in set(self._topics) - set(wanted):
            self._spawn(self._adjust(topic))

    def _detach(self) -> None:
        self._pubsub, self._wire = None, {}
        for topic in self._topics.values():
            topic.confirmed = False

    async def _adjust(self, topic: str) -> None:
        """Makes the connection's subscriptions match what is wanted now."""
        async with self._wire_lock:
            pubsub, wanted = self._pubsub, self._topics.get(topic)
            if pubsub is None or wanted is self._wire.get(topic):
                return
            try:
                if wanted is not None:
                    self._wire[topic] = wanted
                    await pubsub.subscribe(self._prefix + topic)  # confirmed each time it is asked
                else:
                    del self._wire[topic]
                    await pubsub.unsubscribe(self._prefix + topic)
            except (RedisError, OSError, AttributeError) as error:
                # The reader meets the same failure, reconnects and asks for everything. The
                # client has no writer (hence AttributeError) when it was closed under our hands.
                log.debug("subscription not sent", error=type(error).__name__)

    def _take(self, message: dict[str, Any]) -> None:
        channel: bytes = message["channel"]
        if message["type"] == "message":
            if channel == self._control:
                self._take_control(json.loads(message["data"]))
            else:
                self._take_frame(channel.decode().removeprefix(self._prefix), message["data"])
        elif message["type"] == "subscribe" and channel != self._control:
            self._take_confirmation(channel.decode().removeprefix(self._prefix))

    def _take_frame(self, name: str, data: bytes) -> None:
        topic = self._topics.get(name)
        if topic is None:
            return
        started = time.perf_counter()
        text = data.decode()
        seq = int(text[text.rindex(SEQ) + len(SEQ) : -1])
        measures.received.labels(topic.label).inc()
        if topic.last_seq is not None and seq != topic.last_seq + 1:
            measures.gaps.labels("snapshot").inc()
            log.warning("gap in a topic", topic=name, last=topic.last_seq, seq=seq)
            self._renew(topic)
        topic.last_seq = seq
        if topic.owner is None:
            for subscription in topic.subscriptions:
                subscription.take(seq, text)
        else:
            _tell_owner(topic, seq, text)
        measures.delivered.labels(topic.label).inc(len(topic.subscriptions))
        measures.fanout.observe(time.perf_counter() - started)

    def _take_confirmation(self, name: str) -> None:
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.confirmed = True
        self._renew(topic)

    def _take_control(self, control: dict[str, Any]) -> None:
        if "epoch" in control:
            for topic in self._topics.values():
                self._renew(topic)
        for listener in list(self.listeners):
            listener(control)

    # Snapshots

    def _renew(self, topic: Topic) -> None:
        topic.restart()
        if topic.confirmed:
            self._serve(topic)

    def _serve(self, topic: Topic) -> None:
        if topic.job is None or topic.job.done():
            topic.job = self._spawn(self._snapshots(topic))

    async def _snapshots(self, topic: Topic) -> None:
        """Gives every waiting subscriber a snapshot; those that come meanwhile share the next."""
        pause_s = FIRST_PAUSE_S
        while topic.confirmed and (waiting := _waiting(topic)):
            generation = topic.generation
            try:
                start = await self._where(topic.name)
                openings = await _openings(topic.name, start, waiting)
            except (*StoreErrors, NoEpoch, topics.UnknownTopic) as error:
                log.warning("no snapshot yet", topic=topic.name, error=type(error).__name__)
            except Exception:  # what one row does to a snapshot must not end the topic for all
                measures.hub_faults.labels("snapshot").inc()
                log.exception("snapshot failed, it is tried again", topic=topic.name)
            else:
                if generation == topic.generation:  # or what it connects to was lost meanwhile
                    _hand_over(topic, waiting, start, openings)
                continue
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _where(self, topic: str) -> Start:
        async with self.client.pipeline(transaction=True) as pipe:
            pipe.get(valkey.key("epoch"))
            pipe.hget(valkey.key("seq"), topic)
            epoch, seq = await pipe.execute()
        if epoch is None:
            raise NoEpoch
        return Start(epoch.decode(), int(seq or 0))

    def _spawn(self, work: Any) -> "asyncio.Task[None]":
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _topic(name: str) -> Topic:
    return Topic(name, topics.channel_of(name).partition(":")[0], owner=topics.owner_of(name))


def _tell_owner(topic: Topic, seq: int, text: str) -> None:
    """As all others are told, but to the topic's owner alone, and in the words that were wanted."""
    told = {"": text}
    for subscription in topic.subscriptions:
        if not topic.is_for(subscription.sink):
            measures.hub_faults.labels("stranger").inc()
            log.error("a frame was kept from a stranger", channel=topic.label)
            continue
        if subscription.alias not in told:
            told[subscription.alias] = _retold(text, subscription.alias)
        subscription.take(seq, told[subscription.alias])


def _retold(text: str, alias: str) -> str:
    frame = json.loads(text)
    name, data = topics.retold(alias, frame["type"], frame["data"])
    told = {**frame, "type": name, "data": data}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def _waiting(topic: Topic) -> list[Subscription]:
    return [one for one in topic.subscriptions if one.phase is Phase.WAITING]


@dataclass(frozen=True, slots=True)
class Opening:
    """The frames of a snapshot, and the one that tells a live subscriber that it starts anew."""

    frames: list[str]
    resync: str


def _hand_over(
    topic: Topic, waiting: list[Subscription], start: Start, openings: dict[str, Opening]
) -> None:
    for subscription in waiting:
        if subscription in topic.subscriptions and topic.is_for(subscription.sink):
            opening = openings[subscription.alias]
            subscription.open(start, opening.frames, resync=opening.resync)


async def _openings(topic: str, start: Start, waiting: list[Subscription]) -> dict[str, Opening]:
    """What each of those that wait begins with, by alias."""
    found = {}
    for alias in {one.alias for one in waiting}:
        needed = any(one.wants_snapshot or one.started for one in waiting if one.alias == alias)
        found[alias] = await _opening(Route(topic, alias), start, needed=needed)
    return found


async def _opening(route: Route, start: Start, *, needed: bool) -> Opening:
    rows = await in_thread(lambda: topics.snapshot(route)) if needed else []
    frames = [_frame(route.topic, start, name, data, channel) for name, data, channel in rows]
    channel = topics.channel_of(route.topic)
    return Opening(frames, _frame(route.topic, start, "resync", {}, channel))


def _frame(topic: str, start: Start, name: str, data: dict[str, Any], channel: str) -> str:
    now_ms = time.time_ns() // 1_000_000
    head = push.head(
        frame_id=f"{topics.channel_of(topic)}@{start.epoch}.{start.seq}",
        name=name,
        channel=channel,
        kind="snapshot",
        source_ms=now_ms,
        now_ms=now_ms,
        data=data,
    )
    return f'{head},"epoch":"{start.epoch}",{SEQ}{start.seq}}}'


async def _quietly_close(pubsub: PubSub) -> None:
    try:
        await pubsub.aclose()  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as error:
        log.debug("reader not closed", error=type(error).__name__)


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def current() -> Hub:
    """The hub of the running event loop; started on first use."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub(connect())
    return hub


async def close_current() -> None:
    """Ends the running loop's hub, if there is one."""
    hub = _hubs.pop(asyncio.get_running_loop(), None)
    if hub is not None:
        await hub.close()


def connect() -> redis.asyncio.Redis:
    """An asynchronous client of the push server."""
    return redis.asyncio.Redis.from_url(
        settings.ENV.cache_dsn(),
        socket_connect_timeout=settings.ENV.redis_connect_timeout / 1000,
        socket_timeout=settings.ENV.redis_command_timeout / 1000,
        health_check_interval=15,
        client_name=CLIENT_NAME,
    )
