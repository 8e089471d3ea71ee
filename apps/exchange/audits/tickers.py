"""Tickers against brute force over the trades of their own windows."""

import time
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.exchange.audits import findings
from apps.exchange.audits.findings import DAY, Covered, Wrong
from apps.exchange.models import Check
from moonx.core import money

FIELDS = (
    *("open", "high", "low", "last", "last_quantity", "previous_close", "base_volume"),
    *("quote_volume", "trade_count", "first_id", "last_id", "open_time", "close_time"),
)
CONFIRM_S = 6.0  # the next run of the tickers has been by then

# A ticker knows the trades up to its last one, and all that are older than any transaction that
# was under way when it was computed; one that was amended since is looked at another time.
LOOK = f"""
SELECT k.market_id, k.close_time, {", ".join(f"k.{name}" for name in FIELDS)},
  coalesce(f.price, p.price), coalesce(g.high, p.price), coalesce(g.low, p.price),
  coalesce(l.price, p.price), coalesce(l.quantity, p.quantity), p.price, coalesce(g.base, 0),
  coalesce(g.quote, 0), coalesce(g.n, 0), f.first_id, l.last_id,
  w.until - interval '24 hours', w.until
FROM exchange_ticker k
JOIN exchange_market m ON m.id = k.market_id
CROSS JOIN LATERAL (SELECT coalesce(m.recorded_until, m.halted_at, k.as_of) AS until) w
LEFT JOIN LATERAL (
  SELECT max(t.price) AS high, min(t.price) AS low, sum(t.quantity) AS base,
    sum(t.quote_quantity) AS quote, sum(t.last_id - t.first_id + 1) AS n, min(t.seq) AS first_seq,
    max(t.seq) AS last_seq
  FROM exchange_trade t WHERE t.market_id = k.market_id
    AND t.executed_at > w.until - interval '24 hours' AND t.executed_at <= w.until
    AND (t.last_id <= k.last_id OR t.executed_at <= k.as_of - interval '5 seconds')
) g ON true
LEFT JOIN exchange_trade f ON f.market_id = k.market_id AND f.seq = g.first_seq
LEFT JOIN exchange_trade l ON l.market_id = k.market_id AND l.seq = g.last_seq
LEFT JOIN LATERAL (
  SELECT t.price, t.quantity FROM exchange_trade t WHERE t.market_id = k.market_id
  AND t.executed_at <= w.until - interval '24 hours'
  ORDER BY t.executed_at DESC, t.seq DESC LIMIT 1
) p ON true
WHERE k.market_id = ANY(%s) AND NOT EXISTS (SELECT FROM exchange_amendment a
  WHERE a.market_id = k.market_id AND a.created_at > k.as_of - interval '5 seconds')
"""  # noqa: S608 - constants only

# Rows that another transaction wrote than the one that computed them.
FOREIGN = """
SELECT market_id FROM exchange_ticker
WHERE xmin::text <> (xid::text::numeric % 4294967296)::text
"""


def look(markets: Sequence[int], *, confirm_s: float = CONFIRM_S) -> tuple[list[Wrong], Covered]:
    """Looks at the tickers of some markets.

    What is wrong is looked at once more, `confirm_s` later: what the next run puts right was only
    late, as a trade from before that was imported meanwhile.
    """
    wrong = _wrong(markets)
    if wrong and confirm_s:
        time.sleep(confirm_s)
        again = {one.key: one for one in _wrong({one.market_id for one in wrong})}
        wrong = [again[one.key] for one in wrong if one.key in again]
    return wrong, Covered(check=Check.TICKERS, interval=DAY, markets=set(markets))


def look_at_foreign() -> int:
    """Looks at tickers that something else than their computation wrote, before the next one hides
    it; returns how many findings are new."""
    with connection.cursor() as cursor:
        cursor.execute(FOREIGN)
        markets = [market for (market,) in cursor.fetchall()]
    wrong = _wrong(markets) if markets else []
    return findings.record(wrong, []) if wrong else 0


def _wrong(markets: Collection[int]) -> list[Wrong]:
    with connection.cursor() as cursor:
        cursor.execute(LOOK, [list(markets)])
        rows = cursor.fetchall()
    count = len(FIELDS)
    return [
        Wrong(
            check=Check.TICKERS,
            market_id=market,
            interval=DAY,
            at=at,
            field=name,
            stored=_plain(is_),
            expected=_plain(should),
        )
        for market, at, *values in rows
        for name, is_, should in zip(FIELDS, values[:count], values[count:], strict=True)
        if is_ != should
    ]


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    return money.plain(value) if isinstance(value, Decimal) else str(value)
