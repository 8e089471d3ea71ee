"""An import: everything is checked first, then whole batches enter with their bars."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from apps.exchange import candles, tickers
from apps.exchange.history import staging
from apps.exchange.history.records import ImportRefused, Record
from apps.exchange.history.staging import Staged
from apps.exchange.models import Asset, Market, MarketStatus, TradeSource
from apps.exchange.trades import hold_market
from moonx.core import locks, money
from moonx.core.locks import Lock, LockBusy

BATCH = 10_000  # 0.5 s of a market's lock
ATTEMPTS = 6
FIRST_PAUSE_S = 0.25
MINUTE = timedelta(minutes=1)

PUT = """
WITH batch AS MATERIALIZED (
  SELECT DISTINCT ON (seq) * FROM pg_temp.exchange_staged WHERE seq > %(after)s
  ORDER BY seq LIMIT %(limit)s
), put AS (
  INSERT INTO exchange_trade (market_id, seq, first_id, last_id, price, quantity, quote_quantity,
    is_buyer_maker, executed_at, source)
  SELECT %(market)s, seq, first_id, last_id, price, quantity, price * quantity, is_buyer_maker,
    executed_at, %(source)s
  FROM batch WHERE NOT EXISTS (SELECT FROM exchange_amendment a
    WHERE a.market_id = %(market)s AND a.seq = batch.seq AND a.kind = 'bust')
  ORDER BY seq
  ON CONFLICT (market_id, seq) DO NOTHING RETURNING executed_at
)
SELECT (SELECT max(seq) FROM batch), (SELECT count(*) FROM batch), (SELECT count(*) FROM put),
  (SELECT array_agg(DISTINCT date_bin('1 minute', executed_at, 'epoch')) FROM put)
"""

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The assets of a market to be created."""

    base: str
    quote: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where records go. `create` allows the market to be made; `until` ends its record."""

    symbol: str
    create: Pair | None = None
    until: datetime | None = None
    source: TradeSource = TradeSource.IMPORTED
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did, or would do: distinct trades read, and those that were new."""

    trades: int
    stored: int
    created: bool
    recorded_until: datetime | None


def import_records(
    records: Iterable[tuple[str, Record]], plan: Plan, *, on_progress: OnProgress | None = None
) -> Imported:
    """Adds recorded trades to a market, whatever of them it has already; builds their bars.

    All records are checked before any is stored: ImportRefused then, and nothing changed. Stored
    are whole batches, so that a run that was ended halfway is finished by the next one. Raises
    LockBusy (transient) where another import or trading keeps the market.
    """
    staged = staging.fill(records)
    try:
        market = Market.objects.select_related("base", "quote").filter(symbol=plan.symbol).first()
        _check_until(plan, market, staged)
        market, created = _target(plan, market, staged)
        if market is None or plan.dry_run:
            return _foretold(plan, market, staged)
        with locks.session(Lock.IMPORT, market.pk) as alone:
            if not alone:
                raise LockBusy(f"another import into {market} is under way")
            stored = _put_all(market, plan.source, staged, on_progress or _silent)
            _end_record(market, plan)
    finally:
        staging.drop()
    tickers.refresh()
    return Imported(
        trades=staged.trades,
        stored=stored,
        created=created,
        recorded_until=market.recorded_until,
    )


def _target(plan: Plan, market: Market | None, staged: Staged) -> tuple[Market | None, bool]:
    """The market to fill, and whether it was made now; None where a dry run would make it."""
    if market is None:
        if plan.create is None:
            raise ImportRefused(
                f"There is no market {plan.symbol}. To make one: --create BASE/QUOTE"
            )
        made = _make(plan.symbol, plan.create, staged, dry_run=plan.dry_run)
        return (None, False) if plan.dry_run else (made, True)
    if plan.create is not None:
        _refine(market, plan.create, staged, dry_run=plan.dry_run)
    staging.check_grid(market)
    staging.check_conflicts(market)
    return market, False


def _make(symbol: str, pair: Pair, staged: Staged, *, dry_run: bool) -> Market:
    needed = staged.price_places + staged.quantity_places
    try:
        with transaction.atomic():
            market = Market(
                symbol=symbol,
                base=_asset(pair.base, decimals=staged.quantity_places),
                quote=_asset(pair.quote, decimals=needed),
                status=MarketStatus.BREAK,
                tick_size=staged.tick,
                step_size=staged.step,
                label="recorded",
            )
            market.full_clean()
            market.save()
            if dry_run:
                transaction.set_rollback(True)
    except ValidationError as error:
        raise ImportRefused(f"{symbol} cannot be made: {' '.join(error.messages)}") from None
    return market


def _asset(symbol: str, *, decimals: int) -> Asset:
    found = Asset.objects.filter(symbol=symbol).first()
    if found is None:
        found = Asset(symbol=symbol, name=symbol, decimals=min(max(8, decimals), money.SCALE))
        found.full_clean()
        found.save()
    return found


def _refine(market: Market, pair: Pair, staged: Staged, *, dry_run: bool) -> None:
    """A recorded market takes the digits of every file it is made of, in whatever order."""
    if (market.base.symbol, market.quote.symbol) != (pair.base, pair.quote):
        raise ImportRefused(
            f"{market} exists as {market.base}/{market.quote}, not {pair.base}/{pair.quote}"
        )
    finer = (min(market.tick_size, staged.tick), min(market.step_size, staged.step))
    if market.status != MarketStatus.BREAK or finer == (market.tick_size, market.step_size):
        return
    market.tick_size, market.step_size = finer
    try:
        market.full_clean()
    except ValidationError as error:
        raise ImportRefused(f"{market} cannot be refined: {' '.join(error.messages)}") from None
    if not dry_run:
        market.save(update_fields=["tick_size", "step_size"])


def _check_until(plan: Plan, market: Market | None, staged: Staged) -> None:
    if plan.until is None:
        return
    if market is not None and market.status == MarketStatus.TRADING:
        raise ImportRefused(f"{market} trades: its record has no end. Leave --until out.")
    if plan.until <= staged.last_time:
        raise ImportRefused(
            f"--until must come after the last trade, {staged.last_time:%Y-%m-%dT%H:%M:%SZ}"
        )


def _foretold(plan: Plan, market: Market | None, staged: Staged) -> Imported:
    present = staging.known(market) if market else 0
    return Imported(
        trades=staged.trades,
        stored=staged.trades - present,
        created=market is None,
        recorded_until=plan.until,
    )


def _put_all(market: Market, source: TradeSource, staged: Staged, on_progress: OnProgress) -> int:
    after, done, stored = -1, 0, 0
    while done < staged.trades:
        after, count, new = _patiently(market, source, after=after)
        done, stored = done + count, stored + new
        on_progress(done, staged.trades)
    return stored


def _patiently(market: Market, source: TradeSource, *, after: int) -> tuple[int, int, int]:
    """One batch; trading and closing bars go first for as long as they are busy."""
    pause_s = FIRST_PAUSE_S
    for _ in range(ATTEMPTS - 1):
        try:
            return _put(market, source, after=after)
        except LockBusy:
            time.sleep(pause_s)
            pause_s *= 2
    return _put(market, source, after=after)


def _put(market: Market, source: TradeSource, *, after: int) -> tuple[int, int, int]:
    with transaction.atomic():
        hold_market(market)
        with connection.cursor() as cursor:
            cursor.execute(
                PUT, {"market": market.pk, "source": source, "after": after, "limit": BATCH}
            )
            last, count, new, minutes = cursor.fetchone()
        # Again, now that nobody else can add trades: an id may have been taken meanwhile.
        staging.check_conflicts(market, after=after, upto=last)
        if minutes:
            candles.refold_minutes(market, minutes)
    return last, count, new


def _end_record(market: Market, plan: Plan) -> None:
    """Says up to when the market is known; only a given end may shorten what was known."""
    span = candles.span(market)
    if market.status == MarketStatus.TRADING or span is None:
        return
    known = market.recorded_until or span[1] + MINUTE
    market.recorded_until = plan.until or max(known, span[1] + MINUTE)
    market.save(update_fields=["recorded_until"])


def _silent(done: int, total: int) -> None:
    """Nobody watches."""
