"""Buckets end by the database's clock: folded, stored and announced, all markets at once."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.exchange.candles.folding import fold_all
from apps.exchange.candles.rows import fact, select, watermarks
from apps.exchange.models import CandleWatermark, Market
from moonx.core import clock, locks, outbox
from moonx.core.events import CandleClosed
from moonx.core.intervals import Interval
from moonx.core.locks import Lock


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
        fold_all(interval, start=mark.closed_until, end=until)
    count = _announce_closed(interval, start=mark.closed_until, end=until)
    mark.closed_until = until
    mark.save()
    return count


def _announce_closed(interval: Interval, *, start: datetime, end: datetime) -> int:
    found = select(
        "c.interval = %s AND c.open_time >= %s AND c.open_time < %s", [interval.value, start, end]
    )
    markets = Market.objects.in_bulk({market_id for market_id, _ in found})
    outbox.emit_all(
        fact(CandleClosed, markets[market_id], interval, bar) for market_id, bar in found
    )
    return len(found)
