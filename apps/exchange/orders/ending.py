"""Ending orders otherwise than by filling them: what they still hold is free, exactly and once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from apps.exchange import book, ledger
from apps.exchange.announcing import Move, tell_balances, tell_orders
from apps.exchange.models import Market, OrderStatus, Reason
from moonx.core.events import BalanceUnlocked, OrderFact

# The hold is the order's own residual, never computed anew: what fills used and released is gone
# from it already. Only orders that are open are found, so a second ending finds nothing.
FIND = """
SELECT o.id, o.market_id, o.held,
  CASE o.side WHEN 'BUY' THEN o.quote_account_id ELSE o.base_account_id END
FROM exchange_order o WHERE o.stage <> 'done' AND {where}
"""

FREE = """
UPDATE exchange_account a SET held = a.held - u.total
FROM (SELECT account, sum(amount) AS total
  FROM unnest(%s::bigint[], %s::numeric[]) AS u(account, amount) GROUP BY account) u
WHERE a.id = u.account
"""

END = """
UPDATE exchange_order SET status = %s, reason = %s, stage = 'done', held = 0,
  quantity = CASE WHEN quote_order_quantity IS NULL THEN quantity ELSE filled_quantity END,
  updated_at = clock_timestamp()
WHERE id = ANY(%s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How orders end, and the fact that tells it."""

    status: OrderStatus
    reason: Reason
    event: type[OrderFact]


def end(ending: Ending, *, where: str, values: Mapping[str, Any]) -> list[int]:
    """Ends the open orders that `where` (SQL over `o`) finds; returns their ids.

    The caller's transaction holds the locks of their markets, so none of them is being matched.
    """
    with connection.cursor() as cursor:
        cursor.execute(FIND.format(where=where), values)
        found = cursor.fetchall()
        if not found:
            return []
        ids = [order for order, _, _, _ in found]
        accounts = [account for _, _, _, account in found]
        ledger.hold(accounts)
        cursor.execute(FREE, [accounts, [held for _, _, held, _ in found]])
        cursor.execute(END, [ending.status.value, ending.reason.value, ids])
    tell_orders(ending.event, ids)
    freed = [Move(account=a, amount=held, order=order) for order, _, held, a in found if held]
    tell_balances(BalanceUnlocked, freed, reason=ending.reason)
    _show({market_id for _, market_id, _, _ in found})
    return ids


def _show(market_ids: set[int]) -> None:
    """Subscribers of the markets' books see them without what ended."""
    markets = list(Market.objects.filter(pk__in=market_ids))
    book.changed(*markets)
    show = book.push if len(markets) == 1 else book.push_soon
    transaction.on_commit(lambda: show(*markets), robust=True)
