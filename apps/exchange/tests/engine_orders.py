"""Orders as the engine sees them, made by hand, and one batch of it."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from apps.exchange import holds
from apps.exchange.matching.engine import Decision, Rules, decide
from apps.exchange.matching.live import Live
from apps.exchange.matching.sides import Side
from apps.exchange.models import MarketStatus, OrderType, SelfTrade, Stage, TimeInForce

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
UNIT = 100  # atoms that one step costs at one tick
MAKER_PPM, TAKER_PPM = 500, 1000
_ids = itertools.count(1)


def rules(**changes: Any) -> Rules:
    return replace(
        Rules(now=NOW, status=MarketStatus.TRADING, last_price=None, unit=UNIT), **changes
    )


def order(side: str, price: int, quantity: int, **changes: Any) -> Live:
    number = next(_ids)
    is_buy = side == "buy"
    held = hold_of(price, quantity) if is_buy else quantity
    values = {
        "id": number,
        "owner": 1000 + number,
        "is_buy": is_buy,
        "type": OrderType.LIMIT,
        "time_in_force": TimeInForce.GTC,
        "self_trade": SelfTrade.EXPIRE_MAKER,
        "price": price,
        "stop": 0,
        "quantity": quantity,
        "budget": None,
        **dict.fromkeys(("filled", "prevented", "quote", "taken", "fee"), 0),
        "held": held,
        "held_before": held,
        "maker_ppm": MAKER_PPM,
        "taker_ppm": TAKER_PPM,
        "expires_at": None,
        "stage": Stage.ARRIVED,
        "rank": number,
        "base_account": 2 * number,
        "quote_account": 2 * number + 1,
    }
    return Live(**{**values, **changes})


def hold_of(price: int, quantity: int) -> int:
    return holds.needed(price * quantity * UNIT, ppm=TAKER_PPM)


def resting(side: str, price: int, quantity: int, **changes: Any) -> Live:
    return order(side, price, quantity, stage=Stage.BOOK, **changes)


def run(
    arrived: Sequence[Live], book: Sequence[Live] = (), stops: Sequence[Live] = (), **changes: Any
) -> Decision:
    return decide(
        arrived,
        bids=Side((o for o in book if o.is_buy), is_bids=True, is_complete=True),
        asks=Side((o for o in book if not o.is_buy), is_bids=False, is_complete=True),
        stops=stops,
        rules=rules(**changes),
    )


def traded(decision: Decision) -> list[tuple[int, int]]:
    return [(match.price, match.quantity) for match in decision.matches]


def by_amount(side: str, price: int, *, budget: int, held: int | None = None) -> Live:
    return order(
        side,
        price,
        0,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.IOC,
        budget=budget,
        held=budget if held is None else held,
        held_before=budget if held is None else held,
    )
