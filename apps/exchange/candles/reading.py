"""Bars as they stand now: stored where closed, folded from smaller ones where not."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain

from django.db import connection

from apps.exchange import bars
from apps.exchange.bars import Bar
from apps.exchange.candles.rows import READ, bar_of, watermarks
from apps.exchange.candles.spans import folded_into
from apps.exchange.models import EmptiedCandle, Market
from moonx.core import prepared
from moonx.core.intervals import Buckets, Interval, Zoned


def between(market: Market, interval: Buckets, *, start: datetime, end: datetime) -> list[Bar]:
    """The bars with trades of [start, end), both bucket starts, the one in progress included.

    Right whether or not the buckets have been closed yet: what is not stored is folded here, as
    are the buckets of other zones than UTC.
    """
    if isinstance(interval, Zoned):
        return folded_into(market, interval, start=start, end=end)
    stored = _stored(market, interval, start=start, end=end)
    return stored if interval is Interval.M1 else bars.fold(stored, interval)


def _stored(market: Market, interval: Interval, *, start: datetime, end: datetime) -> list[Bar]:
    marks = watermarks() if interval is not Interval.M1 else {}
    ranges = bars.cover(interval, start=start, end=end, closed_until=marks)
    return _read_ranges(market, interval, ranges)


# A bar that is folded has a revision of its own once it is stored, not one of its children's.
READ_FOR = f"{READ.removesuffix('revision')}CASE WHEN c.interval = %s THEN c.revision ELSE 0 END"


def _read_ranges(
    market: Market, interval: Interval, ranges: Sequence[tuple[Interval, datetime, datetime]]
) -> list[Bar]:
    if not ranges:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {READ_FOR} FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) "  # noqa: S608
            "AS r(level, start, stop) JOIN exchange_candle c ON c.market_id = %s "
            "AND c.interval = r.level AND c.open_time >= r.start AND c.open_time < r.stop "
            "ORDER BY c.open_time",
            [
                interval.value,
                [level.value for level, _, _ in ranges],
                [start for _, start, _ in ranges],
                [end for _, _, end in ranges],
                market.pk,
            ],
        )
        return [bar_of(row) for row in cursor.fetchall()]


# The clock is read after the statement's snapshot was taken. `greatest` passes over what is null. A
# ticker of a day ahead was not shown by a clock that was set back: somebody wrote it.
PRESENT = """
SELECT greatest(clock_timestamp(), (SELECT max(executed_at) FROM exchange_trade),
  (SELECT max(as_of) FROM exchange_ticker WHERE as_of < clock_timestamp() + interval '1 day'),
  (SELECT closed_until FROM exchange_candlewatermark WHERE interval = '1m'))
"""


def present() -> datetime:
    """The present of all market data: the database's, but never before what was traded or shown.

    While the clock is set back it stands at the newest of trades, tickers and closed bars: no bar
    opens again, and what a reader was given once stays.
    """
    with prepared.cursor() as cursor:
        cursor.execute(PRESENT)
        now: datetime = cursor.fetchone()[0]
    return now


def in_progress(
    market: Market, *, now: datetime, closed: Mapping[Interval, datetime] | None = None
) -> dict[Interval, Bar]:
    """The bar that is under way in each interval, where it has trades; from one query.

    Each interval's bar in progress is its closed children and the child in progress. Who asks for
    many markets reads the watermarks once; old ones are as right as new ones.
    """
    marks = closed or watermarks()
    ranges = {
        interval: bars.cover(
            interval,
            start=interval.floor(now),
            end=Interval.M1.shift(Interval.M1.floor(now), 1),
            closed_until=marks,
        )
        for interval in Interval
    }
    wanted = sorted(set(chain.from_iterable(ranges.values())))
    stored = _read_ranges_by_level(market, wanted)
    found = {}
    for interval, pieces in ranges.items():
        parts = [
            bar if piece[0] is interval else bar._replace(revision=0)
            for piece in pieces
            for bar in stored[piece]
        ]
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
            f"SELECT r.n, {READ} FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) "  # noqa: S608
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
            found[ranges[row[0] - 1]].append(bar_of(row[1:]))
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


def flat_now(
    market: Market, intervals: Iterable[Interval], *, now: datetime
) -> dict[Interval, Bar]:
    """The bars under way that have no trades: flat at the last close, none before a first trade."""
    close = close_before(market, now)
    if close is None:
        return {}
    minute = Interval.M1.floor(now)
    emptied = EmptiedCandle.objects.filter(market=market, interval="1m", open_time=minute).first()
    bars_by_interval = {one: bars.flat(open_time=one.floor(now), price=close) for one in intervals}
    if emptied is not None and Interval.M1 in bars_by_interval:
        flat = bars_by_interval[Interval.M1]
        bars_by_interval[Interval.M1] = flat._replace(revision=emptied.revision)
    return bars_by_interval


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
