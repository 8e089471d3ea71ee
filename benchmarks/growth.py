"""What could make a batch dearer and does not: other markets, open orders, other callers."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Self

from apps.exchange import matching
from benchmarks.harness import Bench, Figure, elapsed_ms, load, percentile
from benchmarks.orderflow import Venue, arrive, make_venue, plan, rest, settle_down

MARKETS = (10, 100, 1000)
OPEN_ORDERS = (10_000, 1_000_000)
BUSY = 3  # markets of many in which something arrives
MOST = 2  # times dearer at most, with a hundred times as many
ROOT = Path(__file__).resolve().parent.parent


# Callers


class Caller:
    """A process of its own that matches the markets it is told."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.caller"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._child.stdin
        assert self._child.stdout
        self._in: IO[str] = self._child.stdin
        self._out: IO[str] = self._child.stdout

    def __enter__(self) -> Self:
        """Returns once the process is ready."""
        if self.answer() != "ready":
            raise RuntimeError("the caller did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        self._child.wait(timeout=60)
        self._out.close()

    def ask(self, venues: Sequence[Venue]) -> None:
        """Tells it to match these markets, one after the other."""
        print(*(venue.market.pk for venue in venues), file=self._in, flush=True)

    def answer(self) -> str:
        """Waits until it has."""
        return self._out.readline().strip()


def two_callers(bench: Bench, owners: Sequence[int], *, n: int) -> None:
    """Two processes on two markets, against one that takes both."""
    venues = [make_venue(f"CALL{i}", "CALLQUOTE", owners) for i in range(2)]
    times: dict[int, list[float]] = {1: [], 2: []}
    with ExitStack() as stack:
        callers = [stack.enter_context(Caller()) for _ in range(2)]
        for number in range(bench.rounds + 1):  # the first round warms the processes up
            for count in (1, 2) if number % 2 else (2, 1):
                again(venues, n=n, seed=2 * number + count, owners=len(owners))
                spent = elapsed_ms(lambda: share(venues, callers[:count]))  # noqa: B023
                times[count] += [spent] if number else []
    ratio = percentile([a / b for a, b in zip(times[1], times[2], strict=True)], 0.5)
    bench.add(
        Figure(
            name="matching.two_callers",
            ratio=round(ratio, 2),
            goal=1,
            rounds=bench.rounds,
            peer="one process that takes both markets",
            ok=ratio > 1,
            ours_ms=round(percentile(times[2], 0.5), 1),
            peer_ms=round(percentile(times[1], 0.5), 1),
            note=f"two processes, a market each, {n:,} orders in each; load {load()}",
        )
    )


def share(venues: Sequence[Venue], callers: Sequence[Caller]) -> None:
    """The callers take the markets, each its share, at the same time."""
    for place, caller in enumerate(callers):
        caller.ask(venues[place :: len(callers)])
    taken = [caller.answer() for caller in callers]
    assert all(taken)


def again(venues: Sequence[Venue], *, n: int, seed: int, owners: int) -> None:
    """Another `n` orders wait in each of the markets."""
    for venue in venues:
        arrive(venue, plan(n, owners=owners, seed=seed), first=seed * n)
    settle_down()


# Markets and open orders


def by_markets(bench: Bench, owners: Sequence[int], *, counts: Sequence[int], n: int) -> None:
    """The same orders in the same few markets while there are more and more others."""
    busy = [make_venue(f"BUSY{i}", "BUSYQUOTE", owners) for i in range(BUSY)]
    found: dict[int, float] = {}
    idle: list[Venue] = []
    for step, count in enumerate(counts):
        idle += others(count - BUSY - len(idle), owners[:10], first=len(idle))
        rest(idle, first=100 * len(idle) * step, last=100 * len(idle) * (step + 1) - 1)
        found[count] = swept(bench, busy, n=n, step=step, owners=len(owners))
        bench.say(f"{count:,} markets: {found[count]:.1f} ms")
    grown(
        bench,
        "matching.markets",
        found,
        what=f"markets; a sweep of them all, with {n:,} orders in {BUSY} of them",
    )


def others(count: int, owners: Sequence[int], *, first: int) -> list[Venue]:
    """Markets in which nothing arrives."""
    return [make_venue(f"IDLE{first + i}", "IDLEQUOTE", owners) for i in range(count)]


def swept(bench: Bench, busy: Sequence[Venue], *, n: int, step: int, owners: int) -> float:
    """The median time of a sweep, in ms."""
    times = []
    for number in range(bench.rounds + 1):
        again(busy, n=n, seed=100 * (step + 1) + number, owners=owners)
        times.append(elapsed_ms(matching.sweep))
    return percentile(times[1:], 0.5)


def by_open_orders(bench: Bench, owners: Sequence[int], *, counts: Sequence[int], n: int) -> None:
    """The same batch in a market of few open orders and in one of many."""
    venues = {
        count: make_venue(f"OPEN{place}", "OPENQUOTE", owners) for place, count in enumerate(counts)
    }
    before = 0
    for count, venue in venues.items():
        bench.say(f"laying out {count:,} open orders")
        rest([venue], first=10**7 + before, last=10**7 + before + count - 1)
        before += count
    settle_down()
    times: dict[int, list[float]] = {count: [] for count in counts}
    for number in range(bench.rounds + 1):
        again(list(venues.values()), n=n, seed=number, owners=len(owners))
        for count in counts if number % 2 else reversed(counts):
            market = venues[count].market
            spent = elapsed_ms(lambda: matching.match(market))  # noqa: B023
            times[count] += [spent] if number else []
    found = {count: percentile(spent, 0.5) for count, spent in times.items()}
    grown(bench, "matching.open_orders", found, what=f"open orders of a market; {n:,} more arrive")


def grown(bench: Bench, name: str, found: dict[int, float], *, what: str) -> None:
    """How much dearer the same work is with the most of something than with the least."""
    least, most = min(found), max(found)
    ratio = found[most] / found[least]
    bench.add(
        Figure(
            name=name,
            ratio=round(ratio, 2),
            goal=MOST,
            rounds=bench.rounds,
            peer=f"the same with {least:,}",
            ok=ratio <= MOST,
            ours_ms=round(found[most], 2),
            peer_ms=round(found[least], 2),
            at_most=True,
            note=f"with {most:,} {what}; load {load()}",
            more={f"msWith{count}": round(ms, 2) for count, ms in found.items()},
        )
    )
