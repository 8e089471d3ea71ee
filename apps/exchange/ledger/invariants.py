"""Invariants: what holds at every instant, whatever died in between, each under its name."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import connection, transaction

from apps.exchange.ledger import amended, queries

MOST_FINDINGS = 1_000  # per invariant: enough to act on, whatever was damaged

ALWAYS = "-infinity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is looked at; zeros stand for the beginning of everything.

    Journals are looked at from the transaction `since` on, trades from `moment` on. Balances begin
    with those of the seal `seal`, which ends before the transaction `sealed`; no journal after it
    has an id below `floor`. The seals `seals` are computed again. Where only what is new is looked
    at, those are its accounts and orders, and its trades are those from `starts` on in `markets`.
    """

    is_whole: bool
    since: int = 0
    moment: datetime | str = ALWAYS
    sealed: int = 0
    seal: int = 0
    floor: int = 0
    seals: list[int] = field(default_factory=list)
    accounts: list[int] = field(default_factory=list)
    orders: list[int] = field(default_factory=list)
    markets: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    @property
    def values(self) -> dict[str, Any]:
        """What statements are given."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Invariant:
    """A sentence that is true, and the query for what makes it false."""

    sentence: str
    query: str
    is_costly: bool = False  # its cost grows with all there is, so it is part of the whole only

    @property
    def name(self) -> str:
        """The sentence as operators find it in metrics and logs."""
        return self.sentence.lower().replace(" ", "_").replace("’", "")

    @cached_property
    def for_new(self) -> str:
        """The statement that looks at what is new."""
        return self.query.format(**queries.NEW, **queries.SHARED)

    @cached_property
    def for_whole(self) -> str:
        """The statement that looks at everything."""
        return self.query.format(**queries.WHOLE, **queries.SHARED)


INVARIANTS: tuple[Invariant, ...] = (
    Invariant("Journals balance", queries.JOURNALS_BALANCE),
    Invariant("Journals have entries", queries.JOURNALS_HAVE_ENTRIES),
    Invariant("Entries have journals", queries.ENTRIES_HAVE_JOURNALS),
    Invariant("Entries fit their account", queries.ENTRIES_FIT_THEIR_ACCOUNT),
    Invariant("Balances follow entries", queries.BALANCES_FOLLOW_ENTRIES),
    Invariant("Assets sum to zero", queries.ASSETS_SUM_TO_ZERO, is_costly=True),
    Invariant("Accounts hold what orders hold", queries.ACCOUNTS_HOLD_WHAT_ORDERS_HOLD),
    Invariant("Orders use their owner’s accounts", queries.ORDERS_USE_THEIR_OWNERS_ACCOUNTS),
    Invariant("Done orders hold nothing", queries.DONE_ORDERS_HOLD_NOTHING),
    Invariant("Open orders hold what they need", queries.OPEN_ORDERS_HOLD_WHAT_THEY_NEED),
    Invariant("Orders are their fills", queries.ORDERS_ARE_THEIR_FILLS),
    Invariant("Orders pay their rate", queries.ORDERS_PAY_THEIR_RATE),
    Invariant("Statuses tell the fills", queries.STATUSES_TELL_THE_FILLS),
    Invariant("Fills keep to their order", queries.FILLS_KEEP_TO_THEIR_ORDER),
    Invariant("Trades have two fills", queries.TRADES_HAVE_TWO_FILLS),
    Invariant("Fills have a trade", queries.FILLS_HAVE_A_TRADE),
    Invariant("Trades have one journal", queries.TRADES_HAVE_ONE_JOURNAL),
    Invariant("Trade journals have a trade", queries.TRADE_JOURNALS_HAVE_A_TRADE),
    Invariant("Journals pay what was traded", queries.JOURNALS_PAY_WHAT_WAS_TRADED),
    Invariant("Amended trades are settled", amended.AMENDED_TRADES_ARE_SETTLED),
    Invariant("Amended trades stand as amended", amended.AMENDED_TRADES_STAND_AS_AMENDED),
    Invariant("Nothing is overdue", queries.NOTHING_IS_OVERDUE),
    Invariant("Nothing waits to be matched", queries.NOTHING_WAITS_TO_BE_MATCHED),
    Invariant("Bars are their trades", queries.BARS_ARE_THEIR_TRADES),
    Invariant("Seals stand", queries.SEALS_STAND),
    Invariant("Transactions count on", queries.TRANSACTIONS_COUNT_ON),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it must be; the owner and the market it concerns, if any."""

    subject: str
    owner_id: int | None
    market_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What became of one invariant: `rows` were found, of which `findings` are the first."""

    invariant: Invariant
    rows: int
    findings: tuple[Finding, ...]
    ms: float


def of(scope: Scope) -> tuple[Invariant, ...]:
    """The invariants that are part of a check."""
    return tuple(one for one in INVARIANTS if scope.is_whole or not one.is_costly)


def check(
    scope: Scope, *, on_progress: Callable[[Invariant], None] = lambda _: None
) -> list[Checked]:
    """Runs every invariant in the caller's `snapshot`."""
    checked = []
    if not scope.is_whole:
        _go_by_index()
    for invariant in of(scope):
        on_progress(invariant)
        checked.append(_check(invariant, scope))
    return checked


@contextmanager
def snapshot() -> Iterator[None]:
    """A transaction all of whose statements see one moment, and which changes nothing."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Compiling such statements takes longer than running them.
        cursor.execute("SET LOCAL jit = off")
        yield


def _go_by_index() -> None:
    """Few rows are looked at, whatever the planner expects: never whole tables for them."""
    with connection.cursor() as cursor:
        for way in ("seqscan", "hashjoin", "mergejoin"):
            cursor.execute(f"SET LOCAL enable_{way} = off")


def _check(invariant: Invariant, scope: Scope) -> Checked:
    statement = invariant.for_whole if scope.is_whole else invariant.for_new
    started = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(statement, scope.values)
        rows = cursor.fetchmany(MOST_FINDINGS)
        count = cursor.rowcount
    return Checked(
        invariant=invariant,
        rows=count,
        findings=tuple(
            Finding(subject=subject, owner_id=owner, market_id=market)
            for subject, owner, market in rows
        ),
        ms=(time.monotonic() - started) * 1000,
    )
