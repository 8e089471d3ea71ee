"""The 24h tickers of 1,000 markets over 10 million trades, against computing them from trades."""

import random
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import Count, F, Max, Min, Sum

from apps.exchange import tickers
from apps.exchange.models import Market, Ticker, Trade
from benchmarks import market_day
from benchmarks.harness import Bench, Rounds, load
from benchmarks.market_day import Day, Size

FULL_N = 10_000_000
WHOLE, SAMPLED = 25, 40  # the ORM loop is timed on the busiest ones, and on so many of the others
FIELDS = (
    "open",
    "high",
    "low",
    "last",
    "last_quantity",
    "previous_close",
    "base_volume",
    "quote_volume",
    "trade_count",
    "first_id",
    "last_id",
)
Values = tuple[object, ...]

# Its best form: one window for all markets as constants, in parallel, read only.
GROUP_BY = """
SELECT g.market_id, f.price, g.high, g.low, l.price, l.quantity, p.price, g.base, g.quote, g.n,
  f.first_id, l.last_id
FROM (
  SELECT market_id, max(price) AS high, min(price) AS low, sum(quantity) AS base,
    sum(quote_quantity) AS quote, sum(last_id - first_id + 1) AS n, min(seq) AS first_seq,
    max(seq) AS last_seq
  FROM exchange_trade WHERE executed_at > %(edge)s AND executed_at <= %(stop)s GROUP BY market_id
) g
JOIN exchange_trade f ON f.market_id = g.market_id AND f.seq = g.first_seq
JOIN exchange_trade l ON l.market_id = g.market_id AND l.seq = g.last_seq
LEFT JOIN LATERAL (
  SELECT price FROM exchange_trade t WHERE t.market_id = g.market_id
  AND t.executed_at <= %(edge)s ORDER BY t.executed_at DESC, t.seq DESC LIMIT 1
) p ON true
"""

# What each stored ticker should be, from the trades of its own window.
BRUTE = """
SELECT k.market_id FROM exchange_ticker k
LEFT JOIN (
  SELECT k.market_id, max(t.price) AS high, min(t.price) AS low, sum(t.quantity) AS base,
    sum(t.quote_quantity) AS quote, sum(t.last_id - t.first_id + 1) AS n, min(t.seq) AS first_seq,
    max(t.seq) AS last_seq
  FROM exchange_ticker k JOIN exchange_trade t ON t.market_id = k.market_id
    AND t.executed_at > k.open_time AND t.executed_at <= k.close_time
  GROUP BY k.market_id
) g ON g.market_id = k.market_id
LEFT JOIN exchange_trade f ON f.market_id = g.market_id AND f.seq = g.first_seq
LEFT JOIN exchange_trade l ON l.market_id = g.market_id AND l.seq = g.last_seq
LEFT JOIN LATERAL (
  SELECT price, quantity FROM exchange_trade t WHERE t.market_id = k.market_id
  AND t.executed_at <= k.open_time ORDER BY t.executed_at DESC, t.seq DESC LIMIT 1
) p ON true
WHERE k.close_time - k.open_time <> interval '24 hours'
  OR (k.open, k.high, k.low, k.last, k.last_quantity, k.previous_close, k.base_volume,
    k.quote_volume, k.trade_count, k.first_id, k.last_id) IS DISTINCT FROM
   (coalesce(f.price, p.price), coalesce(g.high, p.price), coalesce(g.low, p.price),
    coalesce(l.price, p.price), coalesce(l.quantity, p.quantity), p.price, coalesce(g.base, 0),
    coalesce(g.quote, 0), coalesce(g.n, 0), f.first_id, l.last_id)
"""


def run(bench: Bench, *, n: int = FULL_N, markets: int = 1000) -> None:
    """Measures one refresh of all tickers, rows written and committed, against both peers.

    Then again with a tenth of the trades, and with fewer markets.
    """
    whole = Size(markets=markets, trades=n)
    measure(bench, whole, goals=(400, 30))
    explain()
    for share in (1, 0.1, 0.01):
        market_day.clear()
        measure(bench, whole.times(markets=share, trades=0.1), goals=None)


def measure(bench: Bench, size: Size, *, goals: tuple[float, float] | None) -> None:
    """One size's figures, and that every field is right."""
    day = market_day.lay_out(bench, trades=size.trades, markets=size.markets)
    busy, rest, weight = sampled()
    refresh()
    bench.say(f"the ORM loop: the {len(busy)} busiest, and {len(rest)} others × {weight:.1f}")
    rounds = bench.interleave(
        {
            "ours": refresh,
            "busy": lambda: orm_loop(busy),
            "rest": lambda: orm_loop(rest),
            "group_by": lambda: group_by(*window()),
        },
        before=market_day.mark_closed,
    )
    loop_ms = [
        busy_ms + weight * rest_ms
        for busy_ms, rest_ms in zip(rounds.times_ms["busy"], rounds.times_ms["rest"], strict=True)
    ]
    ending = "" if goals else f".{size.label}"
    tell(bench, Rounds({**rounds.times_ms, "loop": loop_ms}), day, goals=goals, ending=ending)
    check(bench, sample=[*busy, *rest])


def tell(
    bench: Bench, rounds: Rounds, day: Day, *, goals: tuple[float, float] | None, ending: str
) -> None:
    """Adds both figures."""
    loop_goal, group_goal = goals or (None, None)
    bench.compare(
        f"tickers.orm_loop{ending}",
        rounds,
        ours="ours",
        peer="loop",
        goal=loop_goal,
        described="per-market ORM loop, 3 statements a market and one upsert of all rows, timed "
        f"on the {WHOLE} busiest and up to {SAMPLED} sampled markets, these scaled to all",
        note=f"{day}; ours is 1 statement for all, rows written and committed; load {load()}",
        more=day.more,
    )
    bench.compare(
        f"tickers.group_by{ending}",
        rounds,
        ours="ours",
        peer="group_by",
        goal=group_goal,
        described="best single GROUP BY over the trades, 1 statement for all, parallel, read only",
        note=f"{day}; load {load()}",
        more=day.more,
    )


def refresh() -> None:
    """One run of the product's refresh, as its task does it."""
    with transaction.atomic():
        tickers.update()


def window() -> tuple[datetime, datetime]:
    """The window of a market that trades, as the last refresh wrote it."""
    row = Ticker.objects.filter(market__status="TRADING").first()
    assert row is not None
    return row.open_time, row.close_time


def sampled() -> tuple[list[int], list[int], float]:
    """The busiest markets, an even sample of the others by volume, and what one of these counts."""
    keys = list(Market.objects.order_by("id").values_list("pk", flat=True))
    others = keys[WHOLE:]
    step = max(1, len(others) // SAMPLED)
    chosen = others[step // 2 :: step]
    return keys[:WHOLE], chosen, len(others) / max(1, len(chosen))


def orm_loop(keys: Sequence[int]) -> None:
    """What a careful developer writes: three indexed queries a market, and the rows at once."""
    edge, stop = window()
    rows = [
        Ticker(
            market_id=key,
            open_time=edge,
            close_time=stop,
            as_of=stop,
            **dict(zip(FIELDS, values, strict=True)),
        )
        for key, values in orm_tickers(keys).items()
    ]
    fields = ["open_time", "close_time", "as_of", *FIELDS]
    Ticker.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["market"], update_fields=fields
    )


def orm_tickers(keys: Sequence[int]) -> dict[int, Values]:
    """The markets' tickers, one after the other."""
    edge, stop = window()
    return {key: orm_ticker(key, edge=edge, stop=stop) for key in keys}


def orm_ticker(key: int, *, edge: datetime, stop: datetime) -> Values:
    """One market's ticker by the ORM."""
    trades = Trade.objects.filter(market_id=key)
    total = trades.filter(executed_at__gt=edge, executed_at__lte=stop).aggregate(
        high=Max("price"),
        low=Min("price"),
        base=Sum("quantity"),
        quote=Sum("quote_quantity"),
        n=Sum(F("last_id") - F("first_id") + 1),
        first=Min("seq"),
        last=Max("seq"),
        rows=Count("*"),
    )
    before = trades.filter(executed_at__lte=edge).order_by("-executed_at", "-seq").first()
    previous = before.price if before else None
    ends = {t.seq: t for t in trades.filter(seq__in=[total["first"] or 0, total["last"] or 0])}
    if not ends:
        quantity = before.quantity if before else None
        return (previous, previous, previous, previous, quantity, previous, 0, 0, 0, None, None)
    first, last = ends[total["first"]], ends[total["last"]]
    return (
        *(first.price, total["high"], total["low"], last.price, last.quantity, previous),
        *(total["base"], total["quote"], total["n"], first.first_id, last.last_id),
    )


def group_by(edge: datetime, stop: datetime) -> dict[int, Values]:
    """All markets' tickers by one statement over the trades."""
    with connection.cursor() as cursor:
        cursor.execute(GROUP_BY, {"edge": edge, "stop": stop})
        return {row[0]: tuple(row[1:]) for row in cursor.fetchall()}


def brute(key: int, *, edge: datetime, stop: datetime) -> Values:
    """One market's ticker by plain Python over its trades."""
    names = ("seq", "first_id", "last_id", "price", "quantity", "quote_quantity", "executed_at")
    seen = Trade.objects.filter(market_id=key, executed_at__lte=stop).order_by("executed_at", "seq")
    previous = quantity = first = last = high = low = None
    base = quote = Decimal(0)
    count = 0
    for seq, first_id, last_id, price, amount, value, at in seen.values_list(*names).iterator():
        if at <= edge:
            previous, quantity = price, amount
            continue
        first = first if first and first[0] < seq else (seq, price, first_id)
        last = last if last and last[0] > seq else (seq, price, amount, last_id)
        high = price if high is None else max(high, price)
        low = price if low is None else min(low, price)
        base, quote, count = base + amount, quote + value, count + last_id - first_id + 1
    if first is None or last is None:
        return (previous, previous, previous, previous, quantity, previous, 0, 0, 0, None, None)
    return (
        *(first[1], high, low, last[1], last[2], previous),
        *(base, quote, count, first[2], last[3]),
    )


def check(bench: Bench, *, sample: Sequence[int]) -> None:
    """Every field of every market against the trades, by SQL, by plain Python, and by the peers."""
    market_day.mark_closed()
    refresh()
    rows = {row.market_id: row for row in Ticker.objects.all()}
    ours = {key: tuple(getattr(row, name) for name in FIELDS) for key, row in rows.items()}
    with connection.cursor() as cursor:
        cursor.execute(BRUTE)
        wrong = cursor.fetchall()
    bench.check(
        not wrong, f"all fields of {len(rows):,} tickers equal brute force in SQL {wrong[:3]}"
    )
    keys = list(rows)
    chosen = [
        *random.Random(1).sample(keys[1:], min(10, len(keys) - 1)),
        *keys[-market_day.SPECIAL :],
    ]
    differing = [
        key
        for key in chosen
        if ours[key] != brute(key, edge=rows[key].open_time, stop=rows[key].close_time)
    ]
    bench.check(not differing, f"{len(chosen)} markets equal brute force in Python {differing}")
    check_peers(bench, ours, sample=sample)


def check_peers(bench: Bench, ours: dict[int, Values], *, sample: Sequence[int]) -> None:
    """The peers compute the same: a peer that does less would be no peer."""
    edge, stop = window()
    trading = set(Market.objects.filter(status="TRADING").values_list("pk", flat=True))
    loop = {k: v for k, v in orm_tickers(sample).items() if k in trading}
    grouped = {k: v for k, v in group_by(edge, stop).items() if k in trading}
    bench.check(all(ours[k] == v for k, v in loop.items()), "the ORM loop's output equals ours")
    bench.check(all(ours[k] == v for k, v in grouped.items()), "the GROUP BY's output equals ours")
    idle = [k for k in trading - set(grouped) if ours[k][8] != 0]
    bench.check(not idle, "markets without trades in the window are those the GROUP BY lacks")
    assert stop - edge == timedelta(hours=24)


def explain() -> None:
    """Prints the refresh's plan with its buffers, once; nothing of that run is kept."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {tickers.UPDATE}")
        print("\n".join(line for (line,) in cursor.fetchall()), file=sys.stderr)
        transaction.set_rollback(True)
