"""Trades taken back and corrected: rows, bars, ticker, ledger and what is told, all or nothing."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from apps.exchange import (
    amending,
    candles,
    fills,
    klines,
    markets,
    orders,
    own,
    tickers,
    trades,
)
from apps.exchange.amending import NoSuchTrade, NotCovered, Pointless, Request, Values
from apps.exchange.klines import Wish
from apps.exchange.ledger import reconcile
from apps.exchange.models import (
    Account,
    Amendment,
    Candle,
    House,
    Market,
    OrderStatus,
    Ticker,
    Trade,
    TradeSource,
)
from apps.exchange.tests import factory, trading
from apps.exchange.tests.factory import at, open_since, trade, traded
from apps.exchange.tests.faults import as_owner, settle
from apps.exchange.tests.trading import buy, events, funds, rich, sell, trader
from apps.exchange.trades import NewTrade
from moonx.core import clock, locks, valkey
from moonx.core.intervals import Interval
from moonx.core.locks import Lock

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

WHY = Request(reason="entered twice", by="ops")
NOON = at("2026-11-23 12:00")


def values(price: str, quantity: str = "1") -> Values:
    return Values(price=Decimal(price), quantity=Decimal(quantity))


def closed(where: Market, *rows: trades.Executed, until: str = "2026-11-23 13:00") -> Market:
    """A market whose trades stand and whose bars are closed up to `until`."""
    open_since("2026-11-23 00:00")
    traded(where, *rows)
    Trade.objects.update(source=TradeSource.REPLAYED)
    for interval in Interval:
        close(interval, interval.floor(at(until)))
    return where


def close(interval: Interval, until: datetime) -> None:

    with transaction.atomic():
        locks.hold(Lock.CANDLE_FOLD)
        candles.close_until(interval, until=until)


def bars_of(where: Market, interval: Interval) -> list[tuple[Any, ...]]:
    rows = Candle.objects.filter(market=where, interval=interval.value).order_by("open_time")
    return list(rows.values_list("open", "high", "low", "close", "base_volume", "trade_count"))


def test_a_busted_trade_leaves_its_bar_and_every_stored_parent() -> None:
    where = closed(
        factory.market(),
        trade(1, "2026-11-23 12:00:01", "10.00"),
        trade(2, "2026-11-23 12:00:02", "99.00", "7"),
        trade(3, "2026-11-23 12:00:03", "11.00"),
    )
    amending.bust(where, 2, WHY)
    for interval in (Interval.M1, Interval.M5, Interval.M15, Interval.M30, Interval.H1):
        assert bars_of(where, interval) == [(10, 11, 10, 11, 2, 2)], interval
    revised = events("candle.revised")
    assert [row["interval"] for row in revised] == ["1m", "5m", "15m", "30m", "1h"]
    assert {(row["high"], row["revision"]) for row in revised} == {("11.00", 1)}


def test_a_bar_that_loses_its_last_trade_is_flat_and_so_are_the_ones_after_it() -> None:
    where = closed(
        factory.market(),
        trade(1, "2026-11-23 12:00:01", "10.00"),
        trade(2, "2026-11-23 12:02:00", "20.00"),
        trade(3, "2026-11-23 12:05:00", "30.00"),
    )
    amending.bust(where, 2, WHY)
    shown = klines.read(where, Interval.M1, Wish(limit=6), now=at("2026-11-23 12:05:30"))
    assert [bar.close for bar in shown] == [10, 10, 10, 10, 10, 30]
    assert [bar.trade_count for bar in shown] == [1, 0, 0, 0, 0, 1]
    flat = next(row for row in events("candle.revised") if row["interval"] == "1m")
    assert (flat["open"], flat["close"], flat["tradeCount"]) == ("10.00", "10.00", 0)
    assert (flat["baseVolume"], flat["revision"]) == ("0", 1)


def test_a_parent_that_loses_its_last_trade_goes_too() -> None:
    where = closed(
        factory.market(),
        trade(1, "2026-11-23 12:00:01", "10.00"),
        trade(2, "2026-11-23 12:20:00", "20.00"),
    )
    amending.bust(where, 2, WHY)
    assert len(bars_of(where, Interval.M15)) == 1
    assert bars_of(where, Interval.M30) == [(10, 10, 10, 10, 1, 1)]
    told = {row["interval"]: row["tradeCount"] for row in events("candle.revised")}
    assert told == {"1m": 0, "5m": 0, "15m": 0, "30m": 1, "1h": 1}


def test_a_market_whose_only_trade_is_busted_has_no_bar_and_no_price() -> None:
    where = closed(factory.market(), trade(1, "2026-11-23 12:00:01", "10.00"))
    amending.bust(where, 1, WHY)
    assert not Candle.objects.exists()
    assert not events("candle.revised")  # there is no price at which a bar would be flat
    assert Ticker.objects.get(market=where).last is None


def test_the_revisions_of_a_bar_go_on_where_it_was_emptied_in_between() -> None:
    where = closed(
        factory.market(),
        trade(1, "2026-11-23 12:00:01", "10.00"),
        trade(2, "2026-11-23 12:01:00", "20.00"),
    )
    amending.bust(where, 2, WHY)
    late = trade(3, "2026-11-23 12:01:30", "21.00")
    Trade.objects.create(market=where, source=TradeSource.IMPORTED, **columns(late))
    refold(where, "2026-11-23 12:01")
    assert [row["revision"] for row in events("candle.revised") if row["interval"] == "1m"] == [
        1,
        2,
    ]


def columns(row: trades.Executed) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def refold(where: Market, *minutes: str) -> None:

    with transaction.atomic():
        trades.hold_market(where)
        candles.refold_minutes(where, [at(minute) for minute in minutes])


def test_a_corrected_trade_changes_bars_and_is_told_with_both_values() -> None:
    where = closed(
        factory.market(),
        trade(1, "2026-11-23 12:00:01", "10.00"),
        trade(2, "2026-11-23 12:00:02", "100.00", "2"),
    )
    amending.correct(where, 2, values("10.50", "3"), WHY)
    assert bars_of(where, Interval.H1) == [(10, Decimal("10.5"), 10, Decimal("10.5"), 4, 2)]
    [told] = events("trade.busted")
    assert (told["id"], told["price"], told["quantity"]) == (2, "100.00", "2")
    assert (told["newPrice"], told["newQuantity"]) == ("10.50", "3")
    assert told["newQuoteQuantity"] == "31.50"
    amendment = Amendment.objects.get()
    assert (amendment.price, amendment.new_price, amendment.by) == (100, Decimal("10.5"), "ops")


def test_the_ticker_is_without_the_trade_at_once_and_pushed_anew() -> None:
    where = factory.market()
    trades.record(where, [new("10.00"), new("99.00")], source=TradeSource.REPLAYED)
    tickers.update()
    before = Ticker.objects.get(market=where)
    amending.bust(where, 2, WHY)
    after = Ticker.objects.get(market=where)
    assert (before.high, after.high, after.last, after.trade_count) == (99, 10, 10, 1)
    assert after.version == before.version + 1
    pushed = valkey.client().hget(valkey.key("state:ticker:XRPETH"), "version")
    assert pushed is not None
    assert int(pushed) == after.version


def new(price: str, quantity: str = "1") -> NewTrade:
    return NewTrade(price=Decimal(price), quantity=Decimal(quantity), is_buyer_maker=False)


def test_the_bar_in_progress_is_pushed_again_although_its_last_trade_is_an_older_one() -> None:
    where = factory.market()
    trades.record(where, [new("10.00")], source=TradeSource.REPLAYED)
    trades.record(where, [new("99.00")], source=TradeSource.REPLAYED)
    amending.bust(where, 2, WHY)
    frame = valkey.client().hget(valkey.key("state:candles:XRPETH:1M"), "frame")
    assert frame is not None
    assert b'"high":"10.00"' in frame


def test_a_busted_number_is_never_used_again() -> None:
    where = factory.market()
    trades.record(where, [new("10.00"), new("11.00")], source=TradeSource.REPLAYED)
    amending.bust(where, 2, WHY)
    [after] = trades.record(where, [new("12.00")], source=TradeSource.REPLAYED)
    assert (after.seq, after.first_id) == (3, 3)


def test_matching_goes_on_behind_a_busted_number() -> None:
    where, maker = trading.market(), rich()
    sell(where, maker, "2000", "3")
    buy(where, rich(), "2000", "1")
    amending.bust(where, 1, WHY)
    buy(where, rich(), "2000", "1")
    assert list(Trade.objects.values_list("seq", flat=True)) == [2]


def test_a_bust_returns_what_a_matched_trade_moved_fees_included() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    order = buy(where, buyer, "2000", "1")
    amending.bust(where, 1, WHY)
    assert funds(seller, "ETH") == (2, 0)
    assert funds(seller, "USDC") == (0, 0)
    assert funds(buyer, "USDC") == (5000, 0)
    assert funds(buyer, "ETH") == (0, 0)
    order.refresh_from_db()
    assert order.status == OrderStatus.FILLED
    assert not fills.of(buyer, where).exists()
    settle()
    assert not reconcile.check_all(from_genesis=True, acts=False).broken


def test_a_correction_of_a_matched_trade_moves_the_difference_and_its_fees() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    buy(where, buyer, "2000", "1")
    amending.correct(where, 1, values("1990"), WHY)
    assert funds(buyer, "USDC") == (5000 - 1990 - Decimal("1.99"), 0)
    assert funds(seller, "USDC") == (1990 - Decimal("0.995"), 0)
    [fill] = fills.as_they_stand(where, fills.of(buyer, where))
    assert (fill.price, fill.quote_quantity, fill.fee) == (1990, 1990, Decimal("1.99"))
    settle()
    assert not reconcile.check_all(from_genesis=True, acts=False).broken


def test_a_trade_may_be_corrected_twice_and_then_busted() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    buy(where, buyer, "2000", "1")
    for price in ("1990", "2010"):
        amending.correct(where, 1, values(price), WHY)
    amending.bust(where, 1, WHY)
    assert (funds(buyer, "USDC"), funds(seller, "ETH")) == ((5000, 0), (2, 0))
    assert list(Amendment.objects.order_by("epoch").values_list("price", flat=True)) == [
        2000,
        1990,
        2010,
    ]
    settle()
    assert not reconcile.check_all(from_genesis=True, acts=False).broken


def test_the_owners_are_told_their_side_as_it_was_and_is() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    buy(where, buyer, "2000", "1")
    amending.correct(where, 1, values("1990"), WHY)
    told = {row["userId"]: row for row in events("trade.busted") if "userId" in row}
    assert (told[buyer]["price"], told[buyer]["newPrice"]) == ("2000", "1990")
    assert (told[buyer]["fee"], told[buyer]["newFee"]) == ("2", "1.99")
    assert (told[seller]["fee"], told[seller]["newFee"]) == ("1", "0.995")


def test_who_has_spent_what_they_got_is_named_and_nothing_changes() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    buy(where, buyer, "2000", "1")
    sell(where, buyer, "2500", "0.6")  # holds what would have to be given back
    with pytest.raises(NotCovered, match=r"trader-\d+ must give back 1 ETH and has 0\.4 free"):
        amending.bust(where, 1, WHY)
    assert Trade.objects.filter(seq=1).exists()
    assert not Amendment.objects.exists()
    assert funds(buyer, "ETH") == (1, Decimal("0.6"))


def test_the_house_may_cover_what_a_side_has_spent() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    buy(where, buyer, "2000", "1")
    sell(where, buyer, "2500", "0.6")
    amending.bust(where, 1, Request(reason="a fat finger", by="ops", covers=True))
    assert funds(seller, "ETH") == (2, 0)
    assert funds(buyer, "ETH") == (Decimal("0.6"), Decimal("0.6"))
    lent = Account.objects.get(house=House.RECEIVABLE, asset__symbol="ETH")
    assert sum(lent.entries.values_list("amount", flat=True)) == Decimal("-0.6")
    settle()
    assert not reconcile.check_all(from_genesis=True, acts=False).broken


def test_a_frozen_side_gives_back_too() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    buy(where, buyer, "2000", "1")
    orders.freeze(buyer, reason="looked at")
    amending.bust(where, 1, WHY)
    assert funds(buyer, "ETH") == (0, 0)


@pytest.mark.parametrize(
    ("price", "quantity", "why"),
    [
        ("2000", "1", "stands at these values already"),
        ("2000.001", "1", "price 2000.001 is no multiple of 0.01"),
        ("1990", "2", "its quantity is its orders'"),
        ("0", "1", "must lie above zero"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(price: str, quantity: str, why: str) -> None:
    where = trading.market()
    sell(where, rich(), "2000", "1")
    buy(where, rich(), "2000", "1")
    with pytest.raises(Pointless, match=why):
        amending.correct(where, 1, values(price, quantity), WHY)
    assert not Amendment.objects.exists()


def test_a_trade_is_busted_once() -> None:
    where = closed(factory.market(), trade(1, "2026-11-23 12:00:01", "10.00"))
    with pytest.raises(NoSuchTrade, match="Trade 7 of XRPETH does not exist"):
        amending.bust(where, 7, WHY)
    amending.bust(where, 1, WHY)
    with pytest.raises(NoSuchTrade, match="was busted before"):
        amending.bust(where, 1, WHY)


def test_nobody_rewrites_what_was_done_to_a_trade() -> None:
    where = closed(factory.market(), trade(1, "2026-11-23 12:00:01", "10.00"))
    amending.bust(where, 1, WHY)
    for statement in (
        "UPDATE exchange_amendment SET reason = ''",
        "DELETE FROM exchange_amendment",
        "TRUNCATE exchange_amendment",
    ):
        with pytest.raises(Exception, match="append-only"):
            as_owner(statement)


def test_an_amendment_of_a_live_minute_closes_with_it() -> None:
    where = factory.market()
    now = clock.db_now()
    trades.record(where, [new("10.00"), new("99.00")], source=TradeSource.REPLAYED)
    amending.bust(where, 2, WHY)
    start = Interval.M1.floor(Trade.objects.get().executed_at)
    close(Interval.M1, start + timedelta(minutes=1))
    [bar] = events("candle.closed")
    assert (bar["high"], bar["tradeCount"], bar["revision"]) == ("10.00", 1, 1)
    assert now <= Trade.objects.get().executed_at


def test_a_live_minute_that_was_emptied_goes_on_with_a_higher_revision() -> None:
    where = factory.market()
    trades.record(where, [new("10.00"), new("11.00")], source=TradeSource.REPLAYED)
    minute = Interval.M1.floor(Trade.objects.latest("seq").executed_at)
    for seq in (2, 1):
        amending.bust(where, seq, WHY)
    late = trade(3, minute, "13.00")
    traded(where, late)
    assert Candle.objects.get().revision == 3


def test_a_bar_in_progress_is_not_told_its_childrens_revision() -> None:
    open_since("2026-11-23 12:00")
    where = factory.market()
    traded(
        where,
        trade(1, "2026-11-23 12:00:30", "10.00"),
        trade(2, "2026-11-23 12:00:40", "99.00"),
        trade(3, "2026-11-23 12:06:00", "11.00"),
    )
    Trade.objects.update(source=TradeSource.REPLAYED)
    amending.bust(where, 2, WHY)
    now = at("2026-11-23 12:07")
    found = candles.in_progress(where, now=now)
    assert {interval: bar.revision for interval, bar in found.items()} == dict.fromkeys(found, 0)
    shown = klines.read(where, Interval.H1, Wish(limit=1), now=now)
    assert shown[0].revision == 0


def test_a_trade_that_was_the_last_of_a_halted_market_leaves_its_open_bars() -> None:
    where = factory.market()
    trades.record(where, [new("10.00")], source=TradeSource.REPLAYED)
    month = Interval.MONTH.floor(clock.db_now())
    Trade.objects.update(executed_at=month - timedelta(days=1))
    Candle.objects.update(open_time=Interval.M1.floor(month - timedelta(days=1)))
    trades.record(where, [new("99.00")], source=TradeSource.REPLAYED)
    markets.halt(where, reason="a fat finger", by="ops")
    amending.bust(where, 2, WHY)
    for interval in ("1h", "1M"):
        frame = valkey.client().hget(valkey.key(f"state:candles:XRPETH:{interval}"), "frame")
        assert frame is not None
        assert b'"close":"10.00"' in frame
        assert b'"tradeCount":0' in frame


def test_a_fill_that_was_busted_is_no_second_fill_in_the_former_services_words() -> None:
    where, seller, buyer = trading.market(), trader(ETH="2"), trader(USDC="5000")
    sell(where, seller, "2000", "1")
    buy(where, buyer, "2000", "1")
    amending.bust(where, 1, WHY)
    told = [row for row in events("trade.busted") if "userId" in row]
    assert [own.trade_update("trade.busted", row)[0] for row in told] == ["trade.busted"] * 2


def test_a_correction_names_only_what_changes() -> None:
    where = closed(factory.market(), trade(1, "2026-11-23 12:00:01", "10.00", "3"))
    amending.correct(where, 1, Values(price=Decimal("10.50")), WHY)
    row = Trade.objects.get()
    assert (row.price, row.quantity) == (Decimal("10.5"), 3)
    with pytest.raises(Pointless, match="up to 9000000000"):
        amending.correct(where, 1, Values(quantity=Decimal(10) ** 12), WHY)
