"""Small stages for one scene each: a market of its own, owners of its own, and what it all adds up
to, told without any id, so that two performances can be compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Max

from apps.exchange import ledger, orders
from apps.exchange.models import Asset, Market, Order, OrderType, Side
from apps.exchange.orders import NewOrder
from apps.exchange.orders.placing import accept
from moonx.core.models import OutboxEvent

BASE, QUOTE = "SCN", "SCQ"
FUNDS = Decimal(1_000)
PRESENT = "2026-01-01T00:00Z"  # what lies before it is over whenever a scene is played

FINGERPRINT = """
WITH told AS MATERIALIZED (
  SELECT name, payload::jsonb AS payload FROM core_outbox WHERE id > %(since)s UNION ALL
  SELECT name, payload::jsonb FROM core_event WHERE id > %(since)s
)
SELECT 'order', array[o.client_order_id, o.status, o.stage, o.reason, o.quantity::text,
  o.filled_quantity::text, o.filled_quote::text, o.fee::text, o.held::text,
  o.prevented_quantity::text]
FROM exchange_order o WHERE o.market_id = %(market)s
UNION ALL SELECT 'account', array[u.first_name, s.symbol, a.balance::text, a.held::text]
FROM exchange_account a JOIN auth_user u ON u.id = a.owner_id
JOIN exchange_asset s ON s.id = a.asset_id WHERE a.owner_id = ANY(%(owners)s)
UNION ALL SELECT 'trade', array[t.seq::text, t.price::text, t.quantity::text,
  t.is_buyer_maker::text]
FROM exchange_trade t WHERE t.market_id = %(market)s
UNION ALL SELECT 'bars', array[sum(base_volume)::text, sum(quote_volume)::text,
  sum(trade_count)::text]
FROM exchange_candle c WHERE c.market_id = %(market)s AND c.interval = '1m'
UNION ALL SELECT 'past bar', array[c.interval, c.open_time::text, c.open::text, c.high::text,
  c.low::text, c.close::text, c.base_volume::text, c.trade_count::text, c.revision::text]
FROM exchange_candle c WHERE c.market_id = %(market)s AND c.open_time < %(present)s
UNION ALL SELECT 'past digest', array[d.open_time::text, encode(d.digest, 'hex')]
FROM exchange_candledigest d WHERE d.market_id = %(market)s AND d.open_time < %(present)s
UNION ALL SELECT 'amendment', array[a.seq::text, a.epoch::text, a.kind, a.new_price::text]
FROM exchange_amendment a WHERE a.market_id = %(market)s
UNION ALL SELECT 'journals', array[count(*)::text]
FROM exchange_journal j WHERE j.source LIKE %(symbol)s || ':%%'
UNION ALL SELECT 'fact', array[t.name, t.payload->>'clientOrderId', t.payload->>'status',
  t.payload->>'filledQuantity', t.payload->>'id', t.payload->>'tradeId', t.payload->>'interval',
  t.payload->>'revision', t.payload->>'tradeCount', t.payload->>'high']
FROM told t WHERE t.payload->>'symbol' = %(symbol)s
UNION ALL SELECT 'fact', array[t.name, u.first_name, t.payload->>'asset', t.payload->>'amount',
  t.payload->>'balance', t.payload->>'held']
FROM told t JOIN auth_user u ON u.id = (t.payload->>'userId')::int
WHERE t.name LIKE 'balance.%%' AND u.id = ANY(%(owners)s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One market and its owners, each known by a name within the stage."""

    market: Market
    owners: Sequence[int]
    since: int  # the last event before anything happened on it

    def fingerprint(self) -> list[tuple[Any, ...]]:
        """Everything that happened on it, in an order of its own."""
        values: dict[str, Any] = {
            "market": self.market.pk,
            "symbol": self.market.symbol,
            "owners": list(self.owners),
            "since": self.since,
            "present": PRESENT,
        }
        with connection.cursor() as cursor:
            cursor.execute(FINGERPRINT, values)
            rows = cursor.fetchall()
        return sorted((kind, tuple(map(str, fields))) for kind, fields in rows)

    def place(self, owner: int, side: str, price: str | None, quantity: str, **more: Any) -> Order:
        """An order of the owner of that number, placed."""
        return orders.place(self.market, self.owners[owner], limit(side, price, quantity, **more))

    def arrive(self, owner: int, side: str, price: str | None, quantity: str, **more: Any) -> int:
        """An order whose placer died between its commit and the match."""
        return accept(self.market, self.owners[owner], limit(side, price, quantity, **more))


def limit(side: str, price: str | None, quantity: str, **more: Any) -> NewOrder:
    """A LIMIT order, or a MARKET order where it has no price."""
    values: dict[str, Any] = {
        "side": Side(side),
        "type": OrderType.LIMIT if price else OrderType.MARKET,
        "price": Decimal(price) if price else None,
        "quantity": Decimal(quantity) if quantity else None,
        **more,
    }
    return NewOrder(**values)


def build(*, owners: int = 4, funds: Decimal = FUNDS, rich: bool = True) -> Stage:
    """A market and funded owners; `rich` ones have the base too."""
    number = 1 + (Market.objects.aggregate(last=Max("pk"))["last"] or 0)
    base, quote = (_asset(symbol) for symbol in (BASE, QUOTE))
    market = Market.objects.create(
        symbol=f"{BASE}{QUOTE}{number}",
        base=base,
        quote=quote,
        tick_size=Decimal("0.01"),
        step_size=Decimal("0.001"),
        max_open_orders=10_000,
    )
    ids, since = [], OutboxEvent.objects.aggregate(last=Max("pk"))["last"] or 0
    for name in range(owners):
        user = User.objects.create(username=f"scene-{number}-{name}", first_name=f"owner {name}")
        ids.append(user.pk)
        for asset in (base, quote) if rich else (quote,):
            ledger.fund(user.pk, asset, funds, source=f"scene:{number}:{name}:{asset.symbol}")
    return Stage(market=market, owners=ids, since=since)


def _asset(symbol: str) -> Asset:
    found, _ = Asset.objects.get_or_create(symbol=symbol, defaults={"name": symbol, "decimals": 6})
    return found
