"""The exchange as a careful developer writes it with the ORM: one transaction per order.

It writes the same rows as the product, tells the same facts and pushes the same states. It reads
the book by its index, locks rows before they change, and saves only the columns that did. Each row
is saved by itself, but for a journal's entries, which the database wants in one statement; in bulk,
rows of one table that come up together go in one `bulk_create`.
"""

from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from apps.exchange import book
from apps.exchange.models import (
    Account,
    FeeTier,
    Market,
    MarketStatus,
    Order,
    OrderStatus,
    Reason,
    Side,
    Stage,
    Trade,
    Trader,
)
from apps.exchange.orders import (
    DuplicateOrder,
    Filter,
    FilterFailed,
    Frozen,
    InsufficientBalance,
    NewOrder,
    request,
    rules,
)
from benchmarks import orm_facts
from benchmarks.orm_order import ZERO, OneOrder, count_book, hold_of_buy, holder
from moonx.core import logs, outbox
from moonx.core.money import EXACT


def match_all(market: Market, *, in_bulk: bool = False) -> int:
    """Takes every order that has arrived, the oldest first; returns how many."""
    arrived = Order.objects.filter(market=market, stage=Stage.ARRIVED).order_by("id")
    ids = list(arrived.values_list("pk", flat=True))
    for order_id in ids:
        match(market.pk, order_id, in_bulk=in_bulk)
    return len(ids)


def place(market: Market, owner_id: int, new: NewOrder) -> Order:
    """Validates an order, holds what it may cost, stores and matches it, in one transaction."""
    request.check_form(new)
    with transaction.atomic():
        held = lock_market(market.pk)
        order = agreed(held, owner_id, new)
        own = Account.objects.filter(owner=owner_id, asset__in=[held.base, held.quote])
        accounts = {row.asset_id: row for row in own.order_by("pk").select_for_update()}
        order.base_account = accounts[held.base_id]
        order.quote_account = accounts[held.quote_id]
        account = order.quote_account if order.side == Side.BUY else order.base_account
        account.held = EXACT.add(account.held, order.hold)
        if account.balance is None or account.held > account.balance:
            raise InsufficientBalance("Account has insufficient balance for requested action.")
        account.save(update_fields=["held"])
        order.save(force_insert=True)
        fact = orm_facts.locked(order, account, held)
        orm_facts.row(fact, order, others={}).save(force_insert=True)
        OneOrder(held, order).run()
    return Order.objects.get(pk=order.pk)


def agreed(market: Market, owner_id: int, new: NewOrder) -> Order:
    """The order that a request makes; raises OrderRefused for the first rule against it."""
    now, price = timezone.now(), new.price
    tier = checked(market, owner_id, new)
    if new.is_market:
        price = rules.collar(new.side, market, best=best_price(market, new.side))
    assert new.quantity is not None
    hold = new.quantity if price is not None else ZERO
    if price is not None and new.side is Side.BUY:
        fee_bps = max(tier.maker_fee_bps, tier.taker_fee_bps)
        notional = EXACT.multiply(price, new.quantity)
        hold = hold_of_buy(notional, fee_bps, places=market.quote.decimals)
    return Order(
        market=market,
        owner_id=owner_id,
        client_order_id=new.client_order_id or request.made_up_id(),
        side=new.side,
        type=new.type,
        time_in_force=new.lasts,
        self_trade=new.self_trade,
        price=price,
        quantity=new.quantity,
        maker_fee_bps=tier.maker_fee_bps,
        taker_fee_bps=tier.taker_fee_bps,
        hold=hold,
        held=hold,
        expires_at=new.expires_at,
        correlation_id=logs.correlation_id.get(),
        created_at=now,
        updated_at=now,
    )


def checked(market: Market, owner_id: int, new: NewOrder) -> FeeTier:
    """The owner's fees; raises OrderRefused for the first rule against the order."""
    trader = Trader.objects.select_related("fee_tier").filter(user=owner_id).first()
    if trader is not None and trader.frozen_at is not None:
        raise Frozen("This account is frozen: ask support.")
    rules.check_open(new, MarketStatus(market.status))
    last = Trade.objects.filter(market=market).order_by("-seq").first()
    rules.check_filters(new, market, last_price=last.price if last else None)
    own = Order.objects.filter(owner=owner_id, market=market)
    if own.exclude(stage=Stage.DONE).count() >= market.max_open_orders:
        raise FilterFailed(Filter.MAX_NUM_ORDERS, "Too many open orders.")
    if new.client_order_id and own.filter(client_order_id=new.client_order_id).exists():
        raise DuplicateOrder("Duplicate order sent.")
    return (trader and trader.fee_tier) or FeeTier.objects.get(is_default=True)


def best_price(market: Market, side: Side) -> Decimal | None:
    """The best price that an order of a side meets."""
    is_buy = side is Side.BUY
    book = Order.objects.filter(
        market=market, stage=Stage.BOOK, side=Side.SELL if is_buy else Side.BUY
    )
    best = book.order_by("price" if is_buy else "-price").first()
    return best.price if best else None


def match(market_id: int, order_id: int, *, in_bulk: bool = False) -> None:
    """Takes one arrived order to where it belongs, in one transaction."""
    with transaction.atomic():
        market = lock_market(market_id)
        order = Order.objects.select_for_update().get(pk=order_id)
        OneOrder(market, order, in_bulk=in_bulk).run()


def lock_market(market_id: int) -> Market:
    """The market, held against every other order of it until the transaction ends."""
    markets = Market.objects.select_related("base", "quote")
    return markets.select_for_update(of=("self",), no_key=True).get(pk=market_id)


def expire_due(*, limit: int) -> int:
    """Ends the orders that have been due for longest, one by one; returns how many."""
    due = Order.objects.exclude(stage=Stage.DONE).filter(expires_at__lte=timezone.now())
    found = list(due.order_by("expires_at", "market").values_list("pk", "market_id")[:limit])
    for order_id, market_id in found:
        expire(market_id, order_id)
    return len(found)


def expire(market_id: int, order_id: int) -> None:
    """Ends one order whose time is over, unless something else has ended it."""
    with transaction.atomic():
        market = lock_market(market_id)
        order = Order.objects.select_for_update().get(pk=order_id)
        if order.stage == Stage.DONE or order.expires_at is None:
            return
        account = Account.objects.select_for_update().get(pk=holder(order))
        freed, order.held = order.held, ZERO
        account.held = EXACT.subtract(account.held, freed)
        account.save(update_fields=["held"])
        order.status, order.reason, order.stage = OrderStatus.EXPIRED, Reason.TIME, Stage.DONE
        order.updated_at = timezone.now()
        order.save(update_fields=["held", "status", "reason", "stage", "updated_at"])
        count_book(market)
        for fact in orm_facts.expired(order, account, freed, market):
            orm_facts.row(fact, order, others={}).save(force_insert=True)
        transaction.on_commit(outbox.wake_relay)
        transaction.on_commit(lambda: book.push(market), robust=True)
