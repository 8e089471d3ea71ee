"""Cells of the exchange's lists and pages: amounts as people read them, links between rows."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from apps.exchange.models import Account, Journal, JournalKind, Market, Trade
from moonx.core import cells, money
from moonx.core.cells import NOTHING
from moonx.core.staff import column, link

SIDES = {"BUY": "success", "SELL": "danger"}
MINUTE = timedelta(minutes=1)
UNITS = {"d": 86_400, "h": 3_600, "min": 60, "s": 1}

# Within a second much may happen to an order.
at = partial(cells.at, show=cells.millisecond)


def plain(value: Decimal | None) -> str:
    """An amount without needless zeros, a dash where there is none."""
    return NOTHING if value is None else money.plain(value)


def lasting(value: timedelta | None) -> str:
    """A time span in its two largest units, below a minute to a tenth of a second."""
    if value is None:
        return NOTHING
    if value < MINUTE:
        return f"{value.total_seconds():.1f} s"
    rest_s, words = int(value.total_seconds()), []
    for unit, size_s in UNITS.items():
        count, rest_s = divmod(rest_s, size_s)
        words += [f"{count} {unit}"] if count else []
    return " ".join(words[:2])


def amount(name: str, *, title: str = "", ordering: str = "") -> Callable[[Any, Any], str]:
    """The method of an admin that shows an amount of its row."""

    @column(description=title or name.replace("_", " "), ordering=ordering)
    def cell(_admin: Any, row: Any) -> str:
        return plain(getattr(row, name))

    return cell


def word(name: str, *, title: str = "") -> Callable[[Any, Any], str]:
    """The method of an admin that shows a choice of its row as the API spells it."""

    @column(description=title or name.replace("_", " "), ordering=name)
    def cell(_admin: Any, row: Any) -> str:
        return str(getattr(row, name)) or NOTHING

    return cell


def account_link(account: Account) -> str:
    """An account, by whose it is and of what."""
    return link(account, "exchange_account_change", account.pk)


def trade_links(market: Market, seqs: list[int]) -> dict[int, tuple[str, str]]:
    """Each trade and its journal as links, by the trade's number in its market; two queries."""
    trades = dict(Trade.objects.filter(market=market, seq__in=seqs).values_list("seq", "pk"))
    sources = {f"{market.symbol}:{seq}": seq for seq in seqs}
    found = Journal.objects.filter(kind=JournalKind.TRADE, source__in=sources, epoch=0)
    journals = {sources[source]: pk for source, pk in found.values_list("source", "pk")}
    return {
        seq: (
            link(seq, "exchange_trade_change", trades[seq]) if seq in trades else str(seq),
            link(journals[seq], "exchange_journal_change", journals[seq])
            if seq in journals
            else NOTHING,
        )
        for seq in seqs
    }
