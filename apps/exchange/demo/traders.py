"""The demo traders at work: they look, decide, and send signed orders over HTTP like any client."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import requests
from django.db import InterfaceError, OperationalError, connection

from apps.exchange.demo import markets, people, quoting
from apps.exchange.demo.client import Client, Refused, Throttled, now_ms
from apps.exchange.demo.desk import Balances, Desk
from apps.exchange.demo.markets import TRADED, Pair
from apps.exchange.demo.pace import Bucket
from apps.exchange.demo.people import FUNDS, Trader
from apps.exchange.demo.quoting import Cancel, Intent, Place
from apps.exchange.demo.wandering import walk_from
from apps.exchange.models import Market, Trade
from moonx.core import clock, locks, logs, money
from moonx.core.locks import Lock, LockBusy

log = logs.get("moonx.demo")

KEY = 1  # of the demo's lock; the replay has 0
# Never more than five orders and cancels in any second: the bucket holds one token.
MOST_A_SECOND = 5
RATE, SIZE = float(MOST_A_SECOND - 1), 1.0
ORDERS_EVERY_S, BALANCES_EVERY_S, LOCK_EVERY_S, REPORT_EVERY_S = 10.0, 20.0, 2.0, 60.0
IDLE_S, STANDBY_S = 0.2, 1.0
CLOSED_S, TRADER_PAUSE_S = 15.0, 30.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.5, 4.0
NO_SUCH_ORDER = -2011
WOULD_TAKE = "immediately match"
CLOSED = "Market is closed"

LOST = (OperationalError, InterfaceError, LockBusy, requests.RequestException, Refused)


class Traders:
    """Trade until `stop` is set; one process at a time does so, another one stands by."""

    def __init__(
        self, address: str, *, stop: threading.Event, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._address, self._stop, self._now_s = address, stop, now_s
        self._retry_s = FIRST_RETRY_S

    def run(self) -> None:
        """Goes on through restarts of the web server and of the database."""
        while not self._stop.is_set():
            try:
                self._run_alone()
            except LOST as error:
                self._pause(error)

    def _pause(self, error: Exception) -> None:
        """Waits before the next attempt: longer each time, and as long as the server asks."""
        is_told = isinstance(error, Refused)
        pause_s = error.retry_after_s if isinstance(error, Throttled) else self._retry_s
        log.warning(
            "demo traders pause",
            error=type(error).__name__,
            cause=str(error) if is_told else "",
            retry_s=pause_s,
        )
        connection.close()
        self._stop.wait(pause_s)
        self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _run_alone(self) -> None:
        with locks.session(Lock.DEMO, KEY) as alone:
            if not alone:
                self._stop.wait(STANDBY_S)
                return
            traded = markets.prepare_traded()
            floor = Floor(people.prepare(), traded, self._address, now_s=self._now_s)
            try:
                self._trade(floor)
            finally:
                floor.close()

    def _trade(self, floor: "Floor") -> None:
        log.info("demo traders begin", markets=[desk.symbol for desk in floor.desks])
        while not self._stop.is_set():
            self._stop.wait(floor.turn())
            if floor.done.total():
                self._retry_s = FIRST_RETRY_S


class Floor:
    """The traders at their desks, while the process holds the lock."""

    def __init__(
        self,
        traders: list[Trader],
        traded: dict[str, Market],
        address: str,
        *,
        now_s: Callable[[], float],
    ) -> None:
        self._now_s = now_s
        now = now_s()
        self._traders = {trader.name: trader for trader in traders}
        self._clients = {t.name: Client(address, key=t.key, secret=t.secret) for t in traders}
        self.desks = [_desk(pair, traded[pair.symbol], now_s=now) for pair in TRADED]
        self._bucket = Bucket(rate=RATE, size=SIZE, tokens=0.0, at_s=now)
        self._balances: dict[str, Balances] = {}
        self._balances_at_s = self._locked_at_s = float("-inf")
        self._paused: dict[str, float] = {}
        self._reported_s = now
        self.done: Counter[str] = Counter()

    def close(self) -> None:
        """Closes the connections."""
        for client in self._clients.values():
            client.close()

    def turn(self) -> float:
        """Does at most one thing in the next market; returns how long to wait then."""
        now_s = self._now_s()
        self._keep_lock(now_s)
        self._report(now_s)
        self._look_at_balances(now_s)
        desk = self.desks[0]
        self.desks.append(self.desks.pop(0))
        if now_s < desk.closed_until_s:
            return IDLE_S
        self._look_at_orders(desk, now_s)
        desk.go_on(now_s)
        desk.drop_ended(now_ms())
        intents = quoting.decide(desk.view(self._active(now_s)), desk.rng)
        if not intents:
            return IDLE_S
        return self._act(desk, intents[0])

    def _act(self, desk: Desk, intent: Intent) -> float:
        now_s = self._now_s()
        left = self._bucket.take(now_s)
        if left is None:
            return self._bucket.wait_s(now_s)
        self._bucket = left
        if isinstance(intent, Cancel):
            self._cancel(desk, intent)
        else:
            self._place(desk, intent)
        return self._bucket.wait_s(self._now_s())

    def _cancel(self, desk: Desk, intent: Cancel) -> None:
        order = intent.order
        desk.forget(order.order_id)
        try:
            self._clients[order.trader].cancel(desk.symbol, order.order_id)
        except Refused as error:
            # Filled or expired since the last look.
            if error.code != NO_SUCH_ORDER:
                self._refused(desk, order.trader, error)
        else:
            self.done["canceled"] += 1

    def _place(self, desk: Desk, intent: Place) -> None:
        try:
            answer = self._clients[intent.trader].place(symbol=desk.symbol, **spelled(intent))
        except Refused as error:
            self._refused(desk, intent.trader, error)
        else:
            self.done["placed"] += 1
            desk.placed(intent.trader, answer)

    def _refused(self, desk: Desk, trader: str, error: Refused) -> None:
        """What can happen to any client; what cannot, ends the turn and starts over."""
        if isinstance(error, Throttled) or error.status >= 500 or error.status == 401:
            raise error
        self.done["refused"] += 1
        if WOULD_TAKE in error.message:
            return
        log.warning("a demo order was refused", user=trader, market=desk.symbol, cause=str(error))
        if CLOSED in error.message:
            desk.closed_until_s = self._now_s() + CLOSED_S
        else:
            self._paused[trader] = self._now_s() + TRADER_PAUSE_S

    def _active(self, now_s: float) -> dict[str, Balances]:
        """The balances of those who are not paused."""
        return {
            name: rows
            for name, rows in self._balances.items()
            if self._paused.get(name, now_s) <= now_s
        }

    def _look_at_orders(self, desk: Desk, now_s: float) -> None:
        if now_s - desk.seen_s < ORDERS_EVERY_S:
            return
        for name in people.MAKERS:
            desk.see(name, self._clients[name].open_orders(desk.symbol))
        desk.seen_s = now_s

    def _look_at_balances(self, now_s: float) -> None:
        if now_s - self._balances_at_s < BALANCES_EVERY_S:
            return
        self._balances = {name: client.balances() for name, client in self._clients.items()}
        self._balances_at_s = now_s
        for desk in self.desks:
            self._refill(desk)

    def _refill(self, desk: Desk) -> None:
        base, quote = desk.market.base.symbol, desk.market.quote.symbol
        begun = {name: (funds[base], funds[quote]) for name, funds in FUNDS.items()}
        for name, is_base in quoting.low(desk.view(self._balances), begun):
            asset = base if is_base else quote
            log.info("a demo trader runs out and is refilled", user=name, asset=asset)
            people.refill(self._traders[name], asset, now=clock.db_now())

    def _keep_lock(self, now_s: float) -> None:
        """Notices a lost connection, and with it the lock, before somebody else has taken over."""
        if now_s - self._locked_at_s >= LOCK_EVERY_S:
            clock.db_now()
            self._locked_at_s = now_s

    def _report(self, now_s: float) -> None:
        if now_s - self._reported_s >= REPORT_EVERY_S:
            open_orders = {desk.symbol: len(desk.resting) for desk in self.desks}
            log.info("demo traders traded", **self.done, open=open_orders)
            self.done.clear()
            self._reported_s = now_s


def spelled(intent: Place) -> dict[str, Any]:
    """An order as parameters of the API."""
    found: dict[str, str | int | None] = {
        "side": intent.side.value,
        "type": intent.type.value,
        "timeInForce": intent.time_in_force.value if intent.time_in_force else None,
        "price": _plain(intent.price),
        "quantity": _plain(intent.quantity),
        "quoteOrderQty": _plain(intent.amount),
        "goodTillDate": None if intent.lives_s is None else now_ms() + intent.lives_s * 1000,
    }
    return {name: value for name, value in found.items() if value is not None}


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else money.plain(value)


def _desk(pair: Pair, market: Market, *, now_s: float) -> Desk:
    """The price goes on where the market's last trade left it; the same trades, the same walk."""
    last = Trade.objects.filter(market=market).order_by("-seq").first()
    seed = f"{pair.symbol}/{last.seq if last else 0}"
    return Desk(
        market=market,
        walk=walk_from(last.price if last else None, home=pair.home, tick=market.tick_size),
        rng=random.Random(seed),  # noqa: S311 - a simulation
        walked_s=now_s,
    )
