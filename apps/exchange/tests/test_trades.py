"""The one way a live trade enters."""

import json
import threading
from decimal import Decimal

import pytest
from django.db import connection, transaction

from apps.exchange import trades
from apps.exchange.models import Candle, Market, Trade, TradeSource
from apps.exchange.tests.factory import market
from apps.exchange.trades import NewTrade, TradeRefused
from moonx.core import valkey
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")


def new(price: str = "5.00", quantity: str = "2", *, count: int = 1) -> NewTrade:
    return NewTrade(
        price=Decimal(price), quantity=Decimal(quantity), is_buyer_maker=False, count=count
    )


def record(where: Market, *rows: NewTrade) -> list[trades.Executed]:
    return trades.record(where, rows, source=TradeSource.REPLAYED)


def test_a_trade_its_bar_and_its_event_are_one_transaction() -> None:
    where = market()

    def fail() -> None:
        with transaction.atomic():
            record(where, new())
            raise RuntimeError("killed before commit")

    with pytest.raises(RuntimeError):
        fail()
    assert (Trade.objects.count(), Candle.objects.count(), OutboxEvent.objects.count()) == (0, 0, 0)
    record(where, new())
    assert (Trade.objects.count(), Candle.objects.count(), OutboxEvent.objects.count()) == (1, 1, 1)


def test_sequences_and_fill_ids_run_on_without_a_hole() -> None:
    where = market()
    record(where, new(), new(count=3))
    last = record(where, new())[-1]
    assert (last.seq, last.first_id, last.last_id) == (3, 5, 5)
    assert Candle.objects.get().trade_count == 5


def test_time_never_runs_backwards_in_a_market() -> None:
    where = market()
    first, second = record(where, new())[0], record(where, new())[0]
    assert second.executed_at >= first.executed_at


@pytest.mark.parametrize(
    "bad", [new("5.001"), new("0"), new("-1"), new(quantity="0.5"), new(quantity="0"), new(count=0)]
)
def test_a_trade_off_the_grid_refuses_its_whole_batch(bad: NewTrade) -> None:
    where = market()
    with pytest.raises(TradeRefused):
        record(where, new(), bad)
    assert not Trade.objects.exists()


def test_subscribers_get_the_bars_in_progress_after_the_commit() -> None:
    record(market(), new("5.00"), new("6.00"))
    frame = json.loads(valkey.client().hget(valkey.key("state:candles:XRPETH:1d"), "frame") or b"")
    assert frame["type"] == "candle.updated"
    assert (frame["data"]["open"], frame["data"]["close"]) == ("5.00", "6.00")
    assert frame["data"]["closed"] is False


def test_trades_of_many_writers_are_numbered_one_by_one() -> None:
    where = market()

    def write() -> None:
        try:
            for _ in range(10):
                record(where, new())
        finally:
            connection.close()

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert list(Trade.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, 41))
    ids = OutboxEvent.objects.order_by("id").values_list("payload__id", flat=True)
    assert list(ids) == list(range(1, 41))
    assert sum(Candle.objects.values_list("trade_count", flat=True)) == 40
