"""From a committed trade to its frame at a subscriber, through a real relay and web server."""

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from django.db import transaction
from websockets.sync.client import connect

from apps.exchange import trades
from apps.exchange.models import Asset, Market, TradeSource
from apps.exchange.trades import NewTrade
from benchmarks.harness import Bench, Figure, percentile
from moonx.roles import ROOT, command_for
from moonx.settings import env as environment
from moonx.up.ports import find_ports
from moonx.up.probe import answers
from moonx.up.process import Service, end, spawn, wait_until

FULL_N = 1000
PACE_S = 0.02  # 50 trades a second, as a busy replay
P50_GOAL_MS, P99_GOAL_MS = 25, 100
SYMBOL = "BENCHQUOTE"


def run(bench: Bench, *, n: int = FULL_N, pace_s: float = PACE_S) -> None:
    """Trades `n` times and times each frame at a WebSocket that hears the market's tape."""
    market = make_market()
    with running(bench) as port, Subscriber(port, f"trades:{SYMBOL}") as subscriber:
        # The first trades warm both processes up and are not counted.
        committed = trade_on(market, count=n + 20, pace_s=pace_s)
        wait_until(lambda: len(subscriber.heard) >= len(committed), timeout_s=10)
    check(bench, subscriber.heard, committed=committed)
    arrived_s = {seq: at for at, seq, _ in subscriber.heard}
    latencies_ms = [
        1000 * (arrived_s[seq] - at) for seq, at in list(committed.items())[20:] if seq in arrived_s
    ]
    p50, p99 = percentile(latencies_ms, 0.5), percentile(latencies_ms, 0.99)
    reached = p50 <= P50_GOAL_MS and p99 <= P99_GOAL_MS
    bench.add(
        Figure(
            name="order-to-browser.latency",
            ratio=None,
            goal=None,
            rounds=1,
            peer="",
            ok=len(latencies_ms) >= n,
            ours_ms=round(p50, 2),
            note=f"{n:,} trades, one every {pace_s * 1000:.0f} ms, from the commit to the frame at "
            f"a WebSocket; on a quiet machine at most {P50_GOAL_MS} and {P99_GOAL_MS} ms "
            f"({'reached' if reached else 'not reached now'}; one-minute load "
            f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores)",
            more={
                "p50Ms": round(p50, 2),
                "p99Ms": round(p99, 2),
                "maxMs": round(max(latencies_ms), 2),
            },
        )
    )


def make_market() -> Market:
    """A market of the benchmark's own."""
    base, quote = (
        Asset.objects.get_or_create(symbol=symbol, defaults={"name": symbol, "decimals": 18})[0]
        for symbol in ("BENCH", "QUOTE")
    )
    steps = {"tick_size": Decimal("0.01"), "step_size": Decimal("0.001")}
    return Market.objects.create(symbol=SYMBOL, base=base, quote=quote, **steps)


@contextmanager
def running(bench: Bench) -> Iterator[int]:
    """A relay and a web server as `up` starts them; yields the port."""
    with tempfile.TemporaryDirectory(prefix="moonx-bench-web-") as home:
        port = find_ports(Path(home), ["web"])["web"]
        own = {"MOONX_PORT": str(port), "ANONYMOUS_READ": "true", "MOONX_HOME": home}
        with contextlib.ExitStack() as stack:
            for role in ("relay", "web"):
                stack.enter_context(_role(role, own, log=Path(home) / f"{role}.log"))
            if not wait_until(lambda: answers(port, "/health/live"), timeout_s=60, pause_s=0.1):
                bench.say((Path(home) / "web.log").read_text()[-2000:])
                raise RuntimeError("the web server did not answer within a minute")
            yield port


@contextmanager
def _role(role: str, own: dict[str, str], *, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = {**os.environ, **own, "MOONX_ROLE": role}
    env = environment.load(moonx_port=int(own["MOONX_PORT"]))
    service = Service(name=role, argv=command_for(role, env), cwd=ROOT)
    with log.open("ab") as output:
        child = spawn(service, environ=environ, output=output)
    try:
        yield child
    finally:
        end(child, service)


class Subscriber:
    """A socket that notes when each frame of a channel arrives: (moment, trade, frame)."""

    def __init__(self, port: int, channel: str) -> None:
        self.heard: list[tuple[float, int, dict[str, object]]] = []
        self._url, self._channel = f"ws://127.0.0.1:{port}/ws", channel
        self._listening, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        """Returns once the subscription stands."""
        self._thread.start()
        if not self._listening.wait(timeout=20):
            raise RuntimeError(f"no subscription to {self._channel} within 20 s")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _read(self) -> None:
        with connect(self._url) as socket:
            ask = {"id": "1", "type": "subscribe", "data": {"channel": self._channel}}
            socket.send(json.dumps(ask))
            while not self._stop.is_set():
                with contextlib.suppress(TimeoutError):
                    text = socket.recv(timeout=0.2)
                    self._take(json.loads(text), moment=time.perf_counter())

    def _take(self, frame: dict[str, Any], *, moment: float) -> None:
        if frame["type"] == "subscribed":
            self._listening.set()
        elif frame["type"] == "trade.executed" and frame.get("kind") == "update":
            self.heard.append((moment, int(frame["data"]["id"]), frame))


def trade_on(market: Market, *, count: int, pace_s: float) -> dict[int, float]:
    """Trades at a steady pace; when each trade, by its sequence number, was committed."""
    committed: dict[int, float] = {}
    for number in range(count):
        started = time.perf_counter()
        new = NewTrade(price=Decimal(100 + number % 7), quantity=Decimal(1), is_buyer_maker=False)
        moments: list[float] = []
        with transaction.atomic():
            # The first to be called once it is committed, before anything is pushed.
            transaction.on_commit(lambda at=moments: at.append(time.perf_counter()))  # type: ignore[misc]
            executed = trades.record(market, [new], source=TradeSource.MATCHED)
        committed[executed[0].seq] = moments[0]
        time.sleep(max(0.0, pace_s - (time.perf_counter() - started)))
    return committed


def check(
    bench: Bench,
    heard: list[tuple[float, int, dict[str, object]]],
    *,
    committed: dict[int, float],
) -> None:
    """Each trade arrived once, in order, under consecutive `seq` and rising positions."""
    numbers = [seq for _, seq, _ in heard]
    bench.check(numbers == list(committed), f"{len(heard):,} trades heard, each once and in order")
    seqs = [int(str(frame["seq"])) for _, _, frame in heard]
    bench.check(seqs == list(range(seqs[0], seqs[0] + len(seqs))), "`seq` without a gap")
    positions = [int(str(frame["position"])) for _, _, frame in heard]
    bench.check(positions == sorted(set(positions)), "positions only rise")
