"""What the hub keeps of topics and their subscribers: who waits, who is live, what is kept."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

LONGEST_BUFFER = 2000  # frames kept for one subscriber while its snapshot is made


class Sink(Protocol):
    """Where frames go; it never waits. `owner` is the user whose own topics it may take."""

    owner: int | None

    def deliver(self, text: str) -> None:
        """Takes a frame for the client."""

    def deliver_opening(self, texts: Iterable[str]) -> None:
        """Takes the frames that a subscription begins with, however many they are."""

    def overflow(self) -> None:
        """Says that the subscriber cannot be served any more."""


class Phase(Enum):
    """How far a subscription is: frames are kept until it is live."""

    WAITING = auto()  # for its snapshot
    READY = auto()  # for its owner, who first answers the client
    LIVE = auto()


@dataclass(frozen=True, slots=True)
class Start:
    """Where a subscription begins: the snapshot is everything up to `seq`."""

    epoch: str
    seq: int


@dataclass(slots=True, eq=False)
class Subscription:
    """One subscriber of one topic, who may want it in the words of an alias."""

    topic: str
    sink: Sink
    wants_snapshot: bool
    ready: "asyncio.Future[None]"
    alias: str = ""
    epoch: str = ""
    phase: Phase = Phase.WAITING
    started: bool = False
    delivered: int = 0
    opening: list[str] = field(default_factory=list)
    buffer: list[tuple[int, str]] = field(default_factory=list)

    @property
    def start(self) -> Start:
        """How far the client has come: what it gets next is after that."""
        return Start(self.epoch, self.delivered)

    def take(self, seq: int, text: str) -> None:
        """A frame came by."""
        if self.phase is Phase.LIVE:
            self.delivered = seq
            self.sink.deliver(text)
        elif len(self.buffer) < LONGEST_BUFFER:
            self.buffer.append((seq, text))
        else:
            self.sink.overflow()

    def restart(self) -> None:
        """What follows is not what the client has: it needs a snapshot again."""
        self.phase = Phase.WAITING
        self.buffer.clear()

    def open(self, start: Start, frames: list[str], *, resync: str) -> None:
        """The snapshot is there; a subscriber that was already live is told that it starts anew."""
        self.epoch, self.delivered = start.epoch, start.seq
        if self.started:
            self.opening = [resync, *frames]
        else:
            self.opening = frames if self.wants_snapshot else []
        self.phase = Phase.READY
        if not self.ready.done():
            self.ready.set_result(None)
        if self.started:
            self.go_live()

    def go_live(self) -> None:
        """Hands over the snapshot, then what came meanwhile, then everything as it comes."""
        self.started = True
        if self.phase is not Phase.READY:
            return
        kept = [text for seq, text in self.buffer if seq > self.delivered]
        self.delivered = max([self.delivered, *(seq for seq, _ in self.buffer)])
        self.sink.deliver_opening([*self.opening, *kept])
        self.opening, self.phase = [], Phase.LIVE
        self.buffer.clear()


@dataclass(slots=True, eq=False)
class Topic:
    """A topic with subscribers in this process; `owner` is the only user who may be one.

    `confirmed`: the reader receives it now. `generation` rises when what was received so far does
    not connect to what comes; snapshots of an older generation are worthless.
    """

    name: str
    label: str
    subscriptions: set[Subscription] = field(default_factory=set)
    owner: int | None = None
    confirmed: bool = False
    generation: int = 0
    last_seq: int | None = None
    job: "asyncio.Task[None] | None" = None

    def is_for(self, sink: Sink) -> bool:
        """Whether the topic may be told there."""
        return self.owner is None or self.owner == sink.owner

    def restart(self) -> None:
        """Every subscriber needs a snapshot again."""
        self.generation += 1
        self.last_seq = None
        for subscription in self.subscriptions:
            subscription.restart()
