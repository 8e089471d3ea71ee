"""The rows of a run played again on paper, in the order in which the markets took the orders, and
compared with what the rows say, order by order."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chaos.model import STOPS, Paper, PaperFill, PaperMarket, changes_of

Row = dict[str, Any]

ORDERS = """
SELECT o.*, o.hold AS hold_at_first FROM exchange_order o WHERE market_id = %s ORDER BY id
"""
# Facts of one key stand in the order in which they happened, under the market's lock.
TAKEN = """
SELECT (payload->>'orderId')::bigint AS id, created_at AS at FROM (
  SELECT id, payload, created_at FROM core_outbox
  WHERE name = 'order.accepted' AND payload->>'symbol' = %s
  UNION ALL
  SELECT id, payload, created_at FROM core_event
  WHERE name = 'order.accepted' AND payload->>'symbol' = %s) told
ORDER BY told.id
"""
FILLS = """
SELECT t.seq, t.price, t.quantity, taker.order_id AS taker, maker.order_id AS maker,
  taker.fee AS taker_fee, maker.fee AS maker_fee
FROM exchange_trade t
LEFT JOIN exchange_fill taker ON taker.market_id = t.market_id AND taker.seq = t.seq
  AND NOT taker.is_maker
LEFT JOIN exchange_fill maker ON maker.market_id = t.market_id AND maker.seq = t.seq
  AND maker.is_maker
WHERE t.market_id = %s ORDER BY t.seq
"""
MARKETS = """
SELECT m.id, m.symbol, m.step_size, q.decimals, m.base_id, m.quote_id
FROM exchange_market m JOIN exchange_asset q ON q.id = m.quote_id ORDER BY m.id
"""
BALANCES = """
SELECT coalesce(a.owner_id, 0) AS owner, a.asset_id AS asset, sum(e.amount) AS amount
FROM exchange_entry e JOIN exchange_account a ON a.id = e.account_id
JOIN exchange_journal j ON j.id = e.journal_id WHERE j.kind = 'trade' GROUP BY 1, 2
"""
# Columns of an order, and what the model calls them.
COMPARED = {
    "status": "status",
    "reason": "reason",
    "stage": "place",
    "filled_quantity": "filled",
    "prevented_quantity": "prevented",
    "filled_quote": "quote",
    "taken_quote": "taken",
    "fee": "fee",
    "held": "held",
    "quantity": "quantity",
}


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """Something that happened to a market at a moment, by the database's clock."""

    at: datetime
    turn: int  # between what happened at one moment: the order's place in its batch
    row: Row = field(compare=False)
    what: str = field(compare=False)


@dataclass(slots=True)
class Compared:
    """What both said, and where they differ."""

    orders: int = 0
    fills: int = 0
    differences: list[str] = field(default_factory=list)
    out_of_turn: int = 0


def compare(dsn: str, *, flips: Iterable[tuple[str, str, datetime]], until: datetime) -> Compared:
    """Replays every market; `flips` are changes of status (symbol, status, when), and `until` is
    the moment up to which every order whose time was over has been ended."""
    done, changes = Compared(), dict[tuple[int, int], Fraction]()
    with psycopg.connect(dsn, row_factory=dict_row, autocommit=True) as pg:
        for market in pg.execute(MARKETS).fetchall():
            rows = pg.execute(ORDERS, [market["id"]]).fetchall()
            taken = {one["id"]: one["at"] for one in pg.execute(TAKEN, [market["symbol"]] * 2)}
            mine = [(status, at) for symbol, status, at in flips if symbol == market["symbol"]]
            steps = steps_of(rows, taken, mine)
            done.out_of_turn += _out_of_turn(rows, taken)
            paper = replay(market, steps)
            expire(paper, rows, until)
            fills = pg.execute(FILLS, [market["id"]]).fetchall()
            done.orders += len(rows)
            done.fills += len(fills)
            done.differences += differences(market["symbol"], paper, rows, fills)
            _add(changes, changes_of(paper), market)
        found = {(r["owner"], r["asset"]): Fraction(r["amount"]) for r in pg.execute(BALANCES)}
    done.differences += [
        f"owner {owner} asset {asset}: rows {found.get((owner, asset), 0)}, model {amount}"
        for (owner, asset), amount in changes.items()
        if found.get((owner, asset), 0) != amount
    ]
    return done


def _add(
    changes: dict[tuple[int, int], Fraction], more: dict[tuple[int, str], Fraction], market: Row
) -> None:
    assets = {"base": market["base_id"], "quote": market["quote_id"]}
    for (owner, which), amount in more.items():
        key = owner, assets[which]
        changes[key] = changes.get(key, Fraction(0)) + amount


def steps_of(
    rows: Sequence[Row], taken: Mapping[int, datetime], flips: Sequence[tuple[str, datetime]]
) -> list[Step]:
    """Everything that happened to a market, in order; `taken` is when each order was accepted."""
    turns = turns_of(rows, list(taken))
    arrived = sorted((row for row in rows if row["id"] in turns), key=lambda row: turns[row["id"]])
    found = [
        Step(at, number, row, "arrive")
        for number, (row, at) in enumerate(zip(arrived, moments_of(arrived, taken), strict=True))
    ]
    found += [Step(row["updated_at"], 0, row, "cancel") for row in rows if _canceled(row)]
    found += [Step(at, 0, {"status": status}, "flip") for status, at in flips]
    return sorted(found)


def _canceled(row: Row) -> bool:
    return bool(row["status"] == "CANCELED")


def moments_of(arrived: Sequence[Row], taken: Mapping[int, datetime]) -> list[datetime]:
    """When each order was taken. A stop does not tell once it was triggered: its fact does, written
    a little later, but before anything of the next batch."""
    found: list[datetime] = []
    following = datetime.max.replace(tzinfo=UTC)
    for row in reversed(arrived):
        own = row["working_at"] or row["updated_at"]  # what never worked ended at once
        if row["id"] not in taken:  # it was rejected, and stands where others may have moved
            found.append(own)
            continue
        if row["type"] not in STOPS:
            following = own
        found.append(min(following, taken[row["id"]]))
    return found[::-1]


def turns_of(rows: Sequence[Row], taken: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Each order's turn, by its id; those that were never taken have none.

    The order of acceptance gives the turn of those that were accepted; the others have theirs by
    priority, which only stops that were triggered have got anew.
    """
    by_id, turns, last = {row["id"]: row for row in rows}, dict[int, tuple[int, int]](), 0
    for number, order_id in enumerate(taken, start=1):
        row = by_id[order_id]
        if not _was_triggered(row):
            last = row["priority"]
        turns[order_id] = (last, number if _was_triggered(row) else 0)
    for row in rows:
        if row["priority"] is not None and row["id"] not in turns:
            turns[row["id"]] = (row["priority"], 0)
    return turns


def _was_triggered(row: Row) -> bool:
    """Whether an accepted order may have another priority than when it came: a stop that began to
    work, or that ended when it should have, or whose time was over, wherever it then was."""
    ended_at_once = row["reason"] in {"unfilled", "selfTrade", "time"}
    is_rejected = row["status"] == "REJECTED"
    return row["type"] in STOPS and (row["working_at"] is not None or ended_at_once or is_rejected)


def _out_of_turn(rows: Sequence[Row], taken: Iterable[int]) -> int:
    """Orders whose priority and fact disagree about who came first."""
    by_id = {row["id"]: row for row in rows}
    told = [by_id[one]["priority"] for one in taken if not _was_triggered(by_id[one])]
    return sum(before >= after for before, after in itertools.pairwise(told))


def replay(market: Row, steps: Iterable[Step]) -> PaperMarket:
    """What the model makes of the same orders."""
    paper = PaperMarket(step=Fraction(market["step_size"]), atoms=10 ** market["decimals"])
    for step in steps:
        if step.what == "arrive":
            paper.arrive(paper_of(step.row), step.at)
        elif step.what == "cancel":
            paper.cancel(step.row["id"], reason=step.row["reason"])
        else:
            paper.status = step.row["status"]
    return paper


def expire(paper: PaperMarket, rows: Iterable[Row], until: datetime) -> None:
    """Ends on paper what was over when the last sweep began, and those that came due while it ran
    and that it still found: which ones it finds is up to it."""
    paper.expire(until)
    for row in rows:
        is_of_the_last = row["updated_at"] >= until and row["reason"] == "time"
        order = paper.orders.get(row["id"])
        if is_of_the_last and order is not None and order.is_over(row["updated_at"]):
            paper.cancel(order.id, status="EXPIRED", reason="time")


def paper_of(row: Row) -> Paper:
    """The order as it was placed."""
    amount = row["quote_order_quantity"]
    return Paper(
        id=row["id"],
        owner=row["owner_id"],
        side=row["side"],
        type=row["type"],
        time_in_force=row["time_in_force"],
        self_trade=row["self_trade"],
        price=_fraction(row["price"]),
        stop_price=_fraction(row["stop_price"]),
        quantity=Fraction(0) if amount is not None else Fraction(row["quantity"]),
        amount=_fraction(amount),
        maker_bps=Fraction(row["maker_fee_bps"]),
        taker_bps=Fraction(row["taker_fee_bps"]),
        held=Fraction(row["hold"]),
        expires_at=row["expires_at"],
    )


def _fraction(value: Any) -> Fraction | None:
    return None if value is None else Fraction(value)


def differences(
    symbol: str, paper: PaperMarket, rows: Sequence[Row], fills: Sequence[Row]
) -> list[str]:
    """Every order that ended otherwise than on paper, and the first trade that differs."""
    found = [
        f"{symbol} order {row['id']} ({row['type']}): {text}"
        for row in rows
        if (text := difference(row, paper.orders.get(row["id"])))
    ]
    pairs = itertools.zip_longest(fills, paper.fills)
    for row, fill in pairs:
        if row is None or fill is None or _told(row) != _meant(fill):
            found.append(f"{symbol} trade {row and row['seq']}: rows {row}, model {fill}")
            break
    return found


def difference(row: Row, paper: Paper | None) -> str:
    if paper is None:  # it ended before it was ever taken
        untouched = row["filled_quantity"] == 0 and row["held"] == 0
        ended = row["status"] in ("CANCELED", "EXPIRED")
        return "" if untouched and ended else f"never taken, yet {row['status']}"
    for column, name in COMPARED.items():
        if row[column] != getattr(paper, name):
            return f"{column} is {row[column]}, model {getattr(paper, name)}"
    return ""


def _told(row: Row) -> tuple[Any, ...]:
    return tuple(
        row[name] for name in ("taker", "maker", "price", "quantity", "taker_fee", "maker_fee")
    )


def _meant(fill: PaperFill) -> tuple[Any, ...]:
    return (fill.taker, fill.maker, fill.price, fill.quantity, fill.taker_fee, fill.maker_fee)
