"""Orders and the ledger in the admin: what operators see, what they end, and who may not."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.exchange.models import (
    Account,
    Fill,
    House,
    Journal,
    Market,
    Order,
    OrderStatus,
    Reason,
    Seal,
    SealedBalance,
    Trade,
)
from apps.exchange.tests import trading
from apps.exchange.tests.office import WHY, body, event, page, publish, said, traded
from moonx.core import clock
from moonx.core.models import OutboxEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def market() -> Market:
    return trading.market()


# Orders


def test_a_list_of_orders_is_found_by_number_client_id_and_owner(
    staff: Client, market: Market
) -> None:
    owner = trading.rich()
    order = trading.buy(market, owner, "2000", "1", client_order_id="mine-1")
    trading.buy(market, trading.rich(), "2000", "1", client_order_id="other-1")
    address = reverse("admin:exchange_order_changelist")
    for term in (str(order.pk), "mine-1", order.owner.username):
        found = staff.get(address, {"q": term}).context["cl"].result_list
        assert [row.pk for row in found] == [order.pk], term
    assert not staff.get(address, {"q": "nobody's"}).context["cl"].result_list


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"open": "yes"}, 1),
        ({"open": "no"}, 1),
        ({"status__exact": "FILLED"}, 1),
        ({"side__exact": "SELL"}, 1),
        ({"type__exact": "MARKET"}, 0),
    ],
)
def test_orders_are_filtered(
    staff: Client, market: Market, query: dict[str, str], count: int
) -> None:
    traded(market)
    found = staff.get(reverse("admin:exchange_order_changelist"), query).context["cl"]
    assert len(found.result_list) == count


def test_a_list_of_orders_asks_as_many_queries_for_many_as_for_one(
    staff: Client, market: Market
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            body(staff, reverse("admin:exchange_order_changelist"))
        return len(asked)

    trading.buy(market, trading.rich(), "2000", "1")
    queries()
    one = queries()
    for _ in range(3):
        trading.buy(market, trading.rich(), "2000", "1")
    assert queries() == one


def test_an_order_leads_to_its_trades_journals_entries_accounts_and_events(
    staff: Client, market: Market
) -> None:
    maker, taker = traded(market)
    publish()
    trade, journal = Trade.objects.get(), Journal.objects.get(kind="trade")
    shown = body(staff, page(taker))
    accepted = event("order.accepted", correlation_id="taker-chain")
    accounts = (taker.base_account, taker.quote_account)
    for address in map(page, (trade, journal, *accounts)):
        assert address in shown
    assert reverse("admin:core_publishedevent_change", args=[accepted.pk]) in shown
    assert "order.filled" in shown
    assert "3.000000000000000000" not in shown, "amounts have no needless zeros"
    for address in map(page, (maker, taker, journal)):
        assert address in body(staff, page(trade))
    shown = body(staff, page(journal))
    assert page(trade) in shown
    for account in Account.objects.filter(entries__journal=journal):
        assert page(account) in shown
    assert page(journal) in body(staff, page(taker.base_account))
    assert page(maker) in body(staff, page(maker.base_account)), "who holds of it"


def test_an_event_leads_back_to_what_it_is_about(staff: Client, market: Market) -> None:
    _, taker = traded(market)
    publish()

    def about(name: str, **fields: Any) -> str:
        found = event(name, **fields)
        return body(staff, reverse("admin:core_publishedevent_change", args=[found.pk]))

    assert page(taker) in about("order.filled", correlation_id="taker-chain")
    assert page(Trade.objects.get()) in about("trade.executed")
    assert page(market) in about("trade.executed")
    assert page(taker.base_account) in about(
        "balance.credited", key=f"account:{taker.owner_id}:ETH"
    )


def test_a_page_of_an_order_costs_the_same_for_many_fills(staff: Client, market: Market) -> None:
    def queries(order: Order) -> int:
        with CaptureQueriesContext(connection) as asked:
            body(staff, page(order))
        return len(asked)

    maker = trading.sell(market, trading.rich(), "3000", "10")
    trading.buy(market, trading.rich(), "3000", "1")
    queries(maker)
    one = queries(maker)
    for _ in range(4):
        trading.buy(market, trading.rich(), "3000", "1")
    assert Fill.objects.filter(order=maker).count() == 5
    assert queries(maker) == one


def test_every_day_of_events_has_an_index_by_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(i.indexrelid) FROM pg_inherits d LEFT JOIN pg_index i "
            "ON i.indrelid = d.inhrelid AND pg_get_indexdef(i.indexrelid) LIKE "
            "'%%brin (relayed_at)%%autosummarize%%' WHERE d.inhparent = 'core_event'::regclass"
        )
        days, indexed = cursor.fetchone()
    assert days == indexed > 1


def test_canceling_an_order_frees_its_hold_and_says_who_and_why(
    staff: Client, market: Market
) -> None:
    owner = trading.rich()
    order = trading.buy(market, owner, "2000", "1")
    assert "Cancel order" in body(staff, page(order))
    asked = body(staff, page(order, tail="cancel"))
    assert "Reason" in asked
    order.refresh_from_db()
    assert order.status == OrderStatus.NEW, "asking ends nothing"
    assert staff.post(page(order, tail="cancel"), WHY).status_code == 302
    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELED, Reason.OPERATOR)
    assert trading.funds(owner, "USDC") == (1_000_000, 0)
    entry = LogEntry.objects.get()
    assert entry.get_change_message() == "Canceled: a customer asked for it"
    assert (entry.user.username, entry.object_id) == ("ops", str(order.pk))
    assert OutboxEvent.objects.filter(name="order.canceled").count() == 1
    assert "Canceled: a customer asked for it" in body(staff, page(order, tail="history"))


def test_expiring_an_order_now_ends_it_as_its_time_would(staff: Client, market: Market) -> None:
    order = trading.buy(market, trading.rich(), "2000", "1")
    assert staff.post(page(order, tail="expire"), WHY).status_code == 302
    order.refresh_from_db()
    assert (order.status, order.reason, order.held) == (OrderStatus.EXPIRED, Reason.OPERATOR, 0)
    assert LogEntry.objects.get().get_change_message() == "Expired: a customer asked for it"


@pytest.mark.parametrize("reason", ["", "   "])
def test_nothing_is_ended_without_a_reason(staff: Client, market: Market, reason: str) -> None:
    order = trading.buy(market, trading.rich(), "2000", "1")
    answer = staff.post(page(order, tail="cancel"), {**WHY, "reason": reason})
    assert "required" in answer.content.decode()
    order.refresh_from_db()
    assert order.status == OrderStatus.NEW


def test_an_order_that_ended_meanwhile_is_said_to_be_over(staff: Client, market: Market) -> None:
    _, taker = traded(market)
    assert "Cancel order" not in body(staff, page(taker))
    staff.post(page(taker, tail="cancel"), WHY)
    assert f"Order {taker.pk} is not open any more." in said(staff, page(taker))
    taker.refresh_from_db()
    assert taker.status == OrderStatus.FILLED
    assert not LogEntry.objects.exists()


def test_selected_orders_are_canceled_with_one_reason(staff: Client, market: Market) -> None:
    owner = trading.rich()
    orders = [trading.buy(market, owner, "2000", "1") for _ in range(3)]
    address = reverse("admin:exchange_order_changelist")
    action = {"action": "cancel_selected", "_selected_action": [o.pk for o in orders[:2]]}
    answer = staff.post(address, action, follow=True)
    assert "Say why" in " ".join(map(str, answer.context["messages"]))
    assert Order.objects.filter(status=OrderStatus.NEW).count() == 3
    answer = staff.post(address, {**action, "reason": "cleaning up"}, follow=True)
    assert "2 canceled." in " ".join(map(str, answer.context["messages"]))
    assert Order.objects.filter(status=OrderStatus.CANCELED).count() == 2
    assert LogEntry.objects.count() == 2


@pytest.mark.parametrize("tail", ["cancel", "expire"])
def test_who_may_only_look_ends_no_order(reader: Client, market: Market, tail: str) -> None:
    order = trading.buy(market, trading.rich(), "2000", "1")
    shown = body(reader, page(order))
    assert "Cancel order" not in shown
    assert "Expire now" not in shown
    assert reader.get(page(order, tail=tail)).status_code == 403
    assert reader.post(page(order, tail=tail), WHY).status_code == 403
    reader.post(
        reverse("admin:exchange_order_changelist"),
        {"action": "cancel_selected", "_selected_action": [order.pk], "reason": "because"},
    )
    order.refresh_from_db()
    assert order.status == OrderStatus.NEW


# The ledger


def test_nobody_adds_changes_or_deletes_a_row_of_the_ledger(staff: Client, market: Market) -> None:
    maker, _ = traded(market)
    now = clock.db_now()
    seal = Seal.objects.create(from_xid=0, to_xid=1, journals=1, digest="d" * 64, sealed_at=now)
    SealedBalance.objects.create(seal=seal, account=maker.base_account, balance=Decimal("1.5"))
    rows = (maker, maker.base_account, Journal.objects.first(), seal, Trade.objects.get())
    for row in rows:
        assert row is not None
        assert staff.get(f"/admin/exchange/{row._meta.model_name}/add/").status_code == 403
        assert staff.post(page(row), {"held": "0"}).status_code == 403
        assert staff.post(page(row, tail="delete"), {"post": "yes"}).status_code == 403
    shown = body(staff, page(seal))
    assert page(maker.base_account) in shown
    assert "1.5" in shown


def test_a_house_account_shows_the_sum_of_its_entries(staff: Client, market: Market) -> None:
    traded(market)
    fees = Account.objects.get(house=House.FEES)
    assert "4.5" in body(staff, page(fees)), "10 and 5 basis points of 3,000"
    assert "house: fees" in body(staff, reverse("admin:exchange_account_changelist"), whose="house")
