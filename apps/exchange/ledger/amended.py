"""What must hold of trades that were taken back or corrected; see `queries`."""

# After a bust the journals about the trade sum to nothing on every account; after a correction to
# what its sides would have moved at the new price.
AMENDED_TRADES_ARE_SETTLED = """
WITH amended AS (
  SELECT DISTINCT ON (a.market_id, a.seq) a.*, m.symbol || ':' || a.seq AS about, m.base_id,
    m.quote_id
  FROM exchange_amendment a JOIN exchange_market m ON m.id = a.market_id
  WHERE a.source = 'matched' AND EXISTS (SELECT FROM exchange_amendment n
    WHERE n.market_id = a.market_id AND n.seq = a.seq
      AND n.created_at >= %(moment)s::timestamptz)
  ORDER BY a.market_id, a.seq, a.epoch DESC
), wanted AS (
  SELECT a.about, a.market_id AS market, v.account, sum(v.amount) AS amount
  FROM amended a
  JOIN exchange_fill f ON f.market_id = a.market_id AND f.seq = a.seq
  JOIN exchange_order o ON o.id = f.order_id
  LEFT JOIN exchange_account fees ON fees.house = 'fees' AND fees.market_id = a.market_id
    AND fees.asset_id = a.quote_id AND fees.owner_id IS NULL
  CROSS JOIN LATERAL (SELECT CASE WHEN f.is_maker THEN a.maker_fee ELSE a.taker_fee END AS fee) c
  CROSS JOIN LATERAL (VALUES
    (o.base_account_id, CASE f.side WHEN 'BUY' THEN f.quantity ELSE -f.quantity END),
    (o.quote_account_id, CASE f.side WHEN 'BUY' THEN -a.new_quote_quantity
      ELSE a.new_quote_quantity END - c.fee),
    (fees.id, c.fee)
  ) AS v(account, amount)
  WHERE a.kind = 'correction'
  GROUP BY a.about, a.market_id, v.account
), moved AS (
  SELECT a.about, a.market_id AS market, e.account_id AS account, sum(e.amount) AS amount
  FROM amended a
  JOIN exchange_journal j ON j.source = a.about AND j.kind IN ('trade', 'reversal', 'correction')
  JOIN exchange_entry e ON e.journal_id = j.id
  GROUP BY a.about, a.market_id, e.account_id
)
SELECT format('journals about %%s moved %%s on account %%s instead of %%s', about,
    coalesce(moved.amount, 0), account, coalesce(wanted.amount, 0)), x.owner_id, market
FROM wanted FULL JOIN moved USING (about, market, account)
LEFT JOIN exchange_account x ON x.id = account
WHERE coalesce(wanted.amount, 0) <> coalesce(moved.amount, 0)
"""

# The last amendment of a trade says what its row is, or that there is none.
AMENDED_TRADES_STAND_AS_AMENDED = """
SELECT format('trade %%s/%%s does not stand as it was amended', m.symbol, a.seq), NULL::int,
  a.market_id
FROM (
  SELECT DISTINCT ON (a.market_id, a.seq) a.* FROM exchange_amendment a
  WHERE EXISTS (SELECT FROM exchange_amendment n WHERE n.market_id = a.market_id
    AND n.seq = a.seq AND n.created_at >= %(moment)s::timestamptz)
  ORDER BY a.market_id, a.seq, a.epoch DESC
) a
JOIN exchange_market m ON m.id = a.market_id
LEFT JOIN exchange_trade t ON t.market_id = a.market_id AND t.seq = a.seq
WHERE (a.new_price, a.new_quantity, a.new_quote_quantity)
  IS DISTINCT FROM (t.price, t.quantity, t.quote_quantity)
"""
