"""What a batch needs to know of its market, read under the market's lock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.exchange.matching.engine import Rules, prices
from apps.exchange.matching.live import Live
from apps.exchange.matching.sides import Side
from apps.exchange.models import (
    MOST_STEPS,
    Market,
    MarketStatus,
    OrderStatus,
    OrderType,
    Reason,
    SelfTrade,
    Stage,
    TimeInForce,
)
from apps.exchange.trades import Tail
from moonx.core import prepared
from moonx.core.money import EXACT

CONTEXT = """
SELECT m.status, clock_timestamp(), div(t.price, m.tick_size)::bigint, greatest(t.seq, a.seq),
  greatest(t.last_id, a.last_id), greatest(t.executed_at, a.executed_at), m.tick_size, m.step_size
FROM exchange_market m LEFT JOIN LATERAL (
  SELECT price, seq, last_id, executed_at FROM exchange_trade WHERE market_id = m.id
  ORDER BY seq DESC LIMIT 1) t ON true
LEFT JOIN LATERAL (
  SELECT seq, last_id, executed_at FROM exchange_amendment WHERE market_id = m.id
  ORDER BY seq DESC LIMIT 1) a ON true
WHERE m.id = %s
"""

# Amounts become whole numbers of ticks, steps and atoms, which they are on every market's grid.
ORDER = """
SELECT id, owner_id, side = 'BUY', type, time_in_force, self_trade,
  coalesce(div(price, %(tick)s)::bigint, 0), coalesce(div(stop_price, %(tick)s)::bigint, 0),
  div(quantity, %(step)s)::bigint,
  div(quote_order_quantity, %(atom)s), div(filled_quantity, %(step)s)::bigint,
  div(prevented_quantity, %(step)s)::bigint, div(filled_quote, %(atom)s),
  div(taken_quote, %(atom)s), div(fee, %(atom)s),
  div(held, CASE side WHEN 'BUY' THEN %(atom)s ELSE %(step)s END),
  (maker_fee_bps * 100)::int, (taker_fee_bps * 100)::int, expires_at, stage,
  coalesce(priority, 0), base_account_id, quote_account_id, status, reason,
  owner_id IN (SELECT user_id FROM exchange_trader WHERE frozen_at IS NOT NULL)
FROM exchange_order o WHERE market_id = %(market)s AND
"""
# The frozen neither take nor make: a freeze ends the orders it sees, a batch whatever it missed.
ARRIVED = f"{ORDER} stage = 'arrived' ORDER BY id LIMIT %(limit)s"
STOPS = f"""{ORDER} stage = 'stopped' AND (
  stop_price <= %(high)s AND (side = 'BUY') = (type = 'STOP_LOSS_LIMIT')
  OR stop_price >= %(low)s AND (side = 'BUY') <> (type = 'STOP_LOSS_LIMIT'))
"""
ASKS = f"""{ORDER} stage = 'book' AND side = 'SELL' AND price <= %(high)s
ORDER BY price, priority LIMIT %(limit)s"""
BIDS = f"""{ORDER} stage = 'book' AND side = 'BUY' AND price >= %(low)s
ORDER BY price DESC, priority LIMIT %(limit)s"""
HAS_STOPS = """
SELECT EXISTS (SELECT FROM exchange_order WHERE market_id = %s AND stage = 'stopped')
"""
BEST = """
SELECT
  (SELECT min(price) FROM exchange_order
   WHERE market_id = %(market)s AND stage = 'book' AND side = 'SELL'),
  (SELECT max(price) FROM exchange_order
   WHERE market_id = %(market)s AND stage = 'book' AND side = 'BUY')
"""

EVERYTHING = 10**18  # more than any price
SPARE = 16  # resting orders

# By value, because a look-up takes a fifth of the enum's own.
TYPES = {one.value: one for one in OrderType}
TIMES_IN_FORCE = {one.value: one for one in TimeInForce}
SELF_TRADES = {one.value: one for one in SelfTrade}
STAGES = {one.value: one for one in Stage}
STATUSES = {one.value: one for one in OrderStatus}
REASONS = {one.value: one for one in Reason}


@dataclass(frozen=True, slots=True)
class Grid:
    """A market's units: what a tick, a step and an atom of the quote asset are."""

    tick: Decimal
    step: Decimal
    atom: Decimal

    @property
    def unit(self) -> int:
        """What one step costs at one tick, in atoms."""
        return int(EXACT.divide(EXACT.multiply(self.tick, self.step), self.atom))


def grid_of(market: Market) -> Grid:
    """The market's units."""
    return Grid(market.tick_size, market.step_size, Decimal(1).scaleb(-market.quote.decimals))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A market at the beginning of a batch, before its book was read."""

    rules: Rules
    tail: Tail
    arrived: list[Live]
    stops: list[Live]


class Reader:
    """Reads one market; the caller holds its lock."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._take_grid()

    def _take_grid(self) -> None:
        self.grid = grid_of(self._market)
        self._values: dict[str, Any] = {
            "market": self._market.pk,
            "tick": self.grid.tick,
            "step": self.grid.step,
            "atom": self.grid.atom,
        }

    def situation(self, *, limit: int) -> Situation | None:
        """The oldest arrived orders and the stops they might trigger; None where none arrived."""
        arrived = self._orders(ARRIVED, limit=limit)
        if not arrived:
            return None
        with prepared.cursor() as cursor:
            cursor.execute(CONTEXT, [self._market.pk])
            status, now, last_price, seq, last_id, executed_at, *grid = cursor.fetchone()
        if grid != [self.grid.tick, self.grid.step]:
            # The caller's market was read before its grid became finer.
            self._market.refresh_from_db(fields=["tick_size", "step_size"])
            self._take_grid()
            return self.situation(limit=limit)
        tail = Tail(now=now, seq=seq or 0, last_id=last_id or 0, executed_at=executed_at)
        rules = Rules(
            now=tail.moment,  # what expires and what trades is judged by one clock
            status=MarketStatus(status),
            last_price=last_price,
            unit=self.grid.unit,
            most_steps=self._most_steps(),
        )
        return Situation(rules=rules, tail=tail, arrived=arrived, stops=self._stops(arrived))

    def sides(self, orders: Sequence[Live], *, reach: int) -> tuple[Side, Side]:
        """The bids and asks that `orders` can reach: of each side `reach` for each order that may
        meet them, and some to spare."""
        buys = list(prices(order for order in orders if order.is_buy))
        sells = list(prices(order for order in orders if not order.is_buy))
        wanted = reach * (len(sells) + SPARE), reach * (len(buys) + SPARE)
        bids = self._orders(BIDS, low=self._price(min(sells)), limit=wanted[0]) if sells else []
        asks = self._orders(ASKS, high=self._price(max(buys)), limit=wanted[1]) if buys else []
        return (
            Side(bids, is_bids=True, is_complete=len(bids) < wanted[0]),
            Side(asks, is_bids=False, is_complete=len(asks) < wanted[1]),
        )

    def _most_steps(self) -> int:
        market = self._market
        most = min(market.max_quantity, market.max_market_quantity)
        return min(int(EXACT.divide_int(most, market.step_size)), MOST_STEPS)

    def _stops(self, arrived: Sequence[Live]) -> list[Live]:
        """Every stop that trades of `arrived`, or of stops these trigger, could reach."""
        if not self._has_stops():
            return []
        low, high = self._best()
        found: list[Live] = []
        while True:
            known = [*arrived, *found]
            buys = prices(order for order in known if order.is_buy)
            sells = prices(order for order in known if not order.is_buy)
            wider = self._orders(
                STOPS,
                high=max([*self._prices(buys), *high], default=Decimal(0)),
                low=min([*self._prices(sells), *low], default=Decimal(EVERYTHING)),
            )
            if len(wider) == len(found):
                return wider
            found = wider

    def _has_stops(self) -> bool:
        with prepared.cursor() as cursor:
            cursor.execute(HAS_STOPS, [self._market.pk])
            return bool(cursor.fetchone()[0])

    def _best(self) -> tuple[list[Decimal], list[Decimal]]:
        """The best ask and the best bid, each a list of one or none."""
        with prepared.cursor() as cursor:
            cursor.execute(BEST, self._values)
            ask, bid = cursor.fetchone()
        return [ask] if ask is not None else [], [bid] if bid is not None else []

    def _orders(self, statement: str, **values: Any) -> list[Live]:
        with prepared.cursor() as cursor:
            cursor.execute(statement, {**self._values, **values})
            return [live_of(row) for row in cursor.fetchall()]

    def _price(self, ticks: int) -> Decimal:
        return EXACT.multiply(self.grid.tick, Decimal(ticks))

    def _prices(self, ticks: Iterable[int]) -> list[Decimal]:
        return [self._price(one) for one in ticks]


def live_of(row: Sequence[Any]) -> Live:
    """A row of ORDER as an order that can be matched."""
    held = int(row[15])
    return Live(
        id=row[0],
        owner=row[1],
        is_buy=row[2],
        type=TYPES[row[3]],
        time_in_force=TIMES_IN_FORCE[row[4]],
        self_trade=SELF_TRADES[row[5]],
        price=row[6],
        stop=row[7],
        quantity=row[8],
        budget=None if row[9] is None else int(row[9]),
        filled=row[10],
        prevented=row[11],
        quote=int(row[12]),
        taken=int(row[13]),
        fee=int(row[14]),
        held=held,
        held_before=held,
        maker_ppm=row[16],
        taker_ppm=row[17],
        expires_at=row[18],
        stage=STAGES[row[19]],
        rank=row[20],
        base_account=row[21],
        quote_account=row[22],
        status=STATUSES[row[23]],
        reason=REASONS[row[24]],
        is_frozen=row[25],
    )
