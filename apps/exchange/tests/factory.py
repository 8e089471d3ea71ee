"""Markets and trades with valid defaults; a test states only what matters to it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal

from django.db import transaction

from apps.exchange import bars, candles, trades
from apps.exchange.models import Asset, CandleWatermark, Market, MarketStatus, TradeSource
from apps.exchange.trades import Executed
from moonx.core.intervals import Interval


def at(text: str) -> datetime:
    """A UTC moment: at("2026-11-23 12:00")."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def asset(symbol: str, *, decimals: int = 18) -> Asset:
    found, _ = Asset.objects.get_or_create(
        symbol=symbol, defaults={"name": symbol.title(), "decimals": decimals}
    )
    return found


def market(
    symbol: str = "XRPETH",
    *,
    status: MarketStatus = MarketStatus.TRADING,
    tick: str = "0.01",
    step: str = "1",
    recorded_until: datetime | None = None,
) -> Market:
    return Market.objects.create(
        symbol=symbol,
        base=asset(symbol[:3]),
        quote=asset(symbol[3:]),
        status=status,
        tick_size=Decimal(tick),
        step_size=Decimal(step),
        recorded_until=recorded_until,
    )


def trade(
    seq: int, time: str | datetime, price: str, quantity: str = "1", *, maker_buys: bool = False
) -> Executed:
    return Executed(
        seq=seq,
        first_id=seq,
        last_id=seq,
        price=Decimal(price),
        quantity=Decimal(quantity),
        quote_quantity=Decimal(price) * Decimal(quantity),
        is_buyer_maker=maker_buys,
        executed_at=at(time) if isinstance(time, str) else time,
    )


def traded(where: Market, *executed: Executed) -> list[Executed]:
    """Trades that stand at their own times, in one transaction with their bars."""
    return traded_all(where, executed)


def traded_all(
    where: Market, executed: Iterable[Executed], *, source: TradeSource = TradeSource.MATCHED
) -> list[Executed]:
    rows = list(executed)
    with transaction.atomic():
        trades.hold_market(where)
        trades.insert(where, rows, source=source)
        candles.merge_minutes(where, bars.of_ticks(row.tick() for row in rows))
    return rows


def open_since(moment: str | datetime) -> None:
    """Nothing has been closed since `moment`: every watermark stands at its bucket's start."""
    start = at(moment) if isinstance(moment, str) else moment
    for interval in Interval:
        CandleWatermark.objects.filter(interval=interval.value).update(
            closed_until=interval.floor(start)
        )
