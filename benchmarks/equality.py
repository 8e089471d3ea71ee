"""Whether two markets that took the same flow ended the same, row by row and fact by fact."""

import json
import re
from collections import Counter
from collections.abc import Collection, Sequence

from django.db import connection

from apps.exchange import matching
from apps.exchange.matching.matching import BATCH
from benchmarks.harness import Bench
from benchmarks.orderflow import Planned, Venue, arrive, make_venue

Rows = list[tuple[object, ...]]

# Without ids and times: accounts and orders go by their owners and client order ids.
TABLES = {
    "trades": """
SELECT seq, first_id, last_id, price, quantity, quote_quantity, is_buyer_maker, source
FROM exchange_trade WHERE market_id = %(market)s ORDER BY seq""",
    "fills": """
SELECT f.seq, o.client_order_id, f.owner_id, f.side, f.is_maker, f.price, f.quantity,
  f.quote_quantity, f.fee
FROM exchange_fill f JOIN exchange_order o ON o.id = f.order_id WHERE f.market_id = %(market)s
ORDER BY 1, 2""",
    "orders": """
SELECT client_order_id, owner_id, side, type, status, stage, reason, quantity, filled_quantity,
  prevented_quantity, filled_quote, taken_quote, fee, hold, held,
  rank() OVER (ORDER BY priority)
FROM exchange_order WHERE market_id = %(market)s ORDER BY id""",
    "journals and entries": """
SELECT split_part(j.source, ':', 2)::bigint, j.correlation_id, a.owner_id, a.house,
  e.asset_id = m.base_id, e.amount
FROM exchange_market m JOIN exchange_journal j ON j.kind = 'trade'
  AND j.source LIKE m.symbol || ':%%'
JOIN exchange_entry e ON e.journal_id = j.id JOIN exchange_account a ON a.id = e.account_id
WHERE m.id = %(market)s ORDER BY 1, 3, 4, 5""",
    "balances": """
SELECT a.owner_id, a.asset_id = m.base_id, a.balance, a.held
FROM exchange_market m JOIN exchange_account a ON a.asset_id IN (m.base_id, m.quote_id)
WHERE m.id = %(market)s AND a.owner_id IS NOT NULL ORDER BY 1, 2""",
    "1m bars, added up": """
SELECT max(high), min(low), sum(base_volume), sum(quote_volume), sum(taker_base_volume),
  sum(taker_quote_volume), sum(trade_count), min(first_seq), max(last_seq),
  (array_agg(open ORDER BY first_seq))[1], (array_agg(close ORDER BY last_seq DESC))[1]
FROM exchange_candle WHERE market_id = %(market)s AND interval = '1m'""",
}

# The facts of a market and of its two assets; what differs from run to run is left out. A batch
# tells of each account once, so that no order's correlation id is on it.
FACTS = """
SELECT e.name, e.key, e.topics::text,
  CASE WHEN e.name LIKE 'balance.%%' THEN '' ELSE e.correlation_id END, e.payload::text
FROM core_outbox e JOIN exchange_market m ON m.id = %(market)s
JOIN exchange_asset b ON b.id = m.base_id JOIN exchange_asset q ON q.id = m.quote_id
WHERE e.key = 'market:' || m.symbol
  OR split_part(e.key, ':', 1) = 'account' AND split_part(e.key, ':', 3) IN (b.symbol, q.symbol)
"""
VARYING = {"time", "createdAt", "updatedAt", "expiresAt", "orderId"}

Chunk = tuple[int, Sequence[Planned]]  # the number of the first order, and the orders


def check(bench: Bench, *peers: Venue, chunks: Sequence[Chunk]) -> None:
    """Ours on the peers' flow, in batches and one by one, against what the peers made of it."""
    batched, single = (
        make_venue(name, f"{name}QUOTE", peers[0].owners) for name in ("BATCHED", "SINGLE")
    )
    for venue, limit in ((batched, BATCH), (single, 1)):
        for first, orders in chunks:
            arrive(venue, orders, first=first)
            matching.match(venue.market, limit=limit)
    for name, sql in TABLES.items():
        mine = rows(sql, batched)
        same = all(rows(sql, other) == mine for other in (single, *peers))
        bench.check(bool(mine) and same, f"{name}: {len(mine):,} rows, the same on every side")
    told = facts(single)
    differing = [fact for peer in peers for fact in difference(facts(peer), told)]
    for fact in differing[:4]:
        bench.say(fact)
    sentence = f"{told.total():,} facts, told order by order, the same on every side"
    bench.check(bool(told) and not differing, sentence)


def rows(sql: str, venue: Venue) -> Rows:
    """One table of a venue."""
    with connection.cursor() as cursor:
        cursor.execute(sql, {"market": venue.market.pk})
        return list(cursor.fetchall())


def facts(venue: Venue) -> Counter[str]:
    """How often each fact was told, as what is left of it without names, ids and times."""
    return Counter(bare_fact(venue, row) for row in rows(FACTS, venue))


def endings(venue: Venue) -> Counter[str]:
    """As `facts`, apart from what accounts have afterwards: a sweep tells what all of it left."""
    left = VARYING | {"held", "available", "balance"}
    return Counter(bare_fact(venue, row, without=left) for row in rows(FACTS, venue))


def difference(theirs: Counter[str], ours: Counter[str]) -> list[str]:
    """The facts that only one side told, or told more often."""
    return [f"theirs: {fact}" for fact in theirs - ours] + [
        f"ours: {fact}" for fact in ours - theirs
    ]


def bare_fact(venue: Venue, row: Sequence[object], *, without: Collection[str] = VARYING) -> str:
    """A fact in the words that every venue has in common."""
    name, key, topics, correlation_id, payload = map(str, row)
    kept = {k: v for k, v in json.loads(payload).items() if k not in without}
    text = json.dumps([name, key, topics, correlation_id, kept], sort_keys=True)
    market = venue.market
    for place, symbol in (
        ("SYMBOL", market.symbol),
        ("QUOTE", market.quote.symbol),
        ("BASE", market.base.symbol),
    ):
        text = re.sub(rf"\b{symbol}\b", place, text)
    return text
