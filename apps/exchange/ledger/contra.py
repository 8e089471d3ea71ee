"""Contra journals: what a matched trade moved is taken back, or becomes what it should have been.

The trade's own journal stays; one more, about the same trade, moves the difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from apps.exchange import holds
from apps.exchange.ledger.accounts import available, fees_account, hold, house
from apps.exchange.ledger.posting import Line, NotEnough, post
from apps.exchange.models import Account, Fill, House, JournalKind, Market
from moonx.core import money
from moonx.core.money import EXACT

ZERO = Decimal(0)

# What the journals about a trade have moved in all, on each account.
MOVED = """
SELECT e.account_id, sum(e.amount) FROM exchange_journal j
JOIN exchange_entry e ON e.journal_id = j.id
WHERE j.source = %s AND j.kind IN ('trade', 'correction', 'reversal')
GROUP BY e.account_id HAVING sum(e.amount) <> 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A change of one trade. With `covers` the house pays what a side has spent meanwhile."""

    source: str
    epoch: int
    reason: str
    covers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What the sides of a trade pay."""

    taker: Decimal
    maker: Decimal


def take_back(case: Case) -> None:
    """Moves everything back that the trade moved, fees included. Raises NotEnough."""
    back = {account: amount.copy_negate() for account, amount in _moved(case.source).items()}
    _post(JournalKind.REVERSAL, case, back)


def resettle(case: Case, market: Market, seq: int, *, quote_quantity: Decimal) -> Fees:
    """Moves what is missing, or too much, as if the trade had been for `quote_quantity`.

    Fees are each order's rate of it, rounded up. Returns them. Raises NotEnough.
    """
    fills = list(Fill.objects.filter(market=market, seq=seq).select_related("order"))
    fees = {fill.is_maker: _fee(market, fill, quote_quantity) for fill in fills}
    wanted: dict[int, Decimal] = {fees_account(market): EXACT.add(fees[True], fees[False])}
    for fill in fills:
        for account, amount in _side(fill, quote_quantity, fees[fill.is_maker]):
            wanted[account] = EXACT.add(wanted.get(account, ZERO), amount)
    _post(JournalKind.CORRECTION, case, _difference(wanted, _moved(case.source)))
    return Fees(taker=fees[False], maker=fees[True])


def _fee(market: Market, fill: Fill, quote_quantity: Decimal) -> Decimal:
    atom = Decimal(1).scaleb(-market.quote.decimals)
    order = fill.order
    rate = order.maker_fee_bps if fill.is_maker else order.taker_fee_bps
    atoms = int(EXACT.divide(quote_quantity, atom))
    paid = holds.fee(taken=atoms, made=0, taker_ppm=holds.ppm(rate), maker_ppm=0)
    return EXACT.multiply(Decimal(paid), atom)


def _side(fill: Fill, quote_quantity: Decimal, fee: Decimal) -> list[tuple[int, Decimal]]:
    order, sign = fill.order, Decimal(1 if fill.side == "BUY" else -1)
    paid = EXACT.multiply(sign.copy_negate(), quote_quantity)
    return [
        (order.base_account_id, EXACT.multiply(sign, fill.quantity)),
        (order.quote_account_id, EXACT.subtract(paid, fee)),
    ]


def _difference(wanted: Mapping[int, Decimal], moved: Mapping[int, Decimal]) -> dict[int, Decimal]:
    return {
        account: EXACT.subtract(wanted.get(account, ZERO), moved.get(account, ZERO))
        for account in wanted.keys() | moved.keys()
    }


def _moved(source: str) -> dict[int, Decimal]:
    with connection.cursor() as cursor:
        cursor.execute(MOVED, [source])
        return dict(cursor.fetchall())


def _post(kind: JournalKind, case: Case, amounts: Mapping[int, Decimal]) -> None:
    """Users' accounts are held first, all at once, as whoever trades with them does."""
    moving = {account: amount for account, amount in amounts.items() if amount}
    users = Account.objects.filter(pk__in=moving, owner__isnull=False)
    hold(users.values_list("pk", flat=True))
    rows = Account.objects.filter(pk__in=moving).select_related("asset", "owner").order_by("pk")
    lines = [Line(account=row, amount=moving[row.pk]) for row in rows]
    missing = [(line, short) for line in lines if (short := _missing(line)) > 0]
    if missing and not case.covers:
        raise NotEnough(_lacking(missing))
    for line, short in missing:
        _cover(case, line, short)
    post(kind, case.source, lines, epoch=case.epoch, reason=case.reason)


def _missing(line: Line) -> Decimal:
    """How much a user's account lacks for what the line takes; nothing where it gives."""
    if line.account.owner_id is None:
        return ZERO
    return EXACT.subtract(line.amount.copy_negate(), available(line.account))


def _lacking(missing: Sequence[tuple[Line, Decimal]]) -> str:
    said = [
        f"{line.account.owner} must give back {money.plain(line.amount.copy_negate())} "
        f"{line.account.asset} and has {money.plain(available(line.account))} free"
        for line, _ in missing
    ]
    return "; ".join(said)


def _cover(case: Case, line: Line, amount: Decimal) -> None:
    """The house lends what a user lacks; what it is owed stands on its receivables."""
    account = line.account
    lines = [
        Line(account=account, amount=amount),
        Line(account=house(House.RECEIVABLE, account.asset), amount=amount.copy_negate()),
    ]
    source = f"{case.source}:cover:{account.pk}"
    post(JournalKind.ADJUSTMENT, source, lines, epoch=case.epoch, reason=case.reason)
