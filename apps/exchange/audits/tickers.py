"""Tickers against brute force over the trades of their own windows."""

import time
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

from django.db import OperationalError, connection, transaction

from apps.exchange.audits import findings
from apps.exchange.audits.findings import DAY, Covered, Wrong
from apps.exchange.models import Check
from moonx.core import logs, money
from moonx.core.locks import LockBusy

log = logs.get("moonx.audit")

FIELDS = (
    *("open", "high", "low", "last", "last_quantity", "previous_close", "base_volume"),
    *("quote_volume", "trade_count", "first_id", "last_id", "open_time", "close_time"),
)
CONFIRM_S = 6.0  # the next run of the tickers has been by then

# A ticker knows the trades up to its last one, and all that are older than any transaction that
# was under way when it was computed; one that was amended since is looked at another time. What was
# halted since is judged as it was then.
LOOK = f"""
SELECT k.market_id, k.close_time, {", ".join(f"k.{name}" for name in FIELDS)},
  coalesce(f.price, p.price), coalesce(g.high, p.price), coalesce(g.low, p.price),
  coalesce(l.price, p.price), coalesce(l.quantity, p.quantity), p.price, coalesce(g.base, 0),
  coalesce(g.quote, 0), coalesce(g.n, 0), f.first_id, l.last_id,
  w.until - interval '24 hours', w.until
FROM exchange_ticker k
JOIN exchange_market m ON m.id = k.market_id
CROSS JOIN LATERAL (
  SELECT CASE WHEN s.until <= k.as_of THEN s.until ELSE k.as_of END AS until
  FROM (SELECT coalesce(m.recorded_until, m.halted_at) AS until) s
) w
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

# Rows that another transaction wrote than the one that computed them, as many as may be added up.
FOREIGN = """
SELECT market_id FROM (
  SELECT market_id, sum(trade_count) OVER (ORDER BY trade_count, market_id) AS trades
  FROM exchange_ticker WHERE xmin::text <> (xid::text::numeric % 4294967296)::text
) f WHERE trades <= 300000
"""
PATIENCE = "3s"  # that the tickers themselves wait for a look at them


def look(markets: Sequence[int], *, confirm_s: float = CONFIRM_S) -> tuple[list[Wrong], Covered]:
    """Looks at the tickers of some markets.

    What is wrong is looked at once more, `confirm_s` later: what the next run puts right was only
    late, as a trade from before that was imported meanwhile.
    """
    wrong, judged = _judge(markets)
    if wrong and confirm_s:
        time.sleep(confirm_s)
        again, judged_again = _judge({one.market_id for one in wrong})
        known = {one.key: one for one in again}
        judged -= {one.market_id for one in wrong} - judged_again
        wrong = [known[one.key] for one in wrong if one.key in known]
    return wrong, Covered(check=Check.TICKERS, interval=DAY, markets=judged)


def look_at_foreign() -> int:
    """Looks at tickers that something else than their computation wrote, before the next one hides
    it; returns how many findings are new.

    Never keeps tickers from being computed: a look that takes too long is given up.
    """
    try:
        with transaction.atomic():
            return _look_at_foreign()
    except (OperationalError, LockBusy) as error:
        log.warning("tickers that something else wrote were not looked at", cause=str(error))
        return 0


def _look_at_foreign() -> int:
    with connection.cursor() as cursor:
        cursor.execute(FOREIGN)
        markets = [market for (market,) in cursor.fetchall()]
        if not markets:
            return 0
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [PATIENCE])
        wrong, _ = _judge(markets)
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
    return findings.record(wrong, []) if wrong else 0


def _judge(markets: Collection[int]) -> tuple[list[Wrong], set[int]]:
    """What is wrong with the tickers of these markets, and which of them were looked at."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK, [list(markets)])
        rows = cursor.fetchall()
    count = len(FIELDS)
    wrong = [
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
    return wrong, {row[0] for row in rows}


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    return money.plain(value) if isinstance(value, Decimal) else str(value)
