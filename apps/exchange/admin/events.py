"""From a published event to the rows that it is about."""

from collections.abc import Iterator
from typing import Any

from apps.exchange.models import Account, Market, Trade
from moonx.core.admin import links_of_events
from moonx.core.models import PublishedEvent
from moonx.core.staff import link


def _links(event: PublishedEvent) -> Iterator[str]:
    about = event.payload
    if order_id := about.get("orderId"):
        yield link(f"order {order_id}", "exchange_order_change", order_id)
    if event.name.startswith("trade."):
        yield from _trade(about)
    if event.key.startswith("account:"):
        yield from _account(about)
    elif symbol := about.get("symbol"):
        for pk in Market.objects.filter(symbol=symbol).values_list("pk", flat=True):
            yield link(symbol, "exchange_market_change", pk)


def _trade(about: dict[str, Any]) -> Iterator[str]:
    """The public event calls the trade's number `id`, the owner's `tradeId`."""
    seq = int(about.get("tradeId") or about["id"])
    found = Trade.objects.filter(market__symbol=about.get("symbol"), seq=seq)
    for pk in found.values_list("pk", flat=True):
        yield link(f"trade {seq}", "exchange_trade_change", pk)


def _account(about: dict[str, Any]) -> Iterator[str]:
    found = Account.objects.filter(owner=about.get("userId"), asset__symbol=about.get("asset"))
    for account in found.select_related("owner", "asset"):
        yield link(account, "exchange_account_change", account.pk)


links_of_events(_links)
