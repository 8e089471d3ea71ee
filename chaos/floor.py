"""A trading floor: markets that share assets, owners with money, and wishes made into orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction

from apps.exchange import ledger, trades
from apps.exchange.models import (
    Asset,
    FeeTier,
    Market,
    MarketStatus,
    OrderType,
    SelfTrade,
    Side,
    TimeInForce,
    Trader,
)
from apps.exchange.orders import NewOrder
from chaos.wishes import MIDDLE, Wish
from moonx.core import clock, money
from moonx.core.money import EXACT

# Base, quote, tick, step. The assets have few decimals, so that every fee rounds.
MARKETS = (
    ("AAA", "QQQ", "0.01", "0.001"),
    ("BBB", "QQQ", "0.1", "0.01"),
    ("AAA", "BBB", "0.0001", "0.01"),
)
DECIMALS = {"AAA": 8, "BBB": 6, "QQQ": 6}
SYMBOLS = tuple(base + quote for base, quote, _, _ in MARKETS)
RICH, POOR = Decimal(1_000_000), Decimal(20)
MOST_OPEN = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What was laid out: the markets' symbols, the owners' ids."""

    symbols: Sequence[str]
    owners: Sequence[int]


def lay_out(*, owners: int = 8, symbols: Sequence[str] = SYMBOLS, funds: Decimal = RICH) -> Floor:
    """Markets and owners from nothing; the last of several has little, others pay odd fees."""
    assets = {
        symbol: Asset.objects.create(symbol=symbol, name=symbol, decimals=decimals)
        for symbol, decimals in DECIMALS.items()
    }
    for base, quote, tick, step in MARKETS:
        if base + quote in symbols:
            Market.objects.create(
                symbol=base + quote,
                base=assets[base],
                quote=assets[quote],
                tick_size=Decimal(tick),
                step_size=Decimal(step),
                max_open_orders=MOST_OPEN,
            )
    ids = [_owner(number) for number in range(owners)]
    for owner in ids:
        is_poor = owners > 2 and owner == ids[-1]
        for asset in assets.values():
            give(owner, asset, POOR if is_poor else funds)
    return Floor(symbols=symbols, owners=ids)


def _owner(number: int) -> int:
    user, _ = get_user_model().objects.get_or_create(username=f"trader-{number}")
    if number % 2:
        odd, _ = FeeTier.objects.get_or_create(
            name="odd",
            defaults={"maker_fee_bps": Decimal("2.37"), "taker_fee_bps": Decimal("13.1")},
        )
        Trader.objects.get_or_create(user=user, defaults={"fee_tier": odd})
    return int(user.pk)


def give(owner: int, asset: Asset, amount: Decimal) -> None:
    """Funds an owner once."""
    ledger.fund(owner, asset, amount, source=f"chaos:{owner}:{asset.symbol}")


def market_of(symbol: str) -> Market:
    """A market with its assets."""
    return Market.objects.select_related("base", "quote").get(symbol=symbol)


def order_of(market: Market, wish: Wish, *, client_order_id: str = "") -> NewOrder:
    """The wish in the market's own units; a GTD order's time begins now, by the database."""
    lasts_s = wish.lasts_s
    ticks, steps = market.tick_size, market.step_size
    return NewOrder(
        side=Side(wish.side),
        type=OrderType(wish.type),
        time_in_force=None if wish.time_in_force is None else TimeInForce(wish.time_in_force),
        price=_times(ticks, wish.price),
        stop_price=_times(ticks, wish.stop_price),
        quantity=_times(steps, wish.quantity),
        quote_order_quantity=None if wish.amount is None else _amount(market, wish.amount),
        self_trade=SelfTrade(wish.self_trade),
        client_order_id=client_order_id,
        expires_at=None if lasts_s is None else clock.db_now() + timedelta(seconds=lasts_s),
    )


def wish_of(plain: Mapping[str, Any]) -> Wish:
    """A wish as JSON carried it."""
    return Wish(**plain)


def _times(unit: Decimal, count: int | None) -> Decimal | None:
    return None if count is None else EXACT.multiply(unit, Decimal(count))


def _amount(market: Market, steps: float) -> Decimal:
    per_step = EXACT.multiply(market.tick_size * MIDDLE, market.step_size)
    raw = EXACT.multiply(per_step, Decimal(steps))
    return money.floor_to(raw, places=market.quote.decimals)


def set_status(symbol: str, status: str) -> str:
    """Changes what a market accepts; the moment at which it did, by the database's clock."""
    market = market_of(symbol)
    with transaction.atomic():
        trades.hold_market(market)
        moment = clock.db_now()
        market.status = MarketStatus(status)
        market.save(update_fields=["status"])
    return moment.isoformat()
