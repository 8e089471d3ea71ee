"""A market's resting orders added up by price, with the version that they make up."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.exchange.models import Market
from moonx.core import events, money

SHOWN = 50  # levels of each side that subscribers see

CHANGED = """
INSERT INTO exchange_bookversion AS b (market_id, version, changed_at)
SELECT id, 1, clock_timestamp() FROM unnest(%s::bigint[]) AS id ORDER BY id
ON CONFLICT (market_id) DO UPDATE SET version = b.version + 1, changed_at = clock_timestamp()
"""

# One statement, so that levels and version are of one moment. Each side walks its index from the
# best price and stops after the last level that is wanted; the orders behind it are not touched.
# What has expired counts no more, swept or not. JSON, because thousands of numerics are read from
# it many times faster than from rows.
_SIDE = """
SELECT json_agg(json_build_array(price::text, quantity::text) ORDER BY price {order})::text
FROM (
  SELECT price, sum(quantity - filled_quantity - prevented_quantity) AS quantity
  FROM exchange_order
  WHERE market_id = m.id AND stage = 'book' AND side = '{side}'
    AND (expires_at IS NULL OR expires_at > now())
  GROUP BY price ORDER BY price {order} LIMIT %(limit)s
) level
"""
DEPTH = f"""
SELECT m.id, coalesce(v.version, 0), coalesce(v.changed_at, now()), clock_timestamp(),
  ({_SIDE.format(side="BUY", order="DESC")}), ({_SIDE.format(side="SELL", order="ASC")})
FROM unnest(%(markets)s::bigint[]) AS m(id)
LEFT JOIN exchange_bookversion v ON v.market_id = m.id
"""  # noqa: S608 - constants only

Level = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Levels (price, quantity), the best first. `version` is 0 where the book never changed."""

    version: int
    changed_at: datetime
    as_of: datetime
    bids: list[Level]
    asks: list[Level]


def changed(*markets: Market) -> None:
    """Notes that the books of the markets changed; the caller holds the markets."""
    with connection.cursor() as cursor:
        cursor.execute(CHANGED, [[market.pk for market in markets]])


def depth(market: Market, limit: int) -> Depth:
    """The best `limit` levels of each side, as they stand."""
    return depths([market], limit)[market.pk]


def depths(markets: Sequence[Market], limit: int) -> dict[int, Depth]:
    """As `depth`, of many markets in one statement, by their ids."""
    values: dict[str, Any] = {"markets": [market.pk for market in markets], "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(DEPTH, values)
        return {
            pk: Depth(
                version=version,
                changed_at=changed_at,
                as_of=now,
                bids=_levels(bids),
                asks=_levels(asks),
            )
            for pk, version, changed_at, now, bids, asks in cursor.fetchall()
        }


def _levels(spelled: str | None) -> list[Level]:
    found = json.loads(spelled or "[]")
    return [(Decimal(price), Decimal(quantity)) for price, quantity in found]


def described(market: Market, book: Depth) -> dict[str, Any]:
    """The book as the wire carries it, in the market's digits."""
    return {
        "symbol": market.symbol,
        "version": book.version,
        "bids": _spelled(market, book.bids),
        "asks": _spelled(market, book.asks),
        "asOf": events.wire(book.as_of),
    }


def _spelled(market: Market, levels: Sequence[Level]) -> list[list[str]]:
    prices, quantities = market.price_places, market.quantity_places
    return [
        [_plain(price, places=prices), _plain(quantity, places=quantities)]
        for price, quantity in levels
    ]


def _plain(value: Decimal, *, places: int) -> str:
    """With the market's digits, or more where an order is older than the market's grid."""
    return money.plain(value, places=max(places, money.decimals(value)))
