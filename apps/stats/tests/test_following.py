"""Rounds over chains of real servers: two at once, servers that lie or die, and what is told."""

import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from pydantic import SecretStr

from apps.stats import watch
from apps.stats.activity import (
    cursors,
    following,
    leaves,
    retention,
    scanning,
    storing,
    telling,
    windows,
)
from apps.stats.activity.scanning import Place
from apps.stats.activity.source import Providers
from apps.stats.models import ActivityCursor, ActivityLeaf, Collector
from apps.stats.tests.made_chain import NOON_S, MadeChain, senders, transactions
from moonx.core import clock, push, topics, valkey
from moonx.core.chains import registry
from moonx.core.chains.generated import GeneratedChain
from moonx.core.chains.lying import Lie, LyingServer
from moonx.core.chains.models import Chain
from moonx.core.chains.tests.nodes import reader_of
from moonx.core.locks import Lock, LockBusy, key_of
from moonx.core.topics import UnknownTopic
from moonx.core.upstream.faults import CallFailed, Fault

pytestmark = pytest.mark.usefixtures("clean_valkey")
committed = pytest.mark.usefixtures("committed_db")
in_database = pytest.mark.django_db

LOCAL = "local"
TOPIC = "activity:31337"


def moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, UTC)


def generated(blocks: int = 60) -> GeneratedChain:
    chain = GeneratedChain(begins_s=NOON_S, finality_depth=8, people=50)
    chain.mine(blocks)
    return chain


@pytest.fixture
def server() -> Iterator[LyingServer]:
    with LyingServer(generated()) as found:
        yield found


@pytest.fixture
def local(server: LyingServer) -> Iterator[Chain]:
    """The local chain, served by the server alone."""
    before = settings.ENV
    settings.ENV = before.model_copy(update={"rpc_url_local": SecretStr(server.url)})
    yield registry.find(LOCAL)
    settings.ENV = before


def now_of(server: LyingServer, *, later_s: int = 1) -> datetime:
    return moment(server.chain.time_ms(server.chain.head) / 1000 + later_s)


def truth(server: LyingServer) -> tuple[int, int]:
    """Distinct senders and transactions, from the generator."""
    pairs = [
        pair
        for number in range(server.chain.first, server.chain.head + 1)
        for pair in server.chain.pairs(number)
    ]
    return len({sender for sender, _ in pairs}), len(pairs)


def counted(server: LyingServer) -> tuple[int, int]:
    now = now_of(server)
    found = windows.activity(LOCAL, now - windows.DAY, now, now)
    return found.senders, found.transactions


def pushed() -> dict[str, Any] | None:
    frame = valkey.client().hget(valkey.key(f"state:{TOPIC}"), "frame")
    return dict(json.loads(frame)["data"]) if frame else None


@committed
def test_a_round_scans_every_chain_that_is_on_and_tells_its_day(
    server: LyingServer, local: Chain
) -> None:
    outcome = following.follow_all(now=now_of(server))
    assert outcome.numbers == {"chains": 1, "blocks": 61, "taken_back": 0, "failed": 0}
    assert counted(server) == truth(server)
    told = pushed()
    assert told is not None
    assert (told["senders"], told["transactions"]) == truth(server)
    assert (told["chain"], told["chainId"], told["lastProcessedBlock"]) == (LOCAL, 31337, 60)
    assert Collector.objects.get(name=following.TASK, provider=LOCAL).successes == 1


@in_database
def test_what_did_not_change_is_not_told_again_and_what_did_not_arrive_is(
    server: LyingServer, local: Chain
) -> None:
    now = now_of(server)
    following.follow(local, now=now)
    assert telling.tell(local, now=now) is False
    valkey.client().delete(valkey.key(f"state:{TOPIC}"))
    assert telling.tell(local, now=now) is True
    version = push.pushed_versions([TOPIC])[TOPIC]
    server.chain.mine()
    following.follow(local, now=now + timedelta(seconds=2))
    assert push.pushed_versions([TOPIC])[TOPIC] == version + 1


@in_database
def test_the_day_slides_although_no_block_comes(server: LyingServer, local: Chain) -> None:
    following.follow(local, now=now_of(server))
    later = now_of(server) + timedelta(hours=25)
    following.follow(local, now=later)
    told = pushed()
    assert told is not None
    assert told["senders"] == 0
    assert told["lastProcessedBlock"] == 60


@in_database
def test_of_a_day_in_which_no_provider_answered_nothing_is_told_rather_than_nobody(
    server: LyingServer, local: Chain
) -> None:
    following.follow(local, now=now_of(server))
    server.lie(Lie.SERVER_ERROR)
    with pytest.raises(CallFailed):
        following.follow(local, now=now_of(server) + timedelta(hours=25))
    told = pushed()
    assert told is not None
    assert [told[name] for name in ("senders", "participants", "transactions", "hll")] == [None] * 4
    assert (told["coverage"], told["lastProcessedBlock"]) == ("0.0000", 60)


@in_database
def test_a_fork_on_a_real_server_is_replaced(server: LyingServer, local: Chain) -> None:
    following.follow(local, now=now_of(server))
    server.chain.reorg(5)
    server.chain.mine(2)
    assert following.follow(local, now=now_of(server)).depth == 5
    assert counted(server) == truth(server)


@in_database
@pytest.mark.parametrize(
    ("lie", "fault"),
    [
        (Lie.SERVER_ERROR, Fault.SERVER),
        (Lie.HTML, Fault.MALFORMED),
        (Lie.RATE_LIMITED, Fault.RATE_LIMITED),
        (Lie.WRONG_CHAIN, Fault.WRONG_CHAIN),
    ],
)
def test_a_chain_that_cannot_be_read_keeps_its_figures_and_counts_why(
    server: LyingServer, local: Chain, lie: Lie, fault: Fault
) -> None:
    following.follow(local, now=now_of(server))
    before = counted(server)
    server.lie(lie)
    with pytest.raises(CallFailed):
        following.follow(local, now=now_of(server, later_s=30))
    assert cursors.processing(now=now_of(server, later_s=40))[LOCAL]["errors"] == {fault: 1}
    assert counted(server) == before


@in_database
def test_a_stale_provider_takes_nothing_back(server: LyingServer, local: Chain) -> None:
    following.follow(local, now=now_of(server))
    server.lie(Lie.STALE_HEAD, by=10)
    following.follow(local, now=now_of(server, later_s=30))
    row = ActivityCursor.objects.get(chain=LOCAL)
    assert (row.last_block, row.reorgs) == (60, 0)
    assert counted(server) == truth(server)


@in_database
def test_a_head_does_not_go_back_from_run_to_run(server: LyingServer) -> None:
    with LyingServer(server.chain) as other:
        reader = reader_of(server, other)
        first = Providers(reader).tip()
        for each in (server, other):
            each.lie(Lie.STALE_HEAD, by=10)
        assert Providers(reader).tip() == first
        server.be_honest()
        other.be_honest()
        server.chain.mine(3)
        assert Providers(reader).tip().number == first.number + 3


@in_database
def test_two_forks_that_as_many_providers_tell_are_not_followed() -> None:
    chain = generated()
    with LyingServer(chain) as one, LyingServer(chain.forked(6)) as other:
        source = Providers(reader_of(one, other))
        with pytest.raises(CallFailed, match="another fork"):
            scanning.scan(LOCAL, source, now=moment(NOON_S + 200))
    assert not ActivityLeaf.objects.exists()


@committed
def test_two_scanners_at_once_count_each_block_once() -> None:
    chain = generated(300)
    with LyingServer(chain, latency_s=0.002) as server:
        faults: list[BaseException] = []

        def run() -> None:
            try:
                source = Providers(reader_of(server))
                for _ in range(3):
                    scanning.scan(LOCAL, source, now=now_of(server), batch=20)
            except BaseException as fault:  # noqa: BLE001 - raised again below
                faults.append(fault)
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(6):
            time.sleep(0.05)
            chain.mine()
        for thread in threads:
            thread.join()
        assert faults == []
        scanning.scan(LOCAL, Providers(reader_of(server)), now=now_of(server))
        assert counted(server) == truth(server)
        assert ActivityCursor.objects.get(chain=LOCAL).reorgs == 0


@in_database
def test_a_scanner_that_dies_before_it_commits_leaves_all_as_it_was() -> None:
    chain = MadeChain()
    for second in range(12, 200, 12):
        chain.mine(NOON_S + second, [(second, 1)])
    scanning.scan("made", chain, now=moment(NOON_S + 300))
    at = cursors.position(cursors.of("made"))
    after = leaves.link_of(chain.blocks[-4].header)
    before = list(ActivityLeaf.objects.order_by("bucket_start").values_list("digest", flat=True))
    chain.fork(3)
    chain.mine(NOON_S + 190, [(1, 2), (3, 4)])
    with pytest.raises(KeyboardInterrupt), transaction.atomic():  # noqa: PT012
        place = Place(chain="made", expected=at, after=after)
        assert scanning.replace_after(place, chain.blocks[-1:], now=moment(NOON_S + 300))
        raise KeyboardInterrupt
    found = ActivityLeaf.objects.order_by("bucket_start").values_list("digest", flat=True)
    assert list(found) == before
    assert cursors.position(cursors.of("made")) == at
    chain.mine(NOON_S + 200, [])
    scanning.scan("made", chain, now=moment(NOON_S + 300))
    end = moment(NOON_S + 300)
    counts = windows.activity("made", moment(NOON_S), end, end)
    assert counts.senders == len(senders(chain.blocks))
    assert counts.transactions == transactions(chain.blocks)


@committed
def test_who_holds_a_chain_for_long_is_not_waited_for_for_ever() -> None:
    with psycopg.connect(settings.ENV.database_url.get_secret_value()) as other:
        other.execute("SELECT pg_advisory_lock(%s, %s)", [Lock.ACTIVITY, key_of("made")])
        with pytest.raises(LockBusy), transaction.atomic():
            storing.hold("made", wait_ms=50)


def as_owner(statement: str) -> None:
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        owner.execute(statement.encode())


@committed
def test_partitions_of_days_that_are_no_longer_kept_are_dropped() -> None:
    as_owner(
        "CREATE TABLE stats_activity_leaf_20200101 PARTITION OF stats_activity_leaf "
        "FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-01-02 00:00+00')"
    )
    assert retention.roll_days(now=clock.db_now()) == 1
    assert retention.roll_days(now=clock.db_now()) == 0


@committed
def test_a_round_makes_the_days_that_nobody_made_for_long(
    server: LyingServer, local: Chain
) -> None:
    now = clock.db_now()
    as_owner(f"DROP TABLE stats_activity_leaf_{now + timedelta(days=1):%Y%m%d}")
    assert not retention.is_ready(now=now)
    assert following.follow_all(now=now).numbers["failed"] == 0
    assert retention.is_ready(now=now)


@in_database
def test_a_channel_names_a_chain_by_its_id(server: LyingServer, local: Chain) -> None:
    watch.register()
    namespace, args = topics.find(TOPIC)
    assert list(namespace.snapshot(args)) == []
    following.follow(local, now=now_of(server))
    ((name, data),) = namespace.snapshot(args)
    assert (name, data["senders"]) == ("activity.updated", truth(server)[0])
    for wrong in ("activity:local", "activity:99999999"):
        with pytest.raises(UnknownTopic):
            topics.find(wrong)
