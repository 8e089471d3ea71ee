"""What must hold, as SQL: each query returns what does not, as (subject, owner_id, market_id).

The braces are filled from SHARED and, depending on whether what is new is looked at or everything,
from NEW or WHOLE. The values are those of `invariants.Scope`.
"""

from collections.abc import Mapping

from apps.exchange.candles import OF_TRADES

# Where new trades begin in each market: at the first one, or behind the last.
STARTS = """
SELECT m.id AS market_id, coalesce(
  (SELECT t.seq FROM exchange_trade t
   WHERE t.market_id = m.id AND t.executed_at >= %(moment)s::timestamptz
   ORDER BY t.executed_at, t.seq LIMIT 1),
  (SELECT max(t.seq) + 1 FROM exchange_trade t WHERE t.market_id = m.id), 0) AS seq
FROM exchange_market m
"""

# A row's xmin is the transaction that wrote it, so a change made by hand is found as well.
TOUCHED_ACCOUNTS = """
SELECT a.id FROM exchange_account a
WHERE a.owner_id IS NOT NULL AND age(a.xmin) <= age(%(since)s::text::xid8::xid)
"""
TOUCHED_ORDERS = """
SELECT f.order_id
FROM unnest(%(markets)s::int[], %(starts)s::bigint[]) AS s(market_id, seq)
JOIN exchange_fill f ON f.market_id = s.market_id AND f.seq >= s.seq
UNION
SELECT o.id FROM exchange_account a JOIN exchange_order o ON o.owner_id = a.owner_id
WHERE a.id = ANY(%(accounts)s::bigint[]) AND o.stage <> 'done'
  AND age(o.xmin) <= age(%(since)s::text::xid8::xid)
"""

NEW: Mapping[str, str] = {
    "starts": "SELECT * FROM unnest(%(markets)s::int[], %(starts)s::bigint[]) AS s(market_id, seq)",
    "accounts": "a.id = ANY(%(accounts)s::bigint[])",
    "orders": "o.id = ANY(%(orders)s::bigint[])",
    # A look-up per entry: a join might begin with all journals, for each account anew.
    "sums": """LATERAL (
  SELECT sum(e.amount) AS total FROM exchange_entry e
  WHERE e.account_id = a.id AND e.journal_id >= %(floor)s AND %(sealed)s::text::xid8 <= (
    SELECT j.xid FROM exchange_journal j WHERE j.id = e.journal_id)) d ON true""",
    "holds": """LATERAL (
  SELECT sum(o.held) AS total FROM exchange_order o
  WHERE o.owner_id = a.owner_id AND o.stage <> 'done'
    AND CASE o.side WHEN 'BUY' THEN o.quote_account_id ELSE o.base_account_id END = a.id
) h ON true""",
}
WHOLE: Mapping[str, str] = {
    "starts": STARTS,
    "accounts": "a.owner_id IS NOT NULL",
    "orders": "(o.updated_at >= %(moment)s::timestamptz OR o.stage <> 'done')",
    "sums": """(
  SELECT e.account_id, sum(e.amount) AS total
  FROM exchange_journal j JOIN exchange_entry e ON e.journal_id = j.id
  WHERE e.journal_id >= %(floor)s AND j.xid >= %(sealed)s::text::xid8 GROUP BY e.account_id
) d ON d.account_id = a.id""",
    "holds": """(
  SELECT CASE o.side WHEN 'BUY' THEN o.quote_account_id ELSE o.base_account_id END AS account_id,
    sum(o.held) AS total
  FROM exchange_order o WHERE o.stage <> 'done' GROUP BY 1
) h ON h.account_id = a.id""",
}
# The digest goes over every column of a seal's journals, entries and balances, and over the seal
# before it.
DIGEST = """
SELECT count(*) AS journals, encode(sha256(
    convert_to(s.before, 'UTF8') || coalesce(string_agg(d.digest, '' ORDER BY d.id), '')
    || convert_to(coalesce((
      SELECT jsonb_agg(jsonb_build_array(b.account_id, b.balance) ORDER BY b.account_id)
      FROM exchange_sealedbalance b WHERE b.seal_id = s.id)::text, ''), 'UTF8')), 'hex') AS digest
FROM (
  SELECT j.id, sha256(convert_to(jsonb_build_array(j.id, j.xid::text, j.kind, j.source, j.epoch,
    j.reason, j.correlation_id, extract(epoch FROM j.created_at), (
      SELECT jsonb_agg(jsonb_build_array(e.account_id, e.asset_id, e.amount) ORDER BY e.account_id)
      FROM exchange_entry e WHERE e.journal_id = j.id))::text, 'UTF8')) AS digest
  FROM exchange_journal j
  WHERE j.xid >= s.from_xid::text::xid8 AND j.xid < s.to_xid::text::xid8
) d
"""

# Parts of queries that are alike in both.
SHARED: Mapping[str, str] = {
    "new_journals": "j.xid >= %(since)s::text::xid8",
    "sealed_balance": """LATERAL (
  SELECT s.balance FROM exchange_sealedbalance s
  WHERE s.account_id = a.id AND s.seal_id <= %(seal)s ORDER BY s.seal_id DESC LIMIT 1) s ON true""",
    "new_trades": """starts s
JOIN exchange_market m ON m.id = s.market_id
JOIN exchange_trade t ON t.market_id = s.market_id AND t.seq >= s.seq AND t.source = 'matched'
LEFT JOIN exchange_amendment x ON x.market_id = t.market_id AND x.seq = t.seq AND x.epoch = 1""",
    "new_fills": """starts s
JOIN exchange_fill f ON f.market_id = s.market_id AND f.seq >= s.seq""",
    "trade_of": """LEFT JOIN exchange_market m ON m.symbol = split_part(j.source, ':', 1)
  CROSS JOIN LATERAL (SELECT CASE WHEN j.source ~ '^[A-Z0-9]+:[0-9]{1,18}$'
    THEN split_part(j.source, ':', 2)::bigint END AS seq) n
  LEFT JOIN LATERAL (
    SELECT t.market_id, t.seq FROM exchange_trade t
    WHERE t.market_id = m.id AND t.source = 'matched' AND t.seq = n.seq
    UNION
    SELECT x.market_id, x.seq FROM exchange_amendment x
    WHERE x.market_id = m.id AND x.source = 'matched' AND x.seq = n.seq
  ) t ON m.symbol || ':' || t.seq = j.source""",
    "digest": DIGEST,
    "of_trades": OF_TRADES,
    "bar": "market_id, open_time, open, high, low, close, base_volume, quote_volume, "
    "taker_base_volume, taker_quote_volume, trade_count, first_seq, last_seq",
}

JOURNALS_BALANCE = """
SELECT format('journal %%s: asset %%s sums to %%s', b.id, b.asset_id, b.total), a.owner_id, m.id
FROM (
  SELECT j.id, j.kind, j.source, e.asset_id, sum(e.amount) AS total,
    array_agg(e.account_id) AS accounts
  FROM exchange_journal j JOIN exchange_entry e ON e.journal_id = j.id WHERE {new_journals}
  GROUP BY j.id, e.asset_id HAVING sum(e.amount) <> 0
) b
LEFT JOIN exchange_account a ON a.id = ANY(b.accounts)
LEFT JOIN exchange_market m ON b.kind = 'trade' AND m.symbol = split_part(b.source, ':', 1)
"""

JOURNALS_HAVE_ENTRIES = """
SELECT format('journal %%s (%%s %%s) has fewer than two entries', j.id, j.kind, j.source),
  NULL::int, NULL::int
FROM exchange_journal j
WHERE {new_journals} AND (SELECT count(*) FROM exchange_entry e WHERE e.journal_id = j.id) < 2
"""

ENTRIES_HAVE_JOURNALS = """
SELECT format('entry %%s/%%s has no journal', e.journal_id, e.account_id), a.owner_id, NULL::int
FROM exchange_entry e LEFT JOIN exchange_account a ON a.id = e.account_id
WHERE e.journal_id >= %(floor)s
  AND NOT EXISTS (SELECT FROM exchange_journal j WHERE j.id = e.journal_id)
"""

ENTRIES_FIT_THEIR_ACCOUNT = """
SELECT format('entry %%s/%%s: %%s of asset %%s', e.journal_id, e.account_id, e.amount, e.asset_id),
  a.owner_id, NULL::int
FROM exchange_journal j JOIN exchange_entry e ON e.journal_id = j.id
LEFT JOIN exchange_account a ON a.id = e.account_id
LEFT JOIN exchange_asset s ON s.id = a.asset_id
WHERE {new_journals}
  AND (s.id, e.amount) IS DISTINCT FROM (e.asset_id, trunc(e.amount, s.decimals))
"""

BALANCES_FOLLOW_ENTRIES = """
SELECT format('account %%s has %%s, its entries make %%s', a.id, a.balance,
    coalesce(s.balance, 0) + coalesce(d.total, 0)), a.owner_id, NULL::int
FROM exchange_account a LEFT JOIN {sums} LEFT JOIN {sealed_balance}
WHERE {accounts} AND a.balance <> coalesce(s.balance, 0) + coalesce(d.total, 0)
"""

ASSETS_SUM_TO_ZERO = """
SELECT format('%%s: users and house together have %%s', x.symbol, sum(b.total)),
  NULL::int, NULL::int
FROM (
  SELECT a.asset_id, a.balance AS total FROM exchange_account a WHERE a.owner_id IS NOT NULL
  UNION ALL
  SELECT a.asset_id, coalesce(s.balance, 0) + coalesce(d.total, 0)
  FROM exchange_account a LEFT JOIN {sums} LEFT JOIN {sealed_balance} WHERE a.owner_id IS NULL
) b JOIN exchange_asset x ON x.id = b.asset_id
GROUP BY x.symbol HAVING sum(b.total) <> 0
"""

ACCOUNTS_HOLD_WHAT_ORDERS_HOLD = """
SELECT format('account %%s holds %%s, its open orders %%s', a.id, a.held, coalesce(h.total, 0)),
  a.owner_id, NULL::int
FROM exchange_account a LEFT JOIN {holds}
WHERE {accounts} AND a.held <> coalesce(h.total, 0)
"""

ORDERS_USE_THEIR_OWNERS_ACCOUNTS = """
SELECT format('order %%s uses accounts %%s and %%s', o.id, b.id, q.id), o.owner_id, o.market_id
FROM exchange_order o JOIN exchange_market m ON m.id = o.market_id
LEFT JOIN exchange_account b ON b.id = o.base_account_id
LEFT JOIN exchange_account q ON q.id = o.quote_account_id
WHERE {orders} AND (b.owner_id, b.asset_id, q.owner_id, q.asset_id)
  IS DISTINCT FROM (o.owner_id, m.base_id, o.owner_id, m.quote_id)
"""

DONE_ORDERS_HOLD_NOTHING = """
SELECT format('order %%s is %%s and holds %%s', o.id, o.status, o.held), o.owner_id, o.market_id
FROM exchange_order o
WHERE {orders} AND o.held <> 0
  AND (o.stage = 'done' OR o.status NOT IN ('NEW', 'PARTIALLY_FILLED'))
"""

# What a buy needs: its remainder at its own price, and what its fee, rounded up once over all its
# fills, can still grow by. What it keeps at most is the hold of a new order of that remainder.
OPEN_ORDERS_HOLD_WHAT_THEY_NEED = """
SELECT format('order %%s holds %%s, needs %%s to %%s', o.id, o.held, n.least, n.most),
  o.owner_id, o.market_id
FROM exchange_order o
JOIN exchange_market m ON m.id = o.market_id
JOIN exchange_asset q ON q.id = m.quote_id
CROSS JOIN LATERAL (
  SELECT coalesce(o.price * (o.quantity - o.filled_quantity - o.prevented_quantity), 0) AS rest,
    greatest(o.maker_fee_bps, o.taker_fee_bps) AS bps, 10 ^ q.decimals::numeric AS scale
) r
CROSS JOIN LATERAL (
  SELECT
    o.taken_quote * o.taker_fee_bps + (o.filled_quote - o.taken_quote) * o.maker_fee_bps AS so_far
) f
CROSS JOIN LATERAL (
  SELECT
    CASE
      WHEN o.price IS NULL THEN 0
      WHEN o.quote_order_quantity IS NOT NULL AND o.side = 'BUY' THEN
        o.hold - o.filled_quote - o.fee
      WHEN o.quote_order_quantity IS NOT NULL THEN o.hold - o.filled_quantity
      WHEN o.side = 'SELL' THEN o.quantity - o.filled_quantity - o.prevented_quantity
      ELSE r.rest + ceil((f.so_far + r.rest * r.bps) / 10000 * r.scale) / r.scale - o.fee
    END AS least,
    r.rest + ceil(r.rest * r.bps / 10000 * r.scale) / r.scale AS ample
) x
CROSS JOIN LATERAL (
  SELECT x.least, CASE WHEN o.side = 'BUY' AND o.price IS NOT NULL
      AND o.quote_order_quantity IS NULL THEN least(x.ample, o.hold) ELSE x.least END AS most
) n
WHERE {orders} AND o.stage <> 'done' AND NOT (o.held BETWEEN n.least AND n.most)
"""

ORDERS_ARE_THEIR_FILLS = """
SELECT format('order %%s filled %%s for %%s (%%s as taker), fee %%s; its fills %%s for %%s (%%s), '
    'fee %%s', o.id, o.filled_quantity, o.filled_quote, o.taken_quote, o.fee, s.quantity, s.quote,
    s.taken, s.fee), o.owner_id, o.market_id
FROM exchange_order o
CROSS JOIN LATERAL (
  SELECT coalesce(sum(f.quantity), 0) AS quantity, coalesce(sum(f.quote_quantity), 0) AS quote,
    coalesce(sum(f.quote_quantity) FILTER (WHERE NOT f.is_maker), 0) AS taken,
    coalesce(sum(f.fee), 0) AS fee, bool_and(f.owner_id = o.owner_id AND f.side = o.side
      AND f.market_id = o.market_id) AS is_own
  FROM exchange_fill f WHERE f.order_id = o.id
) s
WHERE {orders} AND (o.filled_quantity, o.filled_quote, o.taken_quote, o.fee, true)
  IS DISTINCT FROM (s.quantity, s.quote, s.taken, s.fee, coalesce(s.is_own, true))
"""

ORDERS_PAY_THEIR_RATE = """
SELECT format('order %%s paid a fee of %%s, its rates make %%s', o.id, o.fee, r.fee),
  o.owner_id, o.market_id
FROM exchange_order o
JOIN exchange_market m ON m.id = o.market_id
JOIN exchange_asset q ON q.id = m.quote_id
CROSS JOIN LATERAL (SELECT ceil((o.taken_quote * o.taker_fee_bps
    + (o.filled_quote - o.taken_quote) * o.maker_fee_bps) / 10000 * 10 ^ q.decimals::numeric)
  / 10 ^ q.decimals::numeric AS fee) r
WHERE {orders} AND o.fee <> r.fee
"""

STATUSES_TELL_THE_FILLS = """
SELECT format('order %%s is %%s (%%s): %%s of %%s filled, %%s prevented', o.id, o.status,
    o.stage, o.filled_quantity, o.quantity, o.prevented_quantity), o.owner_id, o.market_id
FROM exchange_order o
WHERE {orders} AND NOT CASE o.status
  WHEN 'NEW' THEN o.filled_quantity = 0 AND o.stage <> 'done'
  WHEN 'REJECTED' THEN o.filled_quantity = 0 AND o.stage = 'done'
  WHEN 'PARTIALLY_FILLED' THEN o.filled_quantity > 0 AND o.stage = 'book'
    AND (o.filled_quantity + o.prevented_quantity < o.quantity
      OR o.quote_order_quantity IS NOT NULL)
  WHEN 'FILLED' THEN o.filled_quantity > 0 AND o.stage = 'done'
    AND o.filled_quantity + o.prevented_quantity = o.quantity
  WHEN 'EXPIRED_IN_MATCH' THEN o.stage = 'done'
  ELSE o.stage = 'done' AND (o.filled_quantity + o.prevented_quantity < o.quantity
    OR o.quote_order_quantity IS NOT NULL)
END
"""

FILLS_KEEP_TO_THEIR_ORDER = """
WITH starts AS ({starts})
SELECT format('order %%s filled at %%s at %%s, its limit is %%s, its end %%s', o.id, f.price,
    f.executed_at, o.price, o.expires_at), o.owner_id, o.market_id
FROM {new_fills}
JOIN exchange_order o ON o.id = f.order_id
WHERE f.executed_at >= o.expires_at
  OR CASE o.side WHEN 'BUY' THEN f.price > o.price ELSE f.price < o.price END
"""

TRADES_HAVE_TWO_FILLS = """
WITH starts AS ({starts})
SELECT format('trade %%s/%%s has %%s fills that fit', m.symbol, t.seq, count(f.id)),
  NULL::int, t.market_id
FROM {new_trades}
LEFT JOIN exchange_fill f ON f.market_id = t.market_id AND f.seq = t.seq
  AND (f.price, f.quantity, f.quote_quantity, f.executed_at)
    = (coalesce(x.price, t.price), t.quantity, coalesce(x.quote_quantity, t.quote_quantity),
      t.executed_at)
  AND f.is_maker = (t.is_buyer_maker = (f.side = 'BUY'))
GROUP BY t.market_id, m.symbol, t.seq
HAVING count(f.id) <> 2 OR count(DISTINCT f.side) <> 2
"""

FILLS_HAVE_A_TRADE = """
WITH starts AS ({starts})
SELECT format('fill %%s of order %%s has no trade and order that fit', f.id, f.order_id),
  f.owner_id, f.market_id
FROM {new_fills}
LEFT JOIN exchange_trade t ON t.market_id = f.market_id AND t.seq = f.seq
LEFT JOIN exchange_amendment x ON x.market_id = f.market_id AND x.seq = f.seq AND x.epoch = 1
LEFT JOIN exchange_order o ON o.id = f.order_id
WHERE o.id IS NULL OR ('matched', f.price, f.quantity, f.quote_quantity) IS DISTINCT FROM
  (coalesce(x.source, t.source), coalesce(x.price, t.price), coalesce(x.quantity, t.quantity),
    coalesce(x.quote_quantity, t.quote_quantity))
"""

TRADES_HAVE_ONE_JOURNAL = """
WITH starts AS ({starts})
SELECT format('trade %%s/%%s has %%s journals', m.symbol, t.seq, count(j.id)),
  NULL::int, t.market_id
FROM {new_trades}
LEFT JOIN exchange_journal j ON j.kind = 'trade'
  AND j.source = m.symbol || ':' || t.seq
GROUP BY t.market_id, m.symbol, t.seq HAVING count(j.id) <> 1
"""

TRADE_JOURNALS_HAVE_A_TRADE = """
SELECT format('journal %%s is about %%s, which is no trade', j.id, j.source), NULL::int, m.id
FROM exchange_journal j {trade_of}
WHERE {new_journals} AND j.kind = 'trade' AND t.seq IS NULL
"""

JOURNALS_PAY_WHAT_WAS_TRADED = """
WITH journals AS (
  SELECT j.id AS journal, t.market_id AS market, t.seq, m.base_id, m.quote_id
  FROM exchange_journal j {trade_of}
  WHERE {new_journals} AND j.kind = 'trade' AND t.seq IS NOT NULL
), wanted AS (
  SELECT j.journal, j.market, v.account, v.asset, sum(v.amount) AS amount
  FROM journals j
  JOIN exchange_fill f ON f.market_id = j.market AND f.seq = j.seq
  JOIN exchange_order o ON o.id = f.order_id
  LEFT JOIN exchange_account fees ON fees.house = 'fees' AND fees.market_id = j.market
    AND fees.asset_id = j.quote_id AND fees.owner_id IS NULL
  CROSS JOIN LATERAL (VALUES
    (o.base_account_id, j.base_id, CASE f.side WHEN 'BUY' THEN f.quantity ELSE -f.quantity END),
    (o.quote_account_id, j.quote_id,
      CASE f.side WHEN 'BUY' THEN -f.quote_quantity ELSE f.quote_quantity END - f.fee),
    (fees.id, j.quote_id, f.fee)
  ) AS v(account, asset, amount)
  GROUP BY j.journal, j.market, v.account, v.asset HAVING sum(v.amount) <> 0
), paid AS (
  SELECT j.journal, j.market, e.account_id AS account, e.asset_id AS asset, e.amount
  FROM journals j JOIN exchange_entry e ON e.journal_id = j.journal
)
SELECT format('journal %%s pays account %%s %%s instead of %%s', journal, account,
    coalesce(paid.amount, 0), coalesce(wanted.amount, 0)), a.owner_id, market
FROM wanted FULL JOIN paid USING (journal, market, account, asset)
LEFT JOIN exchange_account a ON a.id = account
WHERE wanted.amount IS DISTINCT FROM paid.amount
"""

# Liveness, with a grace: nobody is at fault whose row is named, so none is.
NOTHING_IS_OVERDUE = """
SELECT format('order %%s should have ended at %%s', o.id, o.expires_at), NULL::int, NULL::int
FROM exchange_order o
WHERE o.stage <> 'done' AND o.expires_at < clock_timestamp() - interval '60 s'
"""

NOTHING_WAITS_TO_BE_MATCHED = """
SELECT format('order %%s has waited since %%s', o.id, o.created_at), NULL::int, NULL::int
FROM exchange_order o
WHERE o.stage = 'arrived' AND o.created_at < clock_timestamp() - interval '60 s'
"""

# A wrong bar costs nobody anything, so it stops nobody.
BARS_ARE_THEIR_TRADES = """
WITH made AS (
  SELECT t.market_id, date_trunc('minute', t.executed_at) AS open_time,
    {of_trades}
  FROM exchange_market m CROSS JOIN LATERAL (
    SELECT * FROM exchange_trade t
    WHERE t.market_id = m.id
      AND t.executed_at >= date_trunc('minute', %(moment)s::timestamptz)) t
  GROUP BY t.market_id, date_trunc('minute', t.executed_at)
), stored AS (
  SELECT {bar} FROM exchange_market m CROSS JOIN LATERAL (
    SELECT * FROM exchange_candle c WHERE c.market_id = m.id AND c.interval = '1m'
      AND c.open_time >= date_trunc('minute', %(moment)s::timestamptz)) c
)
SELECT format('the 1m bar %%s of market %%s is not its trades', open_time, market_id),
  NULL::int, NULL::int
FROM ((SELECT {bar} FROM made EXCEPT SELECT {bar} FROM stored)
  UNION ALL (SELECT {bar} FROM stored EXCEPT SELECT {bar} FROM made)) d
GROUP BY open_time, market_id
"""

# A restored dump brings its numbers along, but not the counter that they come from.
TRANSACTIONS_COUNT_ON = """
SELECT format('transaction %%s has been, the next one is %%s: see the runbook', p.last, p.next),
  NULL::int, NULL::int
FROM (
  SELECT greatest(%(since)s::bigint, %(sealed)s::bigint,
      (SELECT xid::text::bigint FROM exchange_journal ORDER BY xid DESC LIMIT 1)) AS last,
    greatest(pg_snapshot_xmax(pg_current_snapshot()), pg_current_xact_id_if_assigned())
      ::text::bigint AS next
) p WHERE p.last > p.next
"""

SEALS_STAND = """
WITH seals AS (
  SELECT s.*, coalesce(p.to_xid, 0) AS begins, coalesce(p.digest, '') AS before
  FROM exchange_seal s LEFT JOIN LATERAL (
    SELECT * FROM exchange_seal p WHERE p.id < s.id ORDER BY p.id DESC LIMIT 1) p ON true
  WHERE s.id = ANY(%(seals)s::bigint[])
)
SELECT format('what was sealed at %%s (seal %%s) has changed', s.sealed_at, s.id),
  NULL::int, NULL::int
FROM seals s CROSS JOIN LATERAL ({digest}) d
WHERE (s.from_xid, s.journals, s.digest) IS DISTINCT FROM (s.begins, d.journals, d.digest)
"""
