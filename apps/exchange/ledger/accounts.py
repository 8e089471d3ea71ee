"""Accounts: a user's and the house's, opened when they are first needed."""

from collections.abc import Iterable
from decimal import Decimal

from apps.exchange.models import Account, Asset, House, Market
from moonx.core import locks, prepared
from moonx.core.arrays import numbers
from moonx.core.money import EXACT

FEES = """
SELECT id FROM exchange_account
WHERE house = 'fees' AND owner_id IS NULL AND asset_id = %(asset)s AND market_id = %(market)s
"""
HOLD = "SELECT FROM exchange_account WHERE id = ANY(%s::bigint[]) ORDER BY id FOR NO KEY UPDATE"


def account(owner_id: int, asset: Asset) -> Account:
    """A user's account of an asset."""
    return accounts(owner_id, [asset])[asset.pk]


def accounts(owner_id: int, assets: Iterable[Asset]) -> dict[int, Account]:
    """A user's accounts by the id of their asset; those that are missing are opened, empty."""
    wanted = {asset.pk: asset for asset in assets}
    found = _find(owner_id, wanted)
    missing = wanted.keys() - found.keys()
    if missing:
        Account.objects.bulk_create(
            [Account(owner_id=owner_id, asset_id=pk, balance=Decimal(0)) for pk in sorted(missing)],
            ignore_conflicts=True,
        )
        found = _find(owner_id, wanted)
    return found


def house(house: House, asset: Asset, market: Market | None = None) -> Account:
    """An account of the house, opened if it is missing; fees have one a market."""
    wanted = {"owner": None, "house": house, "asset": asset, "market": market}
    rows = Account.objects.filter(**wanted)
    found = rows.first()
    if found is None:
        Account.objects.bulk_create([Account(**wanted)], ignore_conflicts=True)
        found = rows.get()
    found.asset, found.market = asset, market
    return found


def fees_account(market: Market) -> int:
    """The id of the account that a market's fees go to, opened if it is missing."""
    with prepared.cursor() as cursor:
        cursor.execute(FEES, {"asset": market.quote_id, "market": market.pk})
        row = cursor.fetchone()
    return int(row[0]) if row else house(House.FEES, market.quote, market).pk


def available(account: Account) -> Decimal:
    """What a user's account has that no open order holds, as of when it was read."""
    return EXACT.subtract(account.balance or Decimal(0), account.held)


def hold(ids: Iterable[int]) -> None:
    """Holds accounts until the transaction ends, in the order of their ids, so that nobody who
    does so waits for one who waits for them. Raises locks.LockBusy."""
    wanted = set(ids)
    if wanted:
        locks.hold_rows(HOLD, [numbers(wanted)], what="accounts")


def _find(owner_id: int, wanted: dict[int, Asset]) -> dict[int, Account]:
    found = {}
    for row in Account.objects.filter(owner_id=owner_id, asset_id__in=wanted):
        row.asset = wanted[row.asset_id]
        found[row.asset_id] = row
    return found
