"""The transaction of one order of the ORM exchange: its trades, their rows, and what is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from django.db import transaction
from django.db.models import F, Func, Model, QuerySet, Sum, Value
from django.utils import timezone

from apps.exchange import book, watch
from apps.exchange.models import (
    Account,
    BookVersion,
    Candle,
    Entry,
    Fill,
    House,
    Journal,
    JournalKind,
    Market,
    Order,
    OrderStatus,
    OrderType,
    Reason,
    Side,
    Stage,
    TimeInForce,
    Trade,
    TradeSource,
)
from benchmarks import orm_facts
from moonx.core import outbox
from moonx.core.events import Event
from moonx.core.intervals import Interval
from moonx.core.money import EXACT, WIDE

ZERO = Decimal(0)
BPS = Decimal(10_000)
RESTING = (TimeInForce.GTC, TimeInForce.GTD)
MOVED = [
    *("filled_quantity", "filled_quote", "taken_quote", "fee", "held", "status", "stage"),
    *("reason", "working_at", "updated_at"),
]


def count_book(market: Market) -> None:
    """The book has another version."""
    now = timezone.now()
    again = {"version": F("version") + 1, "changed_at": now}
    if not BookVersion.objects.filter(market=market).update(**again):
        BookVersion.objects.create(market=market, version=1, changed_at=now)


@dataclass(slots=True)
class Moved:
    """A locked account and what the transaction did to it."""

    account: Account
    balance: Decimal = ZERO

    def add(self, amount: Decimal) -> None:
        """What an entry added; the database has moved the balance."""
        assert self.account.balance is not None
        self.account.balance = EXACT.add(self.account.balance, amount)
        self.balance = EXACT.add(self.balance, amount)

    def hold(self, change: Decimal) -> None:
        """Holds more, or less, of the balance."""
        if change:
            self.account.held = EXACT.add(self.account.held, change)
            self.account.save(update_fields=["held"])


@dataclass(slots=True)
class OneOrder:
    """The transaction of one order; the market and the order are locked."""

    market: Market
    order: Order
    in_bulk: bool = False
    now: datetime = field(default_factory=timezone.now)
    facts: list[Event] = field(default_factory=list)
    changed: dict[int, Order] = field(default_factory=dict)
    moved: dict[int, Moved] = field(default_factory=dict)
    freed: list[tuple[Order, Decimal]] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    last: Trade | None = None

    def run(self) -> None:
        """Matches the order, stores what became of it, and tells everybody."""
        order = self.order
        self.changed[order.pk] = order
        if order.type == OrderType.LIMIT_MAKER and self.best() is not None:
            self.end(order, OrderStatus.REJECTED, Reason.WOULD_TAKE)
        elif order.price is None:  # of a MARKET order that came when nothing was offered
            self.end(order, OrderStatus.EXPIRED, Reason.UNFILLED)
        else:
            order.stage = Stage.BOOK
            self.take()
        order.priority = Func(Value("exchange_priority_seq"), function="nextval")
        self.save(order, "priority")
        if self.changes_book():
            count_book(self.market)
            transaction.on_commit(lambda: book.push(self.market), robust=True)
        if self.trades:
            transaction.on_commit(lambda: watch.push_bars_soon(self.market), robust=True)
        self.tell()

    @property
    def moment(self) -> datetime:
        """Now, but never before the market's last trade."""
        return max(self.now, self.last.executed_at) if self.last else self.now

    def save(self, order: Order, *more: str) -> None:
        """Stores what became of an order."""
        order.working_at = order.working_at or self.moment
        order.updated_at = self.moment
        order.save(update_fields=[*MOVED, *more])

    # Matching

    def take(self) -> None:
        """Trades as long as the book offers a price that the order accepts."""
        order = self.order
        if order.time_in_force == TimeInForce.FOK and not self.can_fill():
            self.end(order, OrderStatus.EXPIRED, Reason.UNFILLED)
        while order.stage == Stage.BOOK and (maker := self.best()) is not None:
            self.changed[maker.pk] = maker
            if maker.owner_id == order.owner_id:
                self.end(maker, OrderStatus.EXPIRED_IN_MATCH, Reason.SELF_TRADE)
            else:
                self.trade(maker)
            self.save(maker)
        rests = order.type != OrderType.MARKET and order.time_in_force in RESTING
        if order.stage == Stage.BOOK and not rests:
            self.end(order, OrderStatus.EXPIRED, Reason.UNFILLED)

    def crossing(self) -> QuerySet[Order]:
        """The other side of the book, as far as the order accepts its prices."""
        is_buy = self.order.side == Side.BUY
        book = Order.objects.filter(
            market=self.market,
            stage=Stage.BOOK,
            side=Side.SELL if is_buy else Side.BUY,
            **{"price__lte" if is_buy else "price__gte": self.order.price},
        ).exclude(expires_at__lte=self.now)
        return book.order_by("price" if is_buy else "-price", "priority")

    def best(self) -> Order | None:
        """The order that trades next, locked."""
        return self.crossing().select_for_update().first()

    def can_fill(self) -> bool:
        """Whether the book offers the whole quantity."""
        others = self.crossing().exclude(owner=self.order.owner_id).order_by()
        left = F("quantity") - F("filled_quantity") - F("prevented_quantity")
        found: Decimal | None = others.aggregate(total=Sum(left))["total"]
        return (found or ZERO) >= self.order.quantity

    def trade(self, maker: Order) -> None:
        """One trade with the best order: its rows, its journal, both orders, all four accounts."""
        taker = self.order
        quantity = min(remaining(taker), remaining(maker))
        trade = self.store_trade(maker, quantity)
        held = taker.held, maker.held
        fees = (
            self.fill(taker, trade, taken=trade.quote_quantity),
            self.fill(maker, trade, taken=ZERO),
        )
        self.store_fills(trade, maker, fees)
        self.lock_accounts(
            [
                account
                for one in (taker, maker)
                for account in (one.base_account_id, one.quote_account_id)
            ]
        )
        for order, before in zip((taker, maker), held, strict=True):
            self.moved[holder(order)].hold(EXACT.subtract(order.held, before))
        self.store_journal(trade, maker, fees)
        self.merge_bar(trade)

    def fill(self, order: Order, trade: Trade, *, taken: Decimal) -> Decimal:
        """Adds a fill to an order, which then holds what is left of it; returns the fee."""
        before = order.fee
        order.filled_quantity = EXACT.add(order.filled_quantity, trade.quantity)
        order.filled_quote = EXACT.add(order.filled_quote, trade.quote_quantity)
        order.taken_quote = EXACT.add(order.taken_quote, taken)
        order.fee = self.fee_of(order)
        order.status = OrderStatus.PARTIALLY_FILLED
        fee = EXACT.subtract(order.fee, before)
        if order.side == Side.BUY:
            spent = EXACT.add(trade.quote_quantity, fee)
            order.held = min(EXACT.subtract(order.held, spent), self.needed(order))
        else:
            order.held = EXACT.subtract(order.held, trade.quantity)
        if not remaining(order):
            order.status, order.stage, order.held = OrderStatus.FILLED, Stage.DONE, ZERO
        return fee

    def fee_of(self, order: Order) -> Decimal:
        """The order's fee so far, rounded up once over all of its fills."""
        made = EXACT.subtract(order.filled_quote, order.taken_quote)
        total = EXACT.add(
            EXACT.multiply(order.taken_quote, order.taker_fee_bps),
            EXACT.multiply(made, order.maker_fee_bps),
        )
        return rounded_up(EXACT.divide(total, BPS), places=self.market.quote.decimals)

    def needed(self, order: Order) -> Decimal:
        """What a buy's remainder costs at most."""
        assert order.price is not None
        return hold_of_buy(
            EXACT.multiply(order.price, remaining(order)),
            max(order.maker_fee_bps, order.taker_fee_bps),
            places=self.market.quote.decimals,
        )

    def end(self, order: Order, status: OrderStatus, reason: Reason) -> None:
        """An order is over; what it held is free."""
        order.status, order.reason, order.stage = status, reason, Stage.DONE
        self.lock_accounts([holder(order)])
        self.moved[holder(order)].hold(order.held.copy_negate())
        if order.held:
            self.freed.append((order, order.held))
        order.held = ZERO

    # Rows

    def store_trade(self, maker: Order, quantity: Decimal) -> Trade:
        if self.last is None:
            self.last = Trade.objects.filter(market=self.market).order_by("-seq").first()
        assert maker.price is not None
        last = self.last
        self.last = Trade.objects.create(
            market=self.market,
            seq=last.seq + 1 if last else 1,
            first_id=last.last_id + 1 if last else 1,
            last_id=last.last_id + 1 if last else 1,
            price=maker.price,
            quantity=quantity,
            quote_quantity=EXACT.multiply(maker.price, quantity),
            is_buyer_maker=maker.side == Side.BUY,
            executed_at=self.moment,
            source=TradeSource.MATCHED,
        )
        self.trades.append(self.last)
        return self.last

    def store_fills(self, trade: Trade, maker: Order, fees: tuple[Decimal, Decimal]) -> None:
        fills = [
            Fill(
                market=self.market,
                seq=trade.seq,
                order=order,
                owner_id=order.owner_id,
                side=order.side,
                is_maker=order is maker,
                price=trade.price,
                quantity=trade.quantity,
                quote_quantity=trade.quote_quantity,
                fee=fee,
                executed_at=trade.executed_at,
            )
            for order, fee in zip((self.order, maker), fees, strict=True)
        ]
        store(fills, in_bulk=self.in_bulk)
        self.facts += [orm_facts.own_trade(fill, self.market) for fill in fills]

    def lock_accounts(self, ids: Iterable[int]) -> None:
        missing = set(ids) - self.moved.keys()
        if missing:
            rows = Account.objects.filter(pk__in=missing).order_by("pk").select_for_update()
            self.moved |= {row.pk: Moved(row) for row in rows}

    def store_journal(self, trade: Trade, maker: Order, fees: tuple[Decimal, Decimal]) -> None:
        journal = Journal.objects.create(
            kind=JournalKind.TRADE,
            source=f"{self.market.symbol}:{trade.seq}",
            correlation_id=self.order.correlation_id,
            created_at=trade.executed_at,
        )
        lines = self.lines(trade, maker, fees)
        Entry.objects.bulk_create(
            Entry(journal=journal, account_id=account, asset_id=asset, amount=amount)
            for account, asset, amount in lines
            if amount
        )
        for account, _, amount in lines:
            if account in self.moved:
                self.moved[account].add(amount)

    def lines(
        self, trade: Trade, maker: Order, fees: tuple[Decimal, Decimal]
    ) -> list[tuple[int, int, Decimal]]:
        """Account, asset and amount of each entry of a trade's journal."""
        taker, base, quote = self.order, self.market.base_id, self.market.quote_id
        is_buy = taker.side == Side.BUY
        buyer, seller = (taker, maker) if is_buy else (maker, taker)
        buyer_fee, seller_fee = fees if is_buy else fees[::-1]
        paid = EXACT.add(trade.quote_quantity, buyer_fee)
        return [
            (buyer.base_account_id, base, trade.quantity),
            (seller.base_account_id, base, trade.quantity.copy_negate()),
            (buyer.quote_account_id, quote, paid.copy_negate()),
            (seller.quote_account_id, quote, EXACT.subtract(trade.quote_quantity, seller_fee)),
            (fees_account(self.market), quote, EXACT.add(buyer_fee, seller_fee)),
        ]

    def merge_bar(self, trade: Trade) -> None:
        """The minute's bar, with the trade in it."""
        bars = Candle.objects.select_for_update()
        where = {"market": self.market, "interval": Interval.M1.value}
        start = Interval.M1.floor(trade.executed_at)
        bar = bars.filter(**where, open_time=start).first()
        if bar is None:
            bar = Candle(
                **where,
                open_time=start,
                open=trade.price,
                high=trade.price,
                low=trade.price,
                base_volume=ZERO,
                quote_volume=ZERO,
                taker_base_volume=ZERO,
                taker_quote_volume=ZERO,
                trade_count=0,
                first_seq=trade.seq,
            )
        bar.high, bar.low = max(bar.high, trade.price), min(bar.low, trade.price)
        bar.close, bar.last_seq = trade.price, trade.seq
        bar.base_volume = EXACT.add(bar.base_volume, trade.quantity)
        bar.quote_volume = EXACT.add(bar.quote_volume, trade.quote_quantity)
        if not trade.is_buyer_maker:
            bar.taker_base_volume = EXACT.add(bar.taker_base_volume, trade.quantity)
            bar.taker_quote_volume = EXACT.add(bar.taker_quote_volume, trade.quote_quantity)
        bar.trade_count += 1
        bar.save()

    def changes_book(self) -> bool:
        """Whether others see another book than before."""
        return bool(self.trades) or any(
            order.stage == Stage.BOOK or order.reason for order in self.changed.values()
        )

    # Facts

    def tell(self) -> None:
        """Writes everything that happened to the outbox."""
        told = list(orm_facts.accepted(self.order, self.market))
        told += [orm_facts.trade(trade, self.market) for trade in self.trades]
        told += self.facts
        told += orm_facts.endings(self.changed.values(), self.market)
        for moved in self.moved.values():
            told += orm_facts.balances(moved.account, moved.balance, self.market)
        for order, amount in self.freed:
            account = self.moved[holder(order)].account
            told.append(orm_facts.unlocked(order, account, amount, self.market))
        facts = [orm_facts.row(fact, self.order, others=self.changed) for fact in told]
        store(facts, in_bulk=self.in_bulk)
        transaction.on_commit(outbox.wake_relay)


def store(rows: Sequence[Model], *, in_bulk: bool) -> None:
    """Inserts rows of one table."""
    if in_bulk:
        type(rows[0])._default_manager.bulk_create(rows)
        return
    for row in rows:
        row.save(force_insert=True)


def remaining(order: Order) -> Decimal:
    """What is still to be filled."""
    done = EXACT.add(order.filled_quantity, order.prevented_quantity)
    return EXACT.subtract(order.quantity, done)


def holder(order: Order) -> int:
    """The account that holds what the order may cost."""
    return order.quote_account_id if order.side == Side.BUY else order.base_account_id


def hold_of_buy(notional: Decimal, fee_bps: Decimal, *, places: int) -> Decimal:
    """What a buy holds: what it pays, and the larger of its fees."""
    fee = EXACT.divide(EXACT.multiply(notional, fee_bps), BPS)
    return EXACT.add(notional, rounded_up(fee, places=places))


def rounded_up(amount: Decimal, *, places: int) -> Decimal:
    """An amount in so many decimals, the next larger one."""
    return amount.quantize(Decimal(1).scaleb(-places), rounding=ROUND_CEILING, context=WIDE)


_fees: dict[int, int] = {}


def fees_account(market: Market) -> int:
    """The house's account for the market's fees, remembered by the process."""
    if market.pk not in _fees:
        own, _ = Account.objects.get_or_create(
            house=House.FEES, asset=market.quote, market=market, owner=None
        )
        _fees[market.pk] = own.pk
    return _fees[market.pk]
