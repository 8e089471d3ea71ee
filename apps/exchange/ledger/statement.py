"""Statements: what was added to an owner's accounts and taken from them, and what they then had."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from apps.exchange.models import Asset

# The page is found first, then what each account had after its newest row on it: what it has now,
# less what came since. Rows between those of the page are summed too, whatever the page leaves out.
PAGE = """
WITH own AS MATERIALIZED (
  SELECT a.id, a.balance, s.symbol, s.decimals
  FROM exchange_account a JOIN exchange_asset s ON s.id = a.asset_id
  WHERE a.owner_id = %(owner)s AND a.asset_id = coalesce(%(asset)s, a.asset_id)
), page AS MATERIALIZED (
  SELECT own.id AS account, own.symbol, own.decimals, e.*
  FROM own CROSS JOIN LATERAL (
    SELECT j.id AS journal, j.created_at, j.kind, j.source, j.reason, e.amount
    FROM exchange_entry e JOIN exchange_journal j ON j.id = e.journal_id
    WHERE e.account_id = own.id AND {bounds}
    ORDER BY e.journal_id DESC LIMIT %(limit)s
  ) e
  ORDER BY e.journal DESC, own.id DESC LIMIT %(limit)s
), spans AS (
  SELECT account, min(journal) AS lowest, max(journal) AS highest FROM page GROUP BY account
), runs AS (
  SELECT r.account_id, r.journal_id, own.balance
    - coalesce((SELECT sum(n.amount) FROM exchange_entry n
        WHERE n.account_id = own.id AND n.journal_id > spans.highest), 0)
    - coalesce(r.later, 0) AS balance
  FROM spans JOIN own ON own.id = spans.account CROSS JOIN LATERAL (
    SELECT e.account_id, e.journal_id, sum(e.amount) OVER (ORDER BY e.journal_id DESC
      ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS later
    FROM exchange_entry e
    WHERE e.account_id = own.id AND e.journal_id BETWEEN spans.lowest AND spans.highest
  ) r
)
SELECT p.journal, p.account, p.created_at, p.kind, p.source, p.reason, p.symbol, p.decimals,
  p.amount, r.balance
FROM page p JOIN runs r ON r.account_id = p.account AND r.journal_id = p.journal
ORDER BY p.journal DESC, p.account DESC
"""

BOUNDS = {
    "before": "(e.journal_id, e.account_id) < (%(journal)s, %(account)s)",
    "since": "j.created_at >= %(since)s",
    "until": "j.created_at < %(until)s",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a row stands in its owner's statement; spelled "journal-account"."""

    journal: int
    account: int

    def __str__(self) -> str:
        return f"{self.journal}-{self.account}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position that `text` spells; ValueError where it spells none."""
        journal, _, account = text.partition("-")
        if not (text.isascii() and journal.isdigit() and account.isdigit() and len(text) < 38):
            raise ValueError(f"{text[:40]!r} is no position in a statement")
        return cls(journal=int(journal), account=int(account))


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: `balance` is what the account had after it. Amounts fit `decimals` digits."""

    position: Position
    time: datetime
    kind: str
    source: str
    reason: str
    asset: str
    decimals: int
    amount: Decimal
    balance: Decimal


def statement(
    owner_id: int,
    asset: Asset | None = None,
    *,
    before: Position | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 500,
) -> list[Row]:
    """The owner's entries, the newest first, of one asset or all; `until` itself is left out.

    The next page is what is `before` the position of the last row.
    """
    given: dict[str, Any] = {"before": before, "since": since, "until": until}
    bounds = [text for name, text in BOUNDS.items() if given[name] is not None]
    values = {
        **given,
        "owner": owner_id,
        "asset": asset.pk if asset else None,
        "journal": before.journal if before else None,
        "account": before.account if before else None,
        "limit": limit,
    }
    values.pop("before")
    with connection.cursor() as cursor:
        cursor.execute(PAGE.format(bounds=" AND ".join(bounds) or "true"), values)
        return [_row(*row) for row in cursor.fetchall()]


def _row(journal: int, account: int, *rest: Any) -> Row:
    return Row(Position(journal=journal, account=account), *rest)
