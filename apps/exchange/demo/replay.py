"""The recorded day as live trades: in its order and rhythm, over and over, wherever it was left."""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise

from django.db import InterfaceError, OperationalError, connection

from apps.exchange import trades
from apps.exchange.demo import markets
from apps.exchange.history import Record
from apps.exchange.models import Market, TradeSource
from apps.exchange.trades import NewTrade
from moonx.core import clock, locks, logs
from moonx.core.locks import Lock, LockBusy

log = logs.get("moonx.demo")

LONGEST_GAP_S = 10.0
NIGHT_S = 1.0  # between the day's last trade and its first one
BATCH = 500
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.5
STANDBY_S = 1.0
FIRST_RETRY_S, LONGEST_RETRY_S = 0.2, 5.0

LOST = (OperationalError, InterfaceError, LockBusy)


def gaps_s(day: Sequence[Record]) -> list[float]:
    """How long before each trade nothing happens, long silences cut."""
    between = [
        min((later.executed_at - earlier.executed_at).total_seconds(), LONGEST_GAP_S)
        for earlier, later in pairwise(day)
    ]
    return [NIGHT_S, *between]


def due(
    gaps: Sequence[float], index: int, *, waited_s: float, most: int = BATCH
) -> tuple[int, float]:
    """How many trades from `index` on are due after `waited_s`, and how much of it is left.

    Where more than `most` are due, the rest of the wait is forgotten: a replay that cannot keep
    its pace slows down.
    """
    count = 0
    while waited_s >= (gap := gaps[(index + count) % len(gaps)]):
        if count == most:
            return count, 0.0
        waited_s -= gap
        count += 1
    return count, waited_s


class Replay:
    """Repeats a day on the live market until `stop` is set; one process at a time does so."""

    def __init__(
        self,
        day: Sequence[Record],
        *,
        speed: float,
        stop: threading.Event,
        alive: Callable[[], None],
    ) -> None:
        self._day, self._gaps = day, gaps_s(day)
        self._speed, self._stop, self._alive = speed, stop, alive
        self._retry_s = FIRST_RETRY_S

    def run(self) -> None:
        """Goes on through restarts of the database and of the push server."""
        while not self._stop.is_set():
            self._alive()
            try:
                self._run_alone()
            except LOST as error:
                log.warning(
                    "replay interrupted, it will go on where it was",
                    error=type(error).__name__,
                    retry_s=self._retry_s,
                )
                connection.close()
                self._stop.wait(self._retry_s)
                self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S)

    def _run_alone(self) -> None:
        with locks.session(Lock.DEMO) as alone:
            if alone:
                self._play(markets.prepare(self._day, now=clock.db_now()))
            else:
                self._stop.wait(STANDBY_S)

    def _play(self, market: Market) -> None:
        """The position is the number of trades that stand, so nothing else has to be remembered."""
        index = position(market)
        log.info("replay begins", market=market.symbol, index=index % len(self._day))
        waited_s, then = 0.0, time.monotonic()
        while not self._stop.is_set():
            self._alive()
            now = time.monotonic()
            waited_s, then = waited_s + (now - then) * self._speed, now
            count, waited_s = due(self._gaps, index, waited_s=waited_s)
            if count:
                with logs.correlated():
                    trades.record(market, self._batch(index, count), source=TradeSource.REPLAYED)
                index += count
                self._retry_s = FIRST_RETRY_S
            missing_s = (self._gaps[index % len(self._gaps)] - waited_s) / self._speed
            self._stop.wait(min(max(missing_s, SHORTEST_PAUSE_S), LONGEST_PAUSE_S))

    def _batch(self, index: int, count: int) -> list[NewTrade]:
        picked = (self._day[n % len(self._day)] for n in range(index, index + count))
        return [
            NewTrade(
                price=record.price,
                quantity=record.quantity,
                is_buyer_maker=record.is_buyer_maker,
                count=record.last_id - record.first_id + 1,
            )
            for record in picked
        ]


def position(market: Market) -> int:
    """How many trades the replay has made: the next one is that one, counted round the day."""
    return trades.tail_of(market).seq
