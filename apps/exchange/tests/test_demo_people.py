"""Who takes part in the demo: funded once, by journals that say so."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db.models import Sum

from apps.exchange import keys
from apps.exchange.demo import markets, people
from apps.exchange.models import Account, ApiKey, Entry, House, Journal, JournalKind, MarketStatus

pytestmark = pytest.mark.usefixtures("committed_db")


def balances(name: str) -> dict[str, Decimal | None]:
    rows = Account.objects.filter(owner__username=name).select_related("asset")
    return {row.asset.symbol: row.balance for row in rows}


def test_the_traded_markets_are_open_and_say_that_they_are_a_demo() -> None:
    made = markets.prepare_traded()
    assert markets.prepare_traded() == made
    ethereum, bitcoin = made["ETHUSDC"], made["BTCUSDC"]
    assert (ethereum.tick_size, ethereum.step_size) == (Decimal("0.01"), Decimal("0.0001"))
    assert (bitcoin.tick_size, bitcoin.step_size) == (Decimal("0.1"), Decimal("0.00001"))
    for market in made.values():
        assert (market.status, market.min_notional) == (MarketStatus.TRADING, 5)
        assert "demo" in market.label
        market.full_clean()
    decimals = {m.base.symbol: m.base.decimals for m in made.values()}
    assert decimals == {"ETH": 18, "BTC": 8}
    assert {m.quote.decimals for m in made.values()} == {6}


def test_guests_are_funded_once_for_ever() -> None:
    for name in people.GUESTS:
        User.objects.create_user(name)
    people.prepare()
    people.prepare()
    for name in people.GUESTS:
        assert balances(name) == {"USDC": 100_000, "ETH": 50, "BTC": 2, "XRP": 100_000}
    assert {row.kind for row in Journal.objects.all()} == {JournalKind.DEMO}
    given = Entry.objects.filter(account__house=House.DEMO, asset__symbol="XRP")
    assert given.aggregate(all=Sum("amount"))["all"] == -200_000


def test_whoever_spent_the_funds_gets_no_more_of_them() -> None:
    alice = User.objects.create_user("alice")
    people.prepare()
    source = Journal.objects.get(source="start/alice/USDC")
    people.fund(alice.pk, "alice", {"USDC": Decimal(7)}, source="start")
    assert balances("alice")["USDC"] == 100_000
    assert Journal.objects.filter(source=source.source).count() == 1


def test_without_guests_only_the_traders_stand() -> None:
    people.prepare()
    assert set(User.objects.values_list("username", flat=True)) == set(people.FUNDS)


def test_traders_cannot_sign_in_and_sign_with_keys_of_their_own() -> None:
    traders = people.prepare()
    assert {trader.name for trader in traders} == set(people.FUNDS)
    for trader in traders:
        user = User.objects.get(pk=trader.user_id)
        assert not user.has_usable_password()
        assert not user.is_staff
        found = keys.find(trader.key)
        assert found is not None
        assert found.owner_id == user.pk
        assert found.secret().decode() == trader.secret
        assert found.is_used_from("127.0.0.1")
        assert not found.is_used_from("192.0.2.1")


def test_a_later_start_signs_with_the_same_keys() -> None:
    first = people.prepare()
    assert people.prepare() == first
    assert ApiKey.objects.count() == len(first)


def test_a_revoked_key_is_replaced() -> None:
    before = people.prepare()[0]
    assert keys.revoke(before.user_id, before.key)
    after = people.prepare()[0]
    assert after.key != before.key
    assert keys.find(after.key) is not None


def test_a_refill_comes_at_most_once_an_hour() -> None:
    trader = people.prepare()[0]
    funds = people.FUNDS[trader.name]["BTC"]
    hour = datetime(2026, 11, 25, 3, 0, tzinfo=UTC)
    for minute in (0, 30, 59):
        people.refill(trader, "BTC", now=hour.replace(minute=minute))
    assert balances(trader.name)["BTC"] == 2 * funds
    people.refill(trader, "BTC", now=hour.replace(hour=4))
    assert balances(trader.name)["BTC"] == 3 * funds
    assert Journal.objects.filter(source__startswith="refill-20261125T03/").count() == 1
