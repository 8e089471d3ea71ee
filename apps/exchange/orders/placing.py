"""Placing: an order commits with its hold, then its market is matched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from django.db import IntegrityError, transaction

from apps.exchange import holds, ledger, matching
from apps.exchange.announcing import Move, tell_balances
from apps.exchange.models import Market, MarketStatus, Order, Side
from apps.exchange.orders import request, rules
from apps.exchange.orders.refusals import (
    DuplicateOrder,
    ExpiryPassed,
    Filter,
    FilterFailed,
    Frozen,
    InsufficientBalance,
)
from apps.exchange.orders.request import NewOrder
from moonx.core import logs, prepared
from moonx.core.events import BalanceLocked
from moonx.core.locks import LockBusy
from moonx.core.money import EXACT, WIDE

log = logs.get("moonx.orders")

# Everything that a placement must know, as it stands at one moment.
CONTEXT = """
SELECT clock_timestamp(), m.status, last.price, best.price, t.frozen_at IS NOT NULL,
  coalesce(own.maker_fee_bps, usual.maker_fee_bps, 0),
  coalesce(own.taker_fee_bps, usual.taker_fee_bps, 0),
  (SELECT count(*) FROM exchange_order o
   WHERE o.owner_id = %(owner)s AND o.market_id = m.id AND o.stage <> 'done'),
  EXISTS (SELECT FROM exchange_order o WHERE o.owner_id = %(owner)s AND o.market_id = m.id
          AND o.client_order_id = %(client_order_id)s),
  base.id, quote.id, base.balance - base.held, quote.balance - quote.held
FROM exchange_market m
LEFT JOIN exchange_account base ON base.owner_id = %(owner)s AND base.asset_id = m.base_id
LEFT JOIN exchange_account quote ON quote.owner_id = %(owner)s AND quote.asset_id = m.quote_id
LEFT JOIN exchange_trader t ON t.user_id = %(owner)s
LEFT JOIN exchange_feetier own ON own.id = t.fee_tier_id
LEFT JOIN exchange_feetier usual ON usual.is_default
LEFT JOIN LATERAL (
  SELECT price FROM exchange_trade WHERE market_id = m.id ORDER BY seq DESC LIMIT 1) last ON true
LEFT JOIN LATERAL (
  SELECT {best}(price) AS price FROM exchange_order
  WHERE market_id = m.id AND stage = 'book' AND side = %(opposite)s AND %(is_market)s
    AND (expires_at IS NULL OR expires_at > clock_timestamp())) best ON true
WHERE m.id = %(market)s
"""

HOLD = """
UPDATE exchange_account SET held = held + %(amount)s
WHERE id = %(account)s AND balance - held >= %(amount)s
"""

INSERT = """
INSERT INTO exchange_order (market_id, owner_id, base_account_id, quote_account_id, client_order_id,
  side, type, time_in_force, self_trade, price, stop_price, quantity, quote_order_quantity,
  filled_quantity, prevented_quantity, filled_quote, taken_quote, fee, maker_fee_bps, taker_fee_bps,
  hold, held, status, stage, reason, expires_at, correlation_id, created_at, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, 0, 0, 0, 0, %s, %s, %s, %s, 'NEW',
  'arrived', '', %s, %s, %s, %s)
RETURNING id
"""

COLUMNS = [field.attname for field in Order._meta.concrete_fields]
STORED = f"SELECT {', '.join(COLUMNS)} FROM exchange_order WHERE id = %s"  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a placement found. Accounts that were never used are None, and available is null."""

    now: datetime
    status: MarketStatus
    last_price: Decimal | None
    best: Decimal | None
    is_frozen: bool
    maker_fee_bps: Decimal
    taker_fee_bps: Decimal
    open_orders: int
    is_known: bool
    base_account: int | None
    quote_account: int | None
    base_available: Decimal | None
    quote_available: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What follows for an order: the price it takes at worst, and what it holds of which asset."""

    price: Decimal | None
    hold: Decimal


def place(market: Market, owner_id: int, new: NewOrder) -> Order:
    """Commits the order with its hold, then matches; returns it as it then stands.

    Its status is NEW or PARTIALLY_FILLED where it rests, REJECTED where only the match could tell
    (`reason` says why). Raises OrderRefused, and nothing is stored.
    """
    order_id = accept(market, owner_id, new)
    try:
        matching.match(market)
    except LockBusy as busy:
        log.warning("order waits for the sweep", order=order_id, cause=str(busy))
    return _stored(order_id)


def _stored(order_id: int) -> Order:
    """The order as it stands; asked for with every order, so planned once a connection."""
    with prepared.cursor() as cursor:
        cursor.execute(STORED, [order_id])
        return Order.from_db(None, COLUMNS, cursor.fetchone())


def check(market: Market, owner_id: int, new: NewOrder) -> None:
    """Raises what `place` would raise, and stores nothing."""
    request.check_form(new)
    context = _context(market, owner_id, new)
    terms = _agree(market, new, context)
    available = context.quote_available if new.side is Side.BUY else context.base_available
    if terms.hold > (available or 0):
        raise _insufficient()


def accept(market: Market, owner_id: int, new: NewOrder) -> int:
    """Takes an order and holds what it may cost; returns its id. Whatever matches next matches it.

    Raises OrderRefused, and nothing is stored.
    """
    request.check_form(new)
    with transaction.atomic():
        context = _context(market, owner_id, new)
        terms = _agree(market, new, context)
        accounts = _accounts(market, owner_id, context)
        account = accounts[1] if new.side is Side.BUY else accounts[0]
        _hold(account, terms.hold)
        order_id = _insert(market, owner_id, new, accounts=accounts, terms=terms, context=context)
        if terms.hold:
            move = Move(account=account, amount=terms.hold, order=order_id)
            tell_balances(BalanceLocked, [move])
    return order_id


def _context(market: Market, owner_id: int, new: NewOrder) -> Context:
    is_buy = new.side is Side.BUY
    values: dict[str, Any] = {
        "market": market.pk,
        "owner": owner_id,
        "client_order_id": new.client_order_id,
        "opposite": (Side.SELL if is_buy else Side.BUY).value,
        "is_market": new.is_market,
    }
    with prepared.cursor() as cursor:
        cursor.execute(CONTEXT.format(best="min" if is_buy else "max"), values)
        now, status, *rest = cursor.fetchone()
    names = list(Context.__dataclass_fields__)[2:]
    return Context(now=now, status=MarketStatus(status), **dict(zip(names, rest, strict=True)))


def _agree(market: Market, new: NewOrder, context: Context) -> Terms:
    """The order's terms; raises OrderRefused for the first reason against it."""
    if context.is_frozen:
        raise Frozen("This account is frozen: ask support.")
    rules.check_open(new, context.status)
    if new.expires_at is not None and new.expires_at <= context.now:
        raise ExpiryPassed("The order's goodTillDate has passed.")
    rules.check_filters(new, market, last_price=context.last_price)
    if context.open_orders >= market.max_open_orders:
        text = f"At most {market.max_open_orders} open orders in {market.symbol}."
        raise FilterFailed(Filter.MAX_NUM_ORDERS, text)
    if new.client_order_id and context.is_known:
        raise DuplicateOrder("Duplicate order sent.")
    return terms_of(market, new, context)


def terms_of(market: Market, new: NewOrder, context: Context) -> Terms:
    """At what price and with which hold the order stands.

    A buy holds price × quantity and the larger of its fees, a sell its quantity. A MARKET order
    takes prices up to the collar; on an empty book it takes none and holds nothing.
    """
    price = new.price
    if new.is_market:
        price = rules.collar(new.side, market, best=context.best)
    if price is None:
        return Terms(price=None, hold=Decimal(0))
    if new.side is Side.BUY:
        return Terms(price=price, hold=_hold_of_buy(market, new, context, price))
    return Terms(price=price, hold=new.quantity or _steps_for(market, new, price))


def _hold_of_buy(market: Market, new: NewOrder, context: Context, price: Decimal) -> Decimal:
    if new.quote_order_quantity is not None:
        return new.quote_order_quantity
    quantity = new.quantity or Decimal(0)
    atom = Decimal(1).scaleb(-market.quote.decimals)
    notional = int(EXACT.divide(EXACT.multiply(price, quantity), atom))
    highest = max(context.maker_fee_bps, context.taker_fee_bps)
    return EXACT.multiply(Decimal(holds.needed(notional, ppm=holds.ppm(highest))), atom)


def _steps_for(market: Market, new: NewOrder, price: Decimal) -> Decimal:
    """What a sell by amount may have to sell: the amount at the worst price, in whole steps."""
    amount = new.quote_order_quantity or Decimal(0)
    per_step = EXACT.multiply(price, market.step_size)
    whole = WIDE.divide(amount, per_step).to_integral_value(ROUND_CEILING, WIDE)
    return EXACT.multiply(whole, market.step_size)


def _accounts(market: Market, owner_id: int, context: Context) -> tuple[int, int]:
    """The owner's base and quote account; opened where they were never used."""
    if context.base_account is not None and context.quote_account is not None:
        return context.base_account, context.quote_account
    opened = ledger.accounts(owner_id, [market.base, market.quote])
    return opened[market.base_id].pk, opened[market.quote_id].pk


def _hold(account: int, amount: Decimal) -> None:
    """Holds `amount` of what is available, in one statement: nobody can take it in between."""
    if not amount:
        return
    with prepared.cursor() as cursor:
        cursor.execute(HOLD, {"account": account, "amount": amount})
        if cursor.rowcount != 1:
            raise _insufficient()


def _insufficient() -> InsufficientBalance:
    return InsufficientBalance("Account has insufficient balance for requested action.")


def _insert(
    market: Market,
    owner_id: int,
    new: NewOrder,
    *,
    accounts: Sequence[int],
    terms: Terms,
    context: Context,
) -> int:
    values: list[Any] = [
        *(market.pk, owner_id, *accounts, new.client_order_id or request.made_up_id()),
        *(new.side.value, new.type.value, new.lasts.value, new.self_trade.value),
        *(terms.price, new.stop_price, new.quantity or 0, new.quote_order_quantity),
        *(context.maker_fee_bps, context.taker_fee_bps, terms.hold, terms.hold),
        *(new.expires_at, logs.correlation_id.get(), context.now, context.now),
    ]
    try:
        with prepared.cursor() as cursor:
            cursor.execute(INSERT, values)
            return int(cursor.fetchone()[0])
    except IntegrityError as error:
        # Two requests with one id at once: the unique index lets one of them in.
        if "client_order_id_is_used_once" in str(error):
            raise DuplicateOrder("Duplicate order sent.") from None
        raise
