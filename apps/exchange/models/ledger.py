"""The double-entry ledger: accounts, journals, entries, and the seals on days that are over.

What these tables promise is kept by the database: see the migration `ledger`.
"""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps.exchange.models.fields import amount, optional_amount
from apps.exchange.models.markets import Asset, Market


class House(models.TextChoices):
    """Whose an account is that belongs to no user."""

    EXTERNAL = "external"  # the world outside: minus what users have brought
    FEES = "fees"
    SUSPENSE = "suspense"
    RECEIVABLE = "receivable"
    ROUNDING = "rounding"
    DEMO = "demo"  # minus what the demo gave away


class JournalKind(models.TextChoices):
    """Why value changed its owner; with `source` and `epoch` it names one journal."""

    TRADE = "trade"
    DEPOSIT = "deposit"
    REVERSAL = "reversal"
    CORRECTION = "correction"
    ADJUSTMENT = "adjustment"
    DEMO = "demo"


class Account(models.Model):
    """What an owner has of an asset; a user's has a balance, of which open orders hold a part.

    `balance` follows the entries and cannot be written otherwise. A house account has none: it is
    the sum of its entries, so that nobody waits for its row.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, db_index=False, related_name="accounts"
    )
    house = models.TextField(choices=House.choices, blank=True)
    market = models.ForeignKey(
        Market, models.PROTECT, null=True, db_index=False, related_name="accounts"
    )
    asset = models.ForeignKey(Asset, models.PROTECT, db_index=False, related_name="accounts")
    balance = optional_amount()
    held = amount(default=0)

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(
                fields=["owner", "asset"],
                condition=models.Q(owner__isnull=False),
                name="user_has_one_account_an_asset",
            ),
            models.UniqueConstraint(
                fields=["house", "asset", "market"],
                condition=models.Q(owner__isnull=True),
                nulls_distinct=False,
                name="house_has_one_account_an_asset",
            ),
            models.CheckConstraint(
                condition=models.Q(owner__isnull=True, balance__isnull=True, held=0)
                & ~models.Q(house="")
                | models.Q(owner__isnull=False, balance__isnull=False, house="", market=None),
                name="account_is_a_users_or_the_houses",
            ),
            models.CheckConstraint(
                condition=models.Q(owner__isnull=True)
                | models.Q(held__gte=0, balance__gte=models.F("held")),
                name="account_holds_at_most_its_balance",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.owner or self.house} {self.asset}"


class Journal(models.Model):
    """A change of ownership: its entries sum to zero in each asset. Written once, for ever."""

    kind = models.TextField(choices=JournalKind.choices)
    source = models.TextField(help_text="What it is about: a market and trade, a deposit.")
    epoch = models.IntegerField(default=0)
    reason = models.TextField(blank=True)
    correlation_id = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["kind", "source", "epoch"], name="journal_happens_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.source}"


class Entry(models.Model):
    """What a journal adds to one account, or takes from it."""

    pk = models.CompositePrimaryKey("journal_id", "account_id")
    # Checked by the trigger that also checks the sums: a look-up per row would cost more.
    journal = models.ForeignKey(
        Journal, models.PROTECT, db_constraint=False, db_index=False, related_name="entries"
    )
    account = models.ForeignKey(
        Account, models.PROTECT, db_constraint=False, db_index=False, related_name="entries"
    )
    asset = models.ForeignKey(
        Asset, models.PROTECT, db_constraint=False, db_index=False, related_name="+"
    )
    amount = amount()

    class Meta:
        verbose_name_plural = "entries"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.CheckConstraint(condition=~models.Q(amount=0), name="entry_is_not_zero")
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["account", "journal"], name="entry_by_account")
        ]

    def __str__(self) -> str:
        return f"{self.journal_id}/{self.account_id}"


class Seal(models.Model):
    """The ledger up to a moment, with a digest that any later change would break.

    It covers the journals of transactions from `from_xid` up to, not including, `to_xid`.
    """

    from_xid = models.BigIntegerField()
    to_xid = models.BigIntegerField(unique=True)
    journals = models.BigIntegerField()
    digest = models.TextField()
    sealed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"up to {self.sealed_at}"


class SealedBalance(models.Model):
    """What an account had at a seal: where its sums begin since."""

    seal = models.ForeignKey(Seal, models.PROTECT, related_name="balances")
    account = models.ForeignKey(Account, models.PROTECT, db_index=False, related_name="sealed")
    balance = amount()

    class Meta:
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["account", "seal"], name="account_is_sealed_once")
        ]

    def __str__(self) -> str:
        return f"{self.account_id} at {self.seal_id}"
