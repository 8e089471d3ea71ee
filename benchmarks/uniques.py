"""Who was active in 24 hours, counted exactly from what is stored: against sets of addresses."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.stats.activity import gathering, leaves, rolling, sets, storing, windows
from apps.stats.activity.leaves import BLOCK, Leaf, Link
from apps.stats.activity.sets import Hashes
from apps.stats.models import ActivityCursor, Span
from benchmarks.harness import Bench, load
from benchmarks.world import as_owner
from moonx.core import clock
from moonx.core.intervals import Interval

FULL_N = 2_400_000  # addresses of all hours, each counted once an hour
HOURS, MINUTES = 24, 60
GOAL = 10
CHAIN = "bench"
ADDRESS = 20
MINUTE_S, HOUR_S = 60, 3600

# What the peer reads: the distinct addresses of an hour, or of a minute at the window's edges.
TABLE = "CREATE TABLE bench_addresses (starts_s bigint PRIMARY KEY, addresses bytea NOT NULL)"
STORAGE = "ALTER TABLE bench_addresses ALTER addresses SET STORAGE EXTERNAL"
GRANT = "GRANT SELECT, INSERT, DELETE ON bench_addresses TO moonx_app"
TABLES = "bench_addresses, stats_activity_leaf, stats_activity_rollup"
WINDOW = "SELECT addresses FROM bench_addresses WHERE starts_s >= %s AND starts_s < %s"


Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Some addresses, one after the other, and the hash of each."""

    addresses: bytes
    hashes: Hashes

    def listed(self, who: Numbers) -> bytes:
        """The addresses of these people."""
        octets = np.frombuffer(self.addresses, dtype=np.uint8).reshape(-1, ADDRESS)
        return bytes(octets[who])


def run(bench: Bench, *, n: int) -> None:
    """Lays out 25 hours, and counts the 24 that begin and end at half past."""
    rng = np.random.default_rng(20)
    each = n // HOURS
    people = made(each * 6)
    end = Interval.H1.floor(clock.db_now()) - timedelta(minutes=30)
    start = end - timedelta(hours=HOURS)
    bench.say(f"laying out {n:,} addresses of {HOURS + 1} hours, {each * 6:,} people")
    with as_owner() as owner:
        for statement in ("DROP TABLE IF EXISTS bench_addresses", TABLE, STORAGE, GRANT):
            owner.execute(statement)
    lay_out(people, start=Interval.H1.floor(start), each=each, rng=rng)
    with as_owner() as owner:
        owner.execute(
            "VACUUM (ANALYZE) bench_addresses, stats_activity_leaf, stats_activity_rollup"
        )

    now = clock.db_now()
    rounds = bench.interleave(
        {
            "ours": lambda: windows.activity(CHAIN, start, end, now),
            "peer": lambda: brute_force(start, end),
        }
    )
    found = windows.activity(CHAIN, start, end, now)
    bench.check(found.senders == brute_force(start, end), f"{found.senders:,} senders of 24 hours")
    bench.check(found.coverage == 1, "every second of the window is covered")
    bench.compare(
        "uniques.rows",
        rounds,
        ours="ours",
        peer="peer",
        described="Python sets of the addresses, read from as many rows",
        goal=GOAL,
        note="senders, participants, coverage and the check by a sketch against senders alone; "
        f"23 whole hours and 60 minutes at the edges; load {load()}",
        more={"addressHours": n, "senders": found.senders},
    )
    in_memory(bench, start, end)


def in_memory(bench: Bench, start: datetime, end: datetime) -> None:
    """The unions alone, of what was read and parsed before."""
    start_s, end_s = round(start.timestamp()), round(end.timestamp())
    arrays = gathering.of_times(CHAIN, start_s=start_s, end_s=end_s).senders
    sets_of = [set(addresses_of(octets)) for octets in stored(start, end)]
    rounds = bench.interleave(
        {"ours": lambda: sets.count(arrays), "peer": lambda: len(set().union(*sets_of))}
    )
    bench.check(sets.count(arrays) == len(set().union(*sets_of)), "unions in memory are equal")
    bench.compare(
        "uniques.memory",
        rounds,
        ours="ours",
        peer="peer",
        described="Python sets that stand in memory",
        goal=GOAL,
        note=f"without reading: the union alone; load {load()}",
    )


def made(count: int) -> People:
    """Random addresses with their hashes."""
    addresses = random.Random(21).randbytes(count * ADDRESS)
    hashes = [sets.hash_of.__wrapped__(address) for address in addresses_of(addresses)]
    return People(addresses=addresses, hashes=sets.of_numbers(hashes))


def lay_out(people: People, *, start: datetime, each: int, rng: np.random.Generator) -> None:
    """25 hours from `start`: whole ones as roll-ups, the first and the last as minutes."""
    start_s = round(start.timestamp())
    ActivityCursor.objects.filter(pk=CHAIN).delete()
    number, total = 0, len(people.hashes)
    for hour in range(HOURS + 1):
        who = rng.choice(total, each, replace=False)
        begins_s = start_s + hour * HOUR_S
        is_edge = hour in {0, HOURS}
        parts = np.array_split(who, MINUTES) if is_edge else [who]
        made_of = [
            _leaf(people, part, number + index, time_s=begins_s + index * MINUTE_S)
            for index, part in enumerate(parts)
        ]
        _store(made_of, people, parts, is_edge=is_edge)
        number += len(parts)
    ActivityCursor.objects.create(chain=CHAIN)


def _leaf(people: People, who: Numbers, number: int, *, time_s: int) -> Leaf:
    senders = np.sort(people.hashes[who])
    rows = [(time_s, 0, bytes(leaves.HASH_BYTES), len(who), len(who), 0)]
    parent = Link(number=number, hash=bytes(leaves.HASH_BYTES), time_s=time_s - HOUR_S)
    return Leaf(
        parent=parent, blocks=np.array(rows, dtype=BLOCK), senders=senders, recipients=sets.EMPTY
    )


def _store(
    made_of: Sequence[Leaf], people: People, parts: Sequence[Numbers], *, is_edge: bool
) -> None:
    storing.put(CHAIN, made_of, final=10**9)
    if not is_edge:
        rolling.write(CHAIN, Span.HOUR, made_of[0].bucket_s)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO bench_addresses VALUES (%s, %s)",
            [
                (leaf.bucket_s, people.listed(part))
                for leaf, part in zip(made_of, parts, strict=True)
            ],
        )


def stored(start: datetime, end: datetime) -> list[bytes]:
    """The peer's rows of a window."""
    with connection.cursor() as cursor:
        cursor.execute(WINDOW, [round(start.timestamp()), round(end.timestamp())])
        return [bytes(octets) for (octets,) in cursor.fetchall()]


def brute_force(start: datetime, end: datetime) -> int:
    """How many distinct addresses the peer's rows hold."""
    found: set[bytes] = set()
    for octets in stored(start, end):
        found.update(addresses_of(octets))
    return len(found)


def addresses_of(octets: bytes) -> Iterator[bytes]:
    """Addresses that stand one after the other."""
    return (octets[place : place + ADDRESS] for place in range(0, len(octets), ADDRESS))
