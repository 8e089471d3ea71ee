"""The trading run: random orders of every type from desks that are killed all the time, then the
whole day is played again on paper, and promises, rows and facts are held against each other."""

import os
import random
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import psycopg

from apps.exchange.ledger import reconcile
from benchmarks.harness import percentile
from chaos import promises, replay, trading_rows
from chaos.emptied import empty
from chaos.floor import Floor, lay_out, set_status
from chaos.nursery import Nursery
from chaos.trading_bugs import TELLTALES, TradingBug
from chaos.verdict import Verdict, say
from moonx.core import clock
from moonx.up.process import wait_until

FULL_N = 100_000
BUGS_N = 300  # orders of each run that has a seeded bug
HUNTS = 8  # runs after which a bug counts as not found
DESKS = 3
ORDERS_PER_KILL = 90  # on average; fewer in short runs
FLIP_SHARE = 0.1  # of the kills, before which a market is closed for a moment
FLIP_S = 0.03
SILENCE_S = 60.0  # without a new order, after which the run gives up

# How long the orders of killed clients waited until somebody matched them.
WAITED = """
SELECT extract(epoch FROM working_at - created_at) FROM exchange_order
WHERE client_order_id = ANY(%s) AND working_at IS NOT NULL AND stop_price IS NULL
"""


@dataclass(slots=True)
class Run:
    """What a run did."""

    placed: int = 0
    kills: int = 0
    lasted_s: float = 0.0
    flips: list[tuple[str, str, datetime]] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)
    more: dict[str, object] = field(default_factory=dict)

    @property
    def recovery_p99_s(self) -> float | None:
        """How long all but one in a hundred orders of killed clients waited to be matched."""
        return round(percentile(self.waited_s, 0.99), 3) if self.waited_s else None


@dataclass(slots=True, kw_only=True)
class Desks:
    """The desks that are at work; each that is killed is followed by another."""

    nursery: Nursery
    floor: Floor
    folder: Path
    bug: TradingBug
    seed: int
    started: int = 0
    pids: list[int] = field(default_factory=list)

    def start(self) -> None:
        """One more desk."""
        self.started += 1
        pid = self.nursery.start(
            "chaos.desk:works",
            name=f"desk{self.started}",
            folder=str(self.folder),
            seed=self.seed * 1_000_000 + self.started,
            owners=list(self.floor.owners),
            symbols=list(self.floor.symbols),
            bug=self.bug.value,
        )
        self.pids.append(pid)

    def end(self, rng: random.Random) -> None:
        """Kills all of them."""
        while self.pids:
            self.kill(rng)

    def kill(self, rng: random.Random) -> None:
        """Kills one of them; in whatever it is."""
        self.nursery.kill(self.pids.pop(rng.randrange(len(self.pids))))


def run(
    nursery: Nursery, *, n: int, seed: int, bug: TradingBug = TradingBug.NONE
) -> tuple[Verdict, Run]:
    """Trades until `n` orders were placed, and says what is wrong. The database must be empty."""
    found, done, rng = Verdict(), Run(), random.Random(seed)
    floor = lay_out()
    with _notes() as folder:
        desks = Desks(nursery=nursery, floor=floor, folder=folder, bug=bug, seed=seed)
        began_s = time.monotonic()
        for _ in range(DESKS):
            desks.start()
        with suppress(KeyboardInterrupt):  # enough: what was placed until now is judged
            _trade(desks, done, rng, n=n, found=found)
        desks.end(rng)
        done.lasted_s = time.monotonic() - began_s
        noted = promises.read(folder)
    settled = nursery.call("chaos.desk:settles", bug=bug.value)
    found.hold(int(bool(settled.error)), f"sweeps that failed {settled.error}")
    took_s, swept_at = settled.result or (0.0, clock.db_now().isoformat())
    done.more["settledS"] = round(took_s, 3)
    judge(found, done, noted, swept_at=datetime.fromisoformat(swept_at))
    return found, done


def run_bugs(
    nursery: Nursery, *, seed: int, n: int, bugs: Iterable[TradingBug] = TELLTALES
) -> dict[str, list[str]]:
    """What is found of each seeded bug: the telltales among the findings."""
    return {bug.value: hunt(nursery, bug, n=n, seed=seed) for bug in bugs}


def hunt(nursery: Nursery, bug: TradingBug, *, n: int, seed: int) -> list[str]:
    """The telltales of the first run that has some; empty where none of `HUNTS` runs has.

    Whether a kill falls into a bug's window is chance, so one run that finds nothing says little.
    Each run empties the database first, as it must be empty.
    """
    for attempt in range(HUNTS):
        empty()
        say(f"seeded bug {bug}: something must be WRONG")
        found, _ = run(nursery, n=n, seed=seed + attempt, bug=bug)
        if told := telling(bug, found):
            return told
    return []


def telling(bug: TradingBug, found: Verdict) -> list[str]:
    """The findings that give the bug away."""
    return [
        sentence
        for sentence in found.sentences
        if any(telltale in sentence for telltale in TELLTALES[bug])
    ]


@contextmanager
def _notes() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="moonx-chaos-") as place:
        yield Path(place)


def _trade(desks: Desks, done: Run, rng: random.Random, *, n: int, found: Verdict) -> None:
    """Lets the desks work and kills them, one after the other, until there are enough orders."""
    per_kill, told = min(ORDERS_PER_KILL, max(4, n // 20)), 0
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as pg:
        while done.placed < n:
            wanted = done.placed + rng.randint(1, 2 * per_kill)
            reached = partial(_reached, pg, done, wanted)
            if not wait_until(reached, timeout_s=SILENCE_S, pause_s=0.05):
                found.hold(n - done.placed, "orders that nobody placed any more")
                break
            if rng.random() < FLIP_SHARE:
                _flip(desks.floor.symbols, done, rng)
            time.sleep(rng.uniform(0, 0.02))
            desks.kill(rng)
            desks.start()
            done.kills += 1
            if done.placed // 5_000 > told:
                told = done.placed // 5_000
                say(f"{done.placed:,} of {n:,} orders, {done.kills:,} kills")


def _reached(pg: trading_rows.Connection, done: Run, wanted: int) -> bool:
    done.placed = trading_rows.count(pg, "SELECT coalesce(max(id), 0) FROM exchange_order")
    return done.placed >= wanted


def _flip(symbols: Sequence[str], done: Run, rng: random.Random) -> None:
    """Closes a market for a moment."""
    symbol, status = rng.choice(symbols), rng.choice(("HALT", "POST_ONLY"))
    for wanted, pause_s in ((status, FLIP_S), ("TRADING", 0.0)):
        done.flips.append((symbol, wanted, datetime.fromisoformat(set_status(symbol, wanted))))
        time.sleep(pause_s)


def judge(found: Verdict, done: Run, noted: list[promises.Promise], *, swept_at: datetime) -> None:
    """Holds model, rows, facts, promises and the product's own invariants against each other."""
    dsn = os.environ["DATABASE_URL"]
    _hold_invariants(found)  # first: what comes due after the last sweep is soon overdue
    _hold_model(found, done, dsn, swept_at)
    trading_rows.check(dsn, found)
    trading_rows.hold_promises(dsn, noted, found)
    unknown = [promise.key for promise in noted if promise.told is None]
    with psycopg.connect(dsn) as pg:
        done.waited_s = [float(waited) for (waited,) in pg.execute(WAITED, [unknown])]
    done.more["unanswered"] = len(unknown)


def _hold_invariants(found: Verdict) -> None:
    report = reconcile.check_all(from_genesis=True, acts=False)
    for one in report.broken:
        found.hold(one.rows, f"reconcile: {one.invariant.name}")
    found.hold(len(report.broken), f"invariants broken of the {len(report.checked)} of reconcile")


def _hold_model(found: Verdict, done: Run, dsn: str, swept_at: datetime) -> None:
    compared = replay.compare(dsn, flips=done.flips, until=swept_at)
    for text in compared.differences[:10]:
        say(text)
    words = f"of {compared.orders:,} orders and {compared.fills:,} trades"
    found.hold(len(compared.differences), f"differences from the model {words}")
    found.hold(compared.out_of_turn, "orders whose priority and fact disagree about the order")
    done.placed = compared.orders
    done.more |= {"trades": compared.fills}
