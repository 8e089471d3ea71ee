"""What a batch decided, written: holds, trades, fills, journals, entries, bars, orders, facts.

The caller's transaction holds the market's lock. Accounts are locked in one statement, in the order
of their ids, before anything is written.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any

from apps.exchange import candles, ledger
from apps.exchange.announcing import Move, tell_balances, tell_fills, tell_orders
from apps.exchange.bars import Bar
from apps.exchange.matching.engine import NEW_RANK, Decision, Match
from apps.exchange.matching.live import Live
from apps.exchange.matching.reading import Grid
from apps.exchange.models import Market, OrderStatus, Stage
from apps.exchange.trades import Tail, tell_trades
from moonx.core import prepared
from moonx.core.arrays import numbers, words
from moonx.core.events import (
    BalanceCredited,
    BalanceDebited,
    BalanceUnlocked,
    OrderAccepted,
    OrderCanceled,
    OrderExpired,
    OrderFact,
    OrderFilled,
    OrderPartiallyFilled,
    OrderRejected,
)
from moonx.core.intervals import Interval
from moonx.core.money import EXACT

RELEASE = """
UPDATE exchange_account a SET held = a.held + u.change
FROM unnest(%s::bigint[], %s::numeric[]) AS u(id, change) WHERE a.id = u.id
"""

# One statement, because a journal's entries must come with it and the arrays are read once.
SETTLE = """
WITH f AS MATERIALIZED (
  SELECT u.*, nextval('exchange_journal_id_seq') AS journal, u.price * %(tick)s AS p,
    u.quantity * %(step)s AS q, u.quote * %(atom)s AS n, u.taker_fee * %(atom)s AS taker_cost,
    u.maker_fee * %(atom)s AS maker_cost, CASE WHEN u.maker_buys THEN 'SELL' ELSE 'BUY' END AS side
  FROM unnest(%(seqs)s::bigint[], %(ids)s::bigint[], %(prices)s::bigint[], %(quantities)s::bigint[],
    %(quotes)s::numeric[], %(makers_buy)s::bool[], %(takers)s::bigint[], %(makers)s::bigint[],
    %(taker_owners)s::int[], %(maker_owners)s::int[], %(taker_fees)s::numeric[],
    %(maker_fees)s::numeric[], %(buyer_bases)s::bigint[], %(seller_bases)s::bigint[],
    %(buyer_quotes)s::bigint[], %(seller_quotes)s::bigint[])
    AS u(seq, trade_id, price, quantity, quote, maker_buys, taker, maker, taker_owner, maker_owner,
      taker_fee, maker_fee, buyer_base, seller_base, buyer_quote, seller_quote)
),
trades AS (
  INSERT INTO exchange_trade (market_id, seq, first_id, last_id, price, quantity, quote_quantity,
    is_buyer_maker, executed_at, source)
  SELECT %(market)s, seq, trade_id, trade_id, p, q, n, maker_buys, %(at)s, 'matched' FROM f
),
fills AS (
  INSERT INTO exchange_fill (market_id, seq, order_id, owner_id, side, is_maker, price, quantity,
    quote_quantity, fee, executed_at)
  SELECT %(market)s, f.seq, v.id, v.owner, v.side, v.is_maker, f.p, f.q, f.n, v.fee, %(at)s
  FROM f CROSS JOIN LATERAL (VALUES
    (f.taker, f.taker_owner, f.side, false, f.taker_cost),
    (f.maker, f.maker_owner, CASE f.side WHEN 'BUY' THEN 'SELL' ELSE 'BUY' END, true, f.maker_cost)
  ) AS v(id, owner, side, is_maker, fee)
),
journals AS (
  INSERT INTO exchange_journal (id, kind, source, epoch, reason, correlation_id, created_at)
  SELECT f.journal, 'trade', %(symbol)s || ':' || f.seq, 0, '', o.correlation_id, %(at)s
  FROM f JOIN exchange_order o ON o.id = f.taker
)
INSERT INTO exchange_entry (journal_id, account_id, asset_id, amount)
SELECT f.journal, v.account, v.asset, v.amount
FROM f CROSS JOIN LATERAL (VALUES
  (f.buyer_base, %(base)s, f.q),
  (f.seller_base, %(base)s, -f.q),
  (f.buyer_quote, %(quote)s,
    -f.n - CASE WHEN f.maker_buys THEN f.maker_cost ELSE f.taker_cost END),
  (f.seller_quote, %(quote)s,
    f.n - CASE WHEN f.maker_buys THEN f.taker_cost ELSE f.maker_cost END),
  (%(fees)s, %(quote)s, f.taker_cost + f.maker_cost)
) AS v(account, asset, amount)
WHERE v.amount <> 0
"""

RANKS = "SELECT nextval('exchange_priority_seq') FROM generate_series(1, %s)"

UPDATE = """
UPDATE exchange_order o SET quantity = u.quantity * %(step)s,
  filled_quantity = u.filled * %(step)s, prevented_quantity = u.prevented * %(step)s,
  filled_quote = u.quote * %(atom)s, taken_quote = u.taken * %(atom)s, fee = u.fee * %(atom)s,
  held = u.held * CASE o.side WHEN 'BUY' THEN %(atom)s ELSE %(step)s END, status = u.status,
  stage = u.stage, reason = u.reason, priority = u.rank, updated_at = %(at)s,
  working_at = CASE WHEN u.stage = 'book' OR u.filled > 0 THEN coalesce(o.working_at, %(at)s)
    ELSE o.working_at END
FROM unnest(%(ids)s::bigint[], %(quantities)s::bigint[], %(filled)s::bigint[],
  %(prevented)s::bigint[], %(quotes)s::numeric[], %(taken)s::numeric[], %(fees)s::numeric[],
  %(held)s::numeric[], %(statuses)s::text[], %(stages)s::text[], %(reasons)s::text[],
  %(ranks)s::bigint[])
  AS u(id, quantity, filled, prevented, quote, taken, fee, held, status, stage, reason, rank)
WHERE o.id = u.id
"""

ORDER_COLUMNS = {
    "ids": "id",
    "quantities": "quantity",
    "filled": "filled",
    "prevented": "prevented",
    "quotes": "quote",
    "taken": "taken",
    "fees": "fee",
    "held": "held",
    "ranks": "rank",
}

ENDINGS: dict[OrderStatus, type[OrderFact]] = {
    OrderStatus.FILLED: OrderFilled,
    OrderStatus.PARTIALLY_FILLED: OrderPartiallyFilled,
    OrderStatus.CANCELED: OrderCanceled,
    OrderStatus.EXPIRED: OrderExpired,
    OrderStatus.EXPIRED_IN_MATCH: OrderExpired,
    OrderStatus.REJECTED: OrderRejected,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A decision and what it is written against."""

    market: Market
    grid: Grid
    tail: Tail
    decision: Decision


@dataclass(slots=True)
class Change:
    """What a batch does to one account, in atoms of a quote account and steps of a base account."""

    unit: Decimal
    gained: int = 0
    spent: int = 0
    held: int = 0

    def in_assets(self, count: int) -> Decimal:
        """A count of units as an amount."""
        return EXACT.multiply(self.unit, Decimal(count))


def settle(batch: Batch) -> None:
    """Writes everything that follows from the decision."""
    changes = changes_of(batch.decision, batch.grid)
    ledger.hold(changes)
    _release(changes)
    if batch.decision.matches:
        _settle_trades(batch)
        _merge_bar(batch)
    _update_orders(batch)
    _tell(batch, changes)


def changes_of(decision: Decision, grid: Grid) -> dict[int, Change]:
    """Per account what the decision does to its balance and to what is held of it."""
    changes: dict[int, Change] = {}

    def change(account: int, unit: Decimal) -> Change:
        return changes.setdefault(account, Change(unit))

    for order in decision.touched.values():
        if order.held != order.held_before:
            account = order.quote_account if order.is_buy else order.base_account
            unit = grid.atom if order.is_buy else grid.step
            change(account, unit).held += order.held - order.held_before
    for match in decision.matches:
        buyer, seller = match.buyer, match.seller
        buyer_fee, seller_fee = _fees(match)
        change(buyer.base_account, grid.step).gained += match.quantity
        change(seller.base_account, grid.step).spent += match.quantity
        change(buyer.quote_account, grid.atom).spent += match.quote + buyer_fee
        change(seller.quote_account, grid.atom).gained += match.quote - seller_fee
    return changes


def _fees(match: Match) -> tuple[int, int]:
    """The buyer's fee and the seller's."""
    if match.taker.is_buy:
        return match.taker_fee, match.maker_fee
    return match.maker_fee, match.taker_fee


def _release(changes: dict[int, Change]) -> None:
    """What orders no longer hold is free before entries take it: never more held than there is."""
    freed = {account: change for account, change in changes.items() if change.held}
    if freed:
        amounts = (change.in_assets(change.held) for change in freed.values())
        with prepared.cursor() as cursor:
            cursor.execute(RELEASE, [numbers(freed), numbers(amounts)])


def _settle_trades(batch: Batch) -> None:
    market, grid, tail = batch.market, batch.grid, batch.tail
    matches = batch.decision.matches
    values: dict[str, Any] = {
        "tick": grid.tick,
        "step": grid.step,
        "atom": grid.atom,
        "market": market.pk,
        "symbol": market.symbol,
        "base": market.base_id,
        "quote": market.quote_id,
        "fees": ledger.fees_account(market),
        "at": tail.moment,
        "seqs": numbers(range(tail.seq + 1, tail.seq + 1 + len(matches))),
        "ids": numbers(range(tail.last_id + 1, tail.last_id + 1 + len(matches))),
        "makers_buy": [match.maker.is_buy for match in matches],
        **_columns(matches),
    }
    with prepared.cursor() as cursor:
        cursor.execute(SETTLE, values)


MATCH_COLUMNS = {
    "prices": "price",
    "quantities": "quantity",
    "quotes": "quote",
    "takers": "taker.id",
    "makers": "maker.id",
    "taker_owners": "taker.owner",
    "maker_owners": "maker.owner",
    "taker_fees": "taker_fee",
    "maker_fees": "maker_fee",
    "buyer_bases": "buyer.base_account",
    "seller_bases": "seller.base_account",
    "buyer_quotes": "buyer.quote_account",
    "seller_quotes": "seller.quote_account",
}


def _columns(matches: Sequence[Match]) -> dict[str, str]:
    return {name: numbers(map(attrgetter(path), matches)) for name, path in MATCH_COLUMNS.items()}


def _merge_bar(batch: Batch) -> None:
    """All trades of a batch happen at one moment, so they make one bar."""
    bar = bar_of(batch.decision.matches, grid=batch.grid, tail=batch.tail)
    candles.merge_minutes(batch.market, {bar.open_time: bar})


def bar_of(matches: Sequence[Match], *, grid: Grid, tail: Tail) -> Bar:
    """The 1m bar of a batch's trades."""

    def amount(count: int, unit: Decimal) -> Decimal:
        return EXACT.multiply(unit, Decimal(count))

    prices = [match.price for match in matches]
    taken = [match for match in matches if match.taker.is_buy]
    return Bar(
        open_time=Interval.M1.floor(tail.moment),
        open=amount(prices[0], grid.tick),
        high=amount(max(prices), grid.tick),
        low=amount(min(prices), grid.tick),
        close=amount(prices[-1], grid.tick),
        base_volume=amount(sum(match.quantity for match in matches), grid.step),
        quote_volume=amount(sum(match.quote for match in matches), grid.atom),
        taker_base_volume=amount(sum(match.quantity for match in taken), grid.step),
        taker_quote_volume=amount(sum(match.quote for match in taken), grid.atom),
        trade_count=len(matches),
        first_seq=tail.seq + 1,
        last_seq=tail.seq + len(matches),
    )


def _update_orders(batch: Batch) -> None:
    orders = list(batch.decision.touched.values())
    _number_ranks(orders)
    values: dict[str, Any] = {
        "step": batch.grid.step,
        "atom": batch.grid.atom,
        "at": batch.tail.moment,
        "statuses": words(order.status.value for order in orders),
        "stages": words(order.stage.value for order in orders),
        "reasons": words(order.reason.value for order in orders),
        **{name: numbers(map(attrgetter(path), orders)) for name, path in ORDER_COLUMNS.items()},
    }
    with prepared.cursor() as cursor:
        cursor.execute(UPDATE, values)


def _number_ranks(orders: Iterable[Live]) -> None:
    """Gives those that came now their place in time, in the order in which they were taken."""
    news = sorted((order for order in orders if order.rank >= NEW_RANK), key=attrgetter("rank"))
    with prepared.cursor() as cursor:
        cursor.execute(RANKS, [len(news)])
        for order, (rank,) in zip(news, sorted(cursor.fetchall()), strict=True):
            order.rank = rank


def _tell(batch: Batch, changes: dict[int, Change]) -> None:
    decision = batch.decision
    tell_orders(OrderAccepted, [order.id for order in decision.accepted])
    if decision.matches:
        tell_trades(batch.market, after=batch.tail.seq)
        tell_fills(batch.market, after=batch.tail.seq)
    endings: defaultdict[type[OrderFact], list[int]] = defaultdict(list)
    for order in decision.touched.values():
        if order.status is not OrderStatus.NEW:
            endings[ENDINGS[order.status]].append(order.id)
        elif order.prevented:
            endings[OrderPartiallyFilled].append(order.id)
    for event, ids in endings.items():
        tell_orders(event, ids)
    _tell_unlocked(batch)
    _tell_balances(changes)


def _tell_unlocked(batch: Batch) -> None:
    """What orders gave back otherwise than by trading, each order's once."""
    moves = [
        Move(
            account=order.quote_account if order.is_buy else order.base_account,
            amount=EXACT.multiply(
                batch.grid.atom if order.is_buy else batch.grid.step, Decimal(order.freed)
            ),
            order=order.id,
        )
        for order in batch.decision.touched.values()
        if order.freed
    ]
    tell_balances(BalanceUnlocked, moves)


def _tell_balances(changes: dict[int, Change]) -> None:
    """An account's fact of what all trades of the batch took from it, then of what they gave it.

    Not of their difference: who sells and buys the same in one batch would be told nothing, though
    what was held for it is no longer.
    """
    items = changes.items()
    spent = [Move(account=one, amount=it.in_assets(it.spent)) for one, it in items if it.spent]
    gained = [Move(account=one, amount=it.in_assets(it.gained)) for one, it in items if it.gained]
    tell_balances(BalanceDebited, spent)
    tell_balances(BalanceCredited, gained)


def book_changed(decision: Decision) -> bool:
    """Whether what others see of the book changed: something traded, came to rest or left it."""
    return bool(decision.matches) or any(
        order.stage is Stage.BOOK or order.reason != "" for order in decision.touched.values()
    )
