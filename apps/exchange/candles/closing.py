"""Buckets end by the database's clock: folded, stored and announced, all markets at once."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from apps.exchange.candles import digests
from apps.exchange.candles.folding import fold_all
from apps.exchange.candles.rows import select, watermarks
from apps.exchange.candles.telling import tell_closed
from apps.exchange.models import Market
from moonx.core import clock, locks, logs, metrics, outbox
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

log = logs.get("moonx.candles")

STEP = 5_000  # bars read in one step: some 0.3 s under the lock
STEP_TRADES = 50_000  # trades of minutes whose digest is taken in one step
RUN_S = 20.0  # what a run takes at most, but for its last step; the next one goes on
BACKLOG = 20_000  # events that may wait for the relay before the next step adds to them
PATIENCE_S = 2.0  # how long a step waits for that: bars close though no relay lives
LOOK_S = 0.1

MARK = """
UPDATE exchange_candlewatermark SET closed_until = %s, closed_at = clock_timestamp()
WHERE interval = %s RETURNING closed_at
"""


def close(interval: Interval, *, until_s: float | None = None) -> int:
    """Closes every bucket of `interval` that has ended, and those of its children first.

    All markets at once, however long nobody did: bars above 1m are folded and stored, and each
    closed bar is announced once. Returns how many bars of `interval` were closed. Works in steps
    that commit one by one, so that catching up never keeps trades waiting for long, and that let
    the relay follow. Ends after RUN_S, or at `until_s` of the monotonic clock: the next run goes
    on. Raises LockBusy where trades kept the fold lock for too long; the next run goes on, too.
    """
    until_s = time.monotonic() + RUN_S if until_s is None else until_s
    closed = 0
    while (step := _locked_step(interval)) is not None:
        closed += step
        if time.monotonic() >= until_s:
            log.warning("closing took its time, the next run goes on", interval=interval)
            break
        _let_the_relay_follow()
    return closed


def close_overdue(*, grace: timedelta) -> list[Interval]:
    """Closes what its own run missed: intervals whose boundary passed over `grace` ago.

    All together take as long as one run of `close`.
    """
    due = clock.db_now() - grace
    marks = watermarks()
    missed = [interval for interval in Interval if marks[interval] < interval.floor(due)]
    until_s = time.monotonic() + RUN_S
    for interval in missed:
        close(interval, until_s=until_s)
    return missed


def _locked_step(interval: Interval) -> int | None:
    """A step up to the present, committed."""
    with transaction.atomic():
        # Trades hold this lock shared: none is under way while buckets close, so no trade can
        # enter a bucket between its fold and its announcement.
        locks.hold(Lock.CANDLE_FOLD)
        return _step(interval, until=interval.floor(clock.db_now()))


def _let_the_relay_follow() -> None:
    """Waits while a backlog of events does, but not for ever.

    What an outage left to announce would else stand before all that happens now.
    """
    give_up_s = time.monotonic() + PATIENCE_S
    while outbox.waiting(at_most=BACKLOG + 1) > BACKLOG and time.monotonic() < give_up_s:
        time.sleep(LOOK_S)


def close_until(interval: Interval, *, until: datetime) -> int:
    """As `close`, up to the bucket start `until`, at once; the caller holds the fold lock."""
    interval.check_start(until)
    closed = 0
    while (step := _step(interval, until=until)) is not None:
        closed += step
    return closed


def _step(interval: Interval, *, until: datetime) -> int | None:
    """Closes some buckets of the smallest interval that is behind; None where none is.

    Returns how many bars of `interval` itself it closed.
    """
    marks = watermarks()
    behind = [level for level in _chain(interval) if marks[level] < until]
    if not behind:
        return None
    level, start = behind[0], marks[behind[0]]
    end = _affordable(level, start=start, until=until)
    if level.child is not None:
        fold_all(level, start=start, end=end)
    else:
        digests.take(start=start, end=end)
    count = _announce_closed(level, start=start, end=end)
    _mark(level, start=start, end=end)
    return count if level is interval else 0


def _mark(level: Interval, *, start: datetime, end: datetime) -> None:
    """Moves the watermark from `start` to `end`; counts how late that is, once it stands.

    A step over many buckets counts once, by its oldest: an outage is one observation a step.
    """
    with connection.cursor() as cursor:
        cursor.execute(MARK, [end, level.value])
        (closed_at,) = cursor.fetchone()
    late_s = (closed_at - level.shift(start, 1)).total_seconds()
    seen = metrics.market_data_lateness.labels(level.value)
    transaction.on_commit(lambda: seen.observe(max(0.0, late_s)))


def _chain(interval: Interval) -> list[Interval]:
    """The intervals that `interval` is folded from, the smallest first, and itself."""
    return [*(_chain(interval.child) if interval.child else []), interval]


AFFORDABLE = """
SELECT open_time FROM exchange_candle WHERE interval = %(level)s AND open_time >= %(start)s
  AND open_time < %(until)s ORDER BY open_time OFFSET %(step)s LIMIT 1
"""
# Digests go over the trades themselves.
AFFORDABLE_MINUTES = f"""
SELECT least(({AFFORDABLE}), (SELECT executed_at FROM exchange_trade
  WHERE executed_at >= %(start)s AND executed_at < %(until)s
  ORDER BY executed_at OFFSET %(trades)s LIMIT 1))
"""  # noqa: S608 - constants only


def _affordable(level: Interval, *, start: datetime, until: datetime) -> datetime:
    """Up to which bucket start a step may go: some STEP bars and STEP_TRADES trades are read, at
    least one bucket."""
    statement = AFFORDABLE if level.child else AFFORDABLE_MINUTES
    values: dict[str, Any] = {
        "level": (level.child or level).value,
        "start": start,
        "until": until,
        "step": STEP,
        "trades": STEP_TRADES,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    if row is None or row[0] is None:
        return until
    return min(until, max(level.floor(row[0]), level.shift(start, 1)))


def _announce_closed(interval: Interval, *, start: datetime, end: datetime) -> int:
    count = tell_closed(interval, start=start, end=end)
    if logs.is_debug():
        _log_closed(interval, start=start, end=end)
    return count


def _log_closed(interval: Interval, *, start: datetime, end: datetime) -> None:
    found = select(
        "c.interval = %s AND c.open_time >= %s AND c.open_time < %s", [interval.value, start, end]
    )
    markets = Market.objects.in_bulk({market_id for market_id, _ in found})
    for market_id, bar in found:
        market = markets[market_id].symbol
        log.debug("closed a candle", market=market, interval=interval, open_time=bar.open_time)
