"""Which bars and tickers a look is about: the newest each time, and all of them in turn."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from django.db import connection
from django.db.models import Min

from apps.exchange import candles
from apps.exchange.audits import bars, findings, tickers
from apps.exchange.audits.findings import Covered, Wrong
from apps.exchange.candles import digests
from apps.exchange.models import Candle, Finding, Ticker
from moonx.core import clock
from moonx.core.intervals import Interval
from moonx.core.models import Cursor

CURSOR = "audits.bars"
ROUND = "audits.round"  # when every bar had been looked at once more
TICKERS_CURSOR = "audits.tickers"
RECENT = timedelta(minutes=3)
SLICE, SLICE_TRADES = 2_000, 50_000  # 1m bars and trades looked at by one statement, at most
BUDGET_S = 2.0  # of each run, for what is older
MOST_TRADES = 300_000  # of the tickers' windows that a run adds up
LARGEST_WINDOW = 3_000_000  # trades; a larger one takes longer than a run may

FIRST_TRADE = "SELECT min(executed_at) FROM exchange_trade"
END_OF_SLICE = """
SELECT least(
  (SELECT open_time FROM exchange_candle WHERE interval = '1m' AND open_time >= %(start)s
    AND open_time < %(stop)s ORDER BY open_time OFFSET %(bars)s LIMIT 1),
  (SELECT executed_at FROM exchange_trade WHERE executed_at >= %(start)s
    AND executed_at < %(stop)s ORDER BY executed_at OFFSET %(trades)s LIMIT 1))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a run did: minutes of all markets and tickers it covered, findings that are new, and how
    many stand open."""

    minutes: int
    tickers: int
    fresh: int
    standing: int


@dataclass(frozen=True, slots=True)
class Slice:
    """A span of time, from one start of a minute to another."""

    start: datetime
    stop: datetime

    @property
    def minutes(self) -> int:
        return Interval.M1.buckets_between(self.start, self.stop)


def look(*, budget_s: float = BUDGET_S, confirm_s: float = tickers.CONFIRM_S) -> Looked:
    """Looks at the newest bars, then goes on with older ones where the last run ended, for as
    long as it may; the same for tickers, as many as it may add up.

    A history that is small is looked at whole each time. Two runs at once find the same.
    """
    markets = _turn()
    wrong, scope = tickers.look(markets, confirm_s=confirm_s)
    covered, minutes = [scope], 0
    for piece in _slices(time.monotonic() + budget_s):
        found, seen = _look_at(piece)
        wrong, covered = [*wrong, *found], [*covered, *seen]
        minutes += piece.minutes
    fresh = findings.record(wrong, covered)
    standing = Finding.objects.filter(resolved_at=None).count()
    return Looked(minutes=minutes, tickers=len(markets), fresh=fresh, standing=standing)


def _look_at(piece: Slice) -> tuple[list[Wrong], list[Covered]]:
    closed = candles.watermarks()
    wrong, covered = bars.minutes(start=piece.start, stop=piece.stop)
    others, also = bars.parents(start=piece.start, stop=piece.stop, closed=closed)
    if not wrong:
        # Bars from before digests were taken, and imported ones, are known from now on.
        digests.adopt(start=piece.start, end=min(piece.stop, closed[Interval.M1]))
    return [*wrong, *others], [*covered, *also]


def _slices(until_s: float) -> Iterator[Slice]:
    """The newest span, then older ones until the time is up or all have been."""
    end = Interval.M1.shift(Interval.M1.floor(clock.db_now()), 1)
    begin = _beginning()
    if begin is None:
        return
    recent = max(begin, end - RECENT)
    yield from _cut(recent, end)
    stand = _stand(begin, recent)
    for piece in chain(_cut(stand, recent), _cut(begin, stand)):
        if time.monotonic() >= until_s:
            return
        yield piece
        _note(CURSOR, int(piece.stop.timestamp()))
        if piece.stop >= recent:
            _note(ROUND, int(piece.stop.timestamp()))


def _beginning() -> datetime | None:
    """The minute of the first trade or bar there is."""
    with connection.cursor() as cursor:
        cursor.execute(FIRST_TRADE)
        (trade,) = cursor.fetchone()
    bar = Candle.objects.filter(interval="1m").aggregate(first=Min("open_time"))["first"]
    known = [moment for moment in (trade, bar) if moment is not None]
    return Interval.M1.floor(min(known)) if known else None


def _stand(begin: datetime, end: datetime) -> datetime:
    """Where the last run ended, if that is still between the two."""
    row = Cursor.objects.filter(name=CURSOR).first()
    if row is None:
        return begin
    stand = datetime.fromtimestamp(row.position, UTC)
    return stand if begin <= stand < end else begin


def _cut(start: datetime, stop: datetime) -> Iterator[Slice]:
    """[start, stop) in slices of as many bars and trades as a statement looks at, or a minute."""
    while start < stop:
        values: dict[str, Any] = {
            "start": start,
            "stop": stop,
            "bars": SLICE,
            "trades": SLICE_TRADES,
        }
        with connection.cursor() as cursor:
            cursor.execute(END_OF_SLICE, values)
            (found,) = cursor.fetchone()
        end = Interval.M1.floor(found) if found else stop
        end = min(stop, max(end, Interval.M1.shift(start, 1)))
        yield Slice(start, end)
        start = end


def _turn() -> Sequence[int]:
    """The markets whose tickers are looked at now: the next ones, as many as may be added up."""
    rows = list(Ticker.objects.order_by("market_id").values_list("market_id", "trade_count"))
    row = Cursor.objects.filter(name=TICKERS_CURSOR).first()
    last = row.position if row else 0
    ordered = [one for one in rows if one[0] > last] + [one for one in rows if one[0] <= last]
    chosen, trades = list[int](), 0
    for market, count in ordered:
        if count > LARGEST_WINDOW:
            continue
        if chosen and trades + count > MOST_TRADES:
            break
        chosen.append(market)
        trades += count
    if chosen:
        _note(TICKERS_CURSOR, chosen[-1])
    return chosen


def _note(name: str, position: int) -> None:
    Cursor.objects.update_or_create(name=name, defaults={"position": position})
