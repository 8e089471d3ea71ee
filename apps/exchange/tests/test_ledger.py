"""Journals change who owns what, exactly and once; the database itself refuses anything else."""

import threading
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, ProgrammingError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.exchange import ledger
from apps.exchange.ledger import Line, NotEnough, OwnerFrozen, PostingRefused, Unbalanced
from apps.exchange.models import Account, Asset, Entry, House, Journal, JournalKind, Trader
from apps.exchange.tests.factory import asset
from apps.exchange.tests.faults import as_owner
from moonx.core import clock, logs, money
from moonx.core.models import OutboxEvent
from moonx.core.money import MoneyError

pytestmark = pytest.mark.usefixtures("committed_db")

DEPOSIT, ADJUSTMENT = JournalKind.DEPOSIT, JournalKind.ADJUSTMENT


def user(name: str = "alice") -> int:
    return User.objects.create(username=name).pk


def eur() -> Asset:
    return asset("EUR", decimals=2)


def funded(owner: int, amount: str = "100", *, of: Asset | None = None) -> Account:
    what = of or eur()
    ledger.fund(owner, what, Decimal(amount), source=f"start:{owner}:{what}")
    return ledger.account(owner, what)


def lines(*pairs: tuple[Account, str]) -> list[Line]:
    return [Line(account=account, amount=Decimal(amount)) for account, amount in pairs]


def post(source: str, *pairs: tuple[Account, str], kind: JournalKind = DEPOSIT) -> Journal | None:
    with transaction.atomic():
        return ledger.post(kind, source, lines(*pairs))


def balance(account: Account) -> Decimal | None:
    return Account.objects.get(pk=account.pk).balance


def test_an_account_is_opened_empty_when_it_is_first_needed() -> None:
    owner, what = user(), eur()
    account = ledger.account(owner, what)
    assert (account.balance, account.held, ledger.available(account)) == (0, 0, 0)
    assert ledger.account(owner, what).pk == account.pk
    assert ledger.accounts(owner, [what, asset("ETH")]).keys() == {what.pk, asset("ETH").pk}


def test_a_house_account_has_no_balance_and_exists_once() -> None:
    account = ledger.house(House.FEES, eur())
    assert account.balance is None
    assert ledger.house(House.FEES, eur()).pk == account.pk
    assert ledger.house(House.DEMO, eur()).pk != account.pk


def test_a_journal_moves_value_and_tells_the_owners() -> None:
    alice, bob = funded(user()), ledger.account(user("bob"), eur())
    with logs.correlated("request-1"):
        journal = post("a", (alice, "-30.25"), (bob, "30.25"))
    assert journal is not None
    assert (journal.correlation_id, journal.created_at <= clock.db_now()) == ("request-1", True)
    assert (balance(alice), balance(bob)) == (Decimal("69.75"), Decimal("30.25"))
    debited, credited = OutboxEvent.objects.order_by("-id")[:2][::-1]
    assert (debited.name, credited.name) == ("balance.debited", "balance.credited")
    assert debited.payload["balance"] == "69.75"
    assert debited.payload["amount"] == "30.25"
    assert debited.topics == [f"balances@{alice.owner_id}"]
    assert credited.correlation_id == "request-1"


def test_a_source_is_posted_once() -> None:
    alice = funded(user())
    house = ledger.house(House.EXTERNAL, eur())
    events = OutboxEvent.objects.count()
    assert post("a", (alice, "5"), (house, "-5")) is not None
    assert post("a", (alice, "5"), (house, "-5")) is None
    assert post("a", (alice, "-500"), (house, "500")) is None
    assert (balance(alice), OutboxEvent.objects.count()) == (105, events + 1)


def test_an_epoch_makes_a_source_new() -> None:
    alice, house = funded(user()), ledger.house(House.EXTERNAL, eur())
    with transaction.atomic():
        for epoch in (0, 1):
            pairs = lines((alice, "5"), (house, "-5"))
            assert ledger.post(DEPOSIT, "a", pairs, epoch=epoch) is not None
    assert balance(alice) == 110


def test_funding_happens_once_a_source() -> None:
    owner = user()
    assert ledger.fund(owner, eur(), Decimal(10), source="a")
    assert not ledger.fund(owner, eur(), Decimal(10), source="a")
    assert balance(ledger.account(owner, eur())) == 10


def test_who_has_too_little_pays_nothing() -> None:
    alice, house = funded(user()), ledger.house(House.EXTERNAL, eur())
    with transaction.atomic(), pytest.raises(NotEnough):
        ledger.post(DEPOSIT, "a", lines((alice, "-100.01"), (house, "100.01")))
    assert balance(alice) == 100
    assert post("a", (alice, "-100"), (house, "100")) is not None


def test_what_is_held_is_not_paid_out() -> None:
    alice, house = funded(user()), ledger.house(House.EXTERNAL, eur())
    Account.objects.filter(pk=alice.pk).update(held=60)
    with pytest.raises(NotEnough):
        post("a", (alice, "-41"), (house, "41"))
    assert post("a", (alice, "-40"), (house, "40")) is not None


def test_a_frozen_owner_is_debited_by_corrections_only() -> None:
    owner = user()
    alice, house = funded(owner), ledger.house(House.EXTERNAL, eur())
    Trader.objects.create(user_id=owner, frozen_at=clock.db_now())
    with pytest.raises(OwnerFrozen):
        post("a", (alice, "-1"), (house, "1"))
    assert post("a", (alice, "1"), (house, "-1")) is not None
    assert post("b", (alice, "-1"), (house, "1"), kind=ADJUSTMENT) is not None


@pytest.mark.parametrize(
    ("first", "second", "refusal"),
    [
        ("1", "-0.99", Unbalanced),
        ("0", "0", Unbalanced),
        ("0.001", "-0.001", MoneyError),
        ("NaN", "NaN", MoneyError),
        ("Infinity", "-Infinity", MoneyError),
        ("1e70", "-1e70", MoneyError),
    ],
)
def test_what_is_no_journal_is_refused(first: str, second: str, refusal: type[Exception]) -> None:
    alice, house = ledger.account(user(), eur()), ledger.house(House.EXTERNAL, eur())
    with transaction.atomic(), pytest.raises(refusal):
        ledger.post(DEPOSIT, "a", lines((alice, first), (house, second)))
    assert not Journal.objects.exists()


def test_floats_and_whole_numbers_are_refused() -> None:
    alice, house = ledger.account(user(), eur()), ledger.house(House.EXTERNAL, eur())
    for wrong in (0.5, 1, "1"):
        pair = [Line(account=alice, amount=wrong), Line(account=house, amount=Decimal(-1))]  # type: ignore[arg-type]
        with transaction.atomic(), pytest.raises(MoneyError):
            ledger.post(DEPOSIT, "a", pair)


def test_a_journal_has_two_entries_of_two_accounts() -> None:
    alice = ledger.account(user(), eur())
    for pairs in ([], [(alice, "1")], [(alice, "1"), (alice, "-1")]):
        with transaction.atomic(), pytest.raises(Unbalanced):
            ledger.post(DEPOSIT, "a", lines(*pairs))


def test_each_asset_sums_to_zero_by_itself() -> None:
    owner, house = user(), House.EXTERNAL
    with pytest.raises(Unbalanced):
        post("a", (ledger.account(owner, eur()), "1"), (ledger.house(house, asset("ETH")), "-1"))


def test_posting_outside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError):
        ledger.post(DEPOSIT, "a", [])


AMOUNTS = st.one_of(
    st.integers(-(10**6), 10**6).map(lambda cents: Decimal(cents).scaleb(-2)),
    st.decimals(allow_nan=True, allow_infinity=True),
)


def participants() -> list[Account]:
    """Three users' accounts and one of the house, opened by the first example."""
    what = eur()
    owners = [User.objects.get_or_create(username=name)[0].pk for name in "abc"]
    return [*(ledger.account(owner, what) for owner in owners), ledger.house(House.EXTERNAL, what)]


def fitting(pairs: list[tuple[int, Decimal]]) -> list[tuple[int, Decimal]]:
    """The lines and one of the house's that makes them balance."""
    rest = Decimal(0)
    for _, amount in pairs:
        rest = money.WIDE.add(rest, amount)
    return [*pairs, (3, rest.copy_negate())]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 3), AMOUNTS), max_size=6), st.booleans())
def test_any_lines_are_refused_whole_or_booked_exactly(
    pairs: list[tuple[int, Decimal]], is_completed: bool
) -> None:
    accounts = participants()
    if is_completed and all(amount.is_finite() for _, amount in pairs):
        pairs = fitting(pairs)
    made = [Line(account=accounts[index], amount=amount) for index, amount in pairs]
    before = [balance(account) for account in accounts]
    try:
        with transaction.atomic():
            ledger.post(DEPOSIT, f"try:{Journal.objects.count()}", made)
    except (MoneyError, PostingRefused):
        assert [balance(account) for account in accounts] == before
        return
    for account, had in zip(accounts[:3], before, strict=False):
        moved = sum((line.amount for line in made if line.account.pk == account.pk), Decimal(0))
        assert balance(account) == (had or 0) + moved


def test_of_64_who_spend_one_balance_exactly_the_legal_number_succeeds() -> None:
    alice, house = funded(user(), "10"), ledger.house(House.EXTERNAL, eur())
    paid: list[int] = []
    refused: list[int] = []

    def spend(number: int) -> None:
        try:
            post(f"spend:{number}", (alice, "-0.50"), (house, "0.50"))
        except NotEnough:
            refused.append(number)
        else:
            paid.append(number)

    at_once(64, spend)
    assert (len(paid), len(refused), balance(alice)) == (20, 44, 0)


def test_of_64_who_post_one_source_one_succeeds() -> None:
    alice, house = funded(user(), "10"), ledger.house(House.EXTERNAL, eur())
    made: list[Journal | None] = []
    at_once(64, lambda _: made.append(post("once", (alice, "-1"), (house, "1"))))
    assert (sum(journal is not None for journal in made), balance(alice)) == (1, 9)


def test_crossing_transfers_never_wait_for_each_other_in_a_circle() -> None:
    alice, bob = funded(user()), funded(user("bob"))

    def move(number: int) -> None:
        giver, taker = (alice, bob) if number % 2 else (bob, alice)
        post(f"move:{number}", (giver, "-1"), (taker, "1"))

    at_once(32, move)
    assert (balance(alice), balance(bob)) == (100, 100)


def at_once(count: int, work: Callable[[int], object]) -> None:
    """Runs `work` in `count` threads; what one of them raises is raised here."""
    gate, faults = threading.Barrier(count), list[BaseException]()

    def run(number: int) -> None:
        with closing(connection):
            try:
                gate.wait()
                work(number)
            except BaseException as fault:  # noqa: BLE001 - raised again below
                faults.append(fault)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


# What the database refuses, whoever asks


def execute(statement: str, *values: int) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.mark.parametrize("table", ["exchange_journal", "exchange_entry"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET asset_id = 1", "DELETE FROM {}", "TRUNCATE {} CASCADE"]
)
def test_journals_and_entries_are_never_changed(table: str, statement: str) -> None:
    funded(user())
    if table == "exchange_journal":
        statement = statement.replace("asset_id = 1", "reason = ''")
    with pytest.raises(ProgrammingError):
        execute(statement.format(table))


@pytest.mark.parametrize("table", ["exchange_journal", "exchange_entry"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_not_even_by_their_owner(table: str, statement: str) -> None:
    funded(user())
    with pytest.raises(Exception, match="append-only"):
        as_owner(statement.format(table))


def test_a_balance_is_written_by_entries_only() -> None:
    alice = funded(user())
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute("UPDATE exchange_account SET balance = 1000 WHERE id = %s", alice.pk)
    with pytest.raises(ProgrammingError, match="permission denied"):
        execute("DELETE FROM exchange_account")


def test_an_account_cannot_be_opened_with_a_balance() -> None:
    account = Account.objects.create(
        owner_id=user(), asset=eur(), balance=Decimal(1000), held=Decimal(10)
    )
    account.refresh_from_db()
    assert (account.balance, account.held) == (0, 0)


def test_more_than_there_is_cannot_be_held() -> None:
    alice = funded(user())
    for held in ("100.01", "-1"):
        with pytest.raises(IntegrityError):
            Account.objects.filter(pk=alice.pk).update(held=Decimal(held))


def entries(*rows: tuple[Account, Asset, str]) -> None:
    """Entries of one new journal, in one statement, past all checks of ours."""
    journal = Journal.objects.create(kind=DEPOSIT, source="raw", created_at=clock.db_now())
    Entry.objects.bulk_create(
        Entry(journal=journal, account=account, asset=what, amount=Decimal(amount))
        for account, what, amount in rows
    )


def test_entries_that_do_not_balance_are_refused() -> None:
    alice, house = funded(user()), ledger.house(House.EXTERNAL, eur())
    with transaction.atomic(), pytest.raises(IntegrityError, match="does not balance"):
        entries((alice, eur(), "1"), (house, eur(), "-0.99"))


def test_entries_of_another_asset_than_their_account_are_refused() -> None:
    alice, house = funded(user()), ledger.house(House.EXTERNAL, eur())
    with transaction.atomic(), pytest.raises(IntegrityError, match="of its asset"):
        entries((alice, asset("ETH"), "1"), (house, asset("ETH"), "-1"))


def test_entries_that_take_more_than_there_is_are_refused() -> None:
    alice, house = funded(user()), ledger.house(House.EXTERNAL, eur())
    with transaction.atomic(), pytest.raises(DatabaseError, match="holds_at_most_its_balance"):
        entries((alice, eur(), "-101"), (house, eur(), "101"))


# Statements


def test_a_statement_tells_what_the_account_had_after_each_entry() -> None:
    alice, house = funded(user()), ledger.house(House.EXTERNAL, eur())
    other = funded(alice.owner_id or 0, "7", of=asset("ETH"))
    for number, amount in enumerate(["-10", "2.5", "-0.5"]):
        post(f"step:{number}", (alice, amount), (house, str(-Decimal(amount))))
    rows = ledger.statement(alice.owner_id or 0)
    assert [(row.asset, row.amount, row.balance) for row in rows] == [
        ("EUR", Decimal("-0.5"), 92),
        ("EUR", Decimal("2.5"), Decimal("92.5")),
        ("EUR", Decimal(-10), 90),
        ("ETH", 7, 7),
        ("EUR", 100, 100),
    ]
    assert [row.balance for row in ledger.statement(alice.owner_id or 0, other.asset)] == [7]


def test_pages_of_a_statement_follow_each_other() -> None:
    alice, bob = funded(user()), ledger.account(user("bob"), eur())
    for number in range(5):
        post(f"step:{number}", (alice, "-1"), (bob, "1"))
    whole = ledger.statement(alice.owner_id or 0)
    first = ledger.statement(alice.owner_id or 0, limit=4)
    position = ledger.Position.parse(str(first[-1].position))
    assert first + ledger.statement(alice.owner_id or 0, before=position) == whole
    inner = ledger.statement(alice.owner_id or 0, since=whole[3].time, until=whole[1].time)
    assert inner == whole[2:4]


@pytest.mark.parametrize("text", ["", "1", "-", "1-", "a-b", "٣-1", "1-2-3", "9" * 40])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no position"):
        ledger.Position.parse(text)
