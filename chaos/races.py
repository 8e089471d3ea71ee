"""Races: an order's fill, its cancel and its expiry at one moment; many clients after one balance;
many clients with one client order id. Each has exactly as many winners as there may be."""

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from django.contrib.auth.models import User

from apps.exchange import ledger, matching, orders
from apps.exchange.ledger import reconcile
from apps.exchange.models import Asset, Order, OrderStatus, TimeInForce
from chaos import promises, stages, trading_rows
from chaos.floor import market_of
from chaos.nursery import Nursery
from chaos.promises import Notebook, Promise
from chaos.stages import Stage, limit
from chaos.verdict import Verdict, say
from moonx.core import clock
from moonx.core.locks import LockBusy

FULL_N = 10_000  # orders that are raced for
AT_A_TIME = 250
PACE_S = 0.03  # between two orders' moments
CLIENTS = 64
AFFORDABLE = 10  # orders that the balance pays for
ROUNDS = 20  # of many clients after one balance; as many with one client order id
HEAD_START_S = 1.0

SELLER, BUYER = 0, 1
PRICE, QUANTITY = "10.00", "1"


@dataclass(slots=True)
class Races:
    """What was raced for, and who won."""

    raced: int = 0
    winners: Counter[str] = field(default_factory=Counter)
    more: dict[str, object] = field(default_factory=dict)


def run(
    nursery: Nursery, *, n: int, seed: int, rounds: int = ROUNDS, clients: int = CLIENTS
) -> tuple[Verdict, Races]:
    """All races. The database must be empty."""
    found, races = Verdict(), Races()
    _race_for_orders(nursery, found, races, n=n, seed=seed)
    _race_for_balances(nursery, found, races, rounds=rounds, clients=clients)
    trading_rows.check(os.environ["DATABASE_URL"], found)
    report = reconcile.check_all(from_genesis=True, acts=False)
    found.hold(len(report.broken), f"invariants broken of the {len(report.checked)} of reconcile")
    return found, races


# One order, three who want to end it


def _race_for_orders(nursery: Nursery, found: Verdict, races: Races, *, n: int, seed: int) -> None:
    stage = stages.build(owners=2, funds=Decimal(10) ** 9)
    with _notes() as folder:
        while races.raced < n:
            ids = _lay_out(stage, min(AT_A_TIME, n - races.raced))
            _race(nursery, stage, ids, folder=folder, seed=seed + races.raced)
            races.raced += len(ids)
            say(f"{races.raced:,} of {n:,} orders raced for")
        noted = promises.read(folder)
    matching.sweep()
    orders.expire_due()
    _hold_winners(found, races, stage, noted)


def _lay_out(stage: Stage, count: int) -> list[int]:
    """Sells that rest, all alike; their time is set when the race begins."""
    late = {
        "time_in_force": TimeInForce.GTD,
        "expires_at": clock.db_now() + timedelta(hours=1),
    }
    ids = [stage.arrive(SELLER, "SELL", PRICE, QUANTITY, **late) for _ in range(count)]
    matching.match(stage.market)
    return ids


def _race(nursery: Nursery, stage: Stage, ids: Sequence[int], *, folder: Path, seed: int) -> None:
    start = clock.db_now() + timedelta(seconds=HEAD_START_S)
    for number, order_id in enumerate(ids):
        Order.objects.filter(pk=order_id).update(
            expires_at=start + timedelta(seconds=number * PACE_S)
        )
    common = {"symbol": stage.market.symbol, "start": start.timestamp(), "seed": seed}
    children = [
        nursery.start(
            "chaos.races:cancels",
            ids=list(ids),
            owner=stage.owners[SELLER],
            notes=str(folder / f"cancels{seed}"),
            **common,
        ),
        nursery.start(
            "chaos.races:fills",
            count=len(ids),
            owner=stage.owners[BUYER],
            notes=str(folder / f"fills{seed}"),
            **common,
        ),
        nursery.start("chaos.races:expires", start=start.timestamp(), count=len(ids)),
    ]
    for pid in children:
        ending = nursery.wait(pid)
        if ending.error:
            raise RuntimeError(f"a racer fell: {ending.error}")


def cancels(
    *, symbol: str, ids: list[int], owner: int, notes: str, start: float, seed: int
) -> None:
    """In a child: cancels each order at about the moment at which its time is over."""
    market, notebook, rng = market_of(symbol), Notebook(Path(notes)), random.Random(seed)
    for number, order_id in enumerate(ids):
        _wait_for(start, number, rng)
        key = f"cancel {order_id}"
        notebook.intend(key, "cancel", order_id=order_id)
        try:
            order = orders.cancel(market, owner, order_id=order_id)
            notebook.told(key, status=order.status)
        except (orders.UnknownOrder, LockBusy) as refusal:
            notebook.told(key, refused=type(refusal).__name__)


def fills(*, symbol: str, count: int, owner: int, notes: str, start: float, seed: int) -> None:
    """In a child: buys one at about each of those moments."""
    market, notebook, rng = market_of(symbol), Notebook(Path(notes)), random.Random(seed + 1)
    for number in range(count):
        _wait_for(start, number, rng)
        key = f"fill {seed} {number}"
        notebook.intend(key, "place")
        new = limit("BUY", PRICE, QUANTITY, time_in_force=TimeInForce.IOC, client_order_id=key)
        order = orders.place(market, owner, new)
        notebook.told(key, status=order.status, filled=str(order.filled_quantity))


def expires(*, start: float, count: int) -> None:
    """In a child: sweeps without a pause."""
    while time.time() < start + count * PACE_S + 0.2:
        orders.expire_due()
        time.sleep(0.005)


def _wait_for(start: float, number: int, rng: random.Random) -> None:
    moment = start + number * PACE_S + rng.uniform(-0.6, 0.3) * PACE_S
    time.sleep(max(0.0, moment - time.time()))


def _hold_winners(found: Verdict, races: Races, stage: Stage, noted: list[Promise]) -> None:
    rows = dict(
        Order.objects.filter(market=stage.market, owner_id=stage.owners[SELLER]).values_list(
            "pk", "status"
        )
    )
    races.winners = Counter(rows.values())
    ended = {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED}
    found.hold(sum(status not in ended for status in rows.values()), "orders that nobody won")
    told = [p for p in noted if p.kind == "cancel" and p.is_kept_by_a_row]
    won = {promise.asked["order_id"] for promise in told}
    canceled = {pk for pk, status in rows.items() if status == OrderStatus.CANCELED}
    found.hold(len(won - canceled), "cancels promised of orders that ended otherwise", kind="lost")
    found.hold(len(canceled - won), "orders canceled whose cancel was refused")
    bought = sum(p.told is not None and p.told.get("status") == "FILLED" for p in noted)
    found.hold(abs(bought - races.winners["FILLED"]), "fills promised that are not the fills")
    found.hold(sum(p.told is None for p in noted), "racers that were not answered")


# One balance, many who want to spend it; one client order id, many who want to use it


def _race_for_balances(
    nursery: Nursery, found: Verdict, races: Races, *, rounds: int, clients: int
) -> None:
    markets = [stages.build(owners=0).market.symbol for _ in range(2)]
    owners = [_owner(number) for number in range(2 * rounds)]
    start = time.time() + HEAD_START_S + clients * 0.03
    with _notes() as folder:
        children = [
            nursery.start(
                "chaos.races:spends",
                symbol=markets[number % 2],
                owners=owners,
                alike=owners[rounds:],
                name=f"client{number}",
                notes=str(folder / f"client{number}"),
                start=start,
            )
            for number in range(clients)
        ]
        endings = [nursery.wait(pid) for pid in children]
        noted = promises.read(folder)
    found.hold(sum(bool(ending.error) for ending in endings), "clients that failed")
    _hold_spent(found, owners, noted, alike=owners[rounds:], markets=len(markets))
    races.more |= {"clients": clients, "balances": rounds, "ids": rounds}


def _owner(number: int) -> int:
    """Somebody who can pay for so many orders, and not for one more."""
    user = User.objects.create(username=f"spender-{number}")
    quote = Asset.objects.get(symbol=stages.QUOTE)
    hold = Decimal(PRICE) * Decimal(QUANTITY) * (1 + Decimal(10) / 10_000)
    amount = AFFORDABLE * hold + hold / 2
    ledger.fund(user.pk, quote, amount, source=f"spender:{number}")
    return user.pk


def spends(
    *,
    symbol: str,
    owners: list[int],
    alike: list[int],
    name: str,
    notes: str,
    start: float,
) -> None:
    """In a child: one order for each owner, all clients for the same owner at about one moment."""
    market, notebook = market_of(symbol), Notebook(Path(notes))
    time.sleep(max(0.0, start - time.time()))
    for owner in owners:
        key = f"{name} {owner}"
        notebook.intend(key, "place", owner=owner)
        own = "the same" if owner in alike else key
        try:
            order = orders.place(market, owner, limit("BUY", PRICE, QUANTITY, client_order_id=own))
            notebook.told(key, order_id=order.pk)
        except orders.OrderRefused as refusal:
            notebook.told(key, refused=type(refusal).__name__)


def _hold_spent(
    found: Verdict,
    owners: Sequence[int],
    noted: Sequence[Promise],
    *,
    alike: Sequence[int],
    markets: int,
) -> None:
    """Exactly as many succeed as the balance pays for; of one id, one in each market."""
    placed = Counter(p.asked["owner"] for p in noted if p.is_kept_by_a_row)
    rows = Counter(Order.objects.filter(owner_id__in=owners).values_list("owner_id", flat=True))
    for owner in owners:
        legal = markets if owner in alike else AFFORDABLE
        more, less = max(0, rows[owner] - legal), max(0, legal - rows[owner])
        if more or less or placed[owner] != rows[owner]:
            found.hold(more, f"orders too many of owner {owner}", kind="doubled")
            found.hold(less, f"orders too few of owner {owner}", kind="lost")
            found.hold(abs(placed[owner] - rows[owner]), f"promises amiss of owner {owner}")
    reasons = Counter(p.told["refused"] for p in noted if p.told and "refused" in p.told)
    wrong = reasons.keys() - {"InsufficientBalance", "DuplicateOrder"}
    found.hold(len(wrong), f"reasons to refuse that are none {sorted(wrong)}")


@contextmanager
def _notes() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="moonx-chaos-") as place:
        yield Path(place)
