"""Audits find what is wrong with market data, say which field, and say it once."""

import threading
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import Client

from apps.exchange import amending, audits, candles, markets, tasks, tickers, trades
from apps.exchange.amending import Request
from apps.exchange.audits import findings, rounds
from apps.exchange.models import (
    Candle,
    CandleDigest,
    Finding,
    Market,
    MarketStatus,
    Ticker,
    Trade,
    TradeSource,
)
from apps.exchange.tests.factory import at, market, open_since, trade, traded
from apps.exchange.tests.office import said
from apps.exchange.trades import NewTrade
from moonx.core import clock, locks
from moonx.core.intervals import Interval
from moonx.core.locks import Lock
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

FOUND = ["check_name", "interval", "at", "field", "stored", "expected"]


@pytest.fixture
def where(committed_db: None) -> Market:
    """A market whose bars are closed up to now, and which a first look found right."""
    found = market(status=MarketStatus.BREAK, recorded_until=at("2026-11-24 00:00"))
    open_since("2026-11-23 00:00")
    traded(
        found,
        *(
            trade(seq, at("2026-11-23 12:00") + timedelta(seconds=20 * seq), price, "2")
            for seq, price in enumerate(["10", "12", "11", "13", "9", "14", "10", "15"], start=1)
        ),
    )
    close_all()
    tickers.update()
    assert look() == 0
    return found


def close_all() -> None:
    now = clock.db_now()
    for interval in Interval:
        with transaction.atomic():
            locks.hold(Lock.CANDLE_FOLD)
            candles.close_until(interval, until=interval.floor(now))


def look() -> int:
    return audits.look(confirm_s=0).fresh


def found() -> list[tuple[Any, ...]]:
    return list(Finding.objects.order_by("id").values_list(*FOUND))


def alerts() -> list[str]:
    rows = OutboxEvent.objects.filter(name="system.alert").order_by("id")
    return [row.payload["message"] for row in rows]


def test_a_bar_that_is_off_by_one_unit_is_named_with_its_field(
    where: Market,
) -> None:
    moment = at("2026-11-23 12:01")
    Candle.objects.filter(interval="1m", open_time=moment).update(high=Decimal("13.01"))
    assert look() == 1
    assert found() == [("bars", "1m", moment, "high", "13.01", "13")]
    assert "XRPETH 1m bar of 2026-11-23 12:01:00 UTC: high is 13.01, not 13." in alerts()


def test_a_deleted_bar_is_missed(where: Market) -> None:
    moment = at("2026-11-23 12:02")
    Candle.objects.filter(interval="1m", open_time=moment).delete()
    look()
    assert ("bars", "1m", moment, "bar", "missing", "one of 3 trades") in found()


def test_a_bar_that_no_trade_makes_is_found(where: Market) -> None:
    row = Candle.objects.filter(interval="1m").first()
    assert row is not None
    row.pk, row.open_time = None, at("2026-11-23 14:00")
    row.save()
    look()
    expected = ("bars", "1m", at("2026-11-23 14:00"), "bar", "one of 2 trades", "missing")
    assert expected in found()


def test_a_parent_that_is_off_is_found_in_every_interval(where: Market) -> None:
    for interval in [one for one in Interval if one.child]:
        Candle.objects.filter(interval=interval.value).update(close=Decimal("15.5"))
        look()
        Candle.objects.filter(interval=interval.value).update(close=Decimal(15))
    stored = set(Candle.objects.exclude(interval="1m").values_list("interval", flat=True))
    named = {row[1] for row in found() if row[0] == "parents" and row[3] == "close"}
    assert named == stored
    assert {"5m", "15m", "30m", "1h", "4h", "1d"} <= named


def test_a_deleted_parent_is_missed(where: Market) -> None:
    Candle.objects.filter(interval="1h").delete()
    look()
    assert ("parents", "1h", at("2026-11-23 12:00"), "bar", "missing", "one of 8 trades") in found()


def test_trades_that_changed_behind_their_closed_bar_are_found_though_the_bar_adds_up(
    where: Market,
) -> None:
    one, other = Trade.objects.filter(seq__in=[4, 5]).order_by("seq")
    extra = trade(9, "2026-11-23 12:01:50", "9.5", "2")
    assert (one.price, other.price) == (13, 9)
    # Two trades in the middle of a minute swap places: all of the bar's fields stay the same.
    with transaction.atomic():
        trades.hold_market(where)
        trades.insert(where, [extra], source=TradeSource.IMPORTED)
        candles.refold_minutes(where, [at("2026-11-23 12:01")])
    tickers.update()
    assert look() == 0
    Trade.objects.filter(seq=4).update(price=9)
    Trade.objects.filter(seq=5).update(price=13)
    look()
    assert ("trades", "1m", at("2026-11-23 12:01"), "trades") in [row[:4] for row in found()]


@pytest.mark.parametrize(
    "change",
    [
        {"high": Decimal(99)},
        {"open": Decimal(1)},
        {"low": Decimal("8.99")},
        {"last": Decimal(2)},
        {"last_quantity": Decimal(3)},
        {"previous_close": Decimal(7)},
        {"base_volume": Decimal(17)},
        {"quote_volume": Decimal(1)},
        {"trade_count": 9},
        {"first_id": 2},
        {"last_id": 7},
        {"close_time": at("2026-11-23 23:59")},
    ],
)
def test_each_wrong_field_of_a_ticker_is_named(where: Market, change: dict[str, Any]) -> None:
    [(name, value)] = change.items()
    Ticker.objects.filter(market=where).update(**change)
    assert look() >= 1
    row = Finding.objects.get(field=name)
    assert (row.check_name, row.interval) == ("tickers", "24h")
    assert row.stored == (
        str(value) if not isinstance(value, Decimal) else f"{value.normalize():f}"
    )


def test_a_ticker_that_something_else_wrote_is_found_before_its_next_run_hides_it(
    where: Market,
) -> None:
    Ticker.objects.filter(market=where).update(high=Decimal(99))
    tasks.update_tickers()
    assert [row[3:] for row in found()] == [("high", "99", "15")]
    assert Ticker.objects.get(market=where).high == 15
    assert look() == 0
    assert Finding.objects.get().resolved_at is not None


def test_a_finding_is_told_once_and_resolved_by_the_look_that_finds_it_right(
    where: Market,
) -> None:
    moment = at("2026-11-23 12:02")
    Candle.objects.filter(interval="1d").update(low=Decimal(1))
    assert look() == 1
    assert look() == 0
    row = Finding.objects.get()
    assert (row.times, len(alerts())) == (2, 1)
    Candle.objects.filter(interval="1d").update(low=Decimal(9))
    assert look() == 0
    row.refresh_from_db()
    assert row.resolved_at is not None
    assert moment < row.resolved_at


def test_a_busy_market_gives_no_false_alarm(where: Market) -> None:
    live = market("ADAETH")
    for _ in range(5):
        batch = [NewTrade(price=Decimal(2), quantity=Decimal(1), is_buyer_maker=False)] * 3
        trades.record(live, batch, source=TradeSource.REPLAYED)
        tickers.update()
        trades.record(live, batch, source=TradeSource.REPLAYED)
        assert look() == 0


def test_older_bars_are_looked_at_in_turn_where_they_are_too_many(
    where: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "SLICE", 1)
    Candle.objects.filter(interval="1m", open_time=at("2026-11-23 12:02")).update(low=1)
    counts = [audits.look(budget_s=0.0, confirm_s=0).fresh for _ in range(2)]
    assert counts == [0, 0]  # no time for what is old
    assert audits.look(budget_s=60, confirm_s=0).fresh >= 1


def test_bars_from_before_digests_get_theirs_from_the_first_look(where: Market) -> None:
    count = CandleDigest.objects.count()
    assert count == 3
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM exchange_candledigest")
    look()
    assert CandleDigest.objects.count() == count


def test_the_task_says_what_it_looked_at(where: Market) -> None:
    sentence = tasks.audit_market_data()
    assert sentence.startswith("Audited ")
    assert " and 1 tickers: 0 new findings, 0 stand " in sentence


def test_a_halt_and_a_resume_are_no_findings(where: Market) -> None:
    live = market("ADAETH")
    trades.record(
        live,
        [NewTrade(price=Decimal(2), quantity=Decimal(1), is_buyer_maker=False)],
        source=TradeSource.REPLAYED,
    )
    tasks.update_tickers()
    markets.halt(live, reason="odd prices", by="ops")
    tasks.update_tickers()
    assert look() == 0
    markets.resume(live, reason="looked at", by="ops")
    tasks.update_tickers()
    assert look() == 0
    assert found() == []


def test_a_look_beside_trades_busts_and_halts_gives_no_false_alarm(where: Market) -> None:
    live = market("ADAETH")
    stop = threading.Event()
    worker = threading.Thread(target=busy, args=(live, stop))
    worker.start()
    try:
        for _ in range(12):
            tasks.update_tickers()
            audits.look(confirm_s=0.3)
    finally:
        stop.set()
        worker.join()
    assert found() == []


def busy(live: Market, stop: threading.Event) -> None:
    """Trades, busts and halts of a market, one after the other, until `stop`."""
    new = NewTrade(price=Decimal(2), quantity=Decimal(1), is_buyer_maker=False)
    count = 0
    try:
        while not stop.is_set():
            executed = trades.record(live, [new] * 3, source=TradeSource.REPLAYED)
            count += 1
            if count % 5 == 0:
                amending.bust(live, executed[1].seq, Request(reason="x", by="y"))
            if count % 20 == 0:
                markets.halt(live, reason="x", by="y")
                markets.resume(live, reason="x", by="y")
    finally:
        connection.close()


def test_a_gap_of_any_size_is_looked_at_in_slices_of_trades(
    where: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "SLICE_TRADES", 2)
    Candle.objects.all().delete()
    assert look() >= 3
    missing = {row[2] for row in found() if row[:2] == ("bars", "1m")}
    assert missing == {at("2026-11-23 12:00"), at("2026-11-23 12:01"), at("2026-11-23 12:02")}


def test_many_findings_are_told_in_few_alerts_and_none_is_resolved_that_was_cut_off(
    where: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    Candle.objects.filter(interval="1d").update(low=Decimal(1))
    look()
    monkeypatch.setattr(findings, "MOST", 1)
    Candle.objects.filter(interval="1m").update(low=Decimal(1), high=Decimal(99))
    look()
    assert Finding.objects.filter(resolved_at=None, interval="1d").exists()


def test_a_minute_that_lost_trades_and_bar_is_found_and_can_be_accepted(where: Market) -> None:
    moment = at("2026-11-23 12:02")
    Trade.objects.filter(executed_at__gte=moment).delete()
    Candle.objects.filter(interval="1m", open_time=moment).delete()
    look()
    assert ("trades", "1m", moment, "trades", "gone") in [row[:5] for row in found()]
    backfill("--accept-trades")
    tickers.update()
    assert look() == 0
    assert not Finding.objects.filter(resolved_at=None).exists()


# Repair


def backfill(*options: str) -> str:
    out = StringIO()
    call_command("backfill_candles", *options, stdout=out)
    return out.getvalue()


def test_what_was_damaged_is_made_anew_and_the_next_look_resolves_it(where: Market) -> None:
    wanted = bars()
    Candle.objects.filter(interval="1m", open_time=at("2026-11-23 12:02")).delete()
    Candle.objects.filter(interval="1h").update(high=Decimal(77))
    Candle.objects.filter(interval="1d").delete()
    assert look() > 0
    text = backfill("XRPETH", "--from=2026-11-23T00:00Z", "--to=2026-11-24")
    assert "XRPETH: " in text
    assert "1 of 1m" in text
    assert bars() == wanted
    look()
    assert not Finding.objects.filter(resolved_at=None).exists()


def bars() -> list[tuple[Any, ...]]:
    names = ["interval", "open_time", *candles.FIELDS.split(", ")[1:-1]]
    return list(Candle.objects.order_by("interval", "open_time").values_list(*names))


def test_a_backfill_of_what_is_right_changes_nothing(where: Market) -> None:
    before = list(Candle.objects.order_by("id").values_list())
    assert "0 bars changed." in backfill()
    assert list(Candle.objects.order_by("id").values_list()) == before


def test_a_dry_run_says_what_it_would_change(where: Market) -> None:
    Candle.objects.filter(interval="1m").delete()
    OutboxEvent.objects.all().delete()
    assert "3 of 1m" in backfill("--dry-run")
    assert not Candle.objects.filter(interval="1m").exists()
    assert not OutboxEvent.objects.exists()


def test_only_the_given_span_is_touched(where: Market) -> None:
    Candle.objects.filter(interval="1m").update(taker_base_volume=Decimal(7))
    backfill("--from=2026-11-23T12:01Z", "--to=2026-11-23T12:02Z")
    kept = Candle.objects.filter(interval="1m").exclude(taker_base_volume=7)
    assert [row.open_time for row in kept] == [at("2026-11-23 12:01")]


def test_trades_that_changed_after_their_minute_closed_are_not_taken_for_right(
    where: Market,
) -> None:
    Trade.objects.filter(seq=4).update(price=Decimal(50))
    with pytest.raises(CommandError, match="1 minutes were left as they are"):
        backfill()
    assert not Candle.objects.filter(interval="1m", high=50).exists()
    assert "1 of 1m" in backfill("--accept-trades")
    assert Candle.objects.filter(interval="1m", high=50).exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["NONE"], "There is no market NONE"),
        (["--from=2026-11-24", "--to=2026-11-23"], "--from must lie before --to"),
        (["--from=yesterday"], "is not a time like"),
    ],
)
def test_what_cannot_be_backfilled_is_said(where: Market, options: list[str], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        backfill(*options)


def test_an_operator_has_bars_made_anew_from_the_list(where: Market, staff: Client) -> None:
    Candle.objects.filter(interval="1m", open_time=at("2026-11-23 12:02")).delete()
    look()
    page = "/admin/exchange/finding/"
    ids = list(Finding.objects.filter(check_name="bars").values_list("pk", flat=True))
    staff.post(page, {"action": "repair", "_selected_action": ids})
    assert "1 bars changed" in said(staff, page)
    assert Candle.objects.filter(interval="1m").count() == 3


def test_who_may_only_look_has_nothing_made_anew(where: Market, reader: Client) -> None:
    assert b"Make the bars anew" not in reader.get("/admin/exchange/finding/").content
