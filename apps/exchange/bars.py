"""OHLCV bars as values: built from trades, folded from smaller ones, flat where nothing traded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from moonx.core.intervals import Buckets, Interval
from moonx.core.money import EXACT

ZERO = Decimal(0)


class Bar(NamedTuple):
    """One bucket of one market; a tuple, because charts read hundreds at a time.

    `first_seq` and `last_seq` are None where nothing traded.
    """

    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    base_volume: Decimal
    quote_volume: Decimal
    taker_base_volume: Decimal
    taker_quote_volume: Decimal
    trade_count: int
    first_seq: int | None
    last_seq: int | None
    revision: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """What a bar needs to know of a trade."""

    seq: int
    time: datetime
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    is_buyer_maker: bool
    count: int


def of_ticks(ticks: Iterable[Tick]) -> dict[datetime, Bar]:
    """The 1m bars of some trades, by open time: buckets follow time, open and close follow seq."""
    bars: dict[datetime, Bar] = {}
    for tick in ticks:
        start = Interval.M1.floor(tick.time)
        single = _of_tick(tick, start)
        bars[start] = merge(bars[start], single) if start in bars else single
    return bars


def _of_tick(tick: Tick, start: datetime) -> Bar:
    return Bar(
        open_time=start,
        open=tick.price,
        high=tick.price,
        low=tick.price,
        close=tick.price,
        base_volume=tick.quantity,
        quote_volume=tick.quote_quantity,
        taker_base_volume=ZERO if tick.is_buyer_maker else tick.quantity,
        taker_quote_volume=ZERO if tick.is_buyer_maker else tick.quote_quantity,
        trade_count=tick.count,
        first_seq=tick.seq,
        last_seq=tick.seq,
    )


def merge(left: Bar, right: Bar) -> Bar:
    """One bar over both; it keeps the open time and revision of `left`.

    A bar without trades adds nothing: its flat prices never reach open, high, low or close.
    """
    if left.first_seq is None or left.last_seq is None:
        return right._replace(open_time=left.open_time, revision=left.revision)
    if right.first_seq is None or right.last_seq is None:
        return left
    return left._replace(
        open=left.open if left.first_seq < right.first_seq else right.open,
        high=max(left.high, right.high),
        low=min(left.low, right.low),
        close=left.close if left.last_seq > right.last_seq else right.close,
        base_volume=EXACT.add(left.base_volume, right.base_volume),
        quote_volume=EXACT.add(left.quote_volume, right.quote_volume),
        taker_base_volume=EXACT.add(left.taker_base_volume, right.taker_base_volume),
        taker_quote_volume=EXACT.add(left.taker_quote_volume, right.taker_quote_volume),
        trade_count=left.trade_count + right.trade_count,
        first_seq=min(left.first_seq, right.first_seq),
        last_seq=max(left.last_seq, right.last_seq),
    )


def fold(bars: Iterable[Bar], interval: Interval) -> list[Bar]:
    """Bars of `interval` out of bars of it or smaller ones that do not overlap, by open time.

    A bar keeps the revision of the first one it is folded from: bars of other levels have 0.
    """
    folded: dict[datetime, Bar] = {}
    for bar in bars:
        start = interval.floor(bar.open_time)
        held = folded.get(start)
        if held is not None:
            folded[start] = merge(held, bar)
        else:
            folded[start] = bar if bar.open_time == start else bar._replace(open_time=start)
    return [folded[start] for start in sorted(folded)]


def cover(
    interval: Interval,
    *,
    start: datetime,
    end: datetime,
    closed_until: Mapping[Interval, datetime],
) -> list[tuple[Interval, datetime, datetime]]:
    """Which stored bars make up [start, end): ranges (interval, from, to), the largest possible.

    Bars of an interval are stored below its `closed_until`; above it its children serve, down to
    1m bars, which always exist.
    """
    if start >= end:
        return []
    if interval.child is None:
        return [(interval, start, end)]
    cut = min(max(closed_until[interval], start), end)
    stored = [(interval, start, cut)] if cut > start else []
    return stored + cover(interval.child, start=cut, end=end, closed_until=closed_until)


def dense(
    bars: Sequence[Bar],
    interval: Buckets,
    *,
    start: datetime,
    end: datetime,
    previous_close: Decimal | None,
) -> Iterator[Bar]:
    """Every bucket of [start, end): the given bars, and flat ones at the previous close between.

    Buckets before the first trade (no previous close known) are left out.
    """
    if len(bars) == interval.buckets_between(start, end):  # none is missing
        yield from bars
        return
    by_time = {bar.open_time: bar for bar in bars}
    close, moment = previous_close, start
    while moment < end:
        bar = by_time.get(moment)
        if bar is not None:
            close = bar.close
            yield bar
        elif close is not None:
            yield flat(open_time=moment, price=close)
        moment = interval.shift(moment, 1)


def flat(*, open_time: datetime, price: Decimal) -> Bar:
    """The bar of a bucket in which nothing traded."""
    return Bar(
        open_time=open_time,
        open=price,
        high=price,
        low=price,
        close=price,
        base_volume=ZERO,
        quote_volume=ZERO,
        taker_base_volume=ZERO,
        taker_quote_volume=ZERO,
        trade_count=0,
        first_seq=None,
        last_seq=None,
    )
