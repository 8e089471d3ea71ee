"""Digests: what a closed minute was made of, so that a trade that changes behind it shows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from apps.exchange.models import Market

# Over all that makes up a bar, amounts in the digits of their columns; the order is the trades'.
DIGEST = (
    "sha256(convert_to(string_agg(concat_ws(':', t.seq, t.price, t.quantity), ',' ORDER BY t.seq), "
    "'UTF8'))"
)

_OF_BARS = f"""
INSERT INTO exchange_candledigest AS d (market_id, open_time, digest)
SELECT c.market_id, c.open_time, x.digest
FROM exchange_candle c CROSS JOIN LATERAL (
  SELECT {DIGEST} AS digest FROM exchange_trade t WHERE t.market_id = c.market_id
    AND t.executed_at >= c.open_time AND t.executed_at < c.open_time + interval '1 minute'
) x
WHERE c.interval = '1m' AND x.digest IS NOT NULL AND {{which}}
ON CONFLICT (market_id, open_time) DO {{otherwise}}
"""  # noqa: S608 - constants only
TAKE = _OF_BARS.format(
    which="c.open_time >= %(start)s AND c.open_time < %(end)s AND NOT EXISTS (SELECT "
    "FROM exchange_candledigest k WHERE k.market_id = c.market_id AND k.open_time = c.open_time)",
    otherwise="NOTHING",
)
RETAKE = _OF_BARS.format(
    which="c.market_id = %(market)s AND c.open_time = ANY(%(starts)s)",
    otherwise="UPDATE SET digest = excluded.digest WHERE d.digest <> excluded.digest",
)
FORGET = """
DELETE FROM exchange_candledigest d USING exchange_market m
WHERE d.market_id = m.id AND d.open_time >= %(start)s AND d.open_time < %(end)s
  AND NOT EXISTS (SELECT FROM exchange_candle c WHERE c.market_id = d.market_id
    AND c.interval = '1m' AND c.open_time = d.open_time)
  AND NOT EXISTS (SELECT FROM exchange_trade t WHERE t.market_id = d.market_id
    AND t.executed_at >= d.open_time AND t.executed_at < d.open_time + interval '1 minute')
  AND EXISTS (SELECT FROM exchange_amendment a WHERE a.market_id = d.market_id
    AND a.executed_at >= d.open_time AND a.executed_at < d.open_time + interval '1 minute')
"""
DROP = """
DELETE FROM exchange_candledigest d WHERE d.market_id = %(market)s AND d.open_time = ANY(%(starts)s)
  AND NOT EXISTS (SELECT FROM exchange_candle c WHERE c.market_id = d.market_id
    AND c.interval = '1m' AND c.open_time = d.open_time)
"""


def take(*, start: datetime, end: datetime) -> None:
    """Keeps the digest of every 1m bar of [start, end) that has none, all markets at once."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"start": start, "end": end})


def adopt(*, start: datetime, end: datetime) -> None:
    """As `take`, beside trades: a bar that is emptied meanwhile leaves no digest behind."""
    take(start=start, end=end)
    with connection.cursor() as cursor:
        cursor.execute(FORGET, {"start": start, "end": end})


def retake(market: Market, starts: Sequence[datetime]) -> None:
    """Keeps the digests of these 1m bars as their trades now stand: they changed by the rules."""
    if not starts:
        return
    values: dict[str, Any] = {"market": market.pk, "starts": list(starts)}
    with connection.cursor() as cursor:
        cursor.execute(RETAKE, values)
        cursor.execute(DROP, values)
