"""Traders in the admin: frozen and freed, their fees, their keys."""

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from apps.exchange import keys
from apps.exchange.models import (
    ApiKey,
    FeeTier,
    Market,
    OrderStatus,
    Reason,
    Trader,
)
from apps.exchange.tests import trading
from apps.exchange.tests.office import WHY, body, page

pytestmark = pytest.mark.django_db


@pytest.fixture
def market() -> Market:
    return trading.market()


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
