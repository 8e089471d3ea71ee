"""Bars in the database: written with their trades, closed by the clock, revised when late."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from django.db import connection, transaction

from apps.exchange import bars
from apps.exchange.bars import Bar
from apps.exchange.models import CandleWatermark, Market
from moonx.core import clock, locks, money, outbox
from moonx.core.events import CandleClosed, CandleFact, CandleRevised
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

FIELDS = (
    "open_time, open, high, low, close, base_volume, quote_volume, taker_base_volume, "
    "taker_quote_volume, trade_count, first_seq, last_seq, revision"
)
NAMES = FIELDS.split(", ")

# The delta of a batch of new trades, merged into the minute's bar. Last column: was it there?
MERGE_MINUTES = """
INSERT INTO exchange_candle AS c (market_id, interval, open_time, open, high, low, close,
  base_volume, quote_volume, taker_base_volume, taker_quote_volume, trade_count,
  first_seq, last_seq, revision)
SELECT %s, '1m', u.*, 0 FROM unnest(%s::timestamptz[], %s::numeric[], %s::numeric[], %s::numeric[],
  %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[], %s::bigint[],
  %s::bigint[], %s::bigint[]) AS u
ON CONFLICT (market_id, interval, open_time) DO UPDATE SET
  open = CASE WHEN excluded.first_seq < c.first_seq THEN excluded.open ELSE c.open END,
  high = greatest(c.high, excluded.high),
  low = least(c.low, excluded.low),
  close = CASE WHEN excluded.last_seq > c.last_seq THEN excluded.close ELSE c.close END,
  base_volume = c.base_volume + excluded.base_volume,
  quote_volume = c.quote_volume + excluded.quote_volume,
  taker_base_volume = c.taker_base_volume + excluded.taker_base_volume,
  taker_quote_volume = c.taker_quote_volume + excluded.taker_quote_volume,
  trade_count = c.trade_count + excluded.trade_count,
  first_seq = least(c.first_seq, excluded.first_seq),
  last_seq = greatest(c.last_seq, excluded.last_seq)
"""

# A recomputed bar replaces the stored one, as a new revision, only where it differs.
REPLACE = """
ON CONFLICT (market_id, interval, open_time) DO UPDATE SET
  open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close,
  base_volume = excluded.base_volume, quote_volume = excluded.quote_volume,
  taker_base_volume = excluded.taker_base_volume, taker_quote_volume = excluded.taker_quote_volume,
  trade_count = excluded.trade_count, first_seq = excluded.first_seq, last_seq = excluded.last_seq,
  revision = c.revision + 1
WHERE (c.open, c.high, c.low, c.close, c.base_volume, c.quote_volume, c.taker_base_volume,
  c.taker_quote_volume, c.trade_count, c.first_seq, c.last_seq)
  IS DISTINCT FROM (excluded.open, excluded.high, excluded.low, excluded.close,
  excluded.base_volume, excluded.quote_volume, excluded.taker_base_volume,
  excluded.taker_quote_volume, excluded.trade_count, excluded.first_seq, excluded.last_seq)
"""

COLUMNS = """(market_id, interval, open_time, open, high, low, close, base_volume, quote_volume,
  taker_base_volume, taker_quote_volume, trade_count, first_seq, last_seq, revision)"""

REFOLD_MINUTES = f"""
INSERT INTO exchange_candle AS c {COLUMNS}
SELECT %(market)s, '1m', m.start, (array_agg(t.price ORDER BY t.seq))[1], max(t.price),
  min(t.price), (array_agg(t.price ORDER BY t.seq DESC))[1], sum(t.quantity),
  sum(t.quote_quantity), coalesce(sum(t.quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  coalesce(sum(t.quote_quantity) FILTER (WHERE NOT t.is_buyer_maker), 0),
  sum(t.last_id - t.first_id + 1), min(t.seq), max(t.seq), 0
FROM unnest(%(starts)s::timestamptz[]) AS m(start)
JOIN exchange_trade t ON t.market_id = %(market)s
  AND t.executed_at >= m.start AND t.executed_at < m.start + interval '1 minute'
GROUP BY m.start
{REPLACE}
RETURNING c.open_time, c.revision
"""  # noqa: S608 - constants only

# The children of a bucket are read by time, its open and close by trade sequence.
FOLDED = """
SELECT k.market_id, %(interval)s, {bucket}, (array_agg(k.open ORDER BY k.first_seq))[1],
  max(k.high), min(k.low), (array_agg(k.close ORDER BY k.last_seq DESC))[1],
  sum(k.base_volume), sum(k.quote_volume), sum(k.taker_base_volume), sum(k.taker_quote_volume),
  sum(k.trade_count), min(k.first_seq), max(k.last_seq), 0
FROM exchange_candle k
"""

BUCKET = {
    Interval.M5: "date_bin('5 minutes', k.open_time, 'epoch')",
    Interval.M15: "date_bin('15 minutes', k.open_time, 'epoch')",
    Interval.M30: "date_bin('30 minutes', k.open_time, 'epoch')",
    Interval.H1: "date_bin('1 hour', k.open_time, 'epoch')",
    Interval.H4: "date_bin('4 hours', k.open_time, 'epoch')",
    Interval.D1: "date_bin('1 day', k.open_time, '1970-01-01T00:00Z')",
    Interval.W1: "date_bin('7 days', k.open_time, '1970-01-05T00:00Z')",
    Interval.MONTH: "date_trunc('month', k.open_time, 'UTC')",
}


def watermarks() -> dict[Interval, datetime]:
    """Up to when each interval's bars are closed."""
    return {Interval(mark.interval): mark.closed_until for mark in CandleWatermark.objects.all()}


def merge_minutes(market: Market, deltas: Mapping[datetime, Bar]) -> None:
    """Adds new trades' bars to the stored minutes; closed bars they reach are revised.

    The caller holds the market's lock and the shared fold lock, and inserted the trades.
    """
    rows = list(deltas.values())
    with connection.cursor() as cursor:
        cursor.execute(MERGE_MINUTES, [market.pk, *_columns(rows)])
    closed = watermarks()
    late = [start for start in deltas if start < closed[Interval.M1]]
    if late:
        _revise(market, late, closed)


def refold_minutes(market: Market, starts: Sequence[datetime], *, announce: bool) -> int:
    """Builds the given 1m bars again from their trades, and the stored bars above them.

    Returns how many 1m bars changed. Emits `candle.revised` for closed bars that stood before and
    changed; with `announce` for the others too. Locks as for `merge_minutes`.
    """
    with connection.cursor() as cursor:
        cursor.execute(REFOLD_MINUTES, {"market": market.pk, "starts": list(starts)})
        changed: list[tuple[datetime, int]] = cursor.fetchall()
    closed = watermarks()
    told = starts if announce else _revised(changed)
    _announce(market, Interval.M1, [start for start in told if start < closed[Interval.M1]])
    _refold_parents(market, starts, closed, announce=announce)
    return len(changed)


def _revised(changed: Iterable[tuple[datetime, int]]) -> list[datetime]:
    """Those of the written bars that replaced another one."""
    return [start for start, revision in changed if revision > 0]


def _revise(
    market: Market, starts: Sequence[datetime], closed: Mapping[Interval, datetime]
) -> None:
    """A late trade merged into announced minutes: they and their parents are new revisions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE exchange_candle SET revision = revision + 1 WHERE market_id = %s "
            "AND interval = '1m' AND open_time = ANY(%s)",
            [market.pk, list(starts)],
        )
    _announce(market, Interval.M1, starts)
    _refold_parents(market, starts, closed, announce=True)


def _refold_parents(
    market: Market,
    starts: Sequence[datetime],
    closed: Mapping[Interval, datetime],
    *,
    announce: bool,
) -> None:
    for interval in Interval:
        if interval is Interval.M1:
            continue
        buckets = sorted({interval.floor(start) for start in starts})
        stored = [bucket for bucket in buckets if bucket < closed[interval]]
        if stored:
            changed = _refold(market, interval, stored)
            _announce(market, interval, stored if announce else _revised(changed))


def _refold(
    market: Market, interval: Interval, buckets: Sequence[datetime]
) -> list[tuple[datetime, int]]:
    """Builds stored bars again from their children; returns those it wrote, with revisions."""
    sql = (
        f"INSERT INTO exchange_candle AS c {COLUMNS} "
        f"{FOLDED.format(bucket=BUCKET[interval])} "
        "JOIN unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS b(start, stop) "
        "ON k.open_time >= b.start AND k.open_time < b.stop "
        "WHERE k.market_id = %(market)s AND k.interval = %(child)s "
        f"GROUP BY k.market_id, 3 {REPLACE} RETURNING c.open_time, c.revision"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "interval": interval.value,
                "child": interval.child,
                "market": market.pk,
                "starts": list(buckets),
                "ends": [interval.shift(bucket, 1) for bucket in buckets],
            },
        )
        written: list[tuple[datetime, int]] = cursor.fetchall()
    return written


def _announce(market: Market, interval: Interval, starts: Iterable[datetime]) -> None:
    wanted = list(starts)
    if not wanted:
        return
    found = _select(
        "c.market_id = %s AND c.interval = %s AND c.open_time = ANY(%s)",
        [market.pk, interval.value, wanted],
    )
    outbox.emit_all(fact(CandleRevised, market, interval, bar) for _, bar in found)


def close(interval: Interval) -> int:
    """Closes every bucket of `interval` that has ended, and those of its children first.

    All markets at once, however long nobody did: bars above 1m are folded and stored, and each
    closed bar is announced once. Returns how many bars of `interval` were closed. Raises LockBusy
    where trades kept the fold lock for too long; the next run catches up.
    """
    with transaction.atomic():
        # Trades hold this lock shared: none is under way while buckets close, so no trade can
        # enter a bucket between its fold and its announcement.
        locks.hold(Lock.CANDLE_FOLD)
        return close_until(interval, until=interval.floor(clock.db_now()))


def close_overdue(*, grace: timedelta) -> list[Interval]:
    """Closes what its own run missed: intervals whose boundary passed over `grace` ago."""
    due = clock.db_now() - grace
    marks = watermarks()
    missed = [interval for interval in Interval if marks[interval] < interval.floor(due)]
    for interval in missed:
        close(interval)
    return missed


def close_until(interval: Interval, *, until: datetime) -> int:
    """As `close`, up to the bucket start `until`; the caller holds the fold lock."""
    interval.check_start(until)
    if interval.child is not None:
        close_until(interval.child, until=until)
    mark = CandleWatermark.objects.get(interval=interval.value)
    if mark.closed_until >= until:
        return 0
    if interval.child is not None:
        _fold_all(interval, start=mark.closed_until, end=until)
    count = _announce_closed(interval, start=mark.closed_until, end=until)
    mark.closed_until = until
    mark.save()
    return count


def _fold_all(interval: Interval, *, start: datetime, end: datetime) -> None:
    sql = (
        f"INSERT INTO exchange_candle AS c {COLUMNS} "
        f"{FOLDED.format(bucket=BUCKET[interval])} "
        "WHERE k.interval = %(child)s AND k.open_time >= %(start)s AND k.open_time < %(end)s "
        f"GROUP BY k.market_id, 3 {REPLACE}"
    )
    params = {"interval": interval.value, "child": interval.child, "start": start, "end": end}
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


def _announce_closed(interval: Interval, *, start: datetime, end: datetime) -> int:
    found = _select(
        "c.interval = %s AND c.open_time >= %s AND c.open_time < %s", [interval.value, start, end]
    )
    markets = Market.objects.in_bulk({market_id for market_id, _ in found})
    outbox.emit_all(
        fact(CandleClosed, markets[market_id], interval, bar) for market_id, bar in found
    )
    return len(found)


def _select(where: str, params: Sequence[Any]) -> list[tuple[int, Bar]]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.market_id, {FIELDS} FROM exchange_candle c WHERE {where} "  # noqa: S608
            "ORDER BY c.open_time, c.market_id",
            params,
        )
        return [(row[0], _bar(row[1:])) for row in cursor.fetchall()]


def between(market: Market, interval: Interval, *, start: datetime, end: datetime) -> list[Bar]:
    """The bars with trades of [start, end), both bucket starts, the one in progress included.

    Right whether or not the buckets have been closed yet: what is not stored is folded here.
    """
    return bars.fold(_stored(market, interval, start=start, end=end), interval)


def _stored(market: Market, interval: Interval, *, start: datetime, end: datetime) -> list[Bar]:
    ranges = bars.cover(interval, start=start, end=end, closed_until=watermarks())
    return _read_ranges(market, ranges)


def _read_ranges(
    market: Market, ranges: Sequence[tuple[Interval, datetime, datetime]]
) -> list[Bar]:
    if not ranges:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {FIELDS} FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) "  # noqa: S608
            "AS r(level, start, stop) JOIN exchange_candle c ON c.market_id = %s "
            "AND c.interval = r.level AND c.open_time >= r.start AND c.open_time < r.stop "
            "ORDER BY c.open_time",
            [
                [interval.value for interval, _, _ in ranges],
                [start for _, start, _ in ranges],
                [end for _, _, end in ranges],
                market.pk,
            ],
        )
        return [_bar(row) for row in cursor.fetchall()]


def in_progress(market: Market, *, now: datetime) -> dict[Interval, Bar]:
    """The bar that is under way in each interval, where it has trades; from one query.

    Each interval's bar in progress is its closed children and the child in progress.
    """
    closed = watermarks()
    ranges = {
        interval: bars.cover(
            interval,
            start=interval.floor(now),
            end=Interval.M1.shift(Interval.M1.floor(now), 1),
            closed_until=closed,
        )
        for interval in Interval
    }
    wanted = sorted(set(chain.from_iterable(ranges.values())))
    stored = _read_ranges_by_level(market, wanted)
    found = {}
    for interval, pieces in ranges.items():
        parts = chain.from_iterable(stored[piece] for piece in pieces)
        folded = bars.fold(parts, interval)
        if folded:
            found[interval] = folded[0]
    return found


def _read_ranges_by_level(
    market: Market, ranges: Sequence[tuple[Interval, datetime, datetime]]
) -> dict[tuple[Interval, datetime, datetime], list[Bar]]:
    found: dict[tuple[Interval, datetime, datetime], list[Bar]] = {piece: [] for piece in ranges}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT r.n, {FIELDS} FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) "  # noqa: S608
            "WITH ORDINALITY AS r(level, start, stop, n) JOIN exchange_candle c "
            "ON c.market_id = %s AND c.interval = r.level "
            "AND c.open_time >= r.start AND c.open_time < r.stop",
            [
                [interval.value for interval, _, _ in ranges],
                [start for _, start, _ in ranges],
                [end for _, _, end in ranges],
                market.pk,
            ],
        )
        for row in cursor.fetchall():
            found[ranges[row[0] - 1]].append(_bar(row[1:]))
    return found


def close_before(market: Market, moment: datetime) -> Decimal | None:
    """The close of the last bar with trades that starts before `moment`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT close FROM exchange_candle WHERE market_id = %s AND interval = '1m' "
            "AND open_time < %s ORDER BY open_time DESC LIMIT 1",
            [market.pk, moment],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def span(market: Market) -> tuple[datetime, datetime] | None:
    """The open times of the market's first and last 1m bar; None where it never traded."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(open_time), max(open_time) FROM exchange_candle "
            "WHERE market_id = %s AND interval = '1m'",
            [market.pk],
        )
        row = cursor.fetchone()
    return (row[0], row[1]) if row[0] else None


def fact(
    kind: type[CandleClosed] | type[CandleRevised], market: Market, interval: Interval, bar: Bar
) -> CandleFact:
    """The event that carries `bar`."""
    return kind(symbol=market.symbol, interval=interval.value, **described(market, interval, bar))


def described(market: Market, interval: Interval, bar: Bar) -> dict[str, Any]:
    """The bar's public fields, amounts in the market's digits."""
    price = market.price_places
    quote = market.price_places + market.quantity_places
    return {
        "open_time": bar.open_time,
        "close_time": interval.shift(bar.open_time, 1) - timedelta(milliseconds=1),
        "open": money.plain(bar.open, places=price),
        "high": money.plain(bar.high, places=price),
        "low": money.plain(bar.low, places=price),
        "close": money.plain(bar.close, places=price),
        "base_volume": money.plain(bar.base_volume, places=market.quantity_places),
        "quote_volume": money.plain(bar.quote_volume, places=quote),
        "taker_base_volume": money.plain(bar.taker_base_volume, places=market.quantity_places),
        "taker_quote_volume": money.plain(bar.taker_quote_volume, places=quote),
        "trade_count": bar.trade_count,
        "revision": bar.revision,
    }


def _bar(row: Sequence[object]) -> Bar:
    return Bar(**dict(zip(NAMES, row, strict=True)))  # type: ignore[arg-type]


def _columns(rows: Sequence[Bar]) -> list[list[object]]:
    return [[getattr(row, name) for row in rows] for name in NAMES[:-1]]
