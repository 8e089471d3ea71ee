"""The ledger: who owns what, changed by journals only."""

from apps.exchange.ledger.accounts import account, accounts, available, fees_account, hold, house
from apps.exchange.ledger.posting import (
    Line,
    NotEnough,
    OwnerFrozen,
    PostingRefused,
    Unbalanced,
    fund,
    post,
)
from apps.exchange.ledger.statement import Position, Row, statement

__all__ = [
    "Line",
    "NotEnough",
    "OwnerFrozen",
    "Position",
    "PostingRefused",
    "Row",
    "Unbalanced",
    "account",
    "accounts",
    "available",
    "fees_account",
    "fund",
    "hold",
    "house",
    "post",
    "statement",
]
