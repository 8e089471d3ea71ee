"""The book as others see it: levels, and how often it changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from apps.exchange.models import Market

CHANGED = """
INSERT INTO exchange_bookversion AS b (market_id, version, changed_at)
VALUES (%s, 1, clock_timestamp())
ON CONFLICT (market_id) DO UPDATE SET version = b.version + 1, changed_at = clock_timestamp()
"""

# Levels in the order of the index, so that reading ends with the last one wanted.
DEPTH = """
SELECT 'version', coalesce((SELECT version FROM exchange_bookversion WHERE market_id = %(market)s), 0),
  NULL
UNION ALL (
  SELECT 'BUY', price, sum(quantity - filled_quantity - prevented_quantity) FROM exchange_order
  WHERE market_id = %(market)s AND stage = 'book' AND side = 'BUY'
  GROUP BY price ORDER BY price DESC LIMIT %(limit)s)
UNION ALL (
  SELECT 'SELL', price, sum(quantity - filled_quantity - prevented_quantity) FROM exchange_order
  WHERE market_id = %(market)s AND stage = 'book' AND side = 'SELL'
  GROUP BY price ORDER BY price LIMIT %(limit)s)
"""

Level = tuple[Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """A market's levels as (price, quantity), the best first, and the version they belong to."""

    version: int
    bids: list[Level]
    asks: list[Level]


def changed(market: Market) -> None:
    """Notes that the market's book changed; the caller holds the market."""
    with connection.cursor() as cursor:
        cursor.execute(CHANGED, [market.pk])


def depth(market: Market, limit: int) -> Depth:
    """The best `limit` levels of each side, read in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(DEPTH, {"market": market.pk, "limit": limit})
        (_, version, _), *rows = cursor.fetchall()
    return Depth(
        version=int(version), bids=list(_levels(rows, "BUY")), asks=list(_levels(rows, "SELL"))
    )


def _levels(rows: Iterable[tuple[str, Decimal, Decimal]], side: str) -> Iterable[Level]:
    return ((price, quantity) for one, price, quantity in rows if one == side)


def push(market: Market) -> None:
    """Pushes the market's book (being built)."""
