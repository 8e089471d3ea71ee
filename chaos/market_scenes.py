"""The scenes of market data in which a process may die: closing, amending, making bars anew."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from apps.exchange import bars, candles, trades
from apps.exchange import tasks as product_tasks
from apps.exchange.models import (
    Candle,
    CandleDigest,
    CandleWatermark,
    Market,
    Trade,
    TradeSource,
)
from apps.exchange.trades import Executed
from chaos.scenes import Arguments, Scene
from chaos.stages import PRESENT, Stage
from moonx.core.intervals import Interval
from moonx.core.money import product

TEN = datetime(2025, 3, 10, 10, tzinfo=UTC)
# Minutes after ten, price: minute 3 has one trade only, so has the half hour after eleven.
HAPPENED = ((0, "10"), (0, "12"), (3, "9"), (17, "11"), (20, "13"), (65, "14"))


def remember(stage: Stage) -> None:
    """Trades of long ago, none of whose bars has been closed."""
    played = list(_remembered())
    for past in (Trade, Candle, CandleDigest):
        past.objects.filter(market__in=played).delete()
    for interval in Interval:
        CandleWatermark.objects.filter(interval=interval.value).update(
            closed_until=interval.floor(TEN)
        )
    rows = [_trade(seq, *one) for seq, one in enumerate(HAPPENED, start=1)]
    with transaction.atomic():
        trades.hold_market(stage.market)
        trades.insert(stage.market, rows, source=TradeSource.REPLAYED)
        candles.merge_minutes(stage.market, bars.of_ticks(row.tick() for row in rows))


def _trade(seq: int, minute: int, price: str) -> Executed:
    quantity = Decimal(1)
    return Executed(
        seq=seq,
        first_id=seq,
        last_id=seq,
        price=Decimal(price),
        quantity=quantity,
        quote_quantity=product(Decimal(price), quantity),
        is_buyer_maker=False,
        executed_at=TEN + timedelta(minutes=minute, seconds=seq),
    )


def _remembered() -> Any:
    return Market.objects.filter(trades__executed_at__lt=PRESENT)


def close_all() -> None:
    """What beat would do next about bars."""
    product_tasks.close_candles_1m()


def repair() -> None:
    """What an operator would do next, whose command was killed."""
    close_all()
    for market in _remembered().distinct():
        candles.backfill(market, start=TEN, end=TEN + timedelta(hours=1))


def bars_close(stage: Stage) -> Arguments:
    """Nine intervals that nobody has closed for long."""
    remember(stage)
    return {}


def a_trade_goes(stage: Stage) -> Arguments:
    """One of several in its minute; its bars are closed up to the month."""
    remember(stage)
    close_all()
    return {"symbol": stage.market.symbol, "seq": 2}


def the_last_trade_goes(stage: Stage) -> Arguments:
    """The only one of its half hour: bars turn flat, and their parents with them."""
    remember(stage)
    close_all()
    return {"symbol": stage.market.symbol, "seq": 6}


def a_matched_trade_goes(stage: Stage) -> Arguments:
    """What it moved between two owners is returned."""
    stage.place(1, "SELL", "10.00", "2", client_order_id="one")
    stage.place(0, "BUY", "10.00", "2", client_order_id="mine")
    return {"symbol": stage.market.symbol, "seq": 1}


def a_matched_trade_is_corrected(stage: Stage) -> Arguments:
    """The difference is paid."""
    return {**a_matched_trade_goes(stage), "price": "9.50", "quantity": "2"}


def bars_are_damaged(stage: Stage) -> Arguments:
    """A bar is missing, one is wrong, and so is one of their parents."""
    remember(stage)
    close_all()
    rows = Candle.objects.filter(market=stage.market)
    rows.filter(interval="1m", open_time=TEN).delete()
    rows.filter(interval="1m", open_time=TEN + timedelta(minutes=17)).update(high=99)
    rows.filter(interval="1h", open_time=TEN).update(low=1)
    hour_later = TEN + timedelta(hours=1)
    span = {"start": TEN.isoformat(), "end": hour_later.isoformat()}
    return {"symbol": stage.market.symbol, **span}


MARKET_SCENES = {
    "bars close": Scene(step="close", prepare=bars_close, finish=close_all),
    "a trade is busted": Scene(step="bust", prepare=a_trade_goes, finish=close_all),
    "a bar is emptied": Scene(step="bust", prepare=the_last_trade_goes, finish=close_all),
    "a matched trade is busted": Scene(step="bust", prepare=a_matched_trade_goes),
    "a matched trade is corrected": Scene(step="correct", prepare=a_matched_trade_is_corrected),
    "bars are made anew": Scene(step="backfill", prepare=bars_are_damaged, finish=repair),
}
