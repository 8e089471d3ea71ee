"""Orders placed over HTTP by 32 clients, against a view that matches each in its transaction."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.db import connection

from apps.exchange import keys
from benchmarks.harness import Bench, Figure, load, percentile
from benchmarks.orderflow import (
    STEP,
    TICK,
    Planned,
    Venue,
    make_owners,
    make_venue,
    plan,
    settle_down,
)
from moonx.roles import ROOT, command_for
from moonx.settings import env as environment
from moonx.up.ports import find_ports
from moonx.up.probe import answers
from moonx.up.process import Service, end, spawn, wait_until

FULL_N = 960  # orders a round
SHARE = 4  # the ORM's server takes one of so many
CLIENTS = 32
GOAL = 4

# What clients are allowed at most is raised: it is the servers that are measured.
LIMITS = {
    "RATE_LIMIT_WEIGHT_PER_MINUTE": "1000000000",
    "RATE_LIMIT_ORDERS_PER_10S": "1000000",
    "RATE_LIMIT_ORDERS_PER_DAY": "1000000000",
}
SITES = {"OURS": "moonx.asgi:application", "ORM": "benchmarks.orm_site:application"}

UNMATCHED = """
SELECT count(*) FROM exchange_order o
LEFT JOIN unnest(%s::text[], %s::float8[]) AS r(id, at) ON r.id = o.client_order_id
WHERE o.market_id = %s AND (o.stage = 'arrived' OR o.working_at > to_timestamp(r.at / 1000))
"""
HOLDS = """
SELECT count(*) FROM exchange_account a JOIN exchange_market m ON m.id = %(market)s
  AND a.asset_id IN (m.base_id, m.quote_id)
WHERE a.owner_id IS NOT NULL AND a.held <> (SELECT coalesce(sum(o.held), 0) FROM exchange_order o
  WHERE o.owner_id = a.owner_id AND o.market_id = m.id
    AND CASE o.side WHEN 'BUY' THEN o.quote_account_id ELSE o.base_account_id END = a.id)
"""

Login = dict[str, str]


def run(bench: Bench, *, n: int = FULL_N, clients: int = CLIENTS) -> None:
    """Both servers in turn, each from the same clients, each in a market of its own."""
    owners = make_owners(clients)
    logins = [login_of(owner) for owner in owners]
    venues = {name: make_venue(name, f"{name}QUOTE", owners) for name in SITES}
    counts = {"OURS": n, "ORM": max(clients, n // SHARE)}
    rates: dict[str, list[float]] = {name: [] for name in SITES}
    latencies_ms: dict[str, list[float]] = {name: [] for name in SITES}
    settle_down()
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(bench, name)) for name in SITES}
        crowd = stack.enter_context(Crowd())
        for number in range(bench.rounds + 1):  # the first round warms the servers up
            for name in SITES if number % 2 else reversed(SITES):
                orders = asked(venues[name], counts[name], number=number, owners=clients)
                answer = crowd.place(ports[name], logins, orders)
                check(bench, name, venues[name], answer["replies"])
                if number:
                    rates[name].append(counts[name] / answer["elapsedS"])
                    latencies_ms[name] += [reply["ms"] for reply in answer["replies"]]
            if number:
                words = ", ".join(f"{name} {found[-1]:.0f}/s" for name, found in rates.items())
                bench.say(f"round {number} of {bench.rounds}: {words}; load {load()}")
    report(bench, rates, latencies_ms, clients=clients)


def report(
    bench: Bench,
    rates: dict[str, list[float]],
    latencies_ms: dict[str, list[float]],
    *,
    clients: int,
) -> None:
    """The figure."""
    ratio = percentile([a / b for a, b in zip(rates["OURS"], rates["ORM"], strict=True)], 0.5)
    ours, orm = (latencies_ms[name] for name in SITES)
    bench.add(
        Figure(
            name="placing.http",
            ratio=round(ratio, 2),
            goal=GOAL,
            rounds=bench.rounds,
            peer="the same server, whose view validates, holds, stores and matches an order by the "
            "ORM in one transaction, and reads it back",
            ok=ratio >= GOAL,
            ours_ms=round(percentile(ours, 0.5), 2),
            peer_ms=round(percentile(orm, 0.5), 2),
            note=f"orders a second that {clients} clients place by signed requests in one market; "
            "milliseconds are the median reply's; limits of requests and orders raised; "
            f"load {load()}",
            more={
                "oursPerSecond": round(percentile(rates["OURS"], 0.5), 1),
                "ormPerSecond": round(percentile(rates["ORM"], 0.5), 1),
                "p99Ms": round(percentile(ours, 0.99), 1),
                "ormP99Ms": round(percentile(orm, 0.99), 1),
            },
        )
    )


def check(bench: Bench, name: str, venue: Venue, replies: Sequence[dict[str, Any]]) -> None:
    """Every order was taken, was matched when its reply came, and holds are what orders hold."""
    wrong = [reply for reply in replies if reply["status"] != 200]
    wrong = [reply for reply in wrong if "immediately match" not in reply["body"]]
    if wrong:
        bench.check(False, f"{name}: {len(wrong)} orders refused, {wrong[0]}")  # noqa: FBT003
    with connection.cursor() as cursor:
        ids, moments = [r["id"] for r in replies], [r["atMs"] for r in replies]
        cursor.execute(UNMATCHED, [ids, moments, venue.market.pk])
        (unmatched,) = cursor.fetchone()
        cursor.execute(HOLDS, {"market": venue.market.pk})
        (broken,) = cursor.fetchone()
    what = f"{name}: {len(replies):,} replies, {unmatched} orders unmatched, {broken} holds wrong"
    bench.check(unmatched == broken == 0, what)


def asked(venue: Venue, count: int, *, number: int, owners: int) -> list[dict[str, str]]:
    """The parameters of a round's orders."""
    flow = plan(count, owners=owners, seed=number)
    return [_asked(venue, order, f"n{number}-{place}") for place, order in enumerate(flow)]


def _asked(venue: Venue, order: Planned, client_id: str) -> dict[str, str]:
    found = {
        "symbol": venue.market.symbol,
        "side": order.side.value,
        "type": order.type.value,
        "quantity": str(order.quantity * STEP),
        "newClientOrderId": client_id,
        "newOrderRespType": "RESULT",
    }
    if order.type.value != "MARKET":
        found["price"] = str(order.price * TICK)
    if order.type.value == "LIMIT":
        is_gtd = order.time_in_force.value == "GTD"
        found["timeInForce"] = "GTC" if is_gtd else order.time_in_force.value
    return found


def login_of(owner: int) -> Login:
    """An API key that may trade."""
    issued = keys.issue(owner, label="benchmark", may_trade=True, addresses=[])
    return {"key": issued.row.key, "secret": issued.secret}


class Crowd:
    """The clients' process."""

    def __enter__(self) -> Self:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.clients"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate(timeout=60)

    def place(
        self, port: int, logins: Sequence[Login], orders: Sequence[dict[str, str]]
    ) -> dict[str, Any]:
        """All of the orders, from all clients at once; what came back, and how long it took."""
        assert self._child.stdin
        assert self._child.stdout
        task = {"port": port, "logins": logins, "orders": orders}
        print(json.dumps(task), file=self._child.stdin, flush=True)
        found: dict[str, Any] = json.loads(self._child.stdout.readline())
        return found


@contextmanager
def serving(bench: Bench, name: str) -> Iterator[int]:
    """One process of the web role, as it runs in production; yields its port."""
    with tempfile.TemporaryDirectory(prefix="moonx-bench-web-") as home:
        port = find_ports(Path(home), ["web"])["web"]
        own = {"MOONX_PORT": str(port), "MOONX_ROLE": "web", "MOONX_HOME": home, **LIMITS}
        argv = command_for("web", environment.load(moonx_port=port))
        service = Service(
            name=name,
            argv=[SITES[name] if part == SITES["OURS"] else part for part in argv],
            cwd=ROOT,
        )
        log = Path(home) / "web.log"
        with log.open("ab") as output:
            environ = {**os.environ, **own, "SECRET_KEY": settings.SECRET_KEY}
            child = spawn(service, environ=environ, output=output)
        try:
            if not wait_until(lambda: answers(port, "/health/live"), timeout_s=120, pause_s=0.1):
                bench.say(log.read_text()[-2000:])
                raise RuntimeError("the web server did not answer within two minutes")
            yield port
        finally:
            end(child, service)
