"""Trading in the admin, over HTTP: what operators see, what they may do, and who may not."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.exchange import keys, markets
from apps.exchange.models import (
    Account,
    ApiKey,
    FeeTier,
    Fill,
    House,
    Journal,
    Market,
    MarketStatus,
    Order,
    OrderStatus,
    Reason,
    Seal,
    SealedBalance,
    Ticker,
    Trade,
    Trader,
)
from apps.exchange.tests import trading
from moonx.core import clock, logs, push
from moonx.core.models import OutboxEvent, PublishedEvent

pytestmark = pytest.mark.django_db

WHY = {"reason": "a customer asked for it", "_form_submitted": "True"}


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ops"))
    return client


@pytest.fixture
def reader() -> Client:
    """Staff that may see everything of the exchange and change nothing."""
    user = User.objects.create_user("reader", is_staff=True)
    rights = Permission.objects.filter(codename__startswith="view_")
    user.user_permissions.set(rights)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def market() -> Market:
    return trading.market()


def page(row: Any, *, tail: str = "change") -> str:
    return f"/admin/exchange/{row._meta.model_name}/{row.pk}/{tail}/"


def body(client: Client, address: str, **query: Any) -> str:
    answer = client.get(address, query)
    assert answer.status_code == 200, address
    text: str = answer.content.decode()
    return text


def said(client: Client, address: str) -> str:
    return " ".join(str(message) for message in client.get(address).context["messages"])


def traded(market: Market) -> tuple[Order, Order]:
    """A maker and a taker, one trade between them."""
    with logs.correlated("maker-chain"):
        maker = trading.sell(market, trading.rich(), "3000", "2")
    with logs.correlated("taker-chain"):
        taker = trading.buy(market, trading.rich(), "3000", "1")
    maker.refresh_from_db()
    return maker, taker


def publish() -> None:
    """As the relay does: what waits gets its position."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_event (position, id, name, key, topics, payload, correlation_id, "
            "created_at, relayed_at) SELECT row_number() OVER (ORDER BY id), id, name, key, "
            "topics, payload, correlation_id, created_at, clock_timestamp() FROM core_outbox"
        )


def event(name: str, **fields: Any) -> PublishedEvent:
    return PublishedEvent.objects.filter(name=name, **fields).latest("position")


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


# Markets


def test_halting_a_market_keeps_its_orders_and_says_why(staff: Client, market: Market) -> None:
    order = trading.buy(market, trading.rich(), "2000", "1")
    assert staff.post(page(market, tail="halt"), WHY).status_code == 302
    market.refresh_from_db()
    assert market.status == MarketStatus.HALT
    assert market.halt_reason == "a customer asked for it"
    assert market.halted_at is not None
    order.refresh_from_db()
    assert order.status == OrderStatus.NEW
    assert LogEntry.objects.get().get_change_message() == "HALT: a customer asked for it"
    shown = body(staff, page(market))
    assert "Resume trading" in shown
    assert "Halt trading" not in shown


def test_resuming_lets_a_market_trade_again(staff: Client, market: Market) -> None:
    markets.halt(market, reason="x", by="ops")
    assert staff.post(page(market, tail="resume"), WHY).status_code == 302
    market.refresh_from_db()
    assert (market.status, market.halt_reason, market.halted_at) == (MarketStatus.TRADING, "", None)
    markets.halt(market, reason="x", by="ops")
    staff.post(page(market, tail="resume"), {**WHY, "post_only": "on"})
    market.refresh_from_db()
    assert market.status == MarketStatus.POST_ONLY


def test_a_market_that_does_not_trade_is_not_halted_again(staff: Client, market: Market) -> None:
    markets.halt(market, reason="the first", by="ops")
    staff.post(page(market, tail="halt"), WHY)
    assert "does not trade" in said(staff, page(market))
    market.refresh_from_db()
    assert market.halt_reason == "the first"


def test_who_may_only_look_halts_nothing(reader: Client, market: Market) -> None:
    assert "Halt trading" not in body(reader, page(market))
    for tail in ("halt", "resume"):
        assert reader.post(page(market, tail=tail), WHY).status_code == 403
    assert reader.post(page(market), {"label": "x"}).status_code == 403
    market.refresh_from_db()
    assert market.status == MarketStatus.TRADING


@pytest.mark.usefixtures("clean_valkey")
def test_subscribers_see_at_once_that_a_market_is_halted(
    market: Market, django_capture_on_commit_callbacks: Any
) -> None:
    now = clock.db_now()
    Ticker.objects.create(market=market, open_time=now, close_time=now, as_of=now, version=1)
    with django_capture_on_commit_callbacks(execute=True):
        markets.halt(market, reason="x", by="ops")
    assert push.pushed_versions(["ticker:ETHUSDC"]) == {"ticker:ETHUSDC": 2}


def opening(**changes: Any) -> dict[str, Any]:
    base, quote = trading.asset("ETH", decimals=18), trading.asset("USDC", decimals=6)
    return {
        "symbol": "ETHUSDC",
        "base": base.pk,
        "quote": quote.pk,
        "status": "TRADING",
        "label": "",
        "tick_size": "0.01",
        "step_size": "0.0001",
        "min_notional": "5",
        "max_quantity": "9000",
        "max_market_quantity": "100",
        "price_up": "5",
        "price_down": "0.2",
        "collar_bps": "500",
        "max_open_orders": "200",
    } | changes


def test_a_market_is_opened_by_a_form(staff: Client) -> None:
    assert staff.post("/admin/exchange/market/add/", opening()).status_code == 302
    market = Market.objects.get()
    assert (market.symbol, market.status) == ("ETHUSDC", MarketStatus.TRADING)
    assert market.max_market_quantity == 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step_size": "0.00001"}, "Price × quantity needs 7 decimals, USDC has 6"),
        ({"tick_size": "0"}, "It must be above zero."),
        ({"step_size": "-1"}, "It must be above zero."),
        ({"min_notional": "-1"}, "It must be at least 0."),
        ({"price_up": "0.5"}, "It must be at least 1."),
        ({"price_down": "1.5"}, "It must be at most 1"),
        ({"price_down": "0"}, "It must be above zero."),
        ({"max_quantity": "0"}, "It must be above zero."),
        ({"collar_bps": "10000"}, "less than or equal to 9999"),
        ({"symbol": "eth/usdc"}, "Use 1 to 20 capital letters and digits."),
        ({"tick_size": "NaN"}, "Enter a number."),
    ],
)
def test_what_a_market_cannot_be_is_said_in_words(
    staff: Client, changes: dict[str, str], message: str
) -> None:
    answer = staff.post("/admin/exchange/market/add/", opening(**changes))
    assert answer.status_code == 200
    shown = answer.content.decode()
    assert message in shown
    assert "Constraint" not in shown
    assert not Market.objects.exists()


def test_a_market_of_one_asset_is_refused(staff: Client) -> None:
    form = opening()
    answer = staff.post("/admin/exchange/market/add/", form | {"quote": form["base"]})
    assert "A market trades two assets." in answer.content.decode()


def test_decimals_of_an_asset_stay_once_somebody_has_it(staff: Client, market: Market) -> None:
    address = page(market.base)
    assert 'name="decimals"' in body(staff, address)
    trading.rich()
    assert 'name="decimals"' not in body(staff, address)


# Traders, tiers, keys


def test_freezing_a_user_cancels_what_is_open_and_unfreezing_lifts_it(
    staff: Client, market: Market
) -> None:
    owner = trading.rich()
    order = trading.buy(market, owner, "2000", "1")
    address = f"/admin/auth/user/{owner}/"
    assert "Freeze trading" in body(staff, f"{address}change/")
    assert staff.post(f"{address}freeze/", WHY).status_code == 302
    order.refresh_from_db()
    assert (order.status, order.reason) == (OrderStatus.CANCELED, Reason.FROZEN)
    trader = Trader.objects.get(user=owner)
    assert trader.freeze_reason == "a customer asked for it"
    assert LogEntry.objects.get().get_change_message() == "Frozen: a customer asked for it"
    shown = body(staff, f"{address}change/")
    assert "Unfreeze" in shown
    assert "Freeze trading" not in shown
    frozen = staff.get(reverse("admin:exchange_trader_changelist"), {"state": "frozen"})
    assert [row.pk for row in frozen.context["cl"].result_list] == [owner]
    assert staff.post(page(trader, tail="unfreeze"), WHY).status_code == 302
    trader.refresh_from_db()
    assert trader.frozen_at is None


def test_who_may_only_look_freezes_nobody(reader: Client, market: Market) -> None:
    owner = trading.rich()
    assert "Freeze trading" not in body(reader, f"/admin/auth/user/{owner}/change/")
    assert reader.post(f"/admin/auth/user/{owner}/freeze/", WHY).status_code == 403
    assert not Trader.objects.filter(user=owner).exists()


def test_a_fee_tier_is_given_on_the_users_page(staff: Client) -> None:
    user = User.objects.create_user("alice")
    tier = FeeTier.objects.create(name="vip", maker_fee_bps=Decimal(1), taker_fee_bps=Decimal(2))
    form = {
        "username": "alice",
        "is_active": "on",
        "trader-TOTAL_FORMS": "1",
        "trader-INITIAL_FORMS": "0",
        "trader-0-user": user.pk,
        "trader-0-fee_tier": tier.pk,
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    answer = staff.post(f"/admin/auth/user/{user.pk}/change/", form)
    assert answer.status_code == 302, answer.context["errors"]
    assert Trader.objects.get(user=user).fee_tier == tier


def test_a_password_is_changed_in_the_admin(staff: Client) -> None:
    user = User.objects.create_user("alice", password="an old password 1")
    word = "an entirely new word 7"
    answer = staff.post(
        f"/admin/auth/user/{user.pk}/password/",
        {"password1": word, "password2": word, "usable_password": "true"},
    )
    assert answer.status_code == 302
    user.refresh_from_db()
    assert user.check_password(word)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maker_fee_bps": "-1"}, "between 0 and 1,000"),
        ({"taker_fee_bps": "1001"}, "between 0 and 1,000"),
        ({"taker_fee_bps": "0.001"}, "no more than 2 decimal places"),
        ({"is_default": "on"}, "is the default: only one tier can be"),
    ],
)
def test_a_fee_tier_that_cannot_be_is_refused_in_words(
    staff: Client, changes: dict[str, str], message: str
) -> None:
    form = {"name": "vip", "maker_fee_bps": "1", "taker_fee_bps": "2"} | changes
    answer = staff.post("/admin/exchange/feetier/add/", form)
    assert message in answer.content.decode()
    assert not FeeTier.objects.filter(name="vip").exists()


def test_the_default_tier_stays(staff: Client) -> None:
    default = FeeTier.objects.get(is_default=True)
    assert staff.post(page(default, tail="delete"), {"post": "yes"}).status_code == 403
    form = {"name": default.name, "maker_fee_bps": "1", "taker_fee_bps": "2"}
    assert "this stays the default" in staff.post(page(default), form).content.decode()
    assert staff.post(page(default), form | {"is_default": "on"}).status_code == 302
    default.refresh_from_db()
    assert (default.maker_fee_bps, default.is_default) == (1, True)


@pytest.fixture
def issued() -> keys.Issued:
    owner = User.objects.create_user("alice")
    return keys.issue(owner.pk, label="bot", may_trade=True, addresses=[])


def test_a_secret_is_shown_nowhere(staff: Client, issued: keys.Issued) -> None:
    row = ApiKey.objects.get()
    for address in (page(row), reverse("admin:exchange_apikey_changelist")):
        shown = body(staff, address)
        assert row.key[:8] in shown
        for secret in (issued.secret, row.key, bytes(row.sealed_secret).decode()):
            assert secret not in shown


def test_a_key_is_revoked_at_once_and_once(staff: Client, issued: keys.Issued) -> None:
    row = issued.row
    assert staff.post(page(row, tail="revoke"), WHY).status_code == 302
    assert keys.find(row.key) is None
    assert LogEntry.objects.get().get_change_message() == "Revoked: a customer asked for it"
    assert "Revoke key" not in body(staff, page(row))
    staff.post(page(row, tail="revoke"), WHY)
    assert LogEntry.objects.count() == 1


def test_who_may_only_look_revokes_no_key(reader: Client, issued: keys.Issued) -> None:
    assert "Revoke key" not in body(reader, page(issued.row))
    assert reader.post(page(issued.row, tail="revoke"), WHY).status_code == 403
    assert keys.find(issued.row.key) is not None


@pytest.mark.parametrize(
    "path",
    [
        "order/abc/change",
        "order/0/change",
        "market/abc/change",
        "apikey/x/change",
        "trader/x/change",
    ],
)
def test_a_row_that_there_is_not_is_said_to_be_missing(staff: Client, path: str) -> None:
    assert staff.get(f"/admin/exchange/{path}/").status_code == 302


def test_a_dialog_of_the_browser_is_led_on(staff: Client, market: Market) -> None:
    order = trading.buy(market, trading.rich(), "2000", "1")
    answer = staff.post(page(order, tail="cancel"), WHY, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == page(order)
