"""The relay: the one process that numbers committed events and publishes them in that order."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import psycopg
from redis import Redis, RedisError
from redis.client import PubSub

from apps.realtime import measures
from apps.realtime.publisher import OK, NewEpoch, Publisher, Replay, Stored, decide
from apps.realtime.sequencer import Published, Sequencer
from moonx.core import logs, metrics, valkey

log = logs.get("moonx.relay")

BATCH = 500  # some 300 KB, a few ms of Valkey's time
BUSY_POLL_S, IDLE_POLL_S = 0.02, 0.2
IDLE_AFTER_S = 1.0
CHECK_EVERY_S = 1.0  # how soon an emptied push server is noticed while nothing happens
STANDBY_POLL_S = 1.0
ROLL_EVERY_S, ROLL_AGAIN_S = 3600.0, 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 5.0

PushErrors = (RedisError, OSError)


class Relay:
    """Moves events and publishes them, for as long as `sequencer` holds the lock.

    The push server may fail at any moment: events are numbered all the same, and sent once it
    answers again. psycopg.Error is the caller's to handle: the lock may be lost with it.
    """

    def __init__(
        self,
        sequencer: Sequencer,
        publisher: Publisher,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sequencer = sequencer
        self._publisher = publisher
        self._monotonic = monotonic
        self._published: int | None = None  # None: must be read from the push server first
        self._check_at = 0.0
        self._retry_at = 0.0
        self._pause_s = FIRST_PAUSE_S

    def step(self) -> int:
        """Numbers what waits, up to a batch, and publishes; returns how many were numbered."""
        started = self._monotonic()
        events = self._sequencer.move(limit=BATCH)
        self._publish(events)
        if events:
            metrics.events_publish_duration.observe(self._monotonic() - started)
        return len(events)

    @property
    def published(self) -> int | None:
        """The position subscribers have, as far as known."""
        return self._published

    def _publish(self, events: Sequence[Published]) -> None:
        now = self._monotonic()
        if now < self._retry_at:
            return
        try:
            if self._published is None or now >= self._check_at:
                self._synchronise()
            elif events:
                # Refused: somebody else published or the position was lost. The next step looks.
                self._send(events, after=self._published)
            self._pause_s = FIRST_PAUSE_S
        except PushErrors as error:
            self._published = None
            self._retry_at = self._monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
            metrics.events_publish_errors.inc()
            log.warning(
                "push server failed, events are kept and sent later",
                error=type(error).__name__,
                pause_s=self._pause_s,
            )

    def _synchronise(self) -> None:
        """Brings subscribers to the last position given, whatever the push server went through.

        This also settles a lost reply: the position says whether the batch had entered.
        """
        self._published = None
        position = self._sequencer.position()
        stored = self._publisher.stored()
        match decide(stored, position=position):
            case NewEpoch(reason):
                self._begin_epoch(reason, position=position, found=stored)
            case Replay():
                self._replay(stored, upto=position)
            case _:
                self._published = position
        self._check_at = self._monotonic() + CHECK_EVERY_S

    def _replay(self, stored: Stored, *, upto: int) -> None:
        after = stored.position or 0
        log.info("sending again what subscribers lack", after=after, upto=upto)
        while after < upto:
            events = self._sequencer.read(after=after, limit=BATCH)
            if not events or events[0].position != after + 1:
                found = replace(stored, position=after)
                self._begin_epoch("the events to send again are gone", position=upto, found=found)
                return
            if not self._send(events, after=after):
                return  # somebody else published, or the position was lost: look again
            after = events[-1].position
        self._published = after

    def _send(self, events: Sequence[Published], *, after: int) -> bool:
        if self._publisher.publish(events, after=after) != OK:
            self._published = None
            return False
        self._published = events[-1].position
        metrics.events_published.inc(len(events))
        metrics.relay_position.set(self._published)
        return True

    def _begin_epoch(self, reason: str, *, position: int, found: Stored) -> None:
        epoch = self._publisher.begin_epoch(position=position, found=found)
        if epoch is None:
            self._published = None  # somebody else has brought it further: look again
            return
        self._published = position
        measures.epochs.inc()
        log.warning("new epoch", epoch=epoch, position=position, reason=reason)


class Waker:
    """Waits for the word that something committed; without a push server it just waits."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._pubsub: PubSub | None = None

    def wait(self, timeout_s: float) -> None:
        """Returns when woken, at the latest after `timeout_s`."""
        try:
            pubsub = self._subscribed()
            if pubsub.get_message(timeout=timeout_s):
                while pubsub.get_message(timeout=0):
                    pass
        except PushErrors:
            self._pubsub = None
            time.sleep(timeout_s)

    def _subscribed(self) -> PubSub:
        if self._pubsub is None:
            pubsub = valkey.pubsub(self._client)
            pubsub.subscribe(valkey.key("wake"))
            self._pubsub = pubsub
        return self._pubsub


def run(
    *,
    dsn: str,
    client: Redis,
    stop: threading.Event,
    moved: Callable[[], None] = lambda: None,
    alive: Callable[[], None] = lambda: None,
) -> None:
    """Relays until `stop` is set, as the one relay or as a standby that waits for its turn.

    Outages of either store are waited out with a growing pause. `moved` is called when events
    were numbered, `alive` at every turn of the loop.
    """
    pause_s = FIRST_PAUSE_S
    waker = Waker(client)
    while not stop.is_set():
        alive()
        try:
            with Sequencer(dsn) as sequencer:
                pause_s = FIRST_PAUSE_S
                if _wait_for_turn(sequencer, stop, alive):
                    relay = Relay(sequencer, Publisher(client))
                    _serve(sequencer, relay, waker, stop=stop, moved=moved, alive=alive)
        except psycopg.Error as error:
            measures.relay_errors.inc()
            log.warning("database failed", error=str(error).strip()[:200], pause_s=pause_s)
            stop.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)


def _wait_for_turn(sequencer: Sequencer, stop: threading.Event, alive: Callable[[], None]) -> bool:
    waiting = False
    while not stop.is_set():
        alive()
        if sequencer.try_lock():
            log.info("this is the relay now", position=sequencer.position())
            return True
        if not waiting:
            log.info("another relay is at work, standing by")
            waiting = True
        stop.wait(STANDBY_POLL_S)
    return False


def _serve(
    sequencer: Sequencer,
    relay: Relay,
    waker: Waker,
    *,
    stop: threading.Event,
    moved: Callable[[], None],
    alive: Callable[[], None],
) -> None:
    roll_at, busy_until = 0.0, 0.0
    while not stop.is_set():
        alive()
        now = time.monotonic()
        if now >= roll_at:
            roll_at = now + (ROLL_EVERY_S if _roll_days(sequencer) else ROLL_AGAIN_S)
        if relay.step():
            moved()
            busy_until = now + IDLE_AFTER_S
        else:
            waker.wait(BUSY_POLL_S if now < busy_until else IDLE_POLL_S)


def _roll_days(sequencer: Sequencer) -> bool:
    """False where it must be tried again: days are ready ahead, so the relay's turn goes on.

    A lost connection is met again, and handled, by the next move.
    """
    try:
        sequencer.roll_days()
    except psycopg.Error as error:
        measures.relay_errors.inc()
        reason = str(error).strip()[:200]
        log.warning("days not rolled, tried again", error=reason, pause_s=ROLL_AGAIN_S)
        return False
    return True
