"""How fresh market data is: what should have happened by now and has not."""

from datetime import datetime, timedelta

from apps.exchange import candles
from apps.exchange.models import Ticker
from moonx.core.intervals import Interval

# An interval's own run has a minute, and the run that closes what it missed another.
CLOSING_GRACE = timedelta(minutes=2)
# Tickers are computed every five seconds.
TICKER_GRACE = timedelta(seconds=30)


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
