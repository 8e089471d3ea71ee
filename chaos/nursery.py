"""Writers and relays by the dozen: forked from one process that has loaded everything already.

`python -m chaos.nursery` reads one JSON line per child to start and answers with its process id.
"""

import contextlib
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Self

import django

ROOT = Path(__file__).resolve().parent.parent
PR_SET_PDEATHSIG = 1


class Nursery:
    """A context manager that starts and kills children; none outlives it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()  # its children are told to die with it
        self._process.communicate()

    def start(self, *, role: str, bug: str, symbol: str = "") -> int:
        """The process id of a new child."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        print(
            json.dumps({"role": role, "bug": bug, "symbol": symbol}), file=process.stdin, flush=True
        )
        return int(process.stdout.readline())

    @staticmethod
    def kill(pid: int) -> None:
        """Ends a child as the system would: at any moment, without a word."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Forks children until its input ends."""
    django.setup()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries them
    for line in sys.stdin:
        wanted = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be(**wanted)
        print(pid, flush=True)


def _be(*, role: str, bug: str, symbol: str) -> None:
    """What a child does for the rest of its life."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        {"relay": _relay, "writer": _writer}[role](bug, symbol)
    except Exception as error:  # noqa: BLE001 - it is said aloud, and the rows are judged anyway
        print(f"{role} with {bug} ended: {error!r}", file=sys.stderr, flush=True)
    finally:
        os._exit(1)


def _relay(name: str, _: str) -> None:
    from apps.realtime import relay
    from chaos.bugs import Bug, relay_with
    from moonx.core import valkey

    dsn, bug = os.environ["DATABASE_URL"], Bug(name)
    if bug.is_relays:
        relay_with(bug, dsn)
    relay.run(dsn=dsn, client=valkey.client(), stop=threading.Event())


def _writer(name: str, symbol: str) -> None:
    from apps.exchange import trades
    from apps.exchange.models import Market, TradeSource
    from chaos.bugs import Bug, plant

    plant(Bug(name))
    market = Market.objects.select_related("base", "quote").get(symbol=symbol)
    rng = random.Random()
    while True:
        new = [
            trades.NewTrade(
                price=Decimal(rng.randint(100, 200)) / 100,
                quantity=Decimal(rng.randint(1, 9)),
                is_buyer_maker=rng.random() < 0.5,
            )
            for _ in range(rng.randint(1, 4))
        ]
        trades.record(market, new, source=TradeSource.MATCHED)
        time.sleep(0.01)


if __name__ == "__main__":
    main()
