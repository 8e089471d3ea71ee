"""The ledger in the admin: accounts, journals with their entries, seals. Nobody edits any of it."""

from collections.abc import Sequence

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from apps.exchange import ledger
from apps.exchange.admin.cells import account_link, amount, at, plain
from apps.exchange.ledger.standing import standing
from apps.exchange.models import (
    OPEN,
    Account,
    Entry,
    Journal,
    JournalKind,
    Order,
    Seal,
    SealedBalance,
    Trade,
)
from moonx.core.admin import events_table
from moonx.core.cells import NOTHING, millisecond
from moonx.core.staff import (
    ReadOnlyAdmin,
    SteppedSearch,
    Table,
    TablesMixin,
    column,
    link,
)

SHOWN = 50
KINDS = {
    JournalKind.TRADE: "info",
    JournalKind.DEPOSIT: "success",
    JournalKind.REVERSAL: "danger",
    JournalKind.CORRECTION: "danger",
    JournalKind.ADJUSTMENT: "warning",
    JournalKind.DEMO: "primary",
}


class OwnedFilter(admin.SimpleListFilter):
    """Users' accounts or the house's."""

    title = "whose"
    parameter_name = "whose"

    def lookups(self, *_: object) -> list[tuple[str, str]]:
        return [("users", "users"), ("house", "the house")]

    def queryset(self, _: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        match self.value():
            case "users":
                return queryset.filter(owner__isnull=False)
            case "house":
                return queryset.filter(owner__isnull=True)
        return queryset


@admin.register(Account)
class AccountAdmin(TablesMixin, SteppedSearch, ReadOnlyAdmin):
    """What each owner has of each asset, and how much of it open orders hold."""

    list_display = ("id", "name", "asset", "balance_", "held_", "available", "market")
    list_filter = (OwnedFilter, ("asset", AutocompleteSelectFilter))
    list_filter_submit = True
    list_select_related = ("owner", "asset", "market")
    search_fields = ("owner__username", "pk")
    search_help_text = "An owner's name, or an account's number, in full."
    ordering = ("id",)
    fields = (("name", "asset"), ("standing", "market"), ("held_", "available"))
    readonly_fields = ("standing",)

    @column(description="owner")
    def name(self, account: Account) -> str:
        if account.owner is None:
            return f"house: {account.house}"
        return link(account.owner, "auth_user_change", account.owner_id)

    @column(description="balance")
    def balance_(self, account: Account) -> str:
        """A house account's is the sum of its entries, which a list does not add up."""
        return plain(account.balance)

    @column(description="balance")
    def standing(self, account: Account) -> str:
        return plain(standing(account) if account.balance is None else account.balance)

    held_ = amount("held")

    @column(description="available")
    def available(self, account: Account) -> str:
        return NOTHING if account.balance is None else plain(ledger.available(account))

    def tables(self, row: Account) -> Sequence[Table]:
        """Its newest entries, and the open orders that hold of it."""
        return [_entries_on(row), *([_holders_of(row)] if row.owner_id else [])]


@admin.register(Journal)
class JournalAdmin(TablesMixin, SteppedSearch, ReadOnlyAdmin):
    """Every change of ownership, newest first."""

    list_display = ("id", "kind_", "source", "epoch", "reason", "at_")
    list_filter = ("kind",)
    search_fields = ("pk", "source")
    search_help_text = "A journal's number, or its source such as ETHUSDC:17, in full."
    ordering = ("-id",)
    fields = (("kind_", "about"), ("epoch", "reason"), ("at_", "correlation_id"))
    readonly_fields = ("about",)

    at_ = at("created_at", title="written")

    @column(description="kind", label=KINDS)
    def kind_(self, journal: Journal) -> str:
        return journal.kind

    @column(description="source")
    def about(self, journal: Journal) -> str:
        """A trade's journal leads to the trade."""
        symbol, _, seq = journal.source.partition(":")
        if journal.kind == JournalKind.TRADE and seq.isdigit():
            found = Trade.objects.filter(market__symbol=symbol, seq=seq).first()
            if found is not None:
                return link(journal.source, "exchange_trade_change", found.pk)
        return journal.source

    def tables(self, row: Journal) -> Sequence[Table]:
        """Its entries and its events."""
        return [entries_of(row), events_table(row.correlation_id, [row.created_at])]


@admin.register(Seal)
class SealAdmin(TablesMixin, ReadOnlyAdmin):
    """Days of the ledger that are over, each with the digest that any later change would break."""

    list_display = ("sealed_at", "journals", "from_xid", "to_xid", "short_digest")
    ordering = ("-id",)

    @column(description="digest")
    def short_digest(self, seal: Seal) -> str:
        return f"{seal.digest[:16]}…"

    def tables(self, row: Seal) -> Sequence[Table]:
        """What the accounts had then."""
        balances = SealedBalance.objects.filter(seal=row).select_related(
            "account__owner", "account__asset"
        )
        return [
            Table(
                title=f"Balances, the first {SHOWN}",
                headers=("Account", "Balance"),
                rows=[
                    (account_link(each.account), plain(each.balance))
                    for each in balances.order_by("account_id")[:SHOWN]
                ],
                empty="No account had changed.",
            )
        ]


def entries_of(journal: Journal) -> Table:
    """What a journal gave and took."""
    entries = Entry.objects.filter(journal=journal).select_related("account__owner", "asset")
    return Table(
        title=f"Entries of journal {journal.pk}",
        headers=("Account", "Asset", "Amount"),
        rows=[
            (account_link(entry.account), entry.asset.symbol, _signed(entry))
            for entry in entries.order_by("asset_id", "amount")
        ],
        more=link(f"Journal {journal.pk}: {journal}", "exchange_journal_change", journal.pk),
    )


def _entries_on(account: Account) -> Table:
    entries = Entry.objects.filter(account=account).select_related("journal")
    return Table(
        title=f"Newest {SHOWN} entries",
        headers=("Journal", "Kind", "Source", "Amount", "Written"),
        rows=[
            (
                link(entry.journal_id, "exchange_journal_change", entry.journal_id),
                entry.journal.kind,
                entry.journal.source,
                _signed(entry),
                millisecond(entry.journal.created_at),
            )
            for entry in entries.order_by("-journal_id")[:SHOWN]
        ],
        empty="Nothing was ever posted to it.",
    )


def _holders_of(account: Account) -> Table:
    held = Q(base_account=account, side="SELL") | Q(quote_account=account, side="BUY")
    orders = Order.objects.filter(OPEN, held, owner=account.owner_id).select_related("market")
    return Table(
        title=f"Open orders that hold of it, the first {SHOWN}",
        headers=("Order", "Market", "Side", "Type", "Holds"),
        rows=[
            (
                link(order.pk, "exchange_order_change", order.pk),
                order.market.symbol,
                order.side,
                order.type,
                plain(order.held),
            )
            for order in orders.order_by("pk")[:SHOWN]
        ],
    )


def _signed(entry: Entry) -> str:
    """A plus before what was given, so that signs stand out in a column."""
    return f"+{plain(entry.amount)}" if entry.amount > 0 else plain(entry.amount)
