import threading
import time
from collections.abc import Callable

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction

from apps.realtime import relay as relaying
from apps.realtime.audit import Numbered, Recorder, Seen, Stretch, judge
from apps.realtime.publisher import NewEpoch, Publisher, Replay, Stored, Synced, decide
from apps.realtime.sequencer import Sequencer
from apps.realtime.tests.support import (
    Careless,
    LostReply,
    Unreachable,
    drain,
    emit,
    fact,
    forget_position,
    numbered,
    trade_ids,
    working_relay,
)
from moonx.core import outbox, valkey

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def eventually(condition: Callable[[], bool], *, timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def seen_positions(recorder: Recorder) -> list[int]:
    return [fact.position for stretch in recorder.stretches for fact in stretch.facts]


def test_committed_events_are_published_once_and_in_order() -> None:
    with working_relay() as relay, Recorder(valkey.client()) as recorder:
        drain(relay)
        for start in range(0, 1500, 300):
            emit(*range(start, start + 300))
        drain(relay)
        assert eventually(lambda: recorder.last_position() == 1500)
    assert seen_positions(recorder) == list(range(1, 1501))
    assert trade_ids() == list(range(1500))
    assert judge(recorder.stretches, events=numbered()).ok


def test_a_transaction_that_rolled_back_leaves_no_gap_in_the_positions() -> None:
    with working_relay() as relay:
        emit(1)
        with transaction.atomic():
            outbox.emit(fact(2))
            transaction.set_rollback(True)
        emit(3)
        drain(relay)
    assert sorted(numbered()) == [1, 2]
    assert trade_ids() == [1, 3]


def test_a_long_open_transaction_stalls_nobody_and_its_event_comes_when_it_commits() -> None:
    with working_relay() as relay, psycopg.connect(settings.ENV.direct_dsn()) as slow:
        slow.execute(
            "INSERT INTO core_outbox (name, key, topics, payload) "
            """VALUES ('trade.executed', 'market:SLOW', '["trades:SLOW"]', '{"id": 99}')"""
        )
        emit(1, 2)
        drain(relay)
        assert trade_ids() == [1, 2]
        slow.commit()
        drain(relay)
    assert trade_ids() == [1, 2, 99]


def test_a_relay_killed_between_commit_and_publish_is_made_good_by_the_next() -> None:
    with Recorder(valkey.client()) as recorder:
        with working_relay() as relay:
            drain(relay)
        emit(1, 2, 3)
        with Sequencer(settings.ENV.direct_dsn()) as killed:
            assert killed.try_lock()
            assert len(killed.move(limit=2)) == 2
        with working_relay() as relay:
            drain(relay)
        assert eventually(lambda: recorder.last_position() == 3)
    assert seen_positions(recorder) == [1, 2, 3]
    assert judge(recorder.stretches, events=numbered()).ok


def test_a_lost_reply_neither_doubles_nor_loses_the_batch() -> None:
    with working_relay() as relay:
        drain(relay)
    with (
        Recorder(valkey.client()) as recorder,
        working_relay(LostReply(valkey.client())) as relay,
    ):
        drain(relay)
        emit(1, 2)
        drain(relay)
        emit(3)
        drain(relay)
        assert eventually(lambda: recorder.last_position() == 3)
    assert seen_positions(recorder) == [1, 2, 3]


def test_a_relay_that_ignores_positions_is_caught_by_the_judge() -> None:
    careless = Careless(valkey.client())
    with working_relay() as relay:
        drain(relay)
    with Recorder(valkey.client()) as recorder, working_relay(careless) as relay:
        emit(1, 2)
        drain(relay)
        with Sequencer(settings.ENV.direct_dsn()) as other:
            careless.publish(other.read(after=0, limit=10), after=0)
        assert eventually(lambda: len(seen_positions(recorder)) == 4)
    verdict = judge(recorder.stretches, events=numbered())
    assert verdict.doubled == [("trades:XRPETH", 1), ("trades:XRPETH", 2)]


def test_a_relay_that_publishes_before_the_commit_is_caught_by_the_judge() -> None:
    with (
        working_relay() as relay,
        Recorder(valkey.client()) as recorder,
        psycopg.connect(settings.ENV.direct_dsn()) as slow,
    ):
        drain(relay)
        slow.execute(
            "INSERT INTO core_outbox (name, key, topics, payload) "
            """VALUES ('trade.executed', 'market:SLOW', '["trades:SLOW"]', '{"id": 99}')"""
        )
        emit(1)
        with Sequencer(settings.ENV.direct_dsn()) as eager:
            eager._connection.autocommit = False
            Publisher(valkey.client()).publish(eager.move(limit=1), after=0)
            eager._connection.rollback()  # killed before its commit
        slow.commit()
        drain(relay)
        assert eventually(lambda: recorder.last_position() == 2)
    assert judge(recorder.stretches, events=numbered()).phantom == [1]


def test_an_emptied_push_server_starts_a_new_epoch_and_positions_go_on() -> None:
    client = valkey.client()
    with working_relay() as relay, Recorder(client) as recorder:
        drain(relay)
        emit(1, 2)
        drain(relay)
        before = client.get(valkey.key("epoch"))
        forget_position()
        emit(3)
        drain(relay)
        emit(4)
        drain(relay)
        assert eventually(lambda: recorder.last_position() == 4)
    assert client.get(valkey.key("epoch")) not in {None, before}
    assert sorted(numbered()) == [1, 2, 3, 4]
    assert [stretch.begins_at for stretch in recorder.stretches][-1] == 3
    assert judge(recorder.stretches, events=numbered()).ok


def test_an_idle_relay_notices_an_emptied_push_server_within_seconds() -> None:
    client, stop = valkey.client(), threading.Event()
    thread = threading.Thread(
        target=relaying.run,
        kwargs={"dsn": settings.ENV.direct_dsn(), "client": client, "stop": stop},
    )
    thread.start()
    try:
        assert eventually(lambda: client.get(valkey.key("epoch")) is not None)
        forget_position()
        assert eventually(lambda: client.get(valkey.key("epoch")) is not None, timeout_s=4)
    finally:
        stop.set()
        thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_former_relay_that_was_held_up_does_not_set_the_push_server_back() -> None:
    publisher = Publisher(valkey.client())
    found = publisher.stored()  # nothing yet: it decides on a new epoch, and is held up
    with working_relay() as relay:
        emit(1, 2)
        drain(relay)
    now = publisher.stored()
    assert publisher.begin_epoch(position=0, found=found) is None
    assert publisher.stored() == now
    assert now.position == 2


def test_events_are_numbered_while_the_push_server_is_away_and_sent_when_it_is_back() -> None:
    with working_relay() as relay:
        drain(relay)
    away = Unreachable(valkey.client())
    with Recorder(valkey.client()) as recorder, working_relay(away) as relay:
        emit(1)
        relay.step()
        emit(2)
        relay.step()
        assert sorted(numbered()) == [1, 2]
        away.down = False
        drain(relay)
        assert eventually(lambda: recorder.last_position() == 2)
    assert seen_positions(recorder) == [1, 2]


def test_a_failing_push_server_is_asked_less_and_less_often() -> None:
    away, now = Unreachable(valkey.client()), [0.0]
    with Sequencer(settings.ENV.direct_dsn()) as sequencer:
        assert sequencer.try_lock()
        relay = relaying.Relay(sequencer, away, monotonic=lambda: now[0])
        for _ in range(600):
            relay.step()
            now[0] += 0.1
    assert away.attempts < 25


def test_a_second_relay_waits_for_the_lock_and_takes_over_when_the_first_is_gone() -> None:
    client, stops = valkey.client(), [threading.Event(), threading.Event()]
    threads = [
        threading.Thread(
            target=relaying.run,
            kwargs={"dsn": settings.ENV.direct_dsn(), "client": client, "stop": stop},
        )
        for stop in stops
    ]
    with Recorder(client) as recorder:
        try:
            for thread in threads:
                thread.start()
            emit(1)
            assert eventually(lambda: recorder.last_position() == 1 or 1 in numbered())
            assert _holders() == 1
            stops[0].set()
            threads[0].join(timeout=10)
            emit(2)
            assert eventually(lambda: recorder.last_position() == 2)
        finally:
            for stop, thread in zip(stops, threads, strict=True):
                stop.set()
                thread.join(timeout=10)
    assert judge(recorder.stretches, events=numbered()).ok


def test_a_terminated_database_session_is_replaced() -> None:
    client, stop = valkey.client(), threading.Event()
    thread = threading.Thread(
        target=relaying.run,
        kwargs={"dsn": settings.ENV.direct_dsn(), "client": client, "stop": stop},
    )
    with Recorder(client) as recorder:
        thread.start()
        try:
            emit(1)
            assert eventually(lambda: 1 in numbered())
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE application_name = 'moonx-relay' AND datname = current_database()"
                )
            emit(2)
            assert eventually(lambda: recorder.last_position() == 2)
        finally:
            stop.set()
            thread.join(timeout=10)
    assert judge(recorder.stretches, events=numbered()).ok


def test_days_that_cannot_be_rolled_now_do_not_end_the_relays_turn() -> None:
    class Held(Sequencer):
        """Somebody reads the events, a dump say."""

        asked = 0

        def roll_days(self) -> int:
            self.asked += 1
            raise psycopg.errors.LockNotAvailable("canceling statement due to lock timeout")

    client, stop = valkey.client(), threading.Event()
    with Held(settings.ENV.direct_dsn()) as sequencer, Recorder(client) as recorder:
        assert sequencer.try_lock()
        relay = relaying.Relay(sequencer, Publisher(client))
        drain(relay)
        emit(1)
        relaying._serve(
            sequencer,
            relay,
            relaying.Waker(client),
            stop=stop,
            moved=stop.set,
            alive=lambda: None,
        )
        assert eventually(lambda: recorder.last_position() == 1)
        assert sequencer.asked == 1


def test_an_event_carries_the_correlation_id_of_the_work_that_caused_it() -> None:
    client = valkey.client()
    pubsub = valkey.pubsub(client)
    pubsub.subscribe(valkey.key("t:trades:XRPETH"))
    pubsub.get_message(timeout=5)
    with working_relay() as relay:
        drain(relay)
        emit(1, correlation="request-7")
        drain(relay)
    message = pubsub.get_message(timeout=5)
    pubsub.close()
    assert message is not None
    assert b'"correlationId":"request-7"' in message["data"]


@pytest.mark.parametrize(
    ("position", "epoch_run", "expected"),
    [
        (7, "a", Synced()),
        (4, "a", Replay(4)),
        (None, "a", NewEpoch("the push server lost its position")),
        (7, "b", NewEpoch("the push server was restarted")),
        (8, "a", NewEpoch("the push server is ahead of the database")),
    ],
)
def test_what_the_relay_does_follows_from_what_the_push_server_knows(
    position: int | None, epoch_run: str, expected: object
) -> None:
    stored = Stored(position=position, epoch="e", epoch_run=epoch_run, run="a")
    assert decide(stored, position=7) == expected


def test_the_judge_sees_losses_inversions_doubles_and_phantoms() -> None:
    events = {number: Numbered(number, ["t"]) for number in range(1, 6)}

    def stretch(*positions: int, begins_at: int | None = None) -> Stretch:
        facts = [Seen(topic="t", position=number, event_id=number) for number in positions]
        return Stretch("e", begins_at, facts)

    assert judge([stretch(1, 2, 3), stretch(4, 5)], events=events).ok
    assert judge([stretch(1, 3)], events=events).lost == [2]
    assert judge([stretch(2, 3, begins_at=0)], events=events).lost == [1]
    assert judge([stretch(2, 1)], events=events).inverted == [(2, 1)]
    assert judge([stretch(1, 2), stretch(2)], events=events).doubled == [("t", 2)]
    assert judge([stretch(5, 6)], events=events).phantom == [6]


def _holders() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database "
            "WHERE locktype = 'advisory' AND classid = 4 AND objid = 0 AND granted "
            "AND d.datname = current_database()"
        )
        return int(cursor.fetchone()[0])
