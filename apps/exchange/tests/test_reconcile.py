# ruff: noqa: S608 - constants only
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

TRADED = "(SELECT id FROM exchange_journal WHERE kind = 'trade' ORDER BY id LIMIT 1)"
FEES = "(SELECT id FROM exchange_account WHERE house = 'fees')"
DEMO = "(SELECT id FROM exchange_account WHERE house = 'demo' ORDER BY id LIMIT 1)"
PAID = "(SELECT id FROM exchange_account WHERE owner_id IS NOT NULL AND balance > 9 ORDER BY id {})"
TAKER = "client_order_id = 'taker'"
RESTING = "client_order_id = 'resting'"  # and filled in part since
QUIET = "client_order_id = 'quiet'"
COPY = (
    """INSERT INTO exchange_entry SELECT {}, account_id, asset_id, amount
FROM exchange_entry WHERE journal_id = """
    + TRADED
)

# What is done, which invariants it breaks, and how it is done.
FAULTS: dict[str, tuple[str, list[str]]] = {
    "a done order holds": (
        "done_orders_hold_nothing",
        [
            "ALTER TABLE exchange_order DROP CONSTRAINT order_that_is_done_holds_nothing",
            f"UPDATE exchange_order SET held = hold WHERE {TAKER}",
        ],
    ),
    "an entry is changed": (
        "journals_balance assets_sum_to_zero journals_pay_what_was_traded",
        [
            f"UPDATE exchange_entry SET amount = amount + 1 WHERE account_id = {FEES} "
            f"AND journal_id = {TRADED}"
        ],
    ),
    "a journal is empty": (
        "journals_have_entries",
        [
            "INSERT INTO exchange_journal (kind, source, epoch, reason, correlation_id) "
            "VALUES ('deposit', 'a', 0, '', '')"
        ],
    ),
    "entries have no journal": ("entries_have_journals", [COPY.format(10**9)]),
    "an entry has more digits than its asset": (
        "entries_fit_their_account",
        [
            "INSERT INTO exchange_journal (id, kind, source, epoch, reason, correlation_id) "
            "VALUES (1000000, 'deposit', 'a', 0, '', '')",
            "INSERT INTO exchange_entry SELECT 1000000, id, asset_id, "
            "CASE house WHEN 'fees' THEN 1e-18 ELSE -1e-18 END FROM exchange_account "
            "WHERE house IN ('fees', 'demo') AND asset_id = "
            f"(SELECT asset_id FROM exchange_account WHERE id = {FEES})",
        ],
    ),
    "a balance is changed": (
        "balances_follow_entries assets_sum_to_zero",
        [f"UPDATE exchange_account SET balance = balance + 1 WHERE id = {PAID.format('LIMIT 1')}"],
    ),
    "two balances are changed": (
        "balances_follow_entries",
        [
            "UPDATE exchange_account SET balance = balance + CASE owner_id WHEN "
            "(SELECT min(owner_id) FROM exchange_account) THEN 1 ELSE -1 END "
            "WHERE asset_id = (SELECT min(asset_id) FROM exchange_account) AND owner_id IS NOT NULL"
        ],
    ),
    "an account holds more than its orders": (
        "accounts_hold_what_orders_hold",
        [f"UPDATE exchange_account SET held = held + 1 WHERE id = {PAID.format('LIMIT 1')}"],
    ),
    "a hold was released twice": (
        "accounts_hold_what_orders_hold",
        [
            "UPDATE exchange_account a SET held = a.held - 1 FROM exchange_order o "
            f"WHERE o.{RESTING} AND a.id = o.quote_account_id"
        ],
    ),
    "an order uses another's account": (
        "orders_use_their_owners_accounts",
        [
            f"UPDATE exchange_order o SET base_account_id = (SELECT base_account_id FROM "
            f"exchange_order n WHERE n.owner_id <> o.owner_id LIMIT 1) WHERE o.{QUIET}"
        ],
    ),
    "an order holds less than it needs": (
        "open_orders_hold_what_they_need",
        [
            "UPDATE exchange_account a SET held = a.held - 1 FROM exchange_order o "
            f"WHERE o.{RESTING} AND a.id = o.quote_account_id",
            f"UPDATE exchange_order o SET held = held - 1 WHERE o.{RESTING}",
        ],
    ),
    "an order holds more than it needs": (
        "open_orders_hold_what_they_need",
        [
            "UPDATE exchange_account a SET held = a.held + 1 FROM exchange_order o "
            f"WHERE o.{RESTING} AND a.id = o.quote_account_id",
            f"UPDATE exchange_order o SET held = held + 1, hold = hold + 1 WHERE o.{RESTING}",
        ],
    ),
    "a fill is another's": (
        "orders_are_their_fills",
        ["UPDATE exchange_fill SET owner_id = owner_id + 1 WHERE is_maker AND seq = 1"],
    ),
    "an order forgets a fill": (
        "orders_are_their_fills orders_pay_their_rate statuses_tell_the_fills",
        [f"UPDATE exchange_order SET filled_quantity = 0, filled_quote = 0 WHERE {TAKER}"],
    ),
    "an order pays another rate than its own": (
        "orders_pay_their_rate",
        [f"UPDATE exchange_order SET taker_fee_bps = taker_fee_bps + 1 WHERE {TAKER}"],
    ),
    "a filled order is canceled": (
        "statuses_tell_the_fills",
        [f"UPDATE exchange_order SET status = 'CANCELED' WHERE {TAKER}"],
    ),
    "an order filled after its end": (
        "fills_keep_to_their_order",
        [f"UPDATE exchange_order SET expires_at = created_at WHERE {TAKER}"],
    ),
    "an order filled beyond its price": (
        "fills_keep_to_their_order",
        [f"UPDATE exchange_order SET price = 1999 WHERE {TAKER}"],
    ),
    "a fill has another time than its trade": (
        "trades_have_two_fills",
        [
            "UPDATE exchange_fill SET executed_at = executed_at + interval '1 s' "
            "WHERE is_maker AND seq = 1"
        ],
    ),
    "a fill is lost": (
        "trades_have_two_fills orders_are_their_fills journals_pay_what_was_traded",
        ["DELETE FROM exchange_fill WHERE is_maker AND seq = 1"],
    ),
    "a fill belongs to no order": (
        "fills_have_a_trade",
        [
            "INSERT INTO exchange_fill (market_id, seq, order_id, owner_id, side, is_maker, price, "
            "quantity, quote_quantity, fee, executed_at) SELECT market_id, seq + 1000, 1000000000, "
            "owner_id, side, is_maker, price, quantity, quote_quantity, fee, executed_at "
            "FROM exchange_fill WHERE is_maker AND seq = 1"
        ],
    ),
    "a trade is lost": (
        "fills_have_a_trade trade_journals_have_a_trade bars_are_their_trades",
        ["DELETE FROM exchange_trade WHERE seq = 2"],
    ),
    "a trade was paid twice": (
        "trades_have_one_journal",
        [
            "INSERT INTO exchange_journal (id, kind, source, epoch, reason, correlation_id) "
            "SELECT 1000000, kind, source, epoch + 1, '', '' FROM exchange_journal "
            f"WHERE id = {TRADED}",
            COPY.format(1000000),
            "UPDATE exchange_account a SET balance = balance + e.amount FROM exchange_entry e "
            "WHERE e.account_id = a.id AND e.journal_id = 1000000 AND a.owner_id IS NOT NULL",
        ],
    ),
    "a trade was not paid": (
        "trades_have_one_journal",
        [
            "UPDATE exchange_account a SET balance = balance - e.amount FROM exchange_entry e "
            f"WHERE e.account_id = a.id AND e.journal_id = {TRADED} AND a.owner_id IS NOT NULL",
            f"DELETE FROM exchange_entry WHERE journal_id = {TRADED}",
            f"DELETE FROM exchange_journal WHERE id = {TRADED}",
        ],
    ),
    "a journal is about no trade": (
        "trades_have_one_journal trade_journals_have_a_trade",
        [f"UPDATE exchange_journal SET source = 'ETHUSDC:01' WHERE id = {TRADED}"],
    ),
    "a journal pays the wrong amount": (
        "journals_pay_what_was_traded",
        [
            "UPDATE exchange_entry e SET amount = amount + CASE WHEN amount > 0 THEN 1 ELSE -1 END "
            f"WHERE journal_id = {TRADED} AND asset_id = "
            "(SELECT id FROM exchange_asset WHERE symbol = 'ETH')",
            "UPDATE exchange_account a SET balance = a.balance + CASE WHEN e.amount > 0 THEN 1 "
            "ELSE -1 END FROM exchange_entry e WHERE e.account_id = a.id AND "
            f"e.journal_id = {TRADED} AND e.asset_id = "
            "(SELECT id FROM exchange_asset WHERE symbol = 'ETH')",
        ],
    ),
    "an order outlives its end": (
        "nothing_is_overdue",
        [
            "UPDATE exchange_order SET expires_at = clock_timestamp() - interval '61 s' "
            f"WHERE {QUIET}"
        ],
    ),
    "an order waits for ever": (
        "nothing_waits_to_be_matched",
        [
            "UPDATE exchange_order SET stage = 'arrived', "
            f"created_at = created_at - interval '61 s' WHERE {QUIET}"
        ],
    ),
    "a bar is changed": (
        "bars_are_their_trades",
        ["UPDATE exchange_candle SET high = high + 1 WHERE interval = '1m'"],
    ),
    "a bar is made up": (
        "bars_are_their_trades",
        [
            "INSERT INTO exchange_candle (market_id, interval, open_time, open, high, low, close, "
            "base_volume, quote_volume, taker_base_volume, taker_quote_volume, trade_count, "
            "first_seq, last_seq, revision) SELECT market_id, interval, open_time + interval '1 h',"
            " open, high, low, close, base_volume, quote_volume, taker_base_volume, "
            "taker_quote_volume, trade_count, first_seq, last_seq, 0 FROM exchange_candle "
            "WHERE interval = '1m' LIMIT 1"
        ],
    ),
    "the transaction counter went back": (
        "transactions_count_on",
        [
            "UPDATE exchange_journal SET xid = '1099511627776' WHERE id = "
            "(SELECT min(id) FROM exchange_journal)"
        ],
    ),
}


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
    new, whole = reconcile._new(reconcile._moment()), Scope(is_whole=True)
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
    reconcile._act(first)
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
    assert looked.startswith("Reconciled: 0 rows against 23 invariants, ")
    assert tasks.reconcile_all().startswith("Reconciled all: 0 rows against 24 ")
    assert Seal.objects.count() == 1
