"""The exchange's periodic tasks: a name, limits, one call."""

from datetime import timedelta

from django.db import transaction

from apps.exchange import candles, tickers, watch
from moonx.core import clock
from moonx.core.intervals import Interval
from moonx.core.jobs import Outcome, job

OVERDUE = timedelta(minutes=1)  # an interval's own run had that long to close it


@job(name="exchange.update_tickers", time_limit_s=20, is_tick=True)
def update_tickers() -> Outcome:
    """Every 5 s: the 24h ticker of every market; what subscribers lack is pushed after commit."""
    count = tickers.update()
    transaction.on_commit(_push)
    return Outcome("Updated {updated} tickers in {ms} ms", {"updated": count})


def _push() -> None:
    now = clock.db_now()
    tickers.push(now=now)
    watch.push_missed_bars(now=now)


def _close(interval: Interval) -> Outcome:
    closed = candles.close(interval)
    if interval is Interval.M1:
        candles.close_overdue(grace=OVERDUE)
    return Outcome(
        f"Closed {interval} candles: {{success}} success, {{failed}} failed ({{ms}} ms)",
        {"success": closed, "failed": 0},
    )


@job(name="exchange.close_candles_1m")
def close_candles_1m() -> Outcome:
    """Each minute: announces the minute's bars, and closes what a longer interval's run missed."""
    return _close(Interval.M1)


@job(name="exchange.close_candles_5m")
def close_candles_5m() -> Outcome:
    """Every 5 minutes."""
    return _close(Interval.M5)


@job(name="exchange.close_candles_15m")
def close_candles_15m() -> Outcome:
    """Every 15 minutes."""
    return _close(Interval.M15)


@job(name="exchange.close_candles_30m")
def close_candles_30m() -> Outcome:
    """Every 30 minutes."""
    return _close(Interval.M30)


@job(name="exchange.close_candles_1h")
def close_candles_1h() -> Outcome:
    """Every hour."""
    return _close(Interval.H1)


@job(name="exchange.close_candles_4h")
def close_candles_4h() -> Outcome:
    """At 0, 4, 8, 12, 16 and 20 o'clock UTC."""
    return _close(Interval.H4)


@job(name="exchange.close_candles_1d")
def close_candles_1d() -> Outcome:
    """At midnight UTC."""
    return _close(Interval.D1)


@job(name="exchange.close_candles_1w")
def close_candles_1w() -> Outcome:
    """At Monday's midnight UTC."""
    return _close(Interval.W1)


@job(name="exchange.close_candles_1M")
def close_candles_1mo() -> Outcome:
    """At midnight UTC of a month's first day."""
    return _close(Interval.MONTH)
