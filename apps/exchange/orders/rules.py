"""What a market demands of an order: pure functions of the order, the market and the last price."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from apps.exchange.models import MOST_STEPS, Market, MarketStatus, Side, TimeInForce
from apps.exchange.orders.refusals import Filter, FilterFailed, MarketClosed
from apps.exchange.orders.request import NewOrder
from moonx.core import money
from moonx.core.money import EXACT, WIDE

BPS = 10_000
CLOSED = {MarketStatus.HALT, MarketStatus.BREAK}
IMMEDIATE = {TimeInForce.IOC, TimeInForce.FOK}


def check_open(new: NewOrder, status: MarketStatus) -> None:
    """Raises MarketClosed where the market takes no such order."""
    takes = new.lasts in IMMEDIATE
    if status in CLOSED or (status is MarketStatus.POST_ONLY and takes):
        raise MarketClosed("Market is closed.")


def check_filters(new: NewOrder, market: Market, *, last_price: Decimal | None) -> None:
    """Raises FilterFailed for the first rule of the market that the order breaks."""
    for price in (new.price, new.stop_price):
        if price is not None:
            _check_grid(price, step=market.tick_size, rule=Filter.PRICE, what="price")
    if new.quantity is not None:
        _check_quantity(new, new.quantity, market)
    if new.quote_order_quantity is not None:
        _check_quote_quantity(new.quote_order_quantity, market)
    if new.price is not None and last_price is not None:
        _check_distance(new.price, market, last_price=last_price)
    _check_notional(new, market, price=new.price or last_price)


def most_quantity(market: Market, *, is_market: bool) -> Decimal:
    """The largest quantity of an order: the market's, and what can be counted in steps."""
    most = min(market.max_quantity, EXACT.multiply(market.step_size, Decimal(MOST_STEPS)))
    return min(most, market.max_market_quantity) if is_market else most


def most_price(market: Market) -> Decimal:
    """The largest price: what can be counted in ticks."""
    return EXACT.multiply(market.tick_size, Decimal(MOST_STEPS))


def collar(side: Side, market: Market, *, best: Decimal | None) -> Decimal | None:
    """The worst price a MARKET order takes: the best one when it came, and some percent beyond it,
    on the tick; None where there was none."""
    if best is None:
        return None
    is_buy = side is Side.BUY
    share = Decimal(BPS + market.collar_bps if is_buy else BPS - market.collar_bps)
    raw = EXACT.divide(EXACT.multiply(best, share), Decimal(BPS))
    rounding = ROUND_FLOOR if is_buy else ROUND_CEILING
    ticks = WIDE.divide(raw, market.tick_size).to_integral_value(rounding, WIDE)
    found = EXACT.multiply(ticks, market.tick_size)
    return max(found, best) if is_buy else min(found, best)


def _check_grid(value: Decimal, *, step: Decimal, rule: Filter, what: str) -> None:
    if value > EXACT.multiply(step, Decimal(MOST_STEPS)):
        raise FilterFailed(rule, f"The {what} is too large.")
    if not money.on_grid(value, step=step):
        raise FilterFailed(rule, f"The {what} is no multiple of {money.plain(step)}.")


def _check_quantity(new: NewOrder, quantity: Decimal, market: Market) -> None:
    if quantity > most_quantity(market, is_market=False):
        most = money.plain(market.max_quantity)
        raise FilterFailed(Filter.LOT_SIZE, f"The quantity is larger than {most}.")
    _check_grid(quantity, step=market.step_size, rule=Filter.LOT_SIZE, what="quantity")
    if new.is_market and quantity > market.max_market_quantity:
        most = money.plain(market.max_market_quantity)
        raise FilterFailed(Filter.MARKET_LOT_SIZE, f"The quantity is larger than {most}.")


def _check_quote_quantity(amount: Decimal, market: Market) -> None:
    if money.decimals(amount) > market.quote.decimals or amount > money.LARGEST:
        raise FilterFailed(
            Filter.NOTIONAL, f"The amount has more digits than {market.quote.symbol} has."
        )


def _check_distance(price: Decimal, market: Market, *, last_price: Decimal) -> None:
    """A price far from the last one is a typing error more often than a wish."""
    highest = EXACT.multiply(last_price, market.price_up)
    lowest = EXACT.multiply(last_price, market.price_down)
    if not lowest <= price <= highest:
        raise FilterFailed(
            Filter.PERCENT_PRICE,
            f"The price must lie between {money.plain(lowest)} and {money.plain(highest)}.",
        )


def _check_notional(new: NewOrder, market: Market, *, price: Decimal | None) -> None:
    if new.quote_order_quantity is not None:
        notional = new.quote_order_quantity
    elif price is not None and new.quantity is not None:
        notional = EXACT.multiply(price, new.quantity)
    else:
        return
    if notional < market.min_notional:
        least = money.plain(market.min_notional)
        raise FilterFailed(
            Filter.NOTIONAL, f"Price × quantity must be at least {least} {market.quote.symbol}."
        )
