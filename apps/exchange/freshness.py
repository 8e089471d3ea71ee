"""How fresh market data is: when it was due, when it was done, and what has not been done yet."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Max, Min

from apps.exchange import candles
from apps.exchange.models import CandleWatermark, Ticker
from moonx.core import metrics
from moonx.core.intervals import Interval

# An interval's own run has a minute, and the run that closes what it missed another.
ON_TIME = timedelta(minutes=1)
CLOSING_GRACE = timedelta(minutes=2)
# Tickers are promised every five seconds, however seldom somebody lets them run.
TICKER_PERIOD = timedelta(seconds=5)
# A row is good for three of them: one run may be missed, and the next be late.
TICKER_GRACE = 3 * TICKER_PERIOD
TICKER = "ticker"
NONE = timedelta(0)


class State(StrEnum):
    """How something that is due at set moments stands."""

    ON_TIME = "on time"
    LATE = "late"  # done by now, but not in time
    BEHIND = "behind"  # due and not done
    SET_BACK = "clock set back"  # done for a moment that the clock has yet to reach


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """The newest moment at which an interval or the tickers were due, and when that was done.

    `overdue` is for how long the next one has been due without being done; zero where none is.
    """

    what: str
    due: datetime
    done: datetime | None
    overdue: timedelta
    state: State

    @property
    def late(self) -> timedelta | None:
        """From due to done; None where nobody knows when it was done."""
        return max(NONE, self.done - self.due) if self.done else None


def unclosed(*, now: datetime) -> list[Interval]:
    """The intervals whose bars should have been closed by now."""
    marks = candles.watermarks()
    due = now - CLOSING_GRACE
    return [interval for interval in Interval if marks[interval] < interval.floor(due)]


def stale_tickers(*, now: datetime) -> list[str]:
    """The symbols whose ticker was not looked at lately, markets that stand still left out."""
    stale = Ticker.objects.filter(
        as_of__lt=now - TICKER_GRACE,
        market__halted_at__isnull=True,
        market__recorded_until__isnull=True,
    )
    return list(stale.order_by("market__symbol").values_list("market__symbol", flat=True))


def of_market_data(*, now: datetime) -> list[Lateness]:
    """How each interval stands, the smallest first, and the tickers, where there are any."""
    marks = {mark.interval: mark for mark in CandleWatermark.objects.all()}
    found = [of_interval(marks[interval.value], now=now) for interval in Interval]
    oldest = Ticker.objects.aggregate(oldest=Min("as_of"))["oldest"]
    return [*found, of_ticker(oldest, now=now)] if oldest else found


def of_interval(mark: CandleWatermark, *, now: datetime) -> Lateness:
    """How the closing of an interval stands: a bucket is due at its end."""
    interval = Interval(mark.interval)
    due, done = mark.closed_until, mark.closed_at
    overdue = max(NONE, now - interval.shift(due, 1))
    was_late = done is not None and done - due > ON_TIME
    state = _state(due, now=now, is_behind=overdue > CLOSING_GRACE, was_late=was_late)
    return Lateness(what=interval.value, due=due, done=done, overdue=overdue, state=state)


def of_ticker(as_of: datetime, *, now: datetime) -> Lateness:
    """How a ticker that was last looked at then stands: it is due a period later again."""
    overdue = max(NONE, now - as_of - TICKER_PERIOD)
    state = _state(as_of, now=now, is_behind=now - as_of > TICKER_GRACE, was_late=False)
    return Lateness(what=TICKER, due=as_of, done=as_of, overdue=overdue, state=state)


def _state(due: datetime, *, now: datetime, is_behind: bool, was_late: bool) -> State:
    if due > now:
        return State.SET_BACK
    if is_behind:
        return State.BEHIND
    return State.LATE if was_late else State.ON_TIME


def tickers_due() -> datetime | None:
    """When the tickers' next run is due: a period after the last one; None before the first."""
    last = Ticker.objects.aggregate(last=Max("as_of"))["last"]
    return last + TICKER_PERIOD if last else None


def count_tickers(*, due: datetime | None, done: datetime) -> None:
    """Counts how late a run of the tickers was."""
    if due is not None:
        late_s = max(NONE, done - due).total_seconds()
        metrics.market_data_lateness.labels(TICKER).observe(late_s)
