"""Orders whose time is over, ended as sets among a million open ones, against the ORM's loop."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connection

from apps.exchange import orders
from apps.exchange.orders.expiring import DUE_MARKETS
from benchmarks import equality, orm_exchange
from benchmarks.harness import Bench, Figure, elapsed_ms, load, percentile
from benchmarks.orderflow import Venue, make_owners, make_venue, rest, seats, settle_down
from benchmarks.world import as_owner

FULL_N = 1_000_000  # open orders
MARKETS = 100
OWNERS = 20  # of each market
SHARE = 100  # one order of so many is due, in the large case
FEW = 100
GOAL_MANY, GOAL_FEW = 150, 70
MOST_PAGES = 8  # of an empty sweep: an index probe reads about four

# Orders of all kinds that wait: whole and partly filled ones, and stops that nothing triggered.
# What is left of a hold is that of the remainder.
DUE = """
INSERT INTO exchange_order (market_id, owner_id, base_account_id, quote_account_id, client_order_id,
  side, type, time_in_force, self_trade, price, stop_price, quantity, filled_quantity,
  prevented_quantity, filled_quote, taken_quote, fee, maker_fee_bps, taker_fee_bps, hold, held,
  status, stage, reason, priority, expires_at, correlation_id, created_at, working_at, updated_at)
SELECT s.id, s.owner, s.base, s.quote, %(prefix)s || i, k.side, k.type, 'GTD', 'EXPIRE_MAKER',
  k.price, CASE k.type WHEN 'STOP_LOSS_LIMIT' THEN k.price END, 1, k.filled, 0, k.filled * k.price,
  0, k.filled * k.price * 0.0005, 5, 10, k.unit, k.unit * (1 - k.filled),
  CASE WHEN k.filled > 0 THEN 'PARTIALLY_FILLED' ELSE 'NEW' END,
  CASE k.type WHEN 'STOP_LOSS_LIMIT' THEN 'stopped' ELSE 'book' END, '', i,
  clock_timestamp() - interval '1 second', lpad(i::text, 16, '0'), now(), now(), now()
FROM generate_series(1, %(count)s::bigint) i
JOIN bench_seat s ON s.n = i / 2 %% %(seats)s
CROSS JOIN LATERAL (SELECT
  CASE WHEN i %% 2 = 0 THEN 'SELL' ELSE 'BUY' END AS side,
  CASE WHEN i %% 10 < 2 THEN 'STOP_LOSS_LIMIT' ELSE 'LIMIT' END AS type,
  CASE WHEN i %% 3 = 0 AND i %% 10 > 1 THEN 0.25 ELSE 0 END AS filled,
  CASE WHEN i %% 2 = 0 THEN 110 + (i %% 500) * 0.01 ELSE 90 - (i %% 500) * 0.01 END AS price,
  CASE WHEN i %% 2 = 0 THEN 1 ELSE (90 - (i %% 500) * 0.01) * 1.001 END AS unit) k
ORDER BY i
"""
HOLD = """
UPDATE exchange_account a SET held = a.held + o.held FROM (
  SELECT CASE side WHEN 'BUY' THEN quote_account_id ELSE base_account_id END AS account,
    sum(held) AS held
  FROM exchange_order WHERE stage <> 'done' AND expires_at < clock_timestamp() GROUP BY 1
) o WHERE a.id = o.account
"""


def run(bench: Bench, *, n: int = FULL_N, markets: int = MARKETS) -> None:
    """Measures many due orders, few, and none, among `n` open ones."""
    owners = make_owners(OWNERS)
    venues = [make_venue(f"E{i}", "EQUOTE", owners) for i in range(markets)]
    bench.say(f"laying out {n:,} open orders")
    rest(venues, first=0, last=n - 1)
    settle_down()
    many = max(FEW, n // SHARE)
    against(bench, "expiry.many", venues, count=many, part=max(10, many // 100), goal=GOAL_MANY)
    against(bench, "expiry.few", venues, count=FEW, part=FEW // 2, goal=GOAL_FEW)
    nothing_due(bench, n=n)
    same_rows(bench, owners)


def against(
    bench: Bench, name: str, venues: Sequence[Venue], *, count: int, part: int, goal: float
) -> None:
    """So many due orders by one sweep and, a part of them, by the loop; both in each round."""
    times: dict[str, list[float]] = {"ours": [], "loop": []}
    statements = [0]

    def ours() -> None:
        make_due(venues, count, prefix=f"{name}o{number}.")
        spent = elapsed_ms(lambda: bench_expired(bench, count))
        times["ours"].append(spent / count)

    def loop() -> None:
        make_due(venues, part, prefix=f"{name}l{number}.")
        with counting(statements):
            spent = elapsed_ms(lambda: orm_exchange.expire_due(limit=part))
        times["loop"].append(spent / part)

    for number in range(bench.rounds):
        for contender in (ours, loop) if number % 2 == 0 else (loop, ours):
            contender()
        bench.say(
            f"{name}, round {number + 1}, ms an order: ours {times['ours'][-1]:.4f}, "
            f"loop {times['loop'][-1]:.2f}; load {load()}"
        )
    ratio = percentile([b / a for a, b in zip(times["ours"], times["loop"], strict=True)], 0.5)
    bench.add(
        Figure(
            name=name,
            ratio=round(ratio, 1),
            goal=goal,
            rounds=bench.rounds,
            peer="ORM loop, one transaction an order: market, order and account locked, rows "
            f"saved; {statements[0] / (part * bench.rounds):.1f} statements an order",
            ok=ratio >= goal,
            ours_ms=round(percentile(times["ours"], 0.5), 4),
            peer_ms=round(percentile(times["loop"], 0.5), 4),
            note=f"an order of {count:,} due in {len(venues)} markets; the loop takes {part:,} a "
            f"round, scaled per order; same rows and facts on both sides; load {load()}",
            more={"sweepMs": round(percentile(times["ours"], 0.5) * count, 1)},
        )
    )


def bench_expired(bench: Bench, count: int) -> None:
    """One sweep of the product, as its task runs it; it ends what is due and nothing else."""
    swept = orders.expire_due()
    if (swept.found, swept.expired, swept.errors) != (count, count, 0):
        bench.faults.append(f"of {count} due orders a sweep made {swept}")


@contextmanager
def counting(statements: list[int]) -> Iterator[None]:
    """Counts what is executed inside the block."""

    def count(execute: Callable[..., Any], *rest: Any) -> Any:
        statements[0] += 1
        return execute(*rest)

    with connection.execute_wrapper(count):
        yield


def make_due(venues: Sequence[Venue], count: int, *, prefix: str) -> None:
    """So many orders of the venues' owners whose time was over a second ago."""
    with seats(venues) as places, as_owner() as owner:
        owner.execute(DUE, {"prefix": prefix, "count": count, "seats": places})
        owner.execute(HOLD)
    settle_down()


def nothing_due(bench: Bench, *, n: int) -> None:
    """What a sweep costs that finds nothing."""
    settle_down()
    pages = read_pages()
    times = [elapsed_ms(orders.expire_due) for _ in range(20)]
    bench.check(pages <= MOST_PAGES, f"a sweep that finds nothing reads {pages} pages")
    bench.add(
        Figure(
            name="expiry.none",
            ratio=None,
            goal=None,
            rounds=len(times),
            peer="",
            ok=pages <= MOST_PAGES,
            ours_ms=round(percentile(times, 0.5), 3),
            note=f"nothing due among {n:,} open orders: one probe of an index; load {load()}",
            more={"pages": pages, "p99Ms": round(percentile(times, 0.99), 3)},
        )
    )


def read_pages() -> int:
    """How many pages the search for due orders reads."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {DUE_MARKETS}")
        (plan,) = cursor.fetchone()
    top = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"]) + int(top["Shared Read Blocks"])


def same_rows(bench: Bench, owners: Sequence[int]) -> None:
    """The same due orders by the sweep and by the loop: rows and facts are the same."""
    ours, loop = (
        [make_venue(f"{name}{i}", f"{name}QUOTE", owners) for i in range(3)] for name in "SL"
    )
    make_due(ours, FEW, prefix="same")
    bench_expired(bench, FEW)
    make_due(loop, FEW, prefix="same")
    orm_exchange.expire_due(limit=FEW)
    for name in ("orders", "balances"):
        sql = equality.TABLES[name]
        found = [[equality.rows(sql, venue) for venue in venues] for venues in (ours, loop)]
        count = sum(map(len, found[0]))
        bench.check(count > 0 and found[0] == found[1], f"{name}: {count:,} rows, the same")
    told = [sum(map(equality.endings, venues), Counter()) for venues in (ours, loop)]
    differing = equality.difference(told[1], told[0])
    for fact in differing[:4]:
        bench.say(fact)
    count = told[0].total()
    bench.check(count >= 2 * FEW and not differing, f"{count} facts, the same on both sides")
