"""Seeded bugs of trading: what a careless exchange does, to prove that it is found."""

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from django.db import transaction

from apps.exchange import holds, matching
from apps.exchange.matching import engine, settling
from apps.exchange.matching.live import Live
from apps.exchange.matching.settling import Batch, Change
from apps.exchange.matching.sides import Side
from apps.exchange.models import Market, OrderStatus
from apps.exchange.orders import ending
from moonx.core import locks, outbox
from moonx.core.events import Event
from moonx.core.locks import Lock

# Each bug's window is held open a little, so that a few kills find it.
WINDOW_S = 0.03
MILLION = 1e6


class TradingBug(StrEnum):
    """What is wrong; NONE is the product as it is."""

    NONE = "none"
    NO_MARKET_LOCK = "no-market-lock"
    UNLOCK_TWICE = "unlock-twice"
    UNLOCK_WITH_ORIGINAL_FEE = "unlock-with-original-fee"
    FEE_OF_ORIGINAL_QUANTITY = "fee-of-original-quantity"
    FILL_AFTER_EXPIRY = "fill-after-expiry"
    FLOAT = "float"
    SPLIT_JOURNAL = "split-journal"
    LOST_WAKE_UP = "lost-wake-up"
    CANCEL_OF_FILLED = "cancel-of-filled"
    FACT_APART = "fact-apart"
    REJECT_KEEPS_HOLD = "reject-keeps-hold"
    LAST_COME_FIRST = "last-come-first"
    HALF_A_FILL_OR_KILL = "half-a-fill-or-kill"
    STOPS_WAIT_FOR_EVER = "stops-wait-for-ever"


# What must be found, at least one of these, where the bug is.
TELLTALES: Mapping[TradingBug, tuple[str, ...]] = {
    TradingBug.NO_MARKET_LOCK: ("errors told to clients", "differences from the model"),
    TradingBug.UNLOCK_TWICE: ("hold otherwise than their orders", "errors told to clients"),
    TradingBug.UNLOCK_WITH_ORIGINAL_FEE: (
        "hold otherwise than their orders",
        "errors told to clients",
    ),
    TradingBug.FEE_OF_ORIGINAL_QUANTITY: ("differences from the model",),
    TradingBug.FILL_AFTER_EXPIRY: ("after an order's time was over",),
    TradingBug.FLOAT: ("differences from the model",),
    TradingBug.SPLIT_JOURNAL: ("orders whose fills say something else",),
    TradingBug.LOST_WAKE_UP: ("arrived and were left",),
    TradingBug.CANCEL_OF_FILLED: ("answers that the rows take back", "endings told twice"),
    TradingBug.FACT_APART: ("without their fact", "not told"),
    TradingBug.REJECT_KEEPS_HOLD: ("hold otherwise than their orders",),
    TradingBug.LAST_COME_FIRST: ("differences from the model",),
    TradingBug.HALF_A_FILL_OR_KILL: ("differences from the model",),
    TradingBug.STOPS_WAIT_FOR_EVER: ("differences from the model",),
}


def plant(bug: TradingBug) -> None:
    """Makes this process careless; only ever in a process that exists for that."""
    PLANTS[bug]()


def _no_market_lock() -> None:
    real_hold, real_settle = locks.hold, settling.settle

    def hold(lock: Lock, key: int = 0, **options: Any) -> None:
        if lock is not Lock.MARKET:
            real_hold(lock, key, **options)

    def settle_later(batch: Batch) -> None:
        time.sleep(WINDOW_S)
        real_settle(batch)

    locks.hold = hold
    matching.matching.settle = settle_later  # type: ignore[attr-defined]


def _unlock_twice() -> None:
    ending.FREE = ending.FREE.replace("a.held - u.total", "greatest(0, a.held - 2 * u.total)")


def _unlock_with_original_fee() -> None:
    """Frees the fee that the order was placed with, although fills have paid a part of it."""
    ending.FIND = ending.FIND.replace("o.held,", "least(o.hold, o.held + o.fee),")


def _fee_of_original_quantity() -> None:
    def fee_of(batch: Any, order: Live, **_: int) -> int:
        whole = order.price * order.quantity * batch._rules.unit
        wanted = holds.fee(taken=whole, made=0, taker_ppm=order.taker_ppm, maker_ppm=0)
        return 0 if order.fee else wanted

    engine._Batch._fee_of = fee_of  # type: ignore[method-assign,assignment]


def _fill_after_expiry() -> None:
    Live.is_expired = lambda *_: False  # type: ignore[method-assign]


def _float() -> None:
    def fee(*, taken: int, made: int, taker_ppm: int, maker_ppm: int) -> int:
        return round(taken * (taker_ppm / MILLION) + made * (maker_ppm / MILLION))

    holds.fee = fee


def _split_journal() -> None:
    """Orders and holds commit first, what was traded in a transaction of its own."""
    real = settling._settle_trades

    def settle_later(batch: Batch) -> None:
        transaction.on_commit(lambda: _later(lambda: real(batch)))

    settling._settle_trades = settle_later


def _lost_wake_up() -> None:
    """Who finds the market held goes away, as no message will come again; and nobody sweeps."""
    real = matching.match

    def match_if_free(market: Market, **options: Any) -> int:
        with transaction.atomic():
            if not locks.try_hold(Lock.MARKET, market.pk):
                return 0
        return real(market, **options)

    matching.match = match_if_free
    matching.sweep = lambda: 0


def _cancel_of_filled() -> None:
    ending.FIND = ending.FIND.replace("o.stage <> 'done'", "o.status <> 'CANCELED'")


def _fact_apart() -> None:
    real = outbox.emit_rows

    def emit_later(event: type[Event], select: str, params: Any) -> int:
        transaction.on_commit(lambda: _later(lambda: real(event, select, params)))
        return 0

    outbox.emit_rows = emit_later


def _reject_keeps_hold() -> None:
    real = settling.changes_of

    def changes_of(decision: engine.Decision, grid: Any) -> dict[int, Change]:
        for order in decision.touched.values():
            if order.status is OrderStatus.REJECTED:
                order.held_before = order.held
        return real(decision, grid)

    settling.changes_of = changes_of


def _last_come_first() -> None:
    real = Side._key
    Side._key = lambda self, order: (real(self, order)[0], -order.rank)  # type: ignore[method-assign]


def _half_a_fill_or_kill() -> None:
    engine._Batch._can_fill = lambda *_: True  # type: ignore[method-assign]


def _stops_wait_for_ever() -> None:
    engine._Batch.triggered = lambda _: []  # type: ignore[method-assign,assignment]


def _later(work: Callable[[], object]) -> None:
    time.sleep(WINDOW_S)
    with transaction.atomic():
        work()


PLANTS: Mapping[TradingBug, Callable[[], None]] = {
    TradingBug.NONE: lambda: None,
    TradingBug.NO_MARKET_LOCK: _no_market_lock,
    TradingBug.UNLOCK_TWICE: _unlock_twice,
    TradingBug.UNLOCK_WITH_ORIGINAL_FEE: _unlock_with_original_fee,
    TradingBug.FEE_OF_ORIGINAL_QUANTITY: _fee_of_original_quantity,
    TradingBug.FILL_AFTER_EXPIRY: _fill_after_expiry,
    TradingBug.FLOAT: _float,
    TradingBug.SPLIT_JOURNAL: _split_journal,
    TradingBug.LOST_WAKE_UP: _lost_wake_up,
    TradingBug.CANCEL_OF_FILLED: _cancel_of_filled,
    TradingBug.FACT_APART: _fact_apart,
    TradingBug.REJECT_KEEPS_HOLD: _reject_keeps_hold,
    TradingBug.LAST_COME_FIRST: _last_come_first,
    TradingBug.HALF_A_FILL_OR_KILL: _half_a_fill_or_kill,
    TradingBug.STOPS_WAIT_FOR_EVER: _stops_wait_for_ever,
}
