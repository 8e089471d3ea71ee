"""The public paths of `/api/v3`, field for field as Binance Spot answers them."""

import json
from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from ninja import Router

from apps.exchange import book, candles, klines
from apps.exchange.api import asked, endpoint, errors, params, shapes
from apps.exchange.api.params import Query
from apps.exchange.api.schemas import (
    AGG_TRADES,
    BOOK_TICKERS,
    DEPTH,
    INFO,
    KLINES,
    NOTHING,
    PRICES,
    TICKERS,
    TIME,
    TRADES,
)
from apps.exchange.book.levels import depths
from apps.exchange.models import Ticker, Trade
from moonx.core import clock, intervals
from moonx.core.intervals import Buckets, Interval, to_ms

router = Router(tags=["Market data"])

USUAL_DEPTH, DEEPEST = 100, 5_000
LATEST_PRICES = """
SELECT m.symbol, t.price FROM exchange_market m LEFT JOIN LATERAL (
  SELECT price FROM exchange_trade WHERE market_id = m.id ORDER BY seq DESC LIMIT 1) t ON true
WHERE m.id = ANY(%s)
"""


@endpoint.get(router, "/ping", weight=1, answers=NOTHING)
def ping(_: Query) -> dict[str, Any]:
    """Whether the API answers."""
    return {}


@endpoint.get(router, "/time", weight=1, answers=TIME, is_momentary=True)
def server_time(_: Query) -> dict[str, Any]:
    """The time by which trades and bars are made."""
    return {"serverTime": to_ms(clock.db_now())}


@endpoint.get(
    router,
    "/exchangeInfo",
    takes=[params.ONE, params.MANY, params.PERMISSIONS, params.SETS, params.STATUS],
    weight=20,
    answers=INFO,
    is_momentary=True,
)
def exchange_info(query: Query) -> dict[str, Any]:
    """Limits and markets with their rules. `label` is ours: what kind of market it is."""
    symbols, status = query.symbols(), query.status()
    if symbols is not None and (status or "permissions" in query):
        errors.fail(errors.BAD_COMBINATION)
    markets = asked.markets(query, symbols)
    if not _includes_spot(query.text("permissions")):
        markets = []
    sets = query.text("showPermissionSets") != "false"
    return shapes.exchange_info(markets, now=clock.db_now(), permission_sets=sets)


@endpoint.get(
    router,
    "/trades",
    takes=[params.ONE_NEEDED, params.LIMIT],
    weight=25,
    answers=TRADES,
)
def trades(query: Query) -> list[dict[str, Any]]:
    """The newest trades, oldest first."""
    limit, market = query.limit(), asked.market(query)
    latest = Trade.objects.filter(market=market).order_by("-seq")[:limit]
    return shapes.trades(market, reversed(latest))


@endpoint.get(
    router,
    "/aggTrades",
    takes=[params.ONE_NEEDED, params.FROM_ID, params.START, params.END, params.LIMIT],
    weight=4,
    answers=AGG_TRADES,
)
def agg_trades(query: Query) -> list[dict[str, Any]]:
    """Aggregate trades from an id or of a time, oldest first; else the newest ones."""
    if "fromId" in query and ("startTime" in query or "endTime" in query):
        errors.fail(errors.BAD_COMBINATION)
    limit, market = query.limit(), asked.market(query)
    return shapes.agg_trades(market, _choose(query, Trade.objects.filter(market=market), limit))


def _choose(query: Query, of_market: "QuerySet[Trade]", limit: int) -> Iterable[Trade]:
    from_id, start, end = query.row_id("fromId"), query.moment("startTime"), query.moment("endTime")
    if from_id is not None:
        return of_market.filter(seq__gte=from_id).order_by("seq")[:limit]
    chosen = of_market
    if end is not None:
        chosen = chosen.filter(executed_at__lt=end + params.MS)
    if start is not None:
        ranged = chosen.filter(executed_at__gte=start)
        return ranged.order_by("executed_at", "seq")[:limit]
    order = ["-seq"] if end is None else ["-executed_at", "-seq"]
    return reversed(chosen.order_by(*order)[:limit])


KLINE_PARAMS = [
    params.ONE_NEEDED,
    params.INTERVAL,
    params.START,
    params.END,
    params.ZONE,
    params.LIMIT,
]


def _klines_weight(query: Query) -> int:
    if isinstance(_buckets(query), Interval):
        return 2
    return 2 + -(-query.limit() // 100)


@endpoint.get(router, "/klines", takes=KLINE_PARAMS, weight=_klines_weight, answers=KLINES)
def candlesticks(query: Query) -> list[list[Any]]:
    """Bars, the one in progress included. A bucket without trades is flat at the last price.

    `startTime` and `endTime` are UTC, whatever `timeZone` the buckets are of. Weighs 2, and where
    the buckets of `timeZone` are not those of UTC one more for each hundred of `limit` begun: such
    bars are not stored but folded when asked for.
    """
    return _candlesticks(query)


@endpoint.get(router, "/uiKlines", takes=KLINE_PARAMS, weight=_klines_weight, answers=KLINES)
def shown_candlesticks(query: Query) -> list[list[Any]]:
    """As `klines`: those are fit for a chart already."""
    return _candlesticks(query)


def _candlesticks(query: Query) -> list[list[Any]]:
    buckets = _buckets(query)
    wish = klines.Wish(
        start_ms=query.number("startTime"), end_ms=query.number("endTime"), limit=query.limit()
    )
    market = asked.market(query)
    found = klines.read(market, buckets, wish, now=candles.present())
    return shapes.klines(market, buckets, found)


def _buckets(query: Query) -> Buckets:
    return intervals.buckets(query.interval(), ahead=query.zone())


def _ticker_weight(query: Query) -> int:
    text = query.text("symbols")
    count = text.count(",") + 1 if text else 1
    if "symbol" in query or (text and count <= 20):
        return 2
    return 40 if text and count <= 100 else 80


@endpoint.get(
    router,
    "/ticker/24hr",
    takes=[params.ONE, params.MANY, params.KIND, params.STATUS],
    weight=_ticker_weight,
    answers=TICKERS,
)
def day_tickers(query: Query) -> Any:
    """The last 24 hours of a market, or of several as an array."""
    is_full = query.is_full()
    markets = asked.markets(query, query.symbols())
    rows = Ticker.objects.select_related("market").in_bulk([market.pk for market in markets])
    best = depths(markets, 1) if is_full else {}
    now = candles.present()
    found = [
        shapes.ticker(
            market, rows.get(market.pk) or shapes.unborn(market, now=now), best.get(market.pk)
        )
        for market in markets
    ]
    return found[0] if "symbol" in query else found


@endpoint.get(
    router,
    "/ticker/price",
    takes=[params.ONE, params.MANY, params.STATUS],
    weight=lambda query: 2 if "symbol" in query else 4,
    answers=PRICES,
)
def prices(query: Query) -> Any:
    """The last price of a market, or of several as an array."""
    markets = asked.markets(query, query.symbols())
    with connection.cursor() as cursor:
        cursor.execute(LATEST_PRICES, [[market.pk for market in markets]])
        latest = dict(cursor.fetchall())
    found = [
        {
            "symbol": market.symbol,
            "price": shapes.digits(market.price_places)(latest.get(market.symbol) or shapes.ZERO),
        }
        for market in markets
    ]
    return found[0] if "symbol" in query else found


@endpoint.get(
    router,
    "/ticker/bookTicker",
    takes=[params.ONE, params.MANY, params.STATUS],
    weight=lambda query: 2 if "symbol" in query else 4,
    answers=BOOK_TICKERS,
)
def book_tickers(query: Query) -> Any:
    """The best bid and ask of a market, or of several as an array; zeros where there is none."""
    markets = asked.markets(query, query.symbols())
    best = depths(markets, 1)
    found = [shapes.book_ticker(market, best[market.pk]) for market in markets]
    return found[0] if "symbol" in query else found


def _depth_weight(query: Query) -> int:
    wanted = query.number("limit") or USUAL_DEPTH
    steps = ((100, 5), (500, 25), (1000, 50))
    return next((weight for most, weight in steps if wanted <= most), 250)


@endpoint.get(
    router,
    "/depth",
    takes=[params.ONE_NEEDED, params.DEPTH, params.STATUS],
    weight=_depth_weight,
    answers=DEPTH,
)
def depth(query: Query) -> dict[str, Any]:
    """The book's levels, best first. `lastUpdateId` is the version that `/ws` carries too."""
    limit = query.limit(usual=USUAL_DEPTH, most=DEEPEST)
    market = asked.market(query)
    return shapes.depth(market, book.depth(market, limit))


def _includes_spot(permissions: str | None) -> bool:
    if permissions is None:
        return True
    named = json.loads(permissions) if permissions.startswith("[") else [permissions]
    return "SPOT" in named
