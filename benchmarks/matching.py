"""A backlog of one market matched, against the ORM; then what could make a batch dearer."""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection

from apps.exchange import matching
from apps.exchange.matching.matching import BATCH
from benchmarks import equality, growth, orm_exchange
from benchmarks.harness import Bench, Figure, elapsed_ms, load, percentile
from benchmarks.orderflow import Planned, Venue, arrive, make_owners, make_venue, plan, settle_down

FULL_N = 10_000  # orders a round
SLICE = 100  # the ORM takes one of so many
OWNERS = 2000
GOAL, STRETCH = 200, 300

Times = dict[str, list[float]]  # ms an order, by contender


def run(
    bench: Bench,
    *,
    n: int = FULL_N,
    slice_of: int = SLICE,
    markets: Sequence[int] = growth.MARKETS,
    open_orders: Sequence[int] = growth.OPEN_ORDERS,
) -> None:
    """Measures a backlog against the ORM, then callers, markets and open orders."""
    owners = make_owners(min(OWNERS, n))
    backlog(bench, owners, n=n, part=max(1, n // slice_of))
    growth.two_callers(bench, owners, n=max(50, n // 5))
    growth.by_markets(bench, owners, counts=markets, n=max(20, n // 20))
    growth.by_open_orders(bench, owners, counts=open_orders, n=max(20, n // 20))


def backlog(bench: Bench, owners: list[int], *, n: int, part: int) -> None:
    """The same flow by match() and by the ORM, which takes the beginning of each round's."""
    venues = {name: make_venue(name, f"{name}QUOTE", owners) for name in ("OURS", "ROWS", "BULK")}
    flow = plan(n * bench.rounds, owners=len(owners), seed=1)
    times: Times = {name: [] for name in venues}
    counts = dict.fromkeys(venues, 0)
    batch_ms: list[float] = []
    chunks: list[equality.Chunk] = []
    for number in range(bench.rounds):
        orders = flow[number * n : (number + 1) * n]
        lay_out(venues, orders, part=part, first=number * n)
        chunks.append((number * n, orders[:part]))
        names = list(venues) if number % 2 == 0 else reversed(venues)
        for name in names:
            with counting(counts, name), batches(batch_ms if name == "OURS" else [], n):
                spent = elapsed_ms(lambda: drain(name, venues[name]))  # noqa: B023
            times[name].append(spent / (n if name == "OURS" else part))
        say(bench, number, times)
    against(bench, times, counts, n=n, part=part)
    commits(bench, batch_ms, n=n)
    equality.check(bench, venues["ROWS"], venues["BULK"], chunks=chunks)


def lay_out(venues: dict[str, Venue], orders: Sequence[Planned], *, part: int, first: int) -> None:
    """Every contender's backlog of a round."""
    for name, venue in venues.items():
        arrive(venue, orders if name == "OURS" else orders[:part], first=first)
    settle_down()


def drain(name: str, venue: Venue) -> None:
    """Matches everything that waits, the contender's way."""
    if name == "OURS":
        matching.match(venue.market)
    else:
        orm_exchange.match_all(venue.market, in_bulk=name == "BULK")


@contextmanager
def counting(counts: dict[str, int], name: str) -> Iterator[None]:
    """Counts what is executed inside the block."""

    def count(execute: Callable[..., Any], *rest: Any) -> Any:
        counts[name] += 1
        return execute(*rest)

    with connection.execute_wrapper(count):
        yield


@contextmanager
def batches(found_ms: list[float], n: int) -> Iterator[None]:
    """Times each batch inside the block, from taking the market's lock to taking it again."""
    moments: list[float] = []

    def watch(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "pg_advisory_xact_lock(" in sql:
            moments.append(time.perf_counter())
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        yield
    moments.append(time.perf_counter())
    spans = [(b - a) * 1000 for a, b in itertools.pairwise(moments)]
    found_ms += spans[: -(-n // BATCH)]  # the last look may find that nothing waits


def say(bench: Bench, number: int, times: Times) -> None:
    latest = ", ".join(f"{name.lower()} {spent[-1]:.3f}" for name, spent in times.items())
    bench.say(f"round {number + 1} of {bench.rounds}, ms an order: {latest}; load {load()}")


PEERS = {
    "ROWS": "careful ORM, one transaction an order, rows locked, the book read by its index, each "
    "row saved by itself",
    "BULK": "the same ORM with bulk_create for fills and events",
}


def against(bench: Bench, times: Times, counts: dict[str, int], *, n: int, part: int) -> None:
    """The figures of both forms of the ORM; the first is the headline."""
    for peer, goal in (("ROWS", GOAL), ("BULK", None)):
        pairs = zip(times[peer], times["OURS"], strict=True)
        ratio = percentile([theirs / ours for theirs, ours in pairs], 0.5)
        statements = counts[peer] / (part * bench.rounds)
        bench.add(
            Figure(
                name="matching.backlog" if goal else "matching.bulk_orm",
                ratio=round(ratio, 1),
                goal=goal,
                rounds=bench.rounds,
                peer=f"{PEERS[peer]}; {statements:.1f} statements an order",
                ok=goal is None or ratio >= goal,
                ours_ms=round(percentile(times["OURS"], 0.5), 4),
                peer_ms=round(percentile(times[peer], 0.5), 4),
                note=f"an order of a backlog of {n:,} in one market; the ORM takes {part:,} of "
                f"them a round, scaled per order; same rows and facts on both sides; load {load()}",
                more={"oursPerSecond": round(1000 / percentile(times["OURS"], 0.5))},
            )
        )


def commits(bench: Bench, batch_ms: list[float], *, n: int) -> None:
    """How long a batch holds its market."""
    bench.add(
        Figure(
            name="matching.batch",
            ratio=None,
            goal=None,
            rounds=len(batch_ms),
            peer="",
            ok=True,
            ours_ms=round(percentile(batch_ms, 0.5), 2),
            note=f"a batch of {min(n, BATCH):,} orders, from the market's lock to the end of its "
            f"commit; load {load()}",
            more={
                "p50Ms": round(percentile(batch_ms, 0.5), 2),
                "p99Ms": round(percentile(batch_ms, 0.99), 2),
            },
        )
    )
