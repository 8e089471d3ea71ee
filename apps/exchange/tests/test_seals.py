# ruff: noqa: S608 - constants only
"""What is sealed cannot be changed unnoticed, whoever changes it."""

import os
from collections.abc import Callable
from decimal import Decimal

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from apps.exchange import ledger
from apps.exchange.ledger import reconcile, seals
from apps.exchange.ledger.invariants import INVARIANTS
from apps.exchange.models import House, Journal, Market, Seal, SealedBalance
from apps.exchange.tests import trading
from apps.exchange.tests.faults import as_owner, damaged, plant, settle
from apps.exchange.tests.trading import buy, rich, sell

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

EVERYTHING = 2**62


@pytest.fixture
def market(committed_db: None) -> Market:
    """A market with four trades."""
    market = trading.market()
    alice, bob = rich(), rich()
    for _ in range(4):
        sell(market, alice, "2000", "0.1")
        buy(market, bob, "2000", "0.1")
    settle()
    return market


def more(market: Market) -> None:
    """One more trade."""
    sell(market, rich(), "2000", "0.1")
    buy(market, rich(), "2000", "0.1")
    settle()


def broken(check: Callable[[], reconcile.Report]) -> set[str]:
    return {one.invariant.name for one in check().broken}


def from_genesis() -> reconcile.Report:
    return reconcile.check_all(from_genesis=True, acts=False)


def in_order(check: Callable[[], reconcile.Report] = from_genesis) -> bool:
    return not broken(check)


@pytest.mark.usefixtures("market")
def test_seals_take_all_journals_and_what_each_account_then_had() -> None:
    assert seals.seal_all(before=EVERYTHING) == 1
    seal = Seal.objects.get()
    assert seal.journals == Journal.objects.count()
    for sealed in SealedBalance.objects.select_related("account"):
        assert sealed.account.balance in {None, sealed.balance}
    assert SealedBalance.objects.filter(account__house=House.FEES).get().balance == Decimal("1.2")
    assert in_order()


@pytest.mark.usefixtures("market")
def test_nothing_is_sealed_twice() -> None:
    assert seals.seal(before=EVERYTHING) is not None
    assert seals.seal(before=EVERYTHING) is None


def test_each_seal_begins_where_the_last_one_ended(market: Market) -> None:
    while seals.seal(before=EVERYTHING, span=2) is not None:
        pass
    rows = list(Seal.objects.order_by("id"))
    assert len(rows) > 3
    assert [row.from_xid for row in rows] == [0, *(row.to_xid for row in rows[:-1])]
    assert sum(row.journals for row in rows) == Journal.objects.count()
    assert in_order()
    more(market)
    assert in_order()


@pytest.mark.usefixtures("market")
def test_a_rest_that_is_too_small_waits() -> None:
    assert seals.seal_all(before=EVERYTHING, at_least=1_000) == 0
    assert seals.seal_all(before=EVERYTHING, at_least=5) == 1


def test_what_may_still_be_under_way_is_not_sealed(market: Market) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as late:
        late.execute(
            "INSERT INTO exchange_journal (kind, source, epoch, reason, correlation_id) "
            "VALUES ('deposit', 'late', 0, '', '')"
        )
        before = Journal.objects.count()
        sell(market, rich(), "1000", "0.1")
        seal = seals.seal(before=EVERYTHING)
        assert seal is not None
        assert seal.journals == before
    settle()
    assert seals.seal(before=EVERYTHING) is not None


@pytest.mark.usefixtures("market")
def test_only_what_was_looked_at_is_sealed() -> None:
    assert seals.seal_all(before=1) == 0


SEALED = {
    "an amount": "UPDATE exchange_entry SET amount = amount * 2 WHERE journal_id = 6",
    "an account": "UPDATE exchange_entry SET account_id = account_id + 1000 WHERE journal_id = 6",
    "an entry more": "INSERT INTO exchange_entry SELECT 6, id + 1000, asset_id, 1 "
    "FROM exchange_account LIMIT 1",
    "entries fewer": "DELETE FROM exchange_entry WHERE journal_id = 6",
    "a journal fewer": "DELETE FROM exchange_journal WHERE id = 6",
    "a journal more": "INSERT INTO exchange_journal (kind, source, epoch, reason, correlation_id, "
    "xid) VALUES ('demo', 'forged', 0, '', '', '9')",
    "a source": "UPDATE exchange_journal SET source = source || '0' WHERE id = 6",
    "a reason": "UPDATE exchange_journal SET reason = 'because' WHERE id = 6",
    "a time": "UPDATE exchange_journal SET created_at = created_at - interval '1 us' WHERE id = 6",
    "a sealed balance": "UPDATE exchange_sealedbalance SET balance = balance + 1 WHERE id = 1",
    "a digest": "UPDATE exchange_seal SET digest = 'forged' WHERE id = 2",
    "where a seal begins": "UPDATE exchange_seal SET from_xid = from_xid - 1 WHERE id = 2",
}


@pytest.mark.usefixtures("market")
def test_a_change_by_somebody_who_may_do_anything_is_found(subtests: pytest.Subtests) -> None:
    while seals.seal(before=EVERYTHING, span=3) is not None:
        pass
    assert in_order()
    [invariant] = [one for one in INVARIANTS if one.name == "seals_stand"]
    values = {"seals": list(Seal.objects.values_list("pk", flat=True))}
    for change, statement in SEALED.items():
        with subtests.test(change), damaged(statement) as cursor:
            cursor.execute(invariant.for_whole.encode(), values)
            assert cursor.fetchall()


@pytest.mark.usefixtures("market")
def test_a_change_of_what_is_sealed_is_found_as_its_turn_comes() -> None:
    assert in_order(reconcile.check_new)
    assert Seal.objects.count() == 1
    plant(SEALED["a reason"])
    assert broken(lambda: reconcile.check_new(acts=False)) == {"seals_stand"}


def test_balances_go_on_from_a_seal(market: Market) -> None:
    assert in_order(reconcile.check_all)
    assert Seal.objects.count() == 1
    as_owner("UPDATE exchange_seal SET sealed_at = sealed_at - interval '2 days'")
    more(market)
    assert in_order(reconcile.check_all)
    assert in_order(reconcile.check_new)
    assert Seal.objects.count() == 2
    plant(
        "UPDATE exchange_account SET balance = balance + 1 WHERE id = "
        "(SELECT max(id) FROM exchange_account WHERE owner_id IS NOT NULL)"
    )
    expected = {"balances_follow_entries", "assets_sum_to_zero"}
    assert broken(lambda: reconcile.check_all(acts=False)) == expected
    assert broken(lambda: reconcile.check_new(acts=False)) == {"balances_follow_entries"}
    assert broken(from_genesis) == expected


def test_what_is_broken_is_not_sealed(market: Market) -> None:
    plant("UPDATE exchange_account SET held = held + 1 WHERE balance > held")
    assert broken(reconcile.check_all) == {"accounts_hold_what_orders_hold"}
    assert not Seal.objects.exists()
    market.refresh_from_db()
    assert market.status == "TRADING"


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize("table", ["exchange_seal", "exchange_sealedbalance"])
def test_seals_are_not_changed_by_those_who_run_the_system(table: str) -> None:
    seals.seal(before=EVERYTHING)
    for statement in (f"UPDATE {table} SET id = id + 1", f"DELETE FROM {table}"):
        with pytest.raises(DatabaseError, match="permission denied"), connection.cursor() as cursor:
            cursor.execute(statement)


def test_a_transaction_is_sealed_as_a_whole(market: Market) -> None:
    seals.seal_all(before=EVERYTHING)
    alice = rich()
    settle()
    seals.seal_all(before=EVERYTHING)
    with transaction.atomic():
        for number in range(5):
            ledger.fund(alice, market.quote, Decimal(1), source=f"many:{number}")
    settle()
    seal = seals.seal(before=EVERYTHING, span=2)
    assert seal is not None
    assert seal.journals == 5
