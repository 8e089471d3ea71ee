"""Posting: value changes its owner by a journal whose entries sum to zero in each asset."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, DecimalException
from typing import Any

from django.db import connection, transaction

from apps.exchange.announcing import Move, tell_balances
from apps.exchange.ledger.accounts import account
from apps.exchange.ledger.accounts import house as house_account
from apps.exchange.models import Account, Asset, House, Journal, JournalKind
from moonx.core import logs, money
from moonx.core.events import BalanceCredited, BalanceDebited
from moonx.core.money import EXACT, MoneyError


class PostingRefused(Exception):
    """A journal that was not written, nor any of its entries. Permanent."""


class Unbalanced(PostingRefused):
    """Lines that are no journal: too few, twice one account, a zero, or a sum that is not zero."""


class NotEnough(PostingRefused):
    """A user's account has less than the journal takes, apart from what open orders hold."""


class OwnerFrozen(PostingRefused):
    """The owner is frozen; only corrections may take from their accounts."""


# Corrections must reach an owner who was frozen because of what they correct.
CORRECTIONS = {JournalKind.REVERSAL, JournalKind.CORRECTION, JournalKind.ADJUSTMENT}

LOCK = """
SELECT a.id, a.owner_id, a.balance, a.held, t.frozen_at IS NOT NULL
FROM exchange_account a LEFT JOIN exchange_trader t ON t.user_id = a.owner_id
WHERE a.id = ANY(%s) AND a.owner_id IS NOT NULL ORDER BY a.id FOR NO KEY UPDATE OF a
"""

# One statement: a journal never stands without its entries, and is written once.
POST = """
WITH j AS (
  INSERT INTO exchange_journal (kind, source, epoch, reason, correlation_id)
  VALUES (%(kind)s, %(source)s, %(epoch)s, %(reason)s, %(correlation)s)
  ON CONFLICT (kind, source, epoch) DO NOTHING RETURNING id, created_at
),
e AS (
  INSERT INTO exchange_entry (journal_id, account_id, asset_id, amount)
  SELECT j.id, u.* FROM j, unnest(%(accounts)s::bigint[], %(assets)s::bigint[],
    %(amounts)s::numeric[]) AS u
)
SELECT id, created_at FROM j
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a journal adds to an account, or takes from it where it is negative."""

    account: Account
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A user's account as it stands while its row is locked."""

    owner_id: int
    balance: Decimal
    held: Decimal
    is_frozen: bool

    @property
    def available(self) -> Decimal:
        return EXACT.subtract(self.balance, self.held)


def post(
    kind: JournalKind,
    source: str,
    lines: Sequence[Line],
    *,
    epoch: int = 0,
    reason: str = "",
) -> Journal | None:
    """Writes one journal in the current transaction, and tells the owners of the accounts.

    None means that the journal of this kind, source and epoch is there already: nothing changed.
    Raises MoneyError, or PostingRefused, and then has changed nothing either.
    """
    _require_transaction()
    _check(lines)
    locked = _lock(lines)
    refusal = _refusal(kind, lines, locked)
    if refusal is not None:
        if Journal.objects.filter(kind=kind, source=source, epoch=epoch).exists():
            return None
        raise refusal
    journal = Journal(
        kind=kind,
        source=source,
        epoch=epoch,
        reason=reason,
        correlation_id=logs.correlation_id.get(),
    )
    if not _write(journal, lines):
        return None
    _tell(journal, lines, locked)
    return journal


def fund(
    owner_id: int,
    asset: Asset,
    amount: Decimal,
    *,
    source: str,
    kind: JournalKind = JournalKind.DEMO,
    house: House = House.DEMO,
) -> bool:
    """Gives a user an amount from an account of the house, in a transaction of its own.

    False means that this source has been paid already. Raises as `post`.
    """
    with transaction.atomic():
        lines = [
            Line(account=account(owner_id, asset), amount=amount),
            Line(account=house_account(house, asset), amount=amount.copy_negate()),
        ]
        return post(kind, source, lines) is not None


def _check(lines: Sequence[Line]) -> None:
    """Refuses what is no journal before the database does, which would break the transaction."""
    if len(lines) < 2:
        raise Unbalanced("a journal has at least two entries")
    if len({line.account.pk for line in lines}) < len(lines):
        raise Unbalanced("a journal has at most one entry an account")
    totals: defaultdict[int, Decimal] = defaultdict(Decimal)
    for line in lines:
        _check_amount(line)
        asset = line.account.asset_id
        totals[asset] = EXACT.add(totals[asset], line.amount)
    for asset, total in totals.items():
        if total:
            raise Unbalanced(f"a journal sums to zero in each asset, not to {total} in {asset}")


def _check_amount(line: Line) -> None:
    amount: object = line.amount
    asset = line.account.asset
    if not isinstance(amount, Decimal) or not amount.is_finite():
        raise MoneyError(f"an entry's amount must be a finite Decimal, not {amount!r}")
    if not amount:
        raise Unbalanced("an entry is not zero")
    if not _fits(amount, asset):
        raise MoneyError(f"{amount} has more digits than {asset} has")


def _fits(amount: Decimal, asset: Asset) -> bool:
    try:
        return amount.copy_abs() <= money.LARGEST and money.decimals(amount) <= asset.decimals
    except DecimalException:
        return False


def _lock(lines: Sequence[Line]) -> dict[int, Locked]:
    """Locks the users' accounts, all at once and in the order of their ids."""
    with connection.cursor() as cursor:
        cursor.execute(LOCK, [[line.account.pk for line in lines]])
        return {
            pk: Locked(owner_id=owner, balance=balance, held=held, is_frozen=is_frozen)
            for pk, owner, balance, held, is_frozen in cursor.fetchall()
        }


def _refusal(
    kind: JournalKind, lines: Sequence[Line], locked: dict[int, Locked]
) -> PostingRefused | None:
    for line in lines:
        row = locked.get(line.account.pk)
        if row is None or line.amount > 0:
            continue
        if row.is_frozen and kind not in CORRECTIONS:
            return OwnerFrozen(f"user {row.owner_id} is frozen")
        if row.available < line.amount.copy_negate():
            asset = line.account.asset
            return NotEnough(f"user {row.owner_id} has only {row.available} {asset} available")
    return None


def _write(journal: Journal, lines: Sequence[Line]) -> bool:
    values: dict[str, Any] = {
        "kind": journal.kind,
        "source": journal.source,
        "epoch": journal.epoch,
        "reason": journal.reason,
        "correlation": journal.correlation_id,
        "accounts": [line.account.pk for line in lines],
        "assets": [line.account.asset_id for line in lines],
        "amounts": [line.amount for line in lines],
    }
    with connection.cursor() as cursor:
        cursor.execute(POST, values)
        row = cursor.fetchone()
    if row is not None:
        journal.pk, journal.created_at = row
    return row is not None


def _tell(journal: Journal, lines: Sequence[Line], locked: dict[int, Locked]) -> None:
    reason = journal.reason or journal.kind
    for event, is_credit in ((BalanceDebited, False), (BalanceCredited, True)):
        moves = [
            Move(account=line.account.pk, amount=line.amount.copy_abs())
            for line in lines
            if line.account.pk in locked and (line.amount > 0) is is_credit
        ]
        tell_balances(event, moves, reason=reason)


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise RuntimeError("post journals inside the transaction that makes them true")
