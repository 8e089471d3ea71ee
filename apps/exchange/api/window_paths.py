"""`/api/v3/ticker`, `/ticker/tradingDay`, `/avgPrice`: windows computed when asked for."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ninja import Router

from apps.exchange import candles, windows
from apps.exchange.api import asked, endpoint, params, shapes
from apps.exchange.api.params import Query
from apps.exchange.api.schemas import AVERAGE, WINDOWS
from apps.exchange.models import Market, Ticker, Trade
from apps.exchange.windows import Window
from moonx.core.intervals import Interval, buckets, to_ms

router = Router(tags=["Market data"])

AVERAGE_MINUTES = 5
HEAVIEST = 200


def _weight(query: Query) -> int:
    named = query.text("symbols") or ""
    return min(4 * (named.count(",") + 1), HEAVIEST)


@endpoint.get(
    router,
    "/ticker",
    takes=[params.ONE, params.MANY, params.WINDOW_SIZE, params.KIND, params.STATUS],
    weight=_weight,
    answers=WINDOWS,
    is_momentary=True,
)
def rolling_tickers(query: Query) -> Any:
    """What a market traded in the last `windowSize`, or several as an array.

    The window holds every trade of [`openTime`, `closeTime`], to the microsecond. `closeTime` is
    now, or where a market's record or its trading ended. `openTime` always starts a minute: the
    window is up to 59,999 ms wider than asked for.
    """
    size, now = query.window_size(), candles.present()
    return _shown(query, _rows(query, lambda market: windows.rolling(market, size, now=now)))


@endpoint.get(
    router,
    "/ticker/tradingDay",
    takes=[params.ONE, params.MANY, params.ZONE, params.KIND, params.STATUS],
    weight=_weight,
    answers=WINDOWS,
)
def day_so_far(query: Query) -> Any:
    """What a market traded in the day of `timeZone` so far, or several as an array.

    `closeTime` is the last millisecond of the day. Of a market that stands still it is the day in
    which its record or its trading ended.
    """
    zone, now = query.zone(), candles.present()
    days = buckets(Interval.D1, ahead=zone)
    found = _rows(query, lambda market: windows.day_so_far(market, ahead=zone, now=now))
    for row in found:
        row.close_time = days.shift(row.open_time, 1) - params.MS
    return _shown(query, found)


@endpoint.get(router, "/avgPrice", takes=[params.ONE_NEEDED], weight=2, answers=AVERAGE)
def average_price(query: Query) -> dict[str, Any]:
    """What a unit cost on average in the last five minutes; without trades, the last price.

    `closeTime` is the time of the last trade, 0 where there never was one.
    """
    market, now = asked.market(query), candles.present()
    window = windows.just_before(market, timedelta(minutes=AVERAGE_MINUTES), now=now)
    row = windows.read([(market, window)])[0]
    price, _, _ = shapes.writers(market)
    return {
        "mins": AVERAGE_MINUTES,
        "price": shapes.average(market, row) or price(row.last or shapes.ZERO),
        "closeTime": _last_trade_ms(market, window),
    }


def _last_trade_ms(market: Market, window: Window) -> int:
    trades = Trade.objects.filter(market=market, executed_at__lte=window.stop)
    times = trades.order_by("-executed_at").values_list("executed_at", flat=True)
    last = times.first()
    return to_ms(last) if last else 0


def _rows(query: Query, window_of: Callable[[Market], Window]) -> list[Ticker]:
    markets = asked.markets(query, query.few_symbols())
    return windows.read([(market, window_of(market)) for market in markets])


def _shown(query: Query, rows: list[Ticker]) -> Any:
    is_full = query.is_full()
    found = [shapes.window_ticker(row.market, row, is_full=is_full) for row in rows]
    return found[0] if "symbol" in query else found
