"""A minute's bars of 1,000 markets against a loop over them, and all nine intervals against one."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Max, Min, Q, Sum

from apps.exchange import candles
from apps.exchange.bars import Bar
from apps.exchange.models import Candle, CandleWatermark, Market, Trade
from benchmarks import market_day
from benchmarks.harness import Bench, Figure, Rounds, elapsed_ms, load, reaches
from benchmarks.market_day import Day, Size
from benchmarks.world import as_owner
from moonx.core import outbox
from moonx.core.events import CandleClosed
from moonx.core.intervals import Interval
from moonx.core.models import OutboxEvent

FULL_N = 1_000_000
SPAN = timedelta(minutes=156)  # as dense as ten million trades in 26 hours
MINUTES_A_MONTH = 30 * 24 * 60
Row = tuple[object, ...]

# The product writes a 1m bar in its trades' own transactions; this is that work for all markets and
# a whole minute at once, so that it can be compared with a loop that does the same.
MINUTE = f"""
INSERT INTO exchange_candle AS c {candles.COLUMNS}
SELECT t.market_id, '1m', %(start)s::timestamptz, (array_agg(t.price ORDER BY t.seq))[1],
  max(t.price), min(t.price), (array_agg(t.price ORDER BY t.seq DESC))[1], sum(t.quantity),
  sum(t.quote_quantity), coalesce(sum(t.quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  coalesce(sum(t.quote_quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  sum(t.last_id - t.first_id + 1), min(t.seq), max(t.seq), 0
FROM exchange_market m CROSS JOIN LATERAL (
  SELECT * FROM exchange_trade x WHERE x.market_id = m.id AND x.executed_at >= %(start)s
    AND x.executed_at < %(start)s::timestamptz + interval '1 minute' OFFSET 0
) t
GROUP BY t.market_id {candles.REPLACE}
"""

# Flat bars for the children that the last closed bucket of a long interval lacks.
CHILDREN = f"""
INSERT INTO exchange_candle {candles.COLUMNS}
SELECT m.id, %(child)s, u.start, 100, 110, 90, 105, 10, 1000, 5, 500, 7, 1, 2, 0
FROM exchange_market m CROSS JOIN unnest(%(starts)s::timestamptz[]) AS u(start)
ON CONFLICT DO NOTHING
"""


def run(bench: Bench, *, n: int = FULL_N, markets: int = 1000) -> None:
    """Measures a minute's bars, its announcement, and a tick of every interval.

    The minute's bars and the announcement again with ten times the trades, and fewer markets.
    """
    whole = Size(markets=markets, trades=n)
    day, now = lay_out(bench, whole, span=SPAN)
    a_minute(bench, day, now, goal=200)
    announcing(bench, day)
    all_nine(bench, now)
    for size, span in (
        (whole.times(trades=10), 10 * SPAN),
        (whole.times(markets=0.1), SPAN),
        (whole.times(markets=0.01), SPAN),
    ):
        market_day.clear()
        day, now = lay_out(bench, size, span=span)
        a_minute(bench, day, now, goal=None, ending=f".{size.label}")
        announcing(bench, day, ending=f".{size.label}")


def lay_out(bench: Bench, size: Size, *, span: timedelta) -> tuple[Day, datetime]:
    """What was laid out, and the present up to which its bars are closed."""
    day = market_day.lay_out(bench, trades=size.trades, markets=size.markets, span=span)
    return day, market_day.mark_closed()


def a_minute(
    bench: Bench, day: Day, now: datetime, *, goal: float | None, ending: str = ""
) -> None:
    """The bars of one minute from its trades: one statement against a loop."""
    start = Interval.M1.floor(now) - timedelta(minutes=1)
    contenders = {"ours": lambda: fold_minute(start), "loop": lambda: orm_minute(start)}
    rows: dict[str, list[Row]] = {}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(bench.rounds):
        for name, work in contenders.items():
            forget(start)
            times[name].append(elapsed_ms(work))
            rows[name] = stored(start)
        bench.say(f"round {number + 1}: {times['ours'][-1]:.1f} ms, {times['loop'][-1]:,.1f} ms")
    bench.compare(
        f"candles.minute{ending}",
        Rounds(times),
        ours="ours",
        peer="loop",
        goal=goal,
        described="per-market ORM loop: aggregate, first and last trade, update_or_create; "
        "7 statements a market",
        note=f"the 1m bars of {len(rows['ours']):,} markets from the minute's trades; {day}; ours "
        "is 1 statement, committed, for what the product otherwise does trade by trade; "
        f"load {load()}",
        more=day.more,
    )
    bench.check(bool(rows["ours"]) and rows["ours"] == rows["loop"], "both made the same bars")


def fold_minute(start: datetime) -> None:
    """Every market's bar of the minute, by one statement."""
    with connection.cursor() as cursor:
        cursor.execute(MINUTE, {"start": start})


def orm_minute(start: datetime) -> None:
    """The same by what a careful developer writes with the ORM."""
    for market in Market.objects.all():
        orm_bar(market, start)


def orm_bar(market: Market, start: datetime) -> None:
    """One market's bar of the minute."""
    trades = Trade.objects.filter(
        market=market, executed_at__gte=start, executed_at__lt=start + timedelta(minutes=1)
    )
    taken = Q(is_buyer_maker=False)
    total = trades.aggregate(
        high=Max("price"),
        low=Min("price"),
        base_volume=Sum("quantity"),
        quote_volume=Sum("quote_quantity"),
        taker_base_volume=Sum("quantity", filter=taken, default=0),
        taker_quote_volume=Sum("quote_quantity", filter=taken, default=0),
        trade_count=Sum(F("last_id") - F("first_id") + 1),
        first_seq=Min("seq"),
        last_seq=Max("seq"),
    )
    first, last = trades.order_by("seq").first(), trades.order_by("seq").last()
    if first is None or last is None:
        return
    Candle.objects.update_or_create(
        market=market,
        interval=Interval.M1.value,
        open_time=start,
        defaults={**total, "open": first.price, "close": last.price},
    )


def forget(start: datetime) -> None:
    """Removes the minute's bars, so that each contender makes them."""
    with as_owner() as owner:
        owner.execute(
            "DELETE FROM exchange_candle WHERE interval = '1m' AND open_time = %s", [start]
        )


def stored(start: datetime) -> list[Row]:
    """The minute's bars as they stand."""
    names = ["market_id", *candles.FIELDS.split(", ")]
    found = Candle.objects.filter(interval="1m", open_time=start).order_by("market_id")
    return list(found.values_list(*names))


def announcing(bench: Bench, day: Day, *, ending: str = "") -> None:
    """Closing the minute as beat does: the event of every market's bar, watermark, one commit."""

    times: dict[str, list[float]] = {"ours": [], "loop": []}
    facts: dict[str, list[Row]] = {}
    for number in range(bench.rounds):
        rewind(Interval.M1)
        times["ours"].append(elapsed_ms(lambda: candles.close(Interval.M1)))
        facts["ours"], end = written(), candles.watermarks()[Interval.M1]
        rewind(Interval.M1)
        times["loop"].append(elapsed_ms(_announcing_until(end)))
        facts["loop"] = written()
        bench.say(f"round {number + 1}: {times['ours'][-1]:.1f} ms, {times['loop'][-1]:,.1f} ms")
    bench.compare(
        f"candles.close{ending}",
        Rounds(times),
        ours="ours",
        peer="loop",
        goal=None,
        described="per-market loop: read the bar, emit its event, commit",
        note=f"beat's close of a minute, {len(facts['ours']):,} candle.closed events written; "
        f"{day}; load {load()}",
        more=day.more,
    )
    bench.check(bool(facts["ours"]) and facts["ours"] == facts["loop"], "both told the same bars")


def _announcing_until(end: datetime) -> Callable[[], None]:
    """The minute that ends then, announced market by market."""
    start = end - timedelta(minutes=1)

    def loop() -> None:
        for market in Market.objects.select_related("base", "quote"):
            with transaction.atomic():
                for bar in candles.between(market, Interval.M1, start=start, end=end):
                    outbox.emit(_closed(market, bar))

    return loop


def written() -> list[Row]:
    """The facts that wait, as they will be told."""
    return list(OutboxEvent.objects.order_by("key").values_list("name", "key", "payload"))


def _closed(market: Market, bar: Bar) -> CandleClosed:
    event = candles.fact(CandleClosed, market, Interval.M1, bar)
    assert isinstance(event, CandleClosed)
    return event


def all_nine(bench: Bench, now: datetime) -> None:
    """What the eight longer intervals add to the work of closing minutes."""
    for interval in Interval:
        lay_out_children(interval, now)
    times: dict[Interval, list[float]] = {interval: [] for interval in Interval}
    for number in range(bench.rounds):
        for interval in Interval:
            rewind(interval)
            closed: list[int] = []
            times[interval].append(elapsed_ms(_closing(interval, closed)))
            if not closed[0]:
                bench.faults.append(f"no {interval} bucket was closed")
        latest = ", ".join(f"{interval} {spent[-1]:.0f}" for interval, spent in times.items())
        bench.say(f"round {number + 1}: closing, ms: {latest}")
    alone = times[Interval.M1]
    mean = [
        sum(often(i) * times[i][n] for i in Interval) / MINUTES_A_MONTH for n in range(bench.rounds)
    ]
    worst = [sum(times[i][n] for i in Interval) for n in range(bench.rounds)]
    nine(bench, "candles.nine", mean, alone, goal=3, what="the mean tick of a 30-day month")
    nine(
        bench, "candles.nine_worst", worst, alone, goal=None, what="the tick at which all nine end"
    )


def _closing(interval: Interval, closed: list[int]) -> Callable[[], None]:
    return lambda: closed.append(candles.close(interval))


def nine(
    bench: Bench,
    name: str,
    together: list[float],
    alone: list[float],
    *,
    goal: float | None,
    what: str,
) -> None:
    """Adds the figure of all nine intervals against 1m alone."""
    ratio = middle([a / b for a, b in zip(together, alone, strict=True)])
    bench.add(
        Figure(
            name=name,
            ratio=round(ratio, 2),
            goal=goal,
            rounds=bench.rounds,
            peer="closing 1m alone",
            ok=goal is None or reaches(ratio, goal, at_most=True),
            ours_ms=round(middle(together), 3),
            peer_ms=round(middle(alone), 3),
            at_most=True,
            note=f"all nine intervals, bars folded, stored and announced: {what}",
        )
    )


def often(interval: Interval) -> float:
    """How many buckets of an interval end in a month of 30 days."""
    length = interval.length or timedelta(days=30)
    return timedelta(days=30) / length


def lay_out_children(interval: Interval, now: datetime) -> None:
    """Makes sure that the last closed bucket of the interval has all of its children."""
    if interval.child is None:
        return
    end = interval.floor(now)
    moment, starts = interval.shift(end, -1), []
    while moment < end:
        starts.append(moment)
        moment = interval.child.shift(moment, 1)
    with as_owner() as owner:
        owner.execute(CHILDREN, {"child": interval.child.value, "starts": starts})


def rewind(interval: Interval) -> None:
    """Undoes the last close of the interval, and only that: its children stay closed."""
    now = market_day.mark_closed()
    start = interval.shift(interval.floor(now), -1)
    CandleWatermark.objects.filter(interval=interval.value).update(closed_until=start)
    with as_owner() as owner:
        owner.execute("TRUNCATE core_outbox")
        if interval.child is not None:
            owner.execute(
                "DELETE FROM exchange_candle WHERE interval = %s AND open_time = %s",
                [interval.value, start],
            )


def middle(values: list[float]) -> float:
    """The median of an odd number of values, else the upper one."""
    return sorted(values)[len(values) // 2]
