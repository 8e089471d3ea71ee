"""The API of statistics at 200 requests a second over all its paths, from a real web server."""

import http.client
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from apps.stats.activity import leaves, rolling, sets, storing, windows
from apps.stats.activity.leaves import BLOCK, Leaf, Link
from apps.stats.api import blanks
from apps.stats.bridges import history
from apps.stats.models import ActivityCursor, BridgeSample, ChainSample, Published, Span
from benchmarks.harness import Bench, Figure, load, percentile
from moonx.core import clock
from moonx.core.chains import registry
from moonx.core.intervals import Interval, to_ms
from moonx.roles import ROOT, command_for
from moonx.settings import env as environment
from moonx.up.ports import find_ports
from moonx.up.probe import answers
from moonx.up.process import Service, end, spawn, wait_until

FULL_N = 2_000  # requests: ten seconds of them
RATE = 200  # a second
CLIENTS = 16
CHAIN = "rei"
HOURS, MINUTES, MINUTE_S = 24, 60, 60
EACH, PEOPLE = 100, 20_000  # senders of a minute, and of all
PROVIDERS, SIZES = ("lifi", "relay", "1inch"), (100, 1_000, 10_000)
CORRIDORS = (("ethereum", "base"), ("base", "arbitrum"), ("bsc", "base"))
# The load is from one address, which would be refused after half a minute.
WEIGHT_LIMIT = 10**9
AGES = ("asOf", "ageMs", "isStale")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A web server that runs."""

    port: int
    pid: int

    def cpu_ms(self) -> float:
        """The processor time that its threads have used so far; not a number where the system does
        not tell, which is all but Linux."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return math.nan
        user, system = map(int, fields[11:13])  # utime and stime of proc(5), in ticks
        return 1000 * (user + system) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one request; `ms` is from when it was due, so that a wait counts."""

    path: str
    ms: float
    status: int
    text: bytes

    @property
    def body(self) -> Any:
        """The answer but for what moves by itself."""
        return {name: value for name, value in json.loads(self.text).items() if name not in AGES}


def run(bench: Bench, *, n: int = FULL_N, hours: int = HOURS) -> None:
    """Lays out a day, asks for it at a steady pace, and holds each answer against the rows."""
    now = clock.db_now()
    end_at = Interval.H1.floor(now)
    bench.say(f"laying out {hours} hours of a chain, its looks, and 27 bridges")
    lay_out(end_at, hours=hours)
    paths = wanted(end_at, hours=hours)
    with running(bench) as server:
        expected = {path: asked(server.port, path) for path in paths}
        check(bench, {path: reply.body for path, reply in expected.items()}, end_at, hours=hours)
        before_ms = server.cpu_ms()
        replies = load_of(server.port, paths, n=n)
        cpu_ms = (server.cpu_ms() - before_ms) / n
    wrong = [one for one in replies if one.status != 200]
    bench.check(not wrong, f"{len(replies):,} answers, {len(wrong)} of them an error")
    steady = {path for path in paths if "from=" in path}
    other = [path for path in steady if not all_tell(replies, expected[path])]
    bench.check(not other, "every answer about a fixed window is the one that was checked")
    add_figures(bench, replies, n=n, cpu_ms=cpu_ms)


def all_tell(replies: Sequence[Reply], expected: Reply) -> bool:
    """Whether all answers of a path are the expected one but for their ages."""
    found = {one.text: one for one in replies if one.path == expected.path}
    body = expected.body
    return bool(found) and all(one.body == body for one in found.values())


def add_figures(bench: Bench, replies: Sequence[Reply], *, n: int, cpu_ms: float) -> None:
    """One figure of all requests, with the server's processor time of each, then one of each
    path."""
    by_path: dict[str, list[float]] = {}
    for one in replies:
        by_path.setdefault(one.path.partition("?")[0], []).append(one.ms)
    every = [one.ms for one in replies]
    for name, found in {"all": every, **by_path}.items():
        bench.add(
            Figure(
                name=f"stats-api.{name.removeprefix('/api/').replace('/', '.')}",
                ratio=None,
                goal=None,
                rounds=1,
                peer="",
                ok=len(replies) == n,
                ours_ms=round(percentile(found, 0.5), 2),
                note=f"{len(found):,} requests of {n:,} at {RATE} a second over {CLIENTS} "
                "connections, from when each was due; one web process, limits on request weight "
                f"raised; load {load()}",
                more={
                    "p50Ms": round(percentile(found, 0.5), 2),
                    "p99Ms": round(percentile(found, 0.99), 2),
                    "maxMs": round(max(found), 2),
                    **({"cpuMs": round(cpu_ms, 2)} if name == "all" and cpu_ms > 0 else {}),
                },
            )
        )


def wanted(end_at: datetime, *, hours: int) -> list[str]:
    """Every path of statistics, of fixed windows where it takes one."""
    window = f"from={to_ms(end_at - timedelta(hours=hours))}&to={to_ms(end_at)}"
    half = f"from={to_ms(end_at - timedelta(hours=7))}&to={to_ms(end_at)}"
    return [
        *("/api/v1/stats/chains", "/api/v1/stats/bridges", "/api/v1/stats/overview"),
        f"/api/v1/stats/activity?chain={CHAIN}&{window}",
        f"/api/v1/stats/activity?chain={CHAIN}&{half}",
        f"/api/v1/stats/activity/hours?chain={CHAIN}",
        f"/api/v1/stats/chains/{CHAIN}/history?step=raw&{window}",
        f"/api/v1/stats/bridges/history?step=1h&{window}",
        f"/api/v1/stats/activity/days?chain={CHAIN}",
        *(f"/api/stats/24h?chain={CHAIN}", f"/api/stats/history?chain={CHAIN}"),
    ]


def check(bench: Bench, bodies: Mapping[str, Any], end_at: datetime, *, hours: int) -> None:
    """Holds the answers against the rows that they are made of."""
    told = {one["chain"]: one for one in bodies["/api/v1/stats/chains"]["chains"]}
    rows = Published.objects.filter(subject__startswith="chain:")
    payloads = [row.payload for row in rows]
    bench.check(
        all(payload.items() <= told[payload["chain"]].items() for payload in payloads),
        f"{len(payloads)} chains are told as their rows have them",
    )
    bridges = bodies["/api/v1/stats/bridges"]["bridges"]
    kept = Published.objects.filter(subject__startswith="bridge:").count()
    bench.check(len(bridges) == kept == 27, f"{kept} bridges are told")
    for path in [path for path in bodies if path.startswith("/api/v1/stats/activity?")]:
        found = bodies[path]
        span = (found["to"] - found["from"]) // 3_600_000
        start = end_at - timedelta(hours=span)
        counted = windows.activity(CHAIN, start, end_at, clock.db_now())
        bench.check(
            (found["senders"], found["transactions"]) == (counted.senders, counted.transactions),
            f"{counted.senders:,} senders of {span} hours",
        )
    looks = next(body for path, body in bodies.items() if f"/{CHAIN}/history" in path)
    bench.check(len(looks["points"]) == hours * MINUTES, "every look at the chain is a point")


def lay_out(end_at: datetime, *, hours: int) -> None:
    """A day of a chain by the minute, its looks, and quotes of every bridge."""
    start_s = round((end_at - timedelta(hours=hours)).timestamp())
    rng = np.random.default_rng(7)
    people = np.sort(rng.integers(0, 2**63, PEOPLE, dtype=np.uint64))
    minutes = [
        _leaf(rng.choice(people, EACH, replace=False), number, time_s=start_s + number * MINUTE_S)
        for number in range(hours * MINUTES)
    ]
    storing.put(CHAIN, minutes, final=10**9)
    for hour in range(hours):
        rolling.write(CHAIN, Span.HOUR, start_s + hour * 3_600)
    ActivityCursor.objects.create(
        chain=CHAIN,
        last_block=len(minutes),
        last_time=end_at,
        updated_at=clock.db_now(),
        checked_at=clock.db_now(),
    )
    _publish(end_at)
    ChainSample.objects.bulk_create(
        _look(end_at - timedelta(minutes=back)) for back in range(1, hours * MINUTES + 1)
    )
    _quotes(end_at, hours=hours)


def _quotes(end_at: datetime, *, hours: int) -> None:
    BridgeSample.objects.bulk_create(
        _quote(provider, corridor, size, end_at - timedelta(minutes=10 * back))
        for provider in PROVIDERS
        for corridor in CORRIDORS
        for size in SIZES
        for back in range(1, 6 * hours + 1)
    )
    history.fold(now=end_at)


def _leaf(senders: sets.Hashes, number: int, *, time_s: int) -> Leaf:
    nobody = bytes(leaves.HASH_BYTES)
    return Leaf(
        parent=Link(number=number, hash=nobody, time_s=time_s - MINUTE_S),
        blocks=np.array([(time_s, 21_000, nobody, EACH, EACH, 0)], dtype=BLOCK),
        senders=np.sort(senders),
        recipients=sets.EMPTY,
    )


def _publish(now: datetime) -> None:
    told = {"sampledAt": to_ms(now), "asOf": to_ms(now)}
    subjects = {
        f"chain:{chain.slug}": blanks.chain(chain) | told | {"tps": "1.5"}
        for chain in registry.all()
    }
    for provider in PROVIDERS:
        for source, target in CORRIDORS:
            for size in SIZES:
                subjects[f"bridge:{provider}:{source}:{target}:{size}"] = {
                    "provider": provider,
                    "from": source,
                    "to": target,
                    "size": str(size),
                    "verdict": "healthy",
                    "reasons": [],
                    "latencyMs": {"p50": 400, "p95": 900, "n": 30},
                    "successRate": "1",
                    "errors": {},
                    **told,
                }
    subjects["overview"] = blanks.overview() | told
    Published.objects.bulk_create(
        Published(subject=subject, payload=payload, as_of=now, seq=1)
        for subject, payload in subjects.items()
    )


def _look(at: datetime) -> ChainSample:
    return ChainSample(
        chain=CHAIN,
        at=at,
        verdict="healthy",
        samples=1,
        healthy=1,
        blocks=20,
        block_times={},
        elapsed_ms=60_000,
        transactions=90,
        gas_used=Decimal(1),
        gas_limit=Decimal(100),
        reorgs=0,
        reorg_depth=0,
        reorgs1h=0,
        reorgs1h_depth=0,
        simulated=False,
        p50_ms=3_000,
        p95_ms=3_000,
        p99_ms=4_000,
        n=300,
        tps=Decimal("1.5"),
    )


def _quote(provider: str, corridor: tuple[str, str], size: int, at: datetime) -> BridgeSample:
    source, target = corridor
    return BridgeSample(
        provider=provider,
        source=source,
        target=target,
        asset="USDC",
        size=size,
        latency_ms=400,
        simulated=True,
        verdict="healthy",
        sampled_at=at,
    )


@contextmanager
def running(bench: Bench) -> Iterator[Server]:
    """A web server as `up` starts it; yields it."""
    with tempfile.TemporaryDirectory(prefix="moonx-bench-web-") as home:
        port = find_ports(Path(home), ["web"])["web"]
        own = {
            "MOONX_PORT": str(port),
            "MOONX_HOME": home,
            "MOONX_ROLE": "web",
            "RATE_LIMIT_WEIGHT_PER_MINUTE": str(WEIGHT_LIMIT),
        }
        command = command_for("web", environment.load(moonx_port=port))
        service = Service(name="web", argv=command, cwd=ROOT)
        log = Path(home) / "web.log"
        with log.open("ab") as output:
            child = spawn(service, environ={**os.environ, **own}, output=output)
        try:
            if not wait_until(lambda: answers(port, "/health/live"), timeout_s=120, pause_s=0.1):
                bench.say(log.read_text()[-2000:])
                raise RuntimeError("the web server did not answer within two minutes")
            yield Server(port=port, pid=child.pid)
        finally:
            end(child, service)


def load_of(port: int, paths: Sequence[str], *, n: int) -> list[Reply]:
    """`n` requests at a steady pace, whether or not the ones before were answered."""
    kept, opened = threading.local(), list[http.client.HTTPConnection]()
    begun_s = time.perf_counter() + 0.1

    def ask(number: int) -> Reply:
        due_s = begun_s + number / RATE
        time.sleep(max(0.0, due_s - time.perf_counter()))
        if not hasattr(kept, "connection"):
            kept.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            opened.append(kept.connection)
        return _asked(kept.connection, paths[number % len(paths)], due_s=due_s)

    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(ask, range(n)))
    finally:
        for connection in opened:
            connection.close()


def asked(port: int, path: str) -> Reply:
    """One answer, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        return _asked(connection, path, due_s=time.perf_counter())
    finally:
        connection.close()


def _asked(connection: http.client.HTTPConnection, path: str, *, due_s: float) -> Reply:
    connection.request("GET", path)
    answer = connection.getresponse()
    # Read after the load: what the asker does with it must not delay the next question.
    text = answer.read()
    ms = (time.perf_counter() - due_s) * 1000
    return Reply(path=path, ms=ms, status=answer.status, text=text)
