"""`python -m benchmarks [NAME] [--n N]`: one JSON line per figure, the headline last."""

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence

from benchmarks.harness import Bench
from benchmarks.world import own_world

NAMES = (
    *("relay", "order-to-browser", "candles", "tickers", "candle-reads", "expiry", "matching"),
    *("placing", "scan", "uniques", "stats-api"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one benchmark, or all of them one after the other; 1 if one is not ok."""
    options = _options(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # as Ctrl-C: everything is stopped first
    names = [options.name] if options.name else NAMES
    results = {name: _run(name, n=options.n, rounds=options.rounds) for name in names}
    return 0 if all(results.values()) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("positional", nargs="?", metavar="NAME", choices=NAMES)
    parser.add_argument("--name", choices=NAMES, help="run only this one")
    parser.add_argument("--n", type=int, help="size of the load; smaller is quicker")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds, at least 5")
    options = parser.parse_args(arguments)
    options.name = options.name or options.positional
    return options


def _run(name: str, *, n: int | None, rounds: int) -> bool:
    bench = Bench(name, rounds=rounds)
    bench.say("starting PostgreSQL and two Valkeys of its own")
    with own_world():
        # Django's models can be imported only now.
        module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
        module.run(bench, n=n or module.FULL_N)
        return bench.headline()


if __name__ == "__main__":
    sys.exit(main())
