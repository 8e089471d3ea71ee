"""What an account of the house has: it has no balance of its own, so that nobody waits for it."""

from decimal import Decimal

from django.db import connection

from apps.exchange.models import Account

# The last sealed balance, and what was posted since; a seal covers whole transactions.
STANDING = """
WITH s AS MATERIALIZED (
  SELECT b.balance, z.to_xid FROM exchange_sealedbalance b JOIN exchange_seal z ON z.id = b.seal_id
  WHERE b.account_id = %(account)s ORDER BY z.to_xid DESC LIMIT 1
)
SELECT coalesce((SELECT balance FROM s), 0) + coalesce((
  SELECT sum(e.amount) FROM exchange_entry e JOIN exchange_journal j ON j.id = e.journal_id
  WHERE e.account_id = %(account)s
    AND j.xid >= coalesce((SELECT to_xid FROM s), 0)::text::xid8
), 0)
"""


def standing(account: Account) -> Decimal:
    """The sum of an account's entries; for a user's account that is its balance too."""
    with connection.cursor() as cursor:
        cursor.execute(STANDING, {"account": account.pk})
        total: Decimal = cursor.fetchone()[0]
    return total
