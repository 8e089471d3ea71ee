"""Rows in the shapes that Binance gives them."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django.conf import settings

from apps.exchange import watch
from apps.exchange.api import order_counts
from apps.exchange.bars import Bar
from apps.exchange.book import Depth
from apps.exchange.models import LARGEST, Market, OrderType, SelfTrade, Ticker, Trade
from apps.exchange.orders import rules
from moonx.core import money
from moonx.core.intervals import Buckets, to_ms

PLACES = 8  # Binance writes amounts with 8 decimals; markets with more digits have more
ZERO = Decimal(0)
NO_ID = -1
DAY = timedelta(hours=24)
PERMISSIONS = (
    *("icebergAllowed", "ocoAllowed", "otoAllowed", "opoAllowed", "quoteOrderQtyMarketAllowed"),
    *("allowTrailingStop", "cancelReplaceAllowed", "amendAllowed", "pegInstructionsAllowed"),
    *("isSpotTradingAllowed", "isMarginTradingAllowed"),
)
ALLOWED = {"quoteOrderQtyMarketAllowed", "cancelReplaceAllowed", "isSpotTradingAllowed"}


def digits(places: int) -> Callable[[Decimal], str]:
    """Writes amounts with that many decimals, but at least Binance's eight.

    Each amount is written once: bars repeat zeros and prices, and writing is most of the work.
    """
    spec = f".{max(PLACES, places)}f"
    return cache(lambda value: format(value, spec))


def writers(market: Market) -> tuple[Callable[[Decimal], str], ...]:
    """How the market's prices, quantities and quote amounts are written."""
    price, quantity = market.price_places, market.quantity_places
    return digits(price), digits(quantity), digits(price + quantity)


def klines(market: Market, interval: Buckets, found: Iterable[Bar]) -> list[list[Any]]:
    """Bars as twelve-element arrays."""
    price, base, quote = writers(market)
    return [
        [
            to_ms(bar.open_time),
            price(bar.open),
            price(bar.high),
            price(bar.low),
            price(bar.close),
            base(bar.base_volume),
            to_ms(interval.shift(bar.open_time, 1)) - 1,
            quote(bar.quote_volume),
            bar.trade_count,
            base(bar.taker_base_volume),
            quote(bar.taker_quote_volume),
            "0",
        ]
        for bar in found
    ]


def trades(market: Market, found: Iterable[Trade]) -> list[dict[str, Any]]:
    """Trades; one that stands for several fills bears the id of the last of them."""
    price, base, quote = writers(market)
    return [
        {
            "id": trade.last_id,
            "price": price(trade.price),
            "qty": base(trade.quantity),
            "quoteQty": quote(trade.quote_quantity),
            "time": to_ms(trade.executed_at),
            "isBuyerMaker": trade.is_buyer_maker,
            "isBestMatch": True,
        }
        for trade in found
    ]


def agg_trades(market: Market, found: Iterable[Trade]) -> list[dict[str, Any]]:
    """Aggregate trades, each with the ids of the fills it stands for."""
    price, base, _ = writers(market)
    return [
        {
            "a": trade.seq,
            "p": price(trade.price),
            "q": base(trade.quantity),
            "f": trade.first_id,
            "l": trade.last_id,
            "T": to_ms(trade.executed_at),
            "m": trade.is_buyer_maker,
            "M": True,
        }
        for trade in found
    ]


def depth(market: Market, found: Depth) -> dict[str, Any]:
    """The book's levels, best first."""
    price, base, _ = writers(market)
    return {
        "lastUpdateId": found.version,
        "bids": [[price(level), base(quantity)] for level, quantity in found.bids],
        "asks": [[price(level), base(quantity)] for level, quantity in found.asks],
    }


def book_ticker(market: Market, found: Depth) -> dict[str, Any]:
    """The best prices of a market; zeros where a side is empty."""
    return {"symbol": market.symbol, **_best(market, found)}


def _best(market: Market, found: Depth) -> dict[str, str]:
    price, base, _ = writers(market)
    (bid, bid_quantity), (ask, ask_quantity) = (
        levels[0] if levels else (ZERO, ZERO) for levels in (found.bids, found.asks)
    )
    return {
        "bidPrice": price(bid),
        "bidQty": base(bid_quantity),
        "askPrice": price(ask),
        "askQty": base(ask_quantity),
    }


def ticker(market: Market, row: Ticker, best: Depth | None) -> dict[str, Any]:
    """The 24h ticker of a market; zeros and ids of -1 where nothing traded. Without
    its best prices it is the short one."""
    if best is None:
        return {"symbol": market.symbol, **_prices(market, row), **_volumes(market, row)}
    price, base, _ = writers(market)
    prices = _prices(market, row)
    return {
        "symbol": market.symbol,
        **_change(market, row),
        "prevClosePrice": price(row.previous_close or ZERO),
        "lastPrice": prices.pop("lastPrice"),
        "lastQty": base(row.last_quantity or ZERO),
        **_best(market, best),
        **prices,
        **_volumes(market, row),
    }


def window_ticker(market: Market, row: Ticker, *, is_full: bool) -> dict[str, Any]:
    """The ticker of another window, as `ticker` without what only stands in the 24h one."""
    change = _change(market, row) if is_full else {}
    return {"symbol": market.symbol, **change, **_prices(market, row), **_volumes(market, row)}


def _change(market: Market, row: Ticker) -> dict[str, str]:
    price, _, _ = writers(market)
    return {
        "priceChange": price((row.last or ZERO) - (row.open or ZERO)),
        "priceChangePercent": watch.changes(row)[1] or "0.000",
        "weightedAvgPrice": average(market, row) or price(ZERO),
    }


def _prices(market: Market, row: Ticker) -> dict[str, str]:
    price, _, _ = writers(market)
    return {
        "openPrice": price(row.open or ZERO),
        "highPrice": price(row.high or ZERO),
        "lowPrice": price(row.low or ZERO),
        "lastPrice": price(row.last or ZERO),
    }


def _volumes(market: Market, row: Ticker) -> dict[str, Any]:
    _, base, quote = writers(market)
    return {
        "volume": base(row.base_volume),
        "quoteVolume": quote(row.quote_volume),
        "openTime": to_ms(row.open_time),
        "closeTime": to_ms(row.close_time),
        "firstId": NO_ID if row.first_id is None else row.first_id,
        "lastId": NO_ID if row.last_id is None else row.last_id,
        "count": row.trade_count,
    }


def unborn(market: Market, *, now: datetime) -> Ticker:
    """The ticker of a market that has none yet."""
    return Ticker(market=market, open_time=now - DAY, close_time=now, as_of=now)


def average(market: Market, row: Ticker) -> str | None:
    """Σ price × quantity / Σ quantity, half up to a price's digits; None without trades."""
    if not row.base_volume:
        return None
    places = max(PLACES, market.price_places)
    return format(money.divide(row.quote_volume, row.base_volume, places=places), "f")


def exchange_info(
    markets: Iterable[Market], *, now: datetime, permission_sets: bool
) -> dict[str, Any]:
    """The exchange's rules and markets."""
    return {
        "timezone": "UTC",
        "serverTime": to_ms(now),
        "rateLimits": [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": settings.ENV.rate_limit_weight_per_minute,
            },
            *[window.described() for window in order_counts.WINDOWS],
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(market, permission_sets=permission_sets) for market in markets],
    }


def _symbol(market: Market, *, permission_sets: bool) -> dict[str, Any]:
    sets = {"permissionSets": [["SPOT"]]} if permission_sets else {}
    return {
        "symbol": market.symbol,
        "status": market.status,
        "baseAsset": market.base.symbol,
        "baseAssetPrecision": market.base.decimals,
        "quoteAsset": market.quote.symbol,
        "quotePrecision": market.quote.decimals,
        "quoteAssetPrecision": market.quote.decimals,
        "baseCommissionPrecision": market.base.decimals,
        "quoteCommissionPrecision": market.quote.decimals,
        "orderTypes": [kind.value for kind in OrderType],
        **{name: name in ALLOWED for name in PERMISSIONS},
        "filters": _filters(market),
        "permissions": [],
        **sets,
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": [mode.value for mode in SelfTrade],
        "label": market.label,
    }


def _filters(market: Market) -> list[dict[str, Any]]:
    price, base, quote = writers(market)
    step = {"minQty": base(market.step_size), "stepSize": base(market.step_size)}
    most = rules.most_quantity(market, is_market=False)
    up, down = money.plain(market.price_up), money.plain(market.price_down)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": price(market.tick_size),
            "maxPrice": price(rules.most_price(market)),
            "tickSize": price(market.tick_size),
        },
        {"filterType": "LOT_SIZE", **step, "maxQty": base(most)},
        {
            "filterType": "MARKET_LOT_SIZE",
            **step,
            "maxQty": base(rules.most_quantity(market, is_market=True)),
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": quote(market.min_notional),
            "applyMinToMarket": True,
            "maxNotional": quote(LARGEST),
            "applyMaxToMarket": False,
            "avgPriceMins": 0,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": up,
            "bidMultiplierDown": down,
            "askMultiplierUp": up,
            "askMultiplierDown": down,
            "avgPriceMins": 0,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": market.max_open_orders},
    ]
