"""Many processes before circuits that may be probed: exactly one of them probes, every time.

Half of the rounds begin with an open circuit whose wait is over, half with a half-open one. Some
begin after Valkey forgot the circuit, in some it forgets while the probe is under way.
"""

import contextlib
import time
from dataclasses import dataclass, field
from datetime import timedelta

from chaos.emptied import empty
from chaos.nursery import Nursery
from chaos.probers import BUGS, END, ProbeBug, Round, board, flush, key, popped, target_of
from chaos.verdict import Verdict, say
from moonx.core import clock, valkey
from moonx.core.models import Circuit, CircuitEvent
from moonx.core.resilience import Target, circuits, guarded, hot, journal
from moonx.core.upstream.faults import CallFailed, Fault
from moonx.up.stores import Stores

FULL_N = 1_000
PROCESSES = 64
BUG_ROUNDS = 10
# Of so many rounds one begins cold, and one is flushed; then every process asks the journal.
SELDOM, OFTEN = 15, 5
WAIT_MS = 60_000
MOST_ROUND_S = 60.0

ONE_PROBE = "rounds with another number of probes than one"


@dataclass(slots=True)
class Hammered:
    """What happened in the rounds."""

    rounds: int = 0
    held_back: int = 0
    recovered_s: list[float] = field(default_factory=list)


def run(
    nursery: Nursery,
    *,
    n: int,
    bug: ProbeBug = ProbeBug.NONE,
    processes: int = PROCESSES,
    each: int = OFTEN,
) -> tuple[Verdict, Hammered]:
    """What is found in so many rounds, one of `each` cold and one flushed.

    Database and Valkey must be empty.
    """
    found, done = Verdict(), Hammered()
    _lay_out(n)
    board().delete(*[key("go", i) for i in range(processes)])
    children = [
        nursery.start("chaos.probers:hammer", child=i, children=processes, bug=bug.value)
        for i in range(processes)
    ]
    flown = [_round(number, processes, each=each) for number in range(n)]
    if odd := {number: count for number, count in enumerate(flown) if count != 1}:
        say(f"probes of the rounds that did not have one: {odd}")
    for i in range(processes):
        board().lpush(key("go", i), END)
    endings = [nursery.wait(pid) for pid in children]
    done.rounds, done.held_back = n, sum(one.result or 0 for one in endings)
    found.hold(sum(bool(one.error) for one in endings), "processes that fell")
    found.hold(sum(count == 0 for count in flown), "rounds without a probe", kind="lost")
    found.hold(sum(count > 1 for count in flown), ONE_PROBE, kind="doubled")
    _check_journal(found, n, each=each)
    return found, done


def _lay_out(n: int) -> None:
    """Circuits that changed long enough ago to be probed, as the journal has them."""
    since = clock.db_now() - timedelta(milliseconds=2 * WAIT_MS)
    rows = [
        Circuit(
            key=target_of(number).key,
            provider=target_of(number).provider,
            kind=target_of(number).kind.value,
            state="HALF_OPEN" if _is_half_open(number) else "OPEN",
            version=1,
            level=1,
            since=since,
            wait_ms=WAIT_MS,
            trip="consecutive",
        )
        for number in range(n)
    ]
    Circuit.objects.bulk_create(rows)


def _is_half_open(number: int) -> bool:
    return number % 2 == 1


def _is_cold(number: int, *, each: int) -> bool:
    # Never a half-open one: there a cold begin is a flush with a probe under way.
    return number % (2 * each) == 0


def _is_flushed(number: int, *, each: int) -> bool:
    return number % each == each - 1


def _round(number: int, processes: int, *, each: int) -> int:
    """How many probes one round had."""
    for name in ("flown", "held", "done"):
        board().delete(key(name, number))
    if not _is_cold(number, each=each):
        hot.push(journal.read(target_of(number)))
    this = Round(number=number, is_flushed=_is_flushed(number, each=each))
    for i in range(processes):
        board().lpush(key("go", i), str(this))
    for _ in range(processes):
        if not popped(key("done", number), within_s=MOST_ROUND_S):
            raise RuntimeError(f"round {number} did not end within {MOST_ROUND_S} s")
    if number % 100 == 99:
        say(f"{number + 1:,} rounds")
    return int(board().get(key("flown", number)) or 0)


def _check_journal(found: Verdict, n: int, *, each: int) -> None:
    """A round leaves HALF_OPEN and, unless its probe lost its fence by a flush, OPEN again."""
    expected = {}
    for number in range(n):
        begun = [] if _is_half_open(number) else ["HALF_OPEN"]
        ended = [] if _is_flushed(number, each=each) else ["OPEN"]
        expected[target_of(number).key] = begun + ended
    written: dict[str, list[str]] = {name: [] for name in expected}
    for row in CircuitEvent.objects.order_by("version"):
        written[row.circuit_id].append(row.to_state)
    wrong = sum(written[name] != expected[name] for name in expected)
    found.hold(wrong, "circuits whose journal is not that of one probe")


# What stays open although Valkey forgets


def outages(stores: Stores, found: Verdict, done: Hammered) -> None:
    """An open circuit through FLUSHALL, and through a kill of Valkey and its new start.

    What is timed ends when the first call after it was held back.
    """
    target = target_of(10**6)
    _open(target)
    for what, strike in (
        ("FLUSHALL", lambda: valkey.client().flushall()),
        ("a restart", lambda: stores.restart("valkey-cache")),
    ):
        left_s, began_s = _left_s(target), time.monotonic()
        strike()
        circuits.forget()
        now_s = _left_s(target)
        done.recovered_s.append(time.monotonic() - began_s)
        passed_s = time.monotonic() - began_s
        is_kept = left_s - passed_s - 1 <= now_s <= left_s
        found.hold(int(not is_kept), f"waits that {what} did not leave as they were")


def _open(target: Target) -> None:
    for _ in range(5):
        with contextlib.suppress(CallFailed), guarded(target, timeout_s=1):
            raise CallFailed("the provider is down", fault=Fault.SERVER)


def _left_s(target: Target) -> float:
    try:
        with guarded(target, timeout_s=1):
            return 0.0
    except CallFailed as failure:
        return failure.retry_after_s


# Bugs


def run_bugs(nursery: Nursery, *, processes: int, rounds: int = BUG_ROUNDS) -> dict[str, bool]:
    """Which of the seeded bugs are found."""
    caught = {}
    for bug in BUGS:
        empty()
        flush()
        circuits.forget()
        say(f"seeded bug {bug}: something must be WRONG")
        found, _ = run(nursery, n=rounds, bug=bug, processes=processes)
        caught[bug.value] = any(ONE_PROBE in sentence for sentence in found.sentences)
    return caught
