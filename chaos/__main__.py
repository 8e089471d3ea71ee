"""`python -m chaos [NAME] [--n N] [--seed SEED]`: the last line is one JSON object."""

import argparse
import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import django

from benchmarks.world import own_world
from chaos import stack
from chaos.nursery import Nursery
from chaos.verdict import Verdict, line, say
from moonx.up.ports import find_ports

NAMES = ("spine", "spine-bugs", "trading", "trading-bugs", "failpoints", "races", "probes")
# The recorded day has 0.28 trades a second.
SPINE_SETTINGS = {
    "DEMO": "1",
    "DEMO_SPEED": "400",
    "RATE_LIMIT_WEIGHT_PER_MINUTE": "1000000",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one of the fault runs, by default the kill test; 1 where something was found."""
    options = _options(sys.argv[1:] if arguments is None else arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # everything is stopped first
    # Ctrl-C too, also of a run in the background: the trading run then judges what was placed.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return 0 if RUNS[options.name](n=options.n, seed=options.seed) else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("positional", nargs="?", metavar="NAME", choices=NAMES)
    parser.add_argument("--name", choices=NAMES, default="spine")
    parser.add_argument("--n", type=int, help="how many faults")
    parser.add_argument("--seed", type=int, default=1, help="the same seed plans the same faults")
    options = parser.parse_args(arguments)
    options.name = options.positional or options.name
    return options


def spine(*, n: int | None, seed: int) -> bool:
    """The kill test on the whole stack; whether nothing was found."""
    found = Verdict()
    with tempfile.TemporaryDirectory(prefix="moonx-chaos-") as place:
        home, port = Path(place) / "home", find_ports(Path(place), ["web"])["web"]
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moonx.settings.dev")
        with stack.running(home, port, SPINE_SETTINGS) as running:
            os.environ.update(running.environment)
            django.setup()
            # Its models and settings can be imported only now that their servers are known.
            module = importlib.import_module("chaos.spine")
            faults = module.FULL_N if n is None else n
            run = module.watch(running, os.environ["DATABASE_URL"], found, n=faults, seed=seed)
        found.hold(len(running.survivors()), "processes that outlived the stack")
        if not found.ok:
            keep(home / "up.log")
    more = {**run.more, "seed": seed, "found": found.sentences}
    print(line("spine", found, n=len(run.struck_s), recovery_p99_s=run.recovery_p99_s, more=more))
    return found.ok


def keep(log: Path) -> None:
    """Keeps the stack's log where somebody can read it."""
    kept = Path(tempfile.gettempdir()) / "moonx-chaos-up.log"
    kept.write_bytes(log.read_bytes())
    say(f"the stack's log is kept in {kept}")


def spine_bugs(*, n: int | None, seed: int) -> bool:
    """Seeded bugs in relay and writer, each of which must be found; whether all were."""
    with own_world():
        small = importlib.import_module("chaos.small")
        with Nursery() as nursery:
            kills = small.KILLS if n is None else n
            sound, caught = small.run_all(nursery, seed=seed, kills=kills)
    sound.hold(sum(not found for found in caught.values()), "seeded bugs that were not found")
    more = {"seed": seed, "killsEach": kills, "caught": caught, "found": sound.sentences}
    print(line("spine-bugs", sound, n=len(caught), recovery_p99_s=None, more=more))
    return bool(sound.ok)


def trading(*, n: int | None, seed: int) -> bool:
    """Random orders while everybody who places them is killed, against a model."""
    with own_world():
        module = importlib.import_module("chaos.trading")
        with Nursery() as nursery:
            found, run = module.run(nursery, n=module.FULL_N if n is None else n, seed=seed)
    pace = round(run.placed / run.lasted_s, 1)
    more = {"seed": seed, "kills": run.kills, "ordersPerS": pace, **run.more}
    more["found"] = found.sentences
    print(line("trading", found, n=run.placed, recovery_p99_s=run.recovery_p99_s, more=more))
    return bool(found.ok)


def trading_bugs(*, n: int | None, seed: int) -> bool:
    """Seeded bugs in trading, each of which must be found, and the product without any."""
    # Only clients die, never the stores: what they keep through a fall of power is no matter.
    with own_world(durable=False):
        module = importlib.import_module("chaos.trading")
        orders = module.BUGS_N if n is None else n
        with Nursery() as nursery:
            sound, _ = module.run(nursery, n=orders, seed=seed)
            caught = module.run_bugs(nursery, seed=seed, n=orders)
    sound.hold(sum(not found for found in caught.values()), "seeded bugs that were not found")
    more = {"seed": seed, "ordersEach": orders, "caught": caught, "found": sound.sentences}
    print(line("trading-bugs", sound, n=len(caught), recovery_p99_s=None, more=more))
    return bool(sound.ok)


def failpoints(*, n: int | None, seed: int) -> bool:
    """A death before and after every statement of trading; `n` takes every so many of them."""
    with own_world(durable=False):
        module = importlib.import_module("chaos.deaths")
        with Nursery() as nursery:
            found, deaths = module.run(nursery, every=n or 1)
    more = {"seed": seed, "statements": deaths.statements, "found": found.sentences}
    p99_s = deaths.recovery_p99_s
    print(line("failpoints", found, n=deaths.count, recovery_p99_s=p99_s, more=more))
    return bool(found.ok)


def races(*, n: int | None, seed: int) -> bool:
    """Fill, cancel and expiry of one order at one moment; many clients after one balance."""
    with own_world(durable=False):
        module = importlib.import_module("chaos.races")
        with Nursery() as nursery:
            found, done = module.run(nursery, n=module.FULL_N if n is None else n, seed=seed)
    more = {"seed": seed, "winners": done.winners, **done.more, "found": found.sentences}
    print(line("races", found, n=done.raced, recovery_p99_s=None, more=more))
    return bool(found.ok)


def probes(*, n: int | None, seed: int) -> bool:
    """Many processes before half-open circuits; exactly one probes, whatever Valkey forgets."""
    os.environ["LOG_LEVEL"] = "error"  # every round changes a circuit twice
    with own_world(durable=False) as stores:
        module = importlib.import_module("chaos.probes")
        with Nursery() as nursery:
            found, done = module.run(
                nursery, n=module.FULL_N if n is None else n, each=module.SELDOM
            )
            caught = module.run_bugs(nursery, processes=module.PROCESSES)
        module.outages(stores, found, done)
    found.hold(sum(not one for one in caught.values()), "seeded bugs that were not found")
    more = {"seed": seed, "heldBack": done.held_back, "caught": caught, "found": found.sentences}
    slowest_s = round(max(done.recovered_s), 3)
    print(line("probes", found, n=done.rounds, recovery_p99_s=slowest_s, more=more))
    return bool(found.ok)


RUNS = {
    "spine": spine,
    "spine-bugs": spine_bugs,
    "trading": trading,
    "trading-bugs": trading_bugs,
    "failpoints": failpoints,
    "races": races,
    "probes": probes,
}


if __name__ == "__main__":
    sys.exit(main())
