"""The exchange's periodic tasks: a name, limits, one call."""

from datetime import datetime, timedelta

from django.db import transaction

from apps.exchange import audits, book, candles, freshness, matching, orders, tickers, watch
from apps.exchange.ledger import reconcile
from apps.exchange.ledger.reconcile import Report
from apps.exchange.models import Market
from moonx.core import clock, logs
from moonx.core.intervals import Interval
from moonx.core.jobs import Outcome, job
from moonx.core.locks import LockBusy

log = logs.get("moonx.task")

# Candle runs are not single: each of their steps holds the fold lock and starts where the last one
# ended, so that two runs share the work.
OVERDUE = timedelta(minutes=1)  # an interval's own run had that long to close it


@job(name="exchange.update_tickers", time_limit_s=20, is_tick=True)
def update_tickers() -> Outcome:
    """Every 5 s: the 24h ticker of every market; what subscribers lack is pushed after commit."""
    audits.look_at_foreign()
    due = freshness.tickers_due()
    count = tickers.update()
    transaction.on_commit(lambda: _push(due))
    return Outcome("Updated {updated} tickers in {ms} ms", {"updated": count})


def _push(due: datetime | None) -> None:
    now = clock.db_now()
    freshness.count_tickers(due=due, done=now)
    tickers.push(now=now)
    watch.push_missed_bars(now=now)


# Orders' runs are not single: each of their batches holds its markets and commits by itself, so two
# runs share the work.


@job(name="exchange.sweep_matching", single=False, time_limit_s=20, is_tick=True)
def sweep_matching() -> Outcome:
    """Every second: orders and books that whoever brought them left behind when it died."""
    numbers = {"taken": matching.sweep(), "pushed": book.push_missed()}
    return Outcome("Matched {taken} orders and pushed {pushed} books in {ms} ms", numbers)


@job(name="exchange.expire_orders", single=False)
def expire_orders() -> Outcome:
    """Every 10 s: orders whose time is over give back what they hold."""
    done = orders.expire_due()
    return Outcome(
        "Expired {expired} orders of {found}, {errors} errors ({ms} ms)",
        {"found": done.found, "expired": done.expired, "errors": done.errors},
    )


# Looks are not single: two of them find the same, and none holds anything that others need.


@job(name="exchange.reconcile", single=False, time_limit_s=50)
def reconcile_new() -> Outcome:
    """Each minute: what was written since the last clean look adds up."""
    return _looked("Reconciled", reconcile.check_new())


@job(name="exchange.reconcile_all", single=False, time_limit_s=140)
def reconcile_all() -> Outcome:
    """At night: everything adds up, and the day is sealed."""
    return _looked("Reconciled all", reconcile.check_all())


def _looked(what: str, report: Report) -> Outcome:
    return Outcome(
        f"{what}: {{rows}} rows against {len(report.checked)} invariants, {{frozen}} users frozen, "
        "{halted} markets halted ({ms} ms)",
        {"rows": report.rows, "frozen": len(report.frozen), "halted": len(report.halted)},
    )


@job(name="exchange.audit_market_data", single=False, time_limit_s=55)
def audit_market_data() -> Outcome:
    """Every 30 s: bars and tickers are what their trades make of them."""
    done = audits.look()
    return Outcome(
        "Audited {minutes} minutes and {tickers} tickers: {fresh} new findings, {standing} stand "
        "({ms} ms)",
        {
            "minutes": done.minutes,
            "tickers": done.tickers,
            "fresh": done.fresh,
            "standing": done.standing,
        },
    )


def _close(interval: Interval) -> Outcome:
    """Where trades keep the lock too long, every market has failed to close; the next run does."""
    sentence = f"Closed {interval} candles: {{success}} success, {{failed}} failed ({{ms}} ms)"
    try:
        closed = candles.close(interval)
        if interval is Interval.M1:
            candles.close_overdue(grace=OVERDUE)
    except LockBusy as busy:
        failed = Market.objects.count()
        log.warning("candles not closed, the next run will", interval=interval, cause=str(busy))
        return Outcome(sentence, {"success": 0, "failed": failed})
    return Outcome(sentence, {"success": closed, "failed": 0})


@job(name="exchange.close_candles_1m", single=False)
def close_candles_1m() -> Outcome:
    """Each minute: announces the minute's bars, and closes what a longer interval's run missed."""
    return _close(Interval.M1)


@job(name="exchange.close_candles_5m", single=False)
def close_candles_5m() -> Outcome:
    """Every 5 minutes."""
    return _close(Interval.M5)


@job(name="exchange.close_candles_15m", single=False)
def close_candles_15m() -> Outcome:
    """Every 15 minutes."""
    return _close(Interval.M15)


@job(name="exchange.close_candles_30m", single=False)
def close_candles_30m() -> Outcome:
    """Every 30 minutes."""
    return _close(Interval.M30)


@job(name="exchange.close_candles_1h", single=False)
def close_candles_1h() -> Outcome:
    """Every hour."""
    return _close(Interval.H1)


@job(name="exchange.close_candles_4h", single=False)
def close_candles_4h() -> Outcome:
    """At 0, 4, 8, 12, 16 and 20 o'clock UTC."""
    return _close(Interval.H4)


@job(name="exchange.close_candles_1d", single=False)
def close_candles_1d() -> Outcome:
    """At midnight UTC."""
    return _close(Interval.D1)


@job(name="exchange.close_candles_1w", single=False)
def close_candles_1w() -> Outcome:
    """At Monday's midnight UTC."""
    return _close(Interval.W1)


@job(name="exchange.close_candles_1M", single=False)
def close_candles_1mo() -> Outcome:
    """At midnight UTC of a month's first day."""
    return _close(Interval.MONTH)
