"""Markets change: what they accept, how they are called.

Every change holds the market against its matching, and shows on the market's ticker at once.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import connection, transaction

from apps.exchange import candles, trades, watch
from apps.exchange.models import Market, MarketStatus, Ticker
from moonx.core import clock, locks, logs
from moonx.core.locks import Lock

log = logs.get("moonx.markets")

# Under the writer's own number: audits look at a ticker that anything else wrote.
SHOW = """
UPDATE exchange_ticker SET version = version + 1, xid = pg_current_xact_id() WHERE market_id = %s
"""
STOPPED = {MarketStatus.HALT, MarketStatus.BREAK}
OPEN = {MarketStatus.TRADING, MarketStatus.POST_ONLY}


class MarketUnchanged(Exception):
    """The market does not stand where the change would begin. Permanent; says how it stands."""


def save(market: Market, *, now: datetime, edited: Collection[str] | None = None) -> None:
    """Stores a market, of one that stands only what was `edited`: an edit of its label that began
    before a halt does not lift the halt.

    The moment at which it stopped trading is kept, because its ticker stands still from then on.
    """
    with transaction.atomic():
        if market.pk:
            locks.hold(Lock.MARKET, market.pk)
        if market.status not in STOPPED:
            market.halted_at, market.halt_reason = None, ""
        elif market.halted_at is None:
            market.halted_at = _stop(market, now=now)
        market.save(update_fields=_written(edited) if market.pk else None)
        _show(market)


def _stop(market: Market, *, now: datetime) -> datetime:
    """Where its ticker's window ends: now, and no trade lies beyond, whatever the clock did."""
    last = trades.tail_of(market).executed_at if market.pk else None
    return max(now, last) if last else now


def _written(edited: Collection[str] | None) -> list[str] | None:
    if edited is None:
        return None
    return [*edited, *(("halted_at", "halt_reason") if "status" in edited else ())]


def halt(market: Market, *, reason: str, by: str) -> Market:
    """Stops trading: orders stay in the book, none is taken or filled, all can be cancelled.

    Raises MarketUnchanged where the market does not trade, LockBusy where it is held for too long.
    """
    with _held(market) as found:
        if found.status not in OPEN:
            raise MarketUnchanged(f"{found.symbol} does not trade: it is in {found.status}.")
        found.status = MarketStatus.HALT
        found.halted_at, found.halt_reason = _stop(found, now=candles.present()), reason
        _store(found)
    log.warning("market halted", market=found.symbol, reason=reason, by=by)
    return found


def resume(market: Market, *, reason: str, by: str, post_only: bool = False) -> Market:
    """Lets a halted market trade again; with `post_only` it takes only orders that rest.

    Raises MarketUnchanged where the market trades already or is over (BREAK), LockBusy as `halt`.
    """
    wanted = MarketStatus.POST_ONLY if post_only else MarketStatus.TRADING
    with _held(market) as found:
        if found.status in {MarketStatus.BREAK, wanted}:
            raise MarketUnchanged(f"{found.symbol} is in {found.status}.")
        found.status = wanted
        found.halted_at, found.halt_reason = None, ""
        _store(found)
    log.warning("market resumed", market=found.symbol, status=wanted.value, reason=reason, by=by)
    return found


@contextmanager
def _held(market: Market) -> Iterator[Market]:
    """The market as it stands, while nobody matches its orders or changes it."""
    with transaction.atomic():
        locks.hold(Lock.MARKET, market.pk)
        yield Market.objects.select_related("base", "quote").get(pk=market.pk)


def _store(market: Market) -> None:
    market.save(update_fields=["status", "halted_at", "halt_reason"])
    _show(market)


def _show(market: Market) -> None:
    """Its ticker counts as changed: subscribers see status and label after the commit."""
    with connection.cursor() as cursor:
        cursor.execute(SHOW, [market.pk])
    transaction.on_commit(lambda: _push(market), robust=True)


def _push(market: Market) -> None:
    rows = Ticker.objects.select_related("market__base", "market__quote").filter(market=market)
    watch.push_tickers(rows, now=clock.db_now())
