"""Valkey's side of the relay: each position enters once, and a lost position starts a new epoch."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import uuid4

from redis import Redis

from apps.realtime.sequencer import Published
from moonx.core import push, topics, valkey

# So many events are sent again after an outage; beyond, fresh snapshots are cheaper for everybody.
MAX_REPLAY = 100_000

OK = "ok"

# KEYS: position, epoch, run, control, then states to forget.  ARGV: the position and the epoch that
# were found ('' for none), then the new epoch, run and position, and the word to readers.
# A relay that was held up after it looked must not set back what another has done since.
BEGIN_EPOCH = """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[2] then return 0 end
for i = 5, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('MSET', KEYS[2], ARGV[3], KEYS[3], ARGV[4], KEYS[1], ARGV[5])
redis.call('PUBLISH', KEYS[4], ARGV[6])
return 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the push server knows; None where it knows nothing."""

    position: int | None
    epoch: str | None
    epoch_run: str | None
    run: str


@dataclass(frozen=True, slots=True)
class Synced:
    """Subscribers have everything."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Subscribers lack what follows `after`."""

    after: int


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """The order cannot be continued: subscribers start again from snapshots."""

    reason: str


Step = Synced | Replay | NewEpoch


def decide(stored: Stored, *, position: int) -> Step:
    """What follows from the push server's knowledge and the last position given."""
    if stored.position is None or stored.epoch is None:
        return NewEpoch("the push server lost its position")
    if stored.epoch_run != stored.run:
        return NewEpoch("the push server was restarted")
    if stored.position > position:
        return NewEpoch("the push server is ahead of the database")
    if position - stored.position > MAX_REPLAY:
        return NewEpoch("too much to send again")
    return Synced() if stored.position == position else Replay(stored.position)


class Publisher:
    """Publishes numbered events; every method raises RedisError or OSError where Valkey fails."""

    script: ClassVar[str] = push.PUBLISH_FACTS

    def __init__(self, client: Redis) -> None:
        self._client = client

    def stored(self) -> Stored:
        """The push server's knowledge now."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.mget(valkey.key("position"), valkey.key("epoch"), valkey.key("run"))
            pipe.info("server")
            values, info = pipe.execute()
        position, epoch, run = (value.decode() if value is not None else None for value in values)
        return Stored(
            position=int(position) if position is not None else None,
            epoch=epoch,
            epoch_run=run,
            run=str(info["run_id"]),
        )

    def publish(self, events: Sequence[Published], *, after: int) -> str:
        """Sends `events`, which follow the position `after`, in one step.

        "ok", or why nothing was sent: "missing", or the position that the server stands at.
        """
        reply: Any = self._client.eval(
            self.script,
            2,
            valkey.key("position"),
            valkey.key("seq"),
            after,
            events[-1].position,
            valkey.key("t:"),
            *self._heads(events),
        )
        return reply.decode() if isinstance(reply, bytes) else str(reply)

    def begin_epoch(self, *, position: int, found: Stored) -> str | None:
        """Starts an epoch in which `position` counts as published; returns its id.

        None, and nothing is changed, where the server no longer stands where it was `found`.
        States are forgotten so that all of them are sent again; `seq` goes on, so that a reader
        that has not heard of the new epoch yet sees no order that is not there.
        """
        epoch = uuid4().hex[:12]
        stale = list(self._client.scan_iter(match=valkey.key("state:*"), count=1000))
        keys = [*(valkey.key(name) for name in ("position", "epoch", "run", "control")), *stale]
        begun = self._client.eval(
            BEGIN_EPOCH,
            len(keys),
            *keys,
            "" if found.position is None else found.position,
            found.epoch or "",
            epoch,
            found.run,
            position,
            json.dumps({"epoch": epoch, "position": position}),
        )
        return epoch if begun else None

    def _heads(self, events: Sequence[Published]) -> list[str]:
        now_ms = time.time_ns() // 1_000_000
        args: list[str] = []
        for event in events:
            for topic in event.topics:
                args += [topic, _head(event, topic=topic, now_ms=now_ms)]
        return args


def _head(event: Published, *, topic: str, now_ms: int) -> str:
    return push.head_of_json(
        frame_id=str(event.id),
        name=event.name,
        channel=topics.channel_of(topic),
        kind="update",
        source_ms=event.created_ms,
        now_ms=now_ms,
        data_json=event.payload_json,
        correlation_id=event.correlation_id,
        position=event.position,
    )
