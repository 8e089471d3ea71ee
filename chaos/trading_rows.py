"""What rows and facts of trading must say, whatever happened: each query counts what breaks it.

Written for its own sake, beside the product's own invariants: the two must agree.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import psycopg

from chaos.promises import Promise, join
from chaos.rows import TRADES_NOT_TOLD, TRADES_TOLD_TWICE, WRONG_BARS_1M
from chaos.verdict import Verdict

Connection = psycopg.Connection[tuple[object, ...]]

TOLD = """
WITH told AS MATERIALIZED (
  SELECT id, name, topics, payload, created_at FROM core_event UNION ALL
  SELECT id, name, topics, payload, created_at FROM core_outbox
),
endings AS (
  SELECT (payload->>'orderId')::bigint AS order_id, name FROM told
  WHERE name IN ('order.filled', 'order.canceled', 'order.expired', 'order.rejected')
),
accepted AS (
  SELECT (payload->>'orderId')::bigint AS order_id FROM told WHERE name = 'order.accepted'
),
balances AS (
  SELECT id, name, (payload->>'userId')::bigint AS owner_id, payload->>'asset' AS asset,
    (payload->>'amount')::numeric AS amount, (payload->>'balance')::numeric AS balance,
    (payload->>'held')::numeric AS held, (payload->>'orderId')::bigint AS order_id
  FROM told WHERE name LIKE 'balance.%%'
)
"""

VIOLATIONS = {
    "journals that do not add up": """
SELECT count(*) FROM (SELECT FROM exchange_entry GROUP BY journal_id, asset_id
  HAVING sum(amount) <> 0) wrong
""",
    "balances that are not the sum of their entries": """
SELECT count(*) FROM exchange_account a LEFT JOIN (
  SELECT account_id, sum(amount) AS amount FROM exchange_entry GROUP BY 1) e ON e.account_id = a.id
WHERE a.owner_id IS NOT NULL AND a.balance <> coalesce(e.amount, 0)
""",
    "accounts that hold otherwise than their orders": """
SELECT count(*) FROM exchange_account a LEFT JOIN (
  SELECT CASE side WHEN 'BUY' THEN quote_account_id ELSE base_account_id END AS account_id,
    sum(held) AS held FROM exchange_order GROUP BY 1) o ON o.account_id = a.id
WHERE a.owner_id IS NOT NULL AND a.held <> coalesce(o.held, 0)
""",
    "orders that hold although they are done, or more than they may": """
SELECT count(*) FROM exchange_order WHERE held < 0 OR held > hold OR stage = 'done' AND held <> 0
""",
    "orders that hold otherwise than price, rest and fee say": """
SELECT count(*) FROM exchange_order o JOIN exchange_market m ON m.id = o.market_id
JOIN exchange_asset q ON q.id = m.quote_id
CROSS JOIN LATERAL (SELECT o.quantity - o.filled_quantity - o.prevented_quantity AS rest) r
CROSS JOIN LATERAL (SELECT o.price * rest AS notional,
  10::numeric ^ -q.decimals AS atom,
  ceil(o.price * rest * greatest(o.maker_fee_bps, o.taker_fee_bps) / 10000
    * 10::numeric ^ q.decimals) / 10::numeric ^ q.decimals AS most_fee) f
WHERE o.stage <> 'done' AND CASE o.side WHEN 'SELL' THEN o.held <> rest
  ELSE o.held NOT BETWEEN notional + f.most_fee - f.atom
    AND notional + f.most_fee END AND o.quote_order_quantity IS NULL
""",
    "orders whose fills say something else": """
SELECT count(*) FROM exchange_order o LEFT JOIN (SELECT order_id, sum(quantity) AS quantity,
    sum(quote_quantity) AS quote, sum(fee) AS fee,
    coalesce(sum(quote_quantity) FILTER (WHERE NOT is_maker), 0) AS taken
  FROM exchange_fill GROUP BY 1) f ON f.order_id = o.id
WHERE (o.filled_quantity, o.filled_quote, o.fee, o.taken_quote) IS DISTINCT FROM
  (coalesce(f.quantity, 0), coalesce(f.quote, 0), coalesce(f.fee, 0), coalesce(f.taken, 0))
""",
    "trades without two fills and one journal": """
SELECT count(*) FROM exchange_trade t JOIN exchange_market m ON m.id = t.market_id
LEFT JOIN exchange_amendment a ON a.market_id = t.market_id AND a.seq = t.seq AND a.epoch = 1
WHERE t.source = 'matched' AND ((SELECT count(*) FROM exchange_fill f
    WHERE f.market_id = t.market_id AND f.seq = t.seq AND f.quantity = t.quantity
      AND f.price = coalesce(a.price, t.price)
      AND f.quote_quantity = coalesce(a.quote_quantity, t.quote_quantity)) <> 2
  OR (SELECT count(*) FROM exchange_journal j
    WHERE j.kind = 'trade' AND j.source = m.symbol || ':' || t.seq) <> 1)
""",
    "journals of trades that moved something else than the trade": """
SELECT count(*) FROM exchange_trade t JOIN exchange_market m ON m.id = t.market_id
JOIN exchange_journal j ON j.kind = 'trade' AND j.source = m.symbol || ':' || t.seq
JOIN exchange_fill f ON f.market_id = t.market_id AND f.seq = t.seq
JOIN exchange_order o ON o.id = f.order_id
CROSS JOIN LATERAL (SELECT CASE f.side WHEN 'BUY' THEN 1 ELSE -1 END AS sign) s
LEFT JOIN exchange_entry b ON b.journal_id = j.id AND b.account_id = o.base_account_id
LEFT JOIN exchange_entry q ON q.journal_id = j.id AND q.account_id = o.quote_account_id
WHERE b.amount IS DISTINCT FROM sign * f.quantity
  OR coalesce(q.amount, 0) <> -sign * f.quote_quantity - f.fee
""",
    "journals of trades without a trade": """
SELECT count(*) FROM exchange_journal j WHERE j.kind = 'trade' AND NOT EXISTS (
  SELECT FROM exchange_trade t JOIN exchange_market m ON m.id = t.market_id
  WHERE j.source = m.symbol || ':' || t.seq
) AND NOT EXISTS (
  SELECT FROM exchange_amendment a JOIN exchange_market m ON m.id = a.market_id
  WHERE j.source = m.symbol || ':' || a.seq AND a.kind = 'bust')
""",
    "trades after an order's time was over": """
SELECT count(*) FROM exchange_fill f JOIN exchange_order o ON o.id = f.order_id
WHERE o.expires_at <= f.executed_at
""",
    "orders that expired before their time": """
SELECT count(*) FROM exchange_order
WHERE status = 'EXPIRED' AND reason = 'time' AND (expires_at IS NULL OR updated_at < expires_at)
""",
    "crossed books": """
SELECT count(*) FROM (SELECT market_id, max(price) FILTER (WHERE side = 'BUY') AS bid,
    min(price) FILTER (WHERE side = 'SELL') AS ask FROM exchange_order
  WHERE stage = 'book' AND (expires_at IS NULL OR expires_at > clock_timestamp())
  GROUP BY 1) book WHERE bid >= ask
""",
    "orders that arrived and were left": """
SELECT count(*) FROM exchange_order WHERE stage = 'arrived'
""",
    "orders whose time is over and that are open": """
SELECT count(*) FROM exchange_order
WHERE stage <> 'done' AND expires_at < clock_timestamp() - interval '1 minute'
""",
    "1m bars that differ from their trades": WRONG_BARS_1M,
    "done orders whose ending was told otherwise": f"""{TOLD}
SELECT count(*) FROM exchange_order o LEFT JOIN endings e ON e.order_id = o.id
WHERE o.stage = 'done' AND e.name IS NOT NULL AND e.name <> CASE o.status
  WHEN 'FILLED' THEN 'order.filled' WHEN 'CANCELED' THEN 'order.canceled'
  WHEN 'REJECTED' THEN 'order.rejected' ELSE 'order.expired' END
""",
    "open orders whose ending was told": f"""{TOLD}
SELECT count(*) FROM exchange_order o JOIN endings e ON e.order_id = o.id WHERE o.stage <> 'done'
""",
    "facts of orders that there are not": f"""{TOLD}
SELECT count(*) FROM (SELECT order_id FROM endings UNION ALL SELECT order_id FROM accepted) f
WHERE NOT EXISTS (SELECT FROM exchange_order o WHERE o.id = f.order_id)
""",
    "accounts whose last fact says something else": f"""{TOLD}
SELECT count(*) FROM exchange_account a JOIN exchange_asset s ON s.id = a.asset_id
LEFT JOIN LATERAL (SELECT balance, held FROM balances b
  WHERE b.owner_id = a.owner_id AND b.asset = s.symbol ORDER BY id DESC LIMIT 1) b ON true
WHERE a.owner_id IS NOT NULL
  AND (a.balance, a.held) IS DISTINCT FROM (coalesce(b.balance, 0), coalesce(b.held, 0))
""",
    "accounts whose credits and debits told are not their balance": f"""{TOLD}
SELECT count(*) FROM exchange_account a JOIN exchange_asset s ON s.id = a.asset_id
LEFT JOIN (SELECT owner_id, asset, sum(CASE name WHEN 'balance.credited' THEN amount
    WHEN 'balance.debited' THEN -amount ELSE 0 END) AS amount FROM balances GROUP BY 1, 2) b
  ON b.owner_id = a.owner_id AND b.asset = s.symbol
WHERE a.owner_id IS NOT NULL AND a.balance <> coalesce(b.amount, 0)
""",
    "holds told otherwise than they are": f"""{TOLD}
SELECT count(*) FROM balances b JOIN exchange_order o ON o.id = b.order_id
WHERE b.name = 'balance.locked' AND b.amount <> o.hold
""",
}
LOST = {
    "trades without their fact": TRADES_NOT_TOLD,
    "orders taken without their fact": f"""{TOLD}
SELECT count(*) FROM exchange_order o
WHERE o.priority IS NOT NULL AND o.status <> 'REJECTED'
  AND NOT EXISTS (SELECT FROM accepted a WHERE a.order_id = o.id)
""",
    "endings without their fact": f"""{TOLD}
SELECT count(*) FROM exchange_order o
WHERE o.stage = 'done' AND NOT EXISTS (SELECT FROM endings e WHERE e.order_id = o.id)
""",
    "fills that their owner was not told": f"""{TOLD}
SELECT count(*) FROM exchange_fill f WHERE NOT EXISTS (SELECT FROM told t
  WHERE t.name = 'trade.executed' AND (t.payload->>'orderId')::bigint = f.order_id
    AND (t.payload->>'tradeId')::bigint = f.seq)
""",
    "holds that were not told": f"""{TOLD}
SELECT count(*) FROM exchange_order o WHERE o.hold > 0 AND NOT EXISTS (
  SELECT FROM balances b WHERE b.name = 'balance.locked' AND b.order_id = o.id)
""",
    "unfilled orders whose whole hold was not told to be free": f"""{TOLD}
SELECT count(*) FROM exchange_order o
LEFT JOIN (SELECT order_id, sum(amount) AS amount FROM balances
  WHERE name = 'balance.unlocked' GROUP BY 1) b ON b.order_id = o.id
WHERE o.stage = 'done' AND o.filled_quantity = 0 AND o.hold <> coalesce(b.amount, 0)
""",
    "canceled orders whose hold was freed untold": f"""{TOLD}
SELECT count(*) FROM exchange_order o
WHERE o.status = 'CANCELED' AND o.type <> 'MARKET'
  AND NOT EXISTS (SELECT FROM balances b
    WHERE b.name = 'balance.unlocked' AND b.order_id = o.id)
""",
}
DOUBLED = {
    "facts of trades told twice": TRADES_TOLD_TWICE,
    "orders accepted twice": f"{TOLD} SELECT count(*) - count(DISTINCT order_id) FROM accepted",
    "endings told twice": f"{TOLD} SELECT count(*) - count(DISTINCT order_id) FROM endings",
    "fills told twice": f"""{TOLD}
SELECT count(*) - count(DISTINCT (payload->>'orderId', payload->>'tradeId')) FROM told
WHERE name = 'trade.executed' AND payload->>'orderId' IS NOT NULL
""",
    "holds told twice": f"""{TOLD}
SELECT count(*) - count(DISTINCT order_id) FROM balances
WHERE name = 'balance.locked' AND order_id IS NOT NULL
""",
    "holds freed twice": f"""{TOLD}
SELECT count(*) - count(DISTINCT order_id) FROM balances b
WHERE name = 'balance.unlocked' AND EXISTS (  -- one that its owner's other order cut frees twice
  SELECT FROM exchange_order o WHERE o.id = b.order_id AND o.prevented_quantity = 0)
""",
}


def check(dsn: str, verdict: Verdict) -> None:
    """Adds to the verdict what the rows give away."""
    with psycopg.connect(dsn, autocommit=True) as pg:
        for kind, queries in (("violations", VIOLATIONS), ("lost", LOST), ("doubled", DOUBLED)):
            for sentence, sql in queries.items():
                verdict.hold(count(pg, sql), sentence, kind=kind)


def count(pg: Connection, sql: str) -> int:
    """The number that a query gives."""
    row = pg.execute(sql.replace("%%", "%").encode()).fetchone()
    assert row is not None
    return int(str(row[0]))


ORDERS = """
SELECT client_order_id, id, owner_id, status, filled_quantity, filled_quote, fee, market_id
FROM exchange_order
"""


def hold_promises(dsn: str, promises: Iterable[Promise], verdict: Verdict) -> None:
    """Joins what clients were told with the orders, one to one."""
    found = list(promises)
    with psycopg.connect(dsn, autocommit=True) as pg:
        rows = [OrderRow(*row) for row in pg.execute(ORDERS.encode()).fetchall()]
    placed = [promise for promise in found if promise.kind == "place"]
    joined = join(placed, [row.key for row in rows])
    verdict.hold(len(joined.lost), f"lost of {len(placed):,} orders asked for", kind="lost")
    verdict.hold(len(joined.doubled), "orders placed twice", kind="doubled")
    verdict.hold(len(joined.never_asked), "orders that nobody asked for")
    verdict.hold(len(joined.refused_yet_there), "orders refused and yet there")
    by_id = {row.id: row for row in rows}
    answered = [p for p in found if p.kind in ("place", "cancel") and p.is_kept_by_a_row]
    verdict.hold(sum(_taken_back(p, by_id) for p in answered), "answers that the rows take back")
    verdict.hold(_phantoms(found, rows), "cancels that nobody asked for")
    errors = [p.told["error"] for p in found if p.told and "error" in p.told]
    verdict.hold(len(errors), f"errors told to clients {sorted(set(errors))[:3]}")


class OrderRow:
    """What an order's row says to clients."""

    def __init__(self, *values: object) -> None:
        key, self.id, self.owner, self.status, self.filled, self.quote, self.fee, _ = values
        self.key = str(key)


DONE = ("FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH", "REJECTED")


def _taken_back(promise: Promise, rows: Mapping[object, OrderRow]) -> bool:
    """Whether an order says less than its owner was told: fills stand, and endings are final."""
    told = promise.told or {}
    if "error" in told:
        return False
    row = rows.get(told["order_id"])
    if row is None:
        return True
    said = (told["filled"], told["quote"], told["fee"])
    stands = (row.filled, row.quote, row.fee)
    if told["status"] in DONE:
        same = all(_amount(a) == _amount(b) for a, b in zip(said, stands, strict=True))
        return row.status != told["status"] or not same
    return any(_amount(b) < _amount(a) for a, b in zip(said, stands, strict=True))


def _amount(value: object) -> Decimal:
    return Decimal(str(value))


def _phantoms(promises: Iterable[Promise], rows: Iterable[OrderRow]) -> int:
    """Canceled orders that neither a cancel nor a cancel-all can have meant."""
    asked = list(promises)
    named = {p.asked["order_id"] for p in asked if p.kind == "cancel"}
    owners = {p.asked["owner"] for p in asked if p.kind == "cancel_all"}
    return sum(
        row.status == "CANCELED" and row.id not in named and row.owner not in owners for row in rows
    )
