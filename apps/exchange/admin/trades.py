"""Trades, with both sides' fills and the journal that moved what was traded."""

from collections.abc import Sequence

from django.contrib import admin
from unfold.contrib.filters.admin import RangeDateTimeFilter

from apps.exchange.admin.cells import amount, plain
from apps.exchange.admin.ledger import entries_of
from apps.exchange.models import Fill, Journal, JournalKind, Trade
from moonx.core.admin import events_table
from moonx.core.staff import ReadOnlyAdmin, Table, TablesMixin, column, link


@admin.register(Trade)
class TradeAdmin(TablesMixin, ReadOnlyAdmin):
    """Trades, newest first."""

    list_display = ("seq", "market", "side", "price_", "quantity_", "executed_at", "source")
    list_filter = ("market", "source", ("executed_at", RangeDateTimeFilter))
    list_filter_submit = True
    list_select_related = ("market",)
    search_fields = ("=seq",)
    search_help_text = "A trade's number within its market."
    ordering = ("-id",)
    fields = (
        ("market", "seq"),
        ("first_id", "last_id"),
        ("side", "price_"),
        ("quantity_", "quote_quantity_"),
        ("executed_at", "source"),
    )

    @column(label={"buy": "success", "sell": "danger"})
    def side(self, trade: Trade) -> str:
        """The taker's side."""
        return "sell" if trade.is_buyer_maker else "buy"

    price_, quantity_ = amount("price"), amount("quantity")
    quote_quantity_ = amount("quote_quantity")

    def tables(self, row: Trade) -> Sequence[Table]:
        """Both fills, the entries of its journal, its events."""
        source = f"{row.market.symbol}:{row.seq}"
        journals = Journal.objects.filter(kind=JournalKind.TRADE, source=source)
        return [
            fills_of(row),
            *(entries_of(journal) for journal in journals),
            *(events_table(j.correlation_id, [row.executed_at]) for j in journals[:1]),
        ]


def fills_of(trade: Trade) -> Table:
    """What the trade gave each side; trades that were not matched here have none."""
    fills = Fill.objects.filter(market=trade.market_id, seq=trade.seq).select_related("owner")
    return Table(
        title="Fills",
        headers=("Order", "Owner", "Side", "Role", "Price", "Quantity", "Quote", "Fee"),
        rows=[
            (
                link(fill.order_id, "exchange_order_change", fill.order_id),
                link(fill.owner, "auth_user_change", fill.owner_id),
                fill.side,
                "maker" if fill.is_maker else "taker",
                plain(fill.price),
                plain(fill.quantity),
                plain(fill.quote_quantity),
                plain(fill.fee),
            )
            for fill in fills.order_by("is_maker")
        ],
        empty="This trade was not matched here.",
    )
