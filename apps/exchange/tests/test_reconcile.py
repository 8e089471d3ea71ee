"""Every invariant holds while orders trade, and finds what is planted against it."""

import io
import os
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command

from apps.exchange import ledger, orders, tasks
from apps.exchange.ledger import invariants, reconcile
from apps.exchange.ledger.invariants import INVARIANTS, Scope
from apps.exchange.ledger.reconcile import Report
from apps.exchange.models import Market, MarketStatus, Seal, SelfTrade, Trader
from apps.exchange.tests import trading
from apps.exchange.tests.faults import damaged, plant, settle
from apps.exchange.tests.ledger_faults import FAULTS, PAID
from apps.exchange.tests.trading import buy, rich, sell
from moonx.core import metrics
from moonx.core.models import Cursor, OutboxEvent

pytestmark = pytest.mark.usefixtures("committed_db", "clean_valkey")

COSTLY = {one.name for one in INVARIANTS if one.is_costly}


@dataclass(frozen=True, slots=True)
class Scene:
    """A market in which alice and bob have orders of every kind."""

    market: Market
    alice: int
    bob: int


@pytest.fixture
def scene(committed_db: None) -> Scene:
    """A market with trades of one who makes and one who takes, after a first, clean look."""
    assert not reconcile.check_new().broken
    market = trading.market(price_up=Decimal(100), price_down=Decimal("0.01"))
    return act_out(market, rich(), rich())


def act_out(market: Market, alice: int, bob: int) -> Scene:
    sell(market, alice, "2000", "1")
    buy(market, bob, "2000", "0.3333")
    buy(market, bob, "2100.01", "0.6667", client_order_id="taker")
    sell(market, alice, "2500", "2", client_order_id="partly")
    buy(market, bob, "2500", "0.5")
    buy(market, bob, "1500.03", "1.2345", client_order_id="resting")
    buy(market, bob, "1450.01", "1", client_order_id="quiet")
    orders.cancel(market, bob, order_id=buy(market, bob, "1400", "1").pk)
    sell(market, bob, "1500", "0.5", self_trade=SelfTrade.DECREMENT)
    buy(market, bob, None, None, quote_order_quantity=Decimal("77.77"))
    sell(market, alice, None, "0.1")
    settle()
    return Scene(market, alice, bob)


def broken(report: Report) -> set[str]:
    return {one.invariant.name for one in report.broken}


@pytest.mark.usefixtures("scene")
def test_all_agrees_while_orders_trade() -> None:
    for report in (reconcile.check_new(), reconcile.check_all(), reconcile.check_new()):
        assert broken(report) == set()
    assert not broken(reconcile.check_all(from_genesis=True))


# What breaks them


def found(scope: Scope, cursor: psycopg.ClientCursor[Any]) -> set[str]:
    """Which invariants do not hold in what the cursor sees."""
    names = set()
    for invariant in invariants.of(scope):
        statement = invariant.for_whole if scope.is_whole else invariant.for_new
        cursor.execute(statement.encode(), scope.values)
        if cursor.fetchall():
            names.add(invariant.name)
    return names


@pytest.mark.usefixtures("scene")
def test_each_fault_is_found_by_what_it_breaks_and_nothing_else(subtests: pytest.Subtests) -> None:
    new, whole = reconcile.scope_of_new(reconcile.moment_now()), Scope(is_whole=True)
    for fault, (text, statements) in FAULTS.items():
        expected = set(text.split())
        with subtests.test(fault), damaged(*statements) as cursor:
            assert found(new, cursor) == expected - COSTLY
            assert found(whole, cursor) == expected


def test_every_invariant_has_a_fault_that_it_finds() -> None:
    planted = {name for text, _ in FAULTS.values() for name in text.split()}
    assert planted == {one.name for one in INVARIANTS} - {"seals_stand"}  # by tests of their own


# What is looked at

AN_HOUR_EARLIER = (
    "UPDATE exchange_trade SET executed_at = executed_at - interval '1 h'",
    "UPDATE exchange_fill SET executed_at = executed_at - interval '1 h'",
    "UPDATE exchange_candle SET open_time = open_time - interval '1 h' WHERE interval = '1m'",
)


@pytest.mark.usefixtures("scene")
def test_what_was_found_clean_is_not_looked_at_again() -> None:
    plant(*AN_HOUR_EARLIER)
    settle()
    assert not broken(reconcile.check_new())
    for fault in ("an entry is changed", "a fill has another time than its trade"):
        plant(*FAULTS[fault][1])
    assert not broken(reconcile.check_new(acts=False))
    assert "journals_balance" in broken(reconcile.check_all(acts=False))


@pytest.mark.usefixtures("scene")
def test_what_was_found_broken_is_looked_at_until_it_is_mended() -> None:
    plant(*FAULTS["an account holds more than its orders"][1])
    for _ in range(2):
        assert broken(reconcile.check_new()) == {"accounts_hold_what_orders_hold"}
    mend = "UPDATE exchange_account SET held = held - 1 WHERE id = "
    plant(mend + PAID.format("LIMIT 1"))
    assert not broken(reconcile.check_new())


@pytest.mark.usefixtures("scene")
def test_a_hand_that_changes_a_balance_is_found_though_it_leaves_no_journal() -> None:
    assert not broken(reconcile.check_new())
    plant(*FAULTS["a balance is changed"][1])
    assert broken(reconcile.check_new(acts=False)) == {"balances_follow_entries"}


def test_a_transaction_that_was_under_way_is_looked_at_when_it_has_ended(scene: Scene) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"]) as late:
        late.execute(
            "INSERT INTO exchange_journal (kind, source, epoch, reason, correlation_id) "
            "VALUES ('deposit', 'late', 0, '', '')"
        )
        ledger.fund(scene.alice, scene.market.quote, Decimal(1), source="later")
        assert not broken(reconcile.check_new())
    assert broken(reconcile.check_new(acts=False)) == {"journals_have_entries"}


def position() -> int:
    return Cursor.objects.get(name="reconcile").position


def test_two_looks_at_once_never_move_the_position_back(scene: Scene) -> None:
    first = reconcile.check_new(acts=False)
    ledger.fund(scene.alice, scene.market.quote, Decimal(1), source="between")
    settle()
    reconcile.check_new()
    reached = position()
    reconcile.act(first)
    assert position() == reached > first.moment.complete


# What follows


def test_who_is_named_is_frozen_and_what_is_named_halts(scene: Scene) -> None:
    plant(*FAULTS["an order holds less than it needs"][1])
    report = reconcile.check_new()
    assert (report.frozen, report.halted) == ([scene.bob], ["ETHUSDC"])
    trader = Trader.objects.get(user_id=scene.bob)
    assert trader.frozen_at is not None
    assert "open orders hold what they need" in trader.freeze_reason.lower()
    scene.market.refresh_from_db()
    assert scene.market.status == MarketStatus.HALT
    assert "needs" in scene.market.halt_reason
    with pytest.raises(orders.OrderRefused):
        buy(scene.market, scene.alice, "1500", "1")
    alert = OutboxEvent.objects.get(name="system.alert")
    assert alert.payload["subject"] == "reconcile:open_orders_hold_what_they_need"
    assert rows("open_orders_hold_what_they_need", "new") == 1
    again = reconcile.check_new()
    assert (again.frozen, again.halted) == ([], [])


def rows(name: str, scope: str) -> float:
    samples = (sample for family in metrics.registry().collect() for sample in family.samples)
    wanted = {"name": name, "scope": scope}
    return sum(
        sample.value
        for sample in samples
        if sample.name == "moonx_invariant_rows" and wanted.items() <= sample.labels.items()
    )


@pytest.mark.usefixtures("scene")
def test_what_is_late_stops_nobody() -> None:
    plant(*FAULTS["an order outlives its end"][1])
    report = reconcile.check_new()
    assert (broken(report), report.frozen, report.halted) == ({"nothing_is_overdue"}, [], [])


def test_a_dry_run_changes_nothing(scene: Scene) -> None:
    plant(*FAULTS["an order holds less than it needs"][1])
    before = position()
    with pytest.raises(CommandError, match="dry run") as refused:
        run("--new", "--dry-run")
    assert refused.value.returncode == 1
    scene.market.refresh_from_db()
    assert (scene.market.status, position()) == (MarketStatus.TRADING, before)
    assert not Trader.objects.exists()
    assert not OutboxEvent.objects.filter(name="system.alert").exists()


def run(*options: str) -> str:
    out = io.StringIO()
    call_command("reconcile", *options, stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("scene")
def test_the_command_lists_every_invariant_with_its_rows(subtests: pytest.Subtests) -> None:
    for options in ((), ("--all",), ("--new",), ("--from-genesis",)):
        with subtests.test(" ".join(options)):
            told = run(*options)
            assert "FAIL" not in told
            for invariant in INVARIANTS:
                assert (invariant.is_costly and "--new" in options) or invariant.sentence in told


def test_the_command_tells_what_it_found_and_whom_it_stopped(scene: Scene) -> None:
    plant(*FAULTS["an order holds less than it needs"][1])
    with pytest.raises(CommandError, match=f"Frozen: users {scene.bob}. Halted: ETHUSDC"):
        run()


@pytest.mark.usefixtures("scene")
def test_the_tasks_say_what_they_looked_at() -> None:
    looked = tasks.reconcile_new()
    assert looked.startswith("Reconciled: 0 rows against 25 invariants, ")
    assert tasks.reconcile_all().startswith("Reconciled all: 0 rows against 26 ")
    assert Seal.objects.count() == 1
