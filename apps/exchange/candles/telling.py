"""Closed bars as facts, made where the rows are."""

from datetime import datetime

from moonx.core import outbox
from moonx.core.events import CandleClosed
from moonx.core.intervals import Interval

# As rows.described, with amounts in the market's digits. Months have no length but a calendar's.
CLOSED = """
SELECT row_number() OVER (ORDER BY c.open_time, c.market_id) AS n, m.symbol, c.interval,
  c.open_time, (c.open_time AT TIME ZONE 'UTC' + %(length)s::interval) AT TIME ZONE 'UTC'
    - interval '1 millisecond' AS close_time,
  round(c.open, m.price)::text AS open, round(c.high, m.price)::text AS high,
  round(c.low, m.price)::text AS low, round(c.close, m.price)::text AS close,
  round(c.base_volume, m.base)::text AS base_volume,
  round(c.quote_volume, m.price + m.base)::text AS quote_volume,
  round(c.taker_base_volume, m.base)::text AS taker_base_volume,
  round(c.taker_quote_volume, m.price + m.base)::text AS taker_quote_volume,
  c.trade_count, c.revision
FROM exchange_candle c JOIN (
  SELECT id, symbol, scale(trim_scale(tick_size)) AS price, scale(trim_scale(step_size)) AS base
  FROM exchange_market
) m ON m.id = c.market_id
WHERE c.interval = %(interval)s AND c.open_time >= %(start)s AND c.open_time < %(end)s
"""


def tell_closed(interval: Interval, *, start: datetime, end: datetime) -> int:
    """One `candle.closed` for each stored bar of [start, end), all markets; returns how many.

    The caller holds the fold lock, under which no bar changes.
    """
    length = "1 month" if interval.length is None else str(interval.length)
    values = {"interval": interval.value, "length": length, "start": start, "end": end}
    return outbox.emit_rows(CandleClosed, CLOSED, values)
