"""A bar as a row, as a value and as what the wire carries."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from apps.exchange.bars import Bar
from apps.exchange.models import CandleWatermark, Market
from moonx.core import money
from moonx.core.events import CandleClosed, CandleFact, CandleRevised
from moonx.core.intervals import Interval

FIELDS = (
    "open_time, open, high, low, close, base_volume, quote_volume, taker_base_volume, "
    "taker_quote_volume, trade_count, first_seq, last_seq, revision"
)

NAMES = FIELDS.split(", ")

# As FIELDS, for `bar_of`: whole seconds are read ten times faster than timestamps.
READ = FIELDS.replace("open_time", "extract(epoch FROM c.open_time)::bigint")

COLUMNS = """(market_id, interval, open_time, open, high, low, close, base_volume, quote_volume,
  taker_base_volume, taker_quote_volume, trade_count, first_seq, last_seq, revision)"""


def watermarks() -> dict[Interval, datetime]:
    """Up to when each interval's bars are closed."""
    return {Interval(mark.interval): mark.closed_until for mark in CandleWatermark.objects.all()}


def select(where: str, params: Sequence[Any]) -> list[tuple[int, Bar]]:
    """Stored bars `c` of any markets that fulfil `where`, by open time, with their markets."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.market_id, {READ} FROM exchange_candle c WHERE {where} "  # noqa: S608
            "ORDER BY c.open_time, c.market_id",
            params,
        )
        return [(row[0], bar_of(row[1:])) for row in cursor.fetchall()]


def fact(
    kind: type[CandleClosed] | type[CandleRevised], market: Market, interval: Interval, bar: Bar
) -> CandleFact:
    """The event that carries `bar`."""
    return kind(symbol=market.symbol, interval=interval.value, **described(market, interval, bar))


def described(market: Market, interval: Interval, bar: Bar) -> dict[str, Any]:
    """The bar's public fields, amounts in the market's digits."""
    price = market.price_places
    quote = market.price_places + market.quantity_places
    return {
        "open_time": bar.open_time,
        "close_time": interval.shift(bar.open_time, 1) - timedelta(milliseconds=1),
        "open": money.plain(bar.open, places=price),
        "high": money.plain(bar.high, places=price),
        "low": money.plain(bar.low, places=price),
        "close": money.plain(bar.close, places=price),
        "base_volume": money.plain(bar.base_volume, places=market.quantity_places),
        "quote_volume": money.plain(bar.quote_volume, places=quote),
        "taker_base_volume": money.plain(bar.taker_base_volume, places=market.quantity_places),
        "taker_quote_volume": money.plain(bar.taker_quote_volume, places=quote),
        "trade_count": bar.trade_count,
        "revision": bar.revision,
    }


def bar_of(row: Sequence[Any]) -> Bar:
    """The bar of a row of READ."""
    return Bar(datetime.fromtimestamp(row[0], UTC), *row[1:])


def columns_of(rows: Sequence[Bar]) -> list[list[object]]:
    """The bars as columns, in the order of FIELDS, without the revision."""
    return [[getattr(row, name) for row in rows] for name in NAMES[:-1]]
