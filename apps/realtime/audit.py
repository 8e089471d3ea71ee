"""Was every position published once and in order? A recorder of raw frames, and a pure judge."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from redis import Redis, RedisError
from redis.client import PubSub

from moonx.core import valkey


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A fact that came by on a topic."""

    topic: str
    position: int
    event_id: int


@dataclass(frozen=True, slots=True)
class Numbered:
    """An event as the database numbered it."""

    id: int
    topics: Sequence[str]


@dataclass(slots=True)
class Stretch:
    """What one unbroken subscription saw within one epoch, in the order of arrival.

    `begins_at` is the epoch's starting position where its beginning was seen.
    """

    epoch: str
    begins_at: int | None = None
    facts: list[Seen] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Positions that broke the promise; all four are empty where it was kept."""

    doubled: list[tuple[str, int]]
    inverted: list[tuple[int, int]]
    lost: list[int]
    phantom: list[int]

    @property
    def ok(self) -> bool:
        """Whether every position was published once and in order."""
        return not (self.doubled or self.inverted or self.lost or self.phantom)


def judge(stretches: Sequence[Stretch], *, events: Mapping[int, Numbered]) -> Verdict:
    """Holds what was seen against what was numbered: `events` is position → event.

    Within an epoch no (topic, position) comes twice and positions never fall. Within a stretch
    everything between the first and the last sight was seen: from the epoch's beginning where
    that was seen too. What was seen at a position is what was numbered there.
    """
    doubled: list[tuple[str, int]] = []
    inverted: list[tuple[int, int]] = []
    for facts in _by_epoch(stretches).values():
        known: set[tuple[str, int]] = set()
        last = 0
        for fact in facts:
            sight = (fact.topic, fact.position)
            if sight in known:
                doubled.append(sight)
            elif fact.position < last:
                inverted.append((last, fact.position))
            known.add(sight)
            last = max(last, fact.position)
    return Verdict(
        doubled=doubled,
        inverted=inverted,
        lost=[position for stretch in stretches for position in _lost(stretch, events)],
        phantom=[f.position for s in stretches for f in s.facts if not _is_real(f, events)],
    )


def _by_epoch(stretches: Iterable[Stretch]) -> dict[str, list[Seen]]:
    found: dict[str, list[Seen]] = defaultdict(list)
    for stretch in stretches:
        found[stretch.epoch] += stretch.facts
    return found


def _is_real(fact: Seen, events: Mapping[int, Numbered]) -> bool:
    event = events.get(fact.position)
    return event is not None and event.id == fact.event_id and fact.topic in event.topics


def _lost(stretch: Stretch, events: Mapping[int, Numbered]) -> list[int]:
    if not stretch.facts:
        return []
    positions = {fact.position for fact in stretch.facts}
    first = min(positions) if stretch.begins_at is None else stretch.begins_at + 1
    return [
        position
        for position, event in events.items()
        if event.topics and first <= position <= max(positions) and position not in positions
    ]


class Recorder:
    """Listens to every topic in a thread; each reconnect or new epoch begins a new stretch."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.stretches: list[Stretch] = []

    def __enter__(self) -> Self:
        """Returns once it listens."""
        self._thread.start()
        self._ready.wait(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def last_position(self) -> int:
        """The highest position seen; 0 before the first."""
        return max((f.position for s in self.stretches for f in s.facts), default=0)

    def _run(self) -> None:
        while not self._stop.is_set():
            pubsub = valkey.pubsub(self._client)
            try:
                self._listen(pubsub)
            except (RedisError, OSError):
                self._stop.wait(0.05)
            finally:
                pubsub.close()

    def _listen(self, pubsub: PubSub) -> None:
        pubsub.psubscribe(valkey.key("t:*"))
        pubsub.subscribe(valkey.key("control"))
        confirmed = 0
        while confirmed < 2:  # an epoch read before would not be the one of the first frames
            message = pubsub.get_message(timeout=1)
            confirmed += bool(message) and "subscribe" in message["type"]
        epoch: Any = self._client.get(valkey.key("epoch"))
        self.stretches.append(Stretch(epoch.decode() if epoch else ""))
        self._ready.set()
        while not self._stop.is_set():
            message = pubsub.get_message(timeout=0.1)
            if message and message["type"] in {"message", "pmessage"}:
                self._take(message["channel"].decode(), json.loads(message["data"]))

    def _take(self, channel: str, frame: dict[str, object]) -> None:
        if channel == valkey.key("control"):
            if "epoch" in frame:
                begins_at = int(str(frame["position"]))
                self.stretches.append(Stretch(str(frame["epoch"]), begins_at))
        elif "position" in frame:
            seen = Seen(
                topic=channel.removeprefix(valkey.key("t:")),
                position=int(str(frame["position"])),
                event_id=int(str(frame["id"])),
            )
            self.stretches[-1].facts.append(seen)
