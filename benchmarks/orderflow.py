"""Random orders of many owners, and the owners, markets, accounts and orders laid out by SQL.

Both contenders get the same flow, each in a market of its own, with accounts of its own.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from psycopg import Cursor

from apps.exchange import holds
from apps.exchange.models import Asset, Market, OrderType, SelfTrade, Side, TimeInForce
from benchmarks.bare import bare
from benchmarks.world import as_owner

TICK, STEP = Decimal("0.01"), Decimal("0.001")
QUOTE_DECIMALS = 8
UNIT = 1000  # atoms that one step costs at one tick
MIDDLE = 10_000  # ticks
SPREAD = 10  # prices are at most so many ticks off the middle: 21 levels, most orders cross
COLLAR = MIDDLE * 5 // 100
MAKER_BPS, TAKER_BPS = 5, 10
PPM = 100 * TAKER_BPS
PLENTY = 10**12  # of each asset for each owner
LATER = timedelta(days=30)
FEW = 50_000  # rows that are not worth rebuilding indexes for

Kind = tuple[OrderType, TimeInForce]
KINDS: dict[Kind, int] = {
    (OrderType.LIMIT, TimeInForce.GTC): 78,
    (OrderType.LIMIT, TimeInForce.IOC): 6,
    (OrderType.MARKET, TimeInForce.IOC): 5,
    (OrderType.LIMIT, TimeInForce.GTD): 4,
    (OrderType.LIMIT_MAKER, TimeInForce.GTC): 4,
    (OrderType.LIMIT, TimeInForce.FOK): 3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """An order to come: `owner` is a place in the venue, `price` in ticks, `quantity` in steps."""

    owner: int
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: int
    quantity: int

    @property
    def hold(self) -> int:
        """What it holds: atoms for a buy, steps for a sell."""
        if self.side is Side.SELL:
            return self.quantity
        return holds.needed(self.price * self.quantity * UNIT, ppm=PPM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Venue:
    """A market, who trades there, and their accounts, owner by owner."""

    market: Market
    owners: Sequence[int]
    bases: Sequence[int]
    quotes: Sequence[int]


def plan(count: int, *, owners: int, seed: int) -> list[Planned]:
    """A random mix with heavy crossing; the same for the same seed."""
    chance = random.Random(seed)
    kinds = chance.choices(list(KINDS), weights=list(KINDS.values()), k=count)
    return [_planned(chance, kind, owners) for kind in kinds]


def _planned(chance: random.Random, kind: Kind, owners: int) -> Planned:
    side = chance.choice((Side.BUY, Side.SELL))
    price = MIDDLE + chance.randint(-SPREAD, SPREAD)
    if kind[0] is OrderType.MARKET:
        price = MIDDLE + COLLAR if side is Side.BUY else MIDDLE - COLLAR
    return Planned(
        owner=chance.randrange(owners),
        side=side,
        type=kind[0],
        time_in_force=kind[1],
        price=price,
        quantity=chance.randint(1, 2000),
    )


OWNERS = """
INSERT INTO auth_user (username, password, is_superuser, first_name, last_name, email, is_staff,
  is_active, date_joined)
SELECT %s || i, '!', false, '', '', '', false, true, now() FROM generate_series(1, %s) i
RETURNING id
"""
ASSETS = """
INSERT INTO exchange_asset (symbol, name, decimals) VALUES (%s, %s, %s)
ON CONFLICT (symbol) DO UPDATE SET name = excluded.name RETURNING id
"""
ACCOUNTS = """
INSERT INTO exchange_account (owner_id, asset_id)
SELECT u.id, %s FROM unnest(%s::int[]) WITH ORDINALITY AS u(id, n) ORDER BY n RETURNING id
"""
HOUSE = "INSERT INTO exchange_account (house, asset_id) VALUES ('demo', %s) RETURNING id"
JOURNAL = "INSERT INTO exchange_journal (kind, source, epoch, reason, correlation_id) VALUES "
JOURNAL += "('demo', %s, 0, '', '') RETURNING id"
ENTRIES = """
INSERT INTO exchange_entry (journal_id, account_id, asset_id, amount)
SELECT %(journal)s, u.id, %(asset)s, %(amount)s FROM unnest(%(accounts)s::bigint[]) AS u(id)
UNION ALL SELECT %(journal)s, %(house)s, %(asset)s, -%(amount)s * %(count)s
"""


def make_owners(count: int, *, prefix: str = "owner") -> list[int]:
    """Users who trade."""
    with as_owner() as owner:
        return [_number(row) for row in owner.execute(OWNERS, [prefix, count]).fetchall()]


def make_venue(base: str, quote: str, owners: Sequence[int]) -> Venue:
    """A market of two assets, made where they are missing, and funded accounts of the owners."""
    for symbol in (base, quote):
        values = {"name": symbol, "decimals": QUOTE_DECIMALS}
        Asset.objects.get_or_create(symbol=symbol, defaults=values)
    market = Market.objects.create(
        symbol=base + quote,
        base=Asset.objects.get(symbol=base),
        quote=Asset.objects.get(symbol=quote),
        tick_size=TICK,
        step_size=STEP,
        max_open_orders=1_000_000,
    )
    bases, quotes = (funded(asset, owners) for asset in (market.base, market.quote))
    return Venue(market=market, owners=owners, bases=bases, quotes=quotes)


def funded(asset: Asset, owners: Sequence[int]) -> list[int]:
    """The owners' accounts of an asset, opened and filled by one journal of the demo."""
    with as_owner() as owner, owner.transaction():
        found = _accounts_of(owner.cursor(), asset, owners)
        if len(found) == len(owners):
            return found
        opened = [_number(row) for row in owner.execute(ACCOUNTS, [asset.pk, list(owners)])]
        house = _number(owner.execute(HOUSE, [asset.pk]).fetchone())
        journal = _number(owner.execute(JOURNAL, [f"benchmark:{asset.symbol}"]).fetchone())
        owner.execute(
            ENTRIES,
            {
                "journal": journal,
                "asset": asset.pk,
                "amount": Decimal(PLENTY),
                "accounts": opened,
                "house": house,
                "count": len(opened),
            },
        )
    return opened


def _accounts_of(
    cursor: "Cursor[tuple[object, ...]]", asset: Asset, owners: Sequence[int]
) -> list[int]:
    cursor.execute(
        "SELECT a.id FROM unnest(%s::int[]) WITH ORDINALITY AS u(id, n) "
        "JOIN exchange_account a ON a.owner_id = u.id AND a.asset_id = %s ORDER BY u.n",
        [list(owners), asset.pk],
    )
    return [_number(row) for row in cursor.fetchall()]


def _number(row: tuple[object, ...] | None) -> int:
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


ARRIVE = """
COPY exchange_order (market_id, owner_id, base_account_id, quote_account_id, client_order_id, side,
  type, time_in_force, self_trade, price, quantity, filled_quantity, prevented_quantity,
  filled_quote, taken_quote, fee, maker_fee_bps, taker_fee_bps, hold, held, status, stage, reason,
  expires_at, correlation_id, created_at, updated_at) FROM STDIN
"""
HOLD = """
UPDATE exchange_account a SET held = a.held + u.amount
FROM unnest(%s::bigint[], %s::numeric[]) AS u(id, amount) WHERE a.id = u.id
"""


def arrive(venue: Venue, orders: Sequence[Planned], *, first: int = 0) -> None:
    """Commits the orders with their holds, in order, as placing does; nothing is matched.

    The n-th has the client order id `o<first + n>`.
    """
    with as_owner() as owner, owner.transaction():
        clock = owner.execute("SELECT clock_timestamp()").fetchone()
        assert clock
        with owner.cursor() as cursor, cursor.copy(ARRIVE) as copy:
            for row in _rows(venue, orders, first=first, now=datetime.fromisoformat(str(clock[0]))):
                copy.write_row(row)
        amounts = held_by(venue, orders)
        owner.execute(HOLD, [list(amounts), list(amounts.values())])


def _rows(
    venue: Venue, orders: Iterable[Planned], *, first: int, now: datetime
) -> Iterator[tuple[object, ...]]:
    for number, order in enumerate(orders, first):
        hold = in_assets(order)
        last = (now + LATER, f"{number:016x}", now, now)
        ends = last if order.time_in_force is TimeInForce.GTD else (None, *last[1:])
        yield (
            *(venue.market.pk, venue.owners[order.owner], venue.bases[order.owner]),
            *(venue.quotes[order.owner], f"o{number}", order.side.value, order.type.value),
            *(order.time_in_force.value, SelfTrade.EXPIRE_MAKER.value, order.price * TICK),
            *(order.quantity * STEP, 0, 0, 0, 0, 0, MAKER_BPS, TAKER_BPS, hold, hold),
            *("NEW", "arrived", "", *ends),
        )


def in_assets(order: Planned) -> Decimal:
    """What the order holds, as an amount."""
    if order.side is Side.SELL:
        return order.hold * STEP
    return Decimal(order.hold).scaleb(-QUOTE_DECIMALS)


def held_by(venue: Venue, orders: Iterable[Planned]) -> Counter[int]:
    """What the orders hold on each account."""
    found: Counter[int] = Counter()
    for order in orders:
        accounts = venue.quotes if order.side is Side.BUY else venue.bases
        found[accounts[order.owner]] += in_assets(order)  # type: ignore[assignment]
    return found


# Resting sells far above the middle and buys far below it: no order of the flow reaches them.
REST = """
INSERT INTO exchange_order (market_id, owner_id, base_account_id, quote_account_id, client_order_id,
  side, type, time_in_force, self_trade, price, quantity, filled_quantity, prevented_quantity,
  filled_quote, taken_quote, fee, maker_fee_bps, taker_fee_bps, hold, held, status, stage, reason,
  priority, expires_at, correlation_id, created_at, working_at, updated_at)
SELECT m.id, m.owner, m.base, m.quote, 'r' || i, CASE WHEN i %% 2 = 0 THEN 'SELL' ELSE 'BUY' END,
  'LIMIT', CASE WHEN i %% 4 < 2 THEN 'GTD' ELSE 'GTC' END, 'EXPIRE_MAKER',
  CASE WHEN i %% 2 = 0 THEN 120 + (i / 2 %% 1000) * 0.01 ELSE 80 - (i / 2 %% 1000) * 0.01 END,
  1, 0, 0, 0, 0, 0, 5, 10, h.hold, h.hold, 'NEW', 'book', '', i,
  CASE WHEN i %% 4 < 2 THEN clock_timestamp() + interval '30 days' END, '', now(), now(), now()
FROM generate_series(%(first)s::bigint, %(last)s::bigint) i
JOIN bench_seat m ON m.n = i / 4 %% %(seats)s
CROSS JOIN LATERAL (SELECT CASE WHEN i %% 2 = 0 THEN 1
  ELSE (80 - (i / 2 %% 1000) * 0.01) * 1.001 END AS hold) h
ORDER BY i
"""
HOLD_RESTING = """
UPDATE exchange_account a SET held = a.held + o.held FROM (
  SELECT CASE side WHEN 'BUY' THEN quote_account_id ELSE base_account_id END AS account,
    sum(held) AS held
  FROM exchange_order WHERE client_order_id LIKE 'r%%' AND priority BETWEEN %s AND %s GROUP BY 1
) o WHERE a.id = o.account
"""


def rest(venues: Sequence[Venue], *, first: int, last: int) -> None:
    """Orders number `first` to `last` rest in the venues' books, evenly, far from the touch.

    Every second one is GTD and due in thirty days.
    """
    is_much = last - first > FEW
    with (
        seats(venues) as count,
        bare("exchange_order") if is_much else nullcontext(),
        as_owner() as owner,
    ):
        owner.execute("SET work_mem = '1GB'")
        owner.execute("SET synchronous_commit = off")
        owner.execute(REST, {"first": first, "last": last, "seats": count})
        owner.execute(HOLD_RESTING, [first, last])


@contextmanager
def seats(venues: Sequence[Venue]) -> Iterator[int]:
    """The table `bench_seat`: each owner in each venue, numbered; yields how many."""
    rows = [
        (venue.market.pk, *seat)
        for row in zip(
            *(zip(v.owners, v.bases, v.quotes, strict=True) for v in venues), strict=True
        )
        for venue, seat in zip(venues, row, strict=True)
    ]
    with as_owner() as owner:
        owner.execute(
            "CREATE UNLOGGED TABLE bench_seat (n bigint, id bigint, owner int, base bigint, "
            "quote bigint)"
        )
        with owner.cursor() as cursor, cursor.copy("COPY bench_seat FROM STDIN") as copy:
            for number, row in enumerate(rows):
                copy.write_row((number, *row))
        owner.execute("CREATE INDEX ON bench_seat (n)")
        owner.execute("ANALYZE bench_seat")
    try:
        yield len(rows)
    finally:
        with as_owner() as owner:
            owner.execute("DROP TABLE bench_seat")


def _seats(venue: Venue) -> Iterator[tuple[int, int, int]]:
    return zip(venue.owners, venue.bases, venue.quotes, strict=True)


def settle_down() -> None:
    """Vacuums and analyses what was laid out, as autovacuum would sooner or later."""
    with as_owner() as owner:
        owner.execute(
            "VACUUM (ANALYZE) exchange_order, exchange_account, exchange_journal, exchange_entry, "
            "exchange_trade, exchange_fill"
        )
