"""Trades taken back or corrected, in public: row, ledger, bars and events in one transaction.

AmendmentRefused   nothing was changed, and never will be for this request (permanent)
├── NoSuchTrade    there is no such trade, or it was busted before
├── Pointless      the correction changes nothing, or is off the market's grid
└── NotCovered     a side has spent what it would have to give back
locks.LockBusy     somebody held the market or an account for too long (transient)
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection, transaction

from apps.exchange import candles, fills, tickers, watch
from apps.exchange.announcing import tell_amendment, tell_owners
from apps.exchange.ledger import NotEnough, PostingRefused, contra
from apps.exchange.ledger.contra import Case, Fees
from apps.exchange.models import LARGEST, Amendment, AmendmentKind, Fill, Market, Trade, TradeSource
from apps.exchange.trades import hold_market
from moonx.core import logs, money
from moonx.core.intervals import Interval

log = logs.get("moonx.operators")


class AmendmentRefused(Exception):
    """The trade was left as it was."""


class NoSuchTrade(AmendmentRefused):
    """There is no such trade, or it was busted before."""


class Pointless(AmendmentRefused):
    """A correction that changes nothing, or that the market cannot express."""


class NotCovered(AmendmentRefused):
    """A side has spent what it would have to give back; says who lacks how much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who wants a trade amended, and why. With `covers` the house pays what a side has spent."""

    reason: str
    by: str
    covers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What a trade should have been; None stands for what it is."""

    price: Decimal | None = None
    quantity: Decimal | None = None


def bust(market: Market, seq: int, request: Request) -> Amendment:
    """Takes a trade back: it is in no list, bar or ticker any more, and what it moved is returned.

    Its number is not used again. Orders keep their fills: they were executed, and end as they did.
    Raises AmendmentRefused or LockBusy, and then nothing has changed.
    """

    def act(market: Market, trade: Trade, amendment: Amendment) -> None:
        if trade.source == TradeSource.MATCHED:
            contra.take_back(_case(market, amendment, request))
        amendment.save(force_insert=True)
        trade.delete()

    return _amend(market, seq, request, AmendmentKind.BUST, act)


def correct(market: Market, seq: int, values: Values, request: Request) -> Amendment:
    """Gives a trade another price, or quantity; the sides of a matched one pay the difference.

    A matched trade's quantity is what its orders were filled by, and stays. Raises as `bust`.
    """

    def act(market: Market, trade: Trade, amendment: Amendment) -> None:
        price = trade.price if values.price is None else values.price
        quantity = trade.quantity if values.quantity is None else values.quantity
        quote_quantity = _checked(market, trade, price=price, quantity=quantity)
        amendment.new_price, amendment.new_quantity = price, quantity
        amendment.new_quote_quantity = quote_quantity
        if trade.source == TradeSource.MATCHED:
            case = _case(market, amendment, request)
            _keep_fees(amendment, contra.resettle(case, market, seq, quote_quantity=quote_quantity))
        amendment.save(force_insert=True)
        trade.price, trade.quantity, trade.quote_quantity = price, quantity, quote_quantity
        trade.save(update_fields=["price", "quantity", "quote_quantity"])

    return _amend(market, seq, request, AmendmentKind.CORRECTION, act)


def _amend(
    market: Market,
    seq: int,
    request: Request,
    kind: AmendmentKind,
    act: Callable[[Market, Trade, Amendment], None],
) -> Amendment:
    try:
        with transaction.atomic():
            hold_market(market)
            market = Market.objects.select_related("base", "quote").get(pk=market.pk)
            trade = _standing(market, seq)
            amendment = _amendment(trade, kind, request)
            act(market, trade, amendment)
            _follow(market, amendment)
            transaction.on_commit(lambda: _show(market), robust=True)
    except NotEnough as lack:
        raise NotCovered(f"{_named(market, seq)}: {lack}.") from None
    except PostingRefused as refusal:
        raise AmendmentRefused(f"{_named(market, seq)}: the ledger refuses, {refusal}.") from None
    said = {"market": market.symbol, "seq": seq, "by": request.by, "reason": request.reason}
    log.warning("trade amended", kind=kind.value, **said)
    return amendment


def _standing(market: Market, seq: int) -> Trade:
    trade = Trade.objects.filter(market=market, seq=seq).first()
    if trade is None:
        was_busted = Amendment.objects.filter(market=market, seq=seq).exists()
        why = "was busted before" if was_busted else "does not exist"
        raise NoSuchTrade(f"{_named(market, seq)} {why}.")
    return trade


def _named(market: Market, seq: int) -> str:
    return f"Trade {seq} of {market}"


def _amendment(trade: Trade, kind: AmendmentKind, request: Request) -> Amendment:
    """The amendment to be stored: the trade as it stands, and who changes it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    kept = ("first_id", "last_id", "price", "quantity", "quote_quantity", "is_buyer_maker")
    before = Amendment.objects.filter(market=trade.market_id, seq=trade.seq).count()
    return Amendment(
        market_id=trade.market_id,
        seq=trade.seq,
        epoch=before + 1,
        kind=kind,
        executed_at=trade.executed_at,
        source=trade.source,
        reason=request.reason,
        by=request.by,
        correlation_id=logs.correlation_id.get(),
        created_at=now,
        **{name: getattr(trade, name) for name in kept},
    )


def _case(market: Market, amendment: Amendment, request: Request) -> Case:
    return Case(
        source=f"{market.symbol}:{amendment.seq}",
        epoch=amendment.epoch,
        reason=request.reason,
        covers=request.covers,
    )


def _keep_fees(amendment: Amendment, fees: Fees) -> None:
    amendment.taker_fee, amendment.maker_fee = fees.taker, fees.maker


def _checked(market: Market, trade: Trade, *, price: Decimal, quantity: Decimal) -> Decimal:
    """What the trade is then worth; raises Pointless for values that it cannot have."""
    named = _named(market, trade.seq)
    if not (0 < price <= LARGEST and 0 < quantity <= LARGEST):
        largest = money.plain(LARGEST)
        raise Pointless(f"{named}: price and quantity must lie above zero and up to {largest}.")
    for value, step, name in (
        (price, market.tick_size, "price"),
        (quantity, market.step_size, "quantity"),
    ):
        if not money.on_grid(value, step=step):
            raise Pointless(
                f"{named}: {name} {money.plain(value)} is no multiple of {money.plain(step)}."
            )
    if (price, quantity) == (trade.price, trade.quantity):
        raise Pointless(f"{named} stands at these values already.")
    if trade.source == TradeSource.MATCHED and quantity != trade.quantity:
        raise Pointless(f"{named} was matched: its quantity is its orders'. Bust it instead.")
    return money.product(price, quantity)


def _follow(market: Market, amendment: Amendment) -> None:
    """The bars that the trade was part of, and who hears of it."""
    candles.refold_minutes(market, [Interval.M1.floor(amendment.executed_at)])
    tell_amendment(market, amendment)
    executed = Fill.objects.filter(market=market, seq=amendment.seq).order_by("id")
    tell_owners(market, amendment, fills.as_they_stand(market, executed, before=amendment.epoch))


def _show(market: Market) -> None:
    """Subscribers see the market without the trade at once, not at the next run."""
    watch.push_bars([market])
    tickers.refresh()
