"""Records on their way in: checked as a whole in a temporary table before any of them counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection, transaction

from apps.exchange.history.records import ImportRefused, Record
from apps.exchange.models import Market
from moonx.core import money

CREATE = """
DROP TABLE IF EXISTS pg_temp.exchange_staged;
CREATE TEMPORARY TABLE exchange_staged (place text, seq bigint, first_id bigint, last_id bigint,
  price numeric, quantity numeric, executed_at timestamptz, is_buyer_maker boolean)
"""
COPY = "COPY pg_temp.exchange_staged FROM STDIN"
INDEX = "CREATE INDEX ON pg_temp.exchange_staged (seq)"
LARGEST_ID = 2**63 - 1
CONTENT = "first_id, last_id, price, quantity, executed_at, is_buyer_maker"

# One trade may come several times, but always as the same.
DISAGREEING = f"""
SELECT seq, min(place), max(place) FROM pg_temp.exchange_staged
GROUP BY seq HAVING count(*) > 1 AND count(DISTINCT ({CONTENT})) > 1 ORDER BY seq LIMIT 1
"""  # noqa: S608 - constants only
OFF_GRID = """
SELECT place, price, quantity FROM pg_temp.exchange_staged
WHERE price %% %s <> 0 OR quantity %% %s <> 0 ORDER BY seq LIMIT 1
"""
# A trade that was corrected or busted is compared as it was executed.
EXECUTED = """
pg_temp.exchange_staged s
LEFT JOIN exchange_trade t ON t.market_id = %(market)s AND t.seq = s.seq
LEFT JOIN exchange_amendment a ON a.market_id = %(market)s AND a.seq = s.seq AND a.epoch = 1
"""
CONFLICTING = f"""
SELECT s.place, s.seq, coalesce(a.price, t.price), coalesce(a.quantity, t.quantity),
  coalesce(a.executed_at, t.executed_at)
FROM {EXECUTED}
WHERE s.seq > %(after)s AND s.seq <= %(upto)s AND (t.id IS NOT NULL OR a.id IS NOT NULL)
  AND ({", ".join(f"s.{name}" for name in CONTENT.split(", "))}) IS DISTINCT FROM
  ({", ".join(f"coalesce(a.{name}, t.{name})" for name in CONTENT.split(", "))})
ORDER BY s.seq LIMIT 1
"""  # noqa: S608 - constants only
SUMMARY = """
SELECT count(DISTINCT seq), max(executed_at), max(min_scale(price)), max(min_scale(quantity))
FROM pg_temp.exchange_staged
"""
KNOWN = f"""
SELECT count(DISTINCT s.seq) FROM {EXECUTED} WHERE t.id IS NOT NULL OR a.id IS NOT NULL
"""  # noqa: S608 - constants only


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What lies in the table: distinct trades, and the digits that they need."""

    trades: int
    last_time: datetime
    price_places: int
    quantity_places: int

    @property
    def tick(self) -> Decimal:
        """The largest tick on which every price lies."""
        return Decimal(1).scaleb(-self.price_places)

    @property
    def step(self) -> Decimal:
        """The largest step on which every quantity lies."""
        return Decimal(1).scaleb(-self.quantity_places)


def fill(records: Iterable[tuple[str, Record]]) -> Staged:
    """Puts all records into the table of this connection; the former content is gone.

    Whoever yields the records must not use this connection, which is copying meanwhile.

    Raises ImportRefused where there is none, or where two of them disagree about a trade.
    """
    # A savepoint where a transaction is under way: a refused record ends the COPY with an error.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CREATE)
        with cursor.copy(COPY) as copy:
            for place, row in records:
                copy.write_row(
                    (
                        *(place, row.seq, row.first_id, row.last_id, row.price, row.quantity),
                        *(row.executed_at, row.is_buyer_maker),
                    )
                )
        cursor.execute(INDEX)
        cursor.execute("ANALYZE pg_temp.exchange_staged")
        cursor.execute(DISAGREEING)
        if found := cursor.fetchone():
            seq, one, other = found
            raise ImportRefused(f"{one} and {other} give trade {seq} different contents")
        cursor.execute(SUMMARY)
        trades, last_time, price_places, quantity_places = cursor.fetchone()
    if not trades:
        raise ImportRefused("The file holds no trades.")
    return Staged(
        trades=trades,
        last_time=last_time,
        price_places=price_places,
        quantity_places=quantity_places,
    )


def check_grid(market: Market) -> None:
    """Raises ImportRefused for a price or quantity that the market cannot express."""
    with connection.cursor() as cursor:
        cursor.execute(OFF_GRID, [market.tick_size, market.step_size])
        if found := cursor.fetchone():
            place, price, quantity = found
            raise ImportRefused(
                f"{place}: {quantity} at {price} does not fit {market}, whose tick is "
                f"{money.plain(market.tick_size)} and step {money.plain(market.step_size)}"
            )


def check_conflicts(market: Market, *, after: int = -1, upto: int = LARGEST_ID) -> None:
    """Raises ImportRefused for a trade that the market has with other contents.

    Looks at the staged trades with ids in (after, upto].
    """
    with connection.cursor() as cursor:
        cursor.execute(CONFLICTING, {"market": market.pk, "after": after, "upto": upto})
        if found := cursor.fetchone():
            place, seq, price, quantity, time = found
            raise ImportRefused(
                f"{place}: {market} has another trade {seq}: {money.plain(quantity)} at "
                f"{money.plain(price)}, {time:%Y-%m-%d %H:%M:%S.%f}"
            )


def known(market: Market) -> int:
    """How many of the staged trades the market has already."""
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, {"market": market.pk})
        return int(cursor.fetchone()[0])


def drop() -> None:
    """Removes the table."""
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.exchange_staged")
