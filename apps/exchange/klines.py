"""Bars for display: every bucket of a range, from a market's first trade to where it stands now."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.exchange import bars, candles
from apps.exchange.bars import Bar
from apps.exchange.markets import OPEN
from apps.exchange.models import Market
from moonx.core.intervals import Buckets, from_ms, to_ms

INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Which bars are wanted: those that open in [start_ms, end_ms], the oldest or newest `limit`.

    With `start_ms` the oldest ones from there on, unless `is_newest`; without it the newest ones.
    """

    start_ms: int | None = None
    end_ms: int | None = None
    limit: int = 500
    is_newest: bool = False


def read(market: Market, interval: Buckets, wish: Wish, *, now: datetime) -> list[Bar]:
    """The wanted bars in order of time, flat ones where nothing traded; at most `wish.limit`.

    The cost depends on the limit alone, however wide the range is, in every zone.
    """
    reach = extent(market, interval, now=now)
    window = choose(wish, interval, reach) if reach else None
    if reach is None or window is None:
        return []
    first, last = window
    end = interval.shift(last, 1)
    stored = candles.between(market, interval, start=first, end=end)
    known = first == reach[0] or (bool(stored) and stored[0].open_time == first)
    return list(
        bars.dense(
            stored,
            interval,
            start=first,
            end=end,
            previous_close=None if known else candles.close_before(market, first),
        )
    )


def extent(market: Market, interval: Buckets, *, now: datetime) -> tuple[datetime, datetime] | None:
    """The market's first and last bucket; None where it never traded.

    The last one holds the present where the market is open, else the end of its record or the
    moment at which it stopped; its last trade where neither is known.
    """
    traded = candles.span(market)
    if traded is None:
        return None
    last = traded[1]
    if market.status in OPEN:
        last = max(last, now)
    elif market.recorded_until is not None:
        last = max(last, market.recorded_until - INSTANT)
    elif market.halted_at is not None:
        last = max(last, market.halted_at)
    return interval.floor(traded[0]), interval.floor(last)


def choose(
    wish: Wish, interval: Buckets, reach: tuple[datetime, datetime]
) -> tuple[datetime, datetime] | None:
    """The first and last bucket to show, both within `reach`; None where there is none.

    Times are compared as numbers first, because a client may send any.
    """
    first, last = reach
    if wish.start_ms is not None and wish.start_ms > to_ms(first):
        if wish.start_ms > to_ms(last):
            return None
        first = interval.ceil(from_ms(wish.start_ms))
    if wish.end_ms is not None and wish.end_ms < to_ms(last):
        if wish.end_ms < to_ms(first):
            return None
        last = interval.floor(from_ms(wish.end_ms))
    if first > last:
        return None
    if interval.buckets_between(first, last) < wish.limit:
        return first, last
    if wish.start_ms is None or wish.is_newest:
        return interval.shift(last, 1 - wish.limit), last
    return first, interval.shift(first, wish.limit - 1)
