"""The admin as its users meet it, over HTTP."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from apps.exchange import markets
from apps.exchange.ledger import reconcile
from apps.exchange.models import (
    Asset,
    CandleWatermark,
    Check,
    Finding,
    Market,
    Ticker,
    Trade,
    Trader,
)
from apps.stats.models import Published
from moonx import schedule
from moonx.admin import statistics
from moonx.celery import app
from moonx.core import clock, valkey
from moonx.core.intervals import Interval, to_ms
from moonx.core.models import Cursor, Heartbeat

pytestmark = pytest.mark.django_db

SCHEDULE = "admin:django_celery_beat_periodictask"


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ops"))
    return client


@pytest.fixture
def entry() -> PeriodicTask:
    schedule.install()
    return PeriodicTask.objects.get(name="exchange.update_tickers")


@pytest.fixture
def broker() -> Iterator[Any]:
    """The broker with an empty queue of tickers."""
    server, queue = valkey.connect(os.environ["BROKER_URL"]), valkey.key("tickers")
    server.delete(queue)
    yield lambda: [json.loads(body) for body in server.lrange(queue, 0, -1)]
    server.delete(queue)


def market(symbol: str = "XRPETH") -> Market:
    base, _ = Asset.objects.get_or_create(symbol="XRP", defaults={"name": "XRP"})
    quote, _ = Asset.objects.get_or_create(symbol="ETH", defaults={"name": "Ether", "decimals": 18})
    return Market.objects.create(
        symbol=symbol,
        base=base,
        quote=quote,
        tick_size=Decimal("0.0001"),
        step_size=Decimal(1),
    )


def form(entry: PeriodicTask, **changes: Any) -> dict[str, Any]:
    return {
        "name": entry.name,
        "task": entry.task,
        "queue": entry.queue,
        "enabled": "on",
        "interval": entry.interval_id or "",
        "crontab": entry.crontab_id or "",
        "description": "",
        **changes,
    }


def said(response: Any) -> str:
    return " ".join(str(message) for message in response.context["messages"])


admin.autodiscover()
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_list_opens_and_can_be_searched(staff: Client, model: Any) -> None:
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    assert staff.get(address).status_code == 200
    assert staff.get(address, {"q": "7"}).status_code == 200


def test_the_admin_opens_for_staff_only() -> None:
    client = Client()
    client.force_login(User.objects.create_user("alice"))
    response = client.get("/admin/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("model", ["trade", "candle", "ticker", "candlewatermark"])
def test_what_is_derived_is_never_added_by_hand(staff: Client, model: str) -> None:
    assert staff.get(f"/admin/exchange/{model}/add/").status_code == 403


def test_a_trade_is_shown_and_refuses_changes(staff: Client) -> None:
    trade = Trade.objects.create(
        market=market(),
        seq=1,
        first_id=1,
        last_id=1,
        price=Decimal("0.0014"),
        quantity=Decimal(10),
        quote_quantity=Decimal("0.014"),
        is_buyer_maker=True,
        executed_at=clock.db_now(),
        source="matched",
    )
    address = reverse("admin:exchange_trade_change", args=[trade.pk])
    assert b"0.0014" in staff.get(address).content
    assert staff.post(address, {"price": "1"}).status_code == 403
    assert staff.post(reverse("admin:exchange_trade_delete", args=[trade.pk])).status_code == 403


@pytest.mark.parametrize("model", ["market", "ticker"])
def test_a_list_asks_as_many_queries_for_many_rows_as_for_one(staff: Client, model: str) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert staff.get(f"/admin/exchange/{model}/").status_code == 200
        return len(asked)

    now = clock.db_now()
    Ticker.objects.create(market=market("A"), open_time=now, close_time=now, as_of=now)
    queries()
    one = queries()
    for symbol in ("B", "C", "D"):
        Ticker.objects.create(market=market(symbol), open_time=now, close_time=now, as_of=now)
    assert queries() == one


def test_increments_that_the_quote_asset_cannot_hold_are_refused(staff: Client) -> None:
    pair = market()
    fields = {"label": "", "min_notional": "0", "max_quantity": "1", "max_market_quantity": "1"}
    limits = {"price_up": "5", "price_down": "0.2", "collar_bps": "500", "max_open_orders": "9"}
    response = staff.post(
        reverse("admin:exchange_market_change", args=[pair.pk]),
        {**fields, **limits, "tick_size": "0.0000000001", "step_size": "0.000000001"},
    )
    assert response.status_code == 200
    assert "Price × quantity needs 19 decimals, ETH has 18" in response.content.decode()


def test_only_a_task_of_the_schedule_can_be_entered(staff: Client, entry: PeriodicTask) -> None:
    address = reverse(f"{SCHEDULE}_change", args=[entry.pk])
    response = staff.post(address, form(entry, task="celery.backend_cleanup"))
    assert response.status_code == 200
    assert "celery.backend_cleanup is not one of the available choices" in (
        response.content.decode().replace("&#x27;", "")
    )
    entry.refresh_from_db()
    assert entry.task == "exchange.update_tickers"


def test_an_entry_without_a_pace_is_refused(staff: Client, entry: PeriodicTask) -> None:
    address = reverse(f"{SCHEDULE}_change", args=[entry.pk])
    response = staff.post(address, form(entry, interval=""))
    assert "Choose an interval or a calendar" in response.content.decode()


def test_a_changed_pace_changes_when_messages_expire(staff: Client, entry: PeriodicTask) -> None:
    pace = IntervalSchedule.objects.create(every=2, period=IntervalSchedule.SECONDS)
    address = reverse(f"{SCHEDULE}_change", args=[entry.pk])
    assert staff.post(address, form(entry, interval=pace.pk)).status_code == 302
    entry.refresh_from_db()
    assert (entry.interval, entry.expire_seconds) == (pace, 2)


def test_run_now_sends_the_task_once_and_says_so(
    staff: Client, entry: PeriodicTask, broker: Any
) -> None:
    response = staff.post(
        reverse(f"{SCHEDULE}_changelist"),
        {"action": "run_selected", "_selected_action": [entry.pk]},
        follow=True,
    )
    assert said(response) == (
        "exchange.update_tickers was sent once to queue tickers. "
        "It is dropped if no worker takes it within 5 s."
    )
    [message] = broker()
    assert message["headers"]["task"] == "exchange.update_tickers"
    assert message["headers"]["expires"] is not None
    assert LogEntry.objects.get().get_change_message() == "Run now."


def test_run_now_stands_on_each_row_and_page(
    staff: Client, entry: PeriodicTask, broker: Any
) -> None:
    page = staff.get(reverse(f"{SCHEDULE}_change", args=[entry.pk])).content.decode()
    address = reverse(f"{SCHEDULE}_run_one", args=[entry.pk])
    assert address in page
    staff.get(address)
    assert len(broker()) == 1


def test_each_task_of_market_data_can_be_run_now(staff: Client) -> None:
    schedule.install()
    server = valkey.connect(os.environ["BROKER_URL"])
    queues = [valkey.key(name) for name in ("tickers", "candles")]
    server.delete(*queues)
    rows = PeriodicTask.objects.filter(queue__in=["tickers", "candles"])
    data = {"action": "run_selected", "_selected_action": [row.pk for row in rows]}
    staff.post(reverse(f"{SCHEDULE}_changelist"), data)
    sent = [json.loads(body) for name in queues for body in server.lrange(name, 0, -1)]
    server.delete(*queues)
    assert sorted(message["headers"]["task"] for message in sent) == sorted(
        ["exchange.update_tickers", *(f"exchange.close_candles_{one}" for one in Interval)]
    )


def test_run_now_without_a_broker_says_that_nothing_was_sent(
    staff: Client, entry: PeriodicTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("broker_url", "broker_write_url"):
        monkeypatch.setitem(app.conf, name, "redis://127.0.0.1:9/0")
    # Connections of its own, so that those to the real broker stay for other tests.
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    monkeypatch.setattr(app, "_pool", None)
    response = staff.get(reverse(f"{SCHEDULE}_run_one", args=[entry.pk]), follow=True)
    assert "was not sent: the broker does not answer" in said(response)


def test_an_unknown_task_is_not_sent(staff: Client, broker: Any) -> None:
    row = PeriodicTask.objects.create(
        name="odd",
        task="os.system",
        queue="tickers",
        interval=IntervalSchedule.objects.create(every=9, period=IntervalSchedule.SECONDS),
    )
    response = staff.get(reverse(f"{SCHEDULE}_run_one", args=[row.pk]), follow=True)
    assert "os.system is not a task of the schedule" in said(response)
    assert broker() == []


def test_who_may_only_look_cannot_run_a_task(entry: PeriodicTask, broker: Any) -> None:
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_periodictask"))
    client = Client()
    client.force_login(user)
    assert client.get(reverse(f"{SCHEDULE}_changelist")).status_code == 200
    assert client.get(reverse(f"{SCHEDULE}_run_one", args=[entry.pk])).status_code == 403
    assert broker() == []


def test_disabling_an_entry_tells_beat(staff: Client, entry: PeriodicTask) -> None:
    before = PeriodicTasks.last_change()
    staff.post(
        reverse(f"{SCHEDULE}_changelist"), {"action": "disable", "_selected_action": [entry.pk]}
    )
    entry.refresh_from_db()
    assert entry.enabled is False
    assert PeriodicTasks.last_change() > before


def close_all() -> None:
    """Every interval is closed up to the present, whatever other tests left."""
    for row in CandleWatermark.objects.all():
        row.closed_until = Interval(row.interval).floor(clock.db_now())
        row.save()


def test_the_first_page_tells_what_needs_a_human_and_leads_there(
    staff: Client, entry: PeriodicTask
) -> None:
    long_ago = clock.db_now() - timedelta(minutes=10)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_outbox (name, key, topics, payload, created_at) "
            "VALUES ('system.alert', 'k', '[]', '{}', %s)",
            [long_ago],
        )
    Heartbeat.objects.create(
        instance="relay@h", role="relay", host="h", pid=1, started_at=long_ago, beat_at=long_ago
    )
    PeriodicTask.objects.filter(pk=entry.pk).update(last_run_at=long_ago)
    close_all()
    CandleWatermark.objects.filter(interval="1m").update(closed_until=long_ago)
    pair = market()
    markets.halt(pair, reason="odd prices", by="ops")
    Finding.objects.create(
        check_name=Check.BARS,
        market=pair,
        interval="1m",
        at=long_ago,
        field="high",
        stored="2",
        expected="1",
        first_seen=long_ago,
        last_seen=long_ago,
    )
    frozen = User.objects.create_user("mallory")
    Trader.objects.create(user=frozen, frozen_at=long_ago, freeze_reason="odd orders")
    Cursor.objects.create(name=reconcile.CURSOR, position=1)
    Cursor.objects.update(updated_at=long_ago)
    response = staff.get("/admin/")
    cards = {card.title: card for card in response.context["cards"]}
    # Those of statistics have tests of their own.
    own = {card.title for card in statistics.cards(now=clock.db_now())}
    assert not any(card.is_fine for title, card in cards.items() if title not in own)
    assert cards["Silent processes"].sentence == "relay"
    assert "exchange.update_tickers" in cards["Late tasks"].sentence
    assert "is the relay running?" in cards["Events waiting"].sentence
    assert cards["Stale market data"].sentence == "1m"
    assert cards["Wrong market data"].sentence == "XRPETH 1m high"
    assert cards["Halted markets"].sentence == "XRPETH (odd prices)"
    assert cards["Frozen traders"].sentence == "mallory"
    assert (cards["Ledger"].figure, "10" in cards["Ledger"].sentence) == ("unclean", True)
    late = staff.get(cards["Late tasks"].link).context["cl"].result_list
    assert [row.name for row in late] == ["exchange.update_tickers"]
    silent = staff.get(cards["Silent processes"].link).context["cl"].result_list
    assert [row.role for row in silent] == ["relay"]
    for title in ("Wrong market data", "Halted markets", "Frozen traders"):
        assert len(staff.get(cards[title].link).context["cl"].result_list) == 1


def test_the_first_page_is_calm_when_nothing_is_amiss(staff: Client) -> None:
    schedule.install()
    close_all()
    now = clock.db_now()
    quotes = {"verdict": "healthy", "reasons": [], "errors": {}, "sampledAt": to_ms(now)}
    Published.objects.create(subject="bridge:relay:base:bsc:100", payload=quotes, as_of=now)
    response = staff.get("/admin/")
    assert all(card.is_fine for card in response.context["cards"])
