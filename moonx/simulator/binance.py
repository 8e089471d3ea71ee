"""Binance: public prices of its spot markets."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from moonx.simulator import moods, world
from moonx.simulator.serving import Reply, Request, Route, Service, parsed_json
from moonx.simulator.world import DAY_S, Listed

QUOTE = "USDT"
PAIRS = {f"{one.symbol}{QUOTE}": one for one in world.LISTED if one.symbol != QUOTE}
MINUTE_MS = 60_000
INTERVALS_MS = {
    "1s": 1000,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": 60 * MINUTE_MS,
    "2h": 120 * MINUTE_MS,
    "4h": 240 * MINUTE_MS,
    "6h": 360 * MINUTE_MS,
    "8h": 480 * MINUTE_MS,
    "12h": 720 * MINUTE_MS,
    "1d": DAY_S * 1000,
}
MOST, USUAL = 1000, 500
LARGEST = 10**15  # number that a parameter may be, which times in ms are far below
TRADE_EVERY_MS = 400
WEIGHTS = (("REQUEST_WEIGHT", "MINUTE", 1, 6000), ("RAW_REQUESTS", "MINUTE", 5, 61_000))
ORDER_TYPES = ("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT")
ALLOWED = {
    "icebergAllowed": True,
    "ocoAllowed": True,
    "otoAllowed": True,
    "opoAllowed": True,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": False,
    "cancelReplaceAllowed": False,
    "amendAllowed": False,
    "pegInstructionsAllowed": True,
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": True,
}


class Refused(Exception):
    """A 400 with one of Binance's codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def ticker_price(request: Request) -> Reply:
    """GET /api/v3/ticker/price."""
    return _each(request, lambda symbol: {"symbol": symbol, "price": _price(symbol, request.now_s)})


def ticker_day(request: Request) -> Reply:
    """GET /api/v3/ticker/24hr."""
    is_mini = request.given("type") == "MINI"
    return _each(request, lambda symbol: _day(symbol, request, is_mini=is_mini))


def _each(request: Request, told: Callable[[str], dict[str, Any]]) -> Reply:
    """One object for `symbol`, a list for `symbols` or for all."""
    try:
        symbols = _symbols(request)
        found = [told(symbol) for symbol in symbols]
    except Refused as error:
        return _error(400, error.code, str(error))
    return Reply(body=found[0] if request.given("symbol") else found)


def _symbols(request: Request) -> Sequence[str]:
    if one := request.given("symbol"):
        return [_known(one)]
    if not (text := request.given("symbols")):
        return list(PAIRS)
    try:
        many = parsed_json(text)
    except ValueError:
        many = None
    if not isinstance(many, list):
        raise Refused(-1100, "Illegal characters found in parameter 'symbols'.")
    return [_known(str(symbol)) for symbol in many]


def _known(symbol: str) -> str:
    if symbol not in PAIRS:
        raise Refused(-1121, "Invalid symbol.")
    return symbol


def _at(listed: Listed, now_s: float) -> Decimal:
    return world.usd(listed, now_s=now_s) / world.usd(_tether(), now_s=now_s)


def _tether() -> Listed:
    found = world.listed_by(symbol=QUOTE)
    assert found is not None  # noqa: S101 - it is in the table
    return found


def _spelled(value: Decimal) -> str:
    return f"{value:.8f}"


def _price(symbol: str, now_s: float) -> str:
    return _spelled(_at(PAIRS[symbol], now_s))


def _day(symbol: str, request: Request, *, is_mini: bool) -> dict[str, Any]:
    listed, now_s = PAIRS[symbol], request.now_s
    hours = [_at(listed, now_s - 3600 * back) for back in range(25)]
    last, opened = hours[0], hours[-1]
    volume = Decimal(listed.volume24h) / listed.usd
    first = int(now_s - DAY_S) * 1000 // TRADE_EVERY_MS
    count = DAY_S * 1000 // TRADE_EVERY_MS
    mini = {
        "symbol": symbol,
        "openPrice": _spelled(opened),
        "highPrice": _spelled(max(hours)),
        "lowPrice": _spelled(min(hours)),
        "lastPrice": _spelled(last),
        "volume": _spelled(volume),
        "quoteVolume": _spelled(volume * last),
        "openTime": request.now_ms - DAY_S * 1000,
        "closeTime": request.now_ms,
        "firstId": first,
        "lastId": first + count - 1,
        "count": count,
    }
    return mini if is_mini else mini | _rest_of_day(last, opened)


def _rest_of_day(last: Decimal, opened: Decimal) -> dict[str, str]:
    step = last / 10_000
    return {
        "priceChange": _spelled(last - opened),
        "priceChangePercent": f"{(last - opened) / opened * 100:.3f}",
        "weightedAvgPrice": _spelled((last + opened) / 2),
        "prevClosePrice": _spelled(opened),
        "lastQty": "0.50000000",
        "bidPrice": _spelled(last - step),
        "bidQty": "1.00000000",
        "askPrice": _spelled(last + step),
        "askQty": "1.00000000",
    }


def klines(request: Request) -> Reply:
    """GET /api/v3/klines."""
    try:
        symbol, limit = _known(_needed(request, "symbol")), _limit(request)
        length_ms = INTERVALS_MS.get(_needed(request, "interval"))
        if length_ms is None:
            raise Refused(-1120, "Invalid interval.")
        end_ms = _number(request, "endTime", request.now_ms)
        start_ms = _number(request, "startTime", end_ms - (limit - 1) * length_ms)
    except Refused as error:
        return _error(400, error.code, str(error))
    first = -(-start_ms // length_ms) if request.given("startTime") else start_ms // length_ms
    opens = [place * length_ms for place in range(first, first + limit)]
    bars = [_bar(PAIRS[symbol], one, length_ms) for one in opens if one <= end_ms]
    return Reply(body=bars)


def _bar(listed: Listed, open_ms: int, length_ms: int) -> list[Any]:
    edges = [_at(listed, (open_ms + length_ms * part / 4) / 1000) for part in range(5)]
    volume = Decimal(listed.volume24h) / listed.usd * length_ms / (DAY_S * 1000)
    quote, taken = volume * edges[-1], Decimal("0.48")
    count = max(1, length_ms // TRADE_EVERY_MS)
    prices = (edges[0], max(edges), min(edges), edges[-1], volume)
    sums = (volume * taken, quote * taken)
    return [
        open_ms,
        *map(_spelled, prices),
        open_ms + length_ms - 1,
        _spelled(quote),
        count,
        *map(_spelled, sums),
        "0",
    ]


def trades(request: Request) -> Reply:
    """GET /api/v3/aggTrades."""
    try:
        symbol, limit = _known(_needed(request, "symbol")), _limit(request)
        newest = request.now_ms // TRADE_EVERY_MS
        first = _number(request, "fromId", 0) or max(1, newest - limit + 1)
        if start_ms := _number(request, "startTime", 0):
            first = -(-start_ms // TRADE_EVERY_MS)
    except Refused as error:
        return _error(400, error.code, str(error))
    ids = range(first, min(first + limit, newest + 1))
    return Reply(body=[_trade(PAIRS[symbol], number) for number in ids])


def _trade(listed: Listed, number: int) -> dict[str, Any]:
    at_ms = number * TRADE_EVERY_MS
    return {
        "a": number,
        "p": _spelled(_at(listed, at_ms / 1000)),
        "q": _spelled(Decimal(str(round(moods.chance("q", listed.symbol, number) + 0.01, 4)))),
        "f": number,
        "l": number,
        "T": at_ms,
        "m": moods.chance("m", listed.symbol, number) < 0.5,
        "M": True,
    }


def exchange_info(request: Request) -> Reply:
    """GET /api/v3/exchangeInfo."""
    try:
        symbols = _symbols(request)
    except Refused as error:
        return _error(400, error.code, str(error))
    limits = [
        {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
        for kind, interval, number, limit in WEIGHTS
    ]
    return Reply(
        body={
            "timezone": "UTC",
            "serverTime": request.now_ms,
            "rateLimits": limits,
            "exchangeFilters": [],
            "symbols": [_described(symbol) for symbol in symbols],
        }
    )


def _described(symbol: str) -> dict[str, Any]:
    digits = ("baseAssetPrecision", "quotePrecision", "quoteAssetPrecision")
    commissions = ("baseCommissionPrecision", "quoteCommissionPrecision")
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": PAIRS[symbol].symbol,
        "quoteAsset": QUOTE,
        **dict.fromkeys(digits + commissions, 8),
        "orderTypes": list(ORDER_TYPES),
        **ALLOWED,
        "filters": [],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _needed(request: Request, name: str) -> str:
    if not (value := request.given(name)):
        raise Refused(
            -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
        )
    return value


def _number(request: Request, name: str, usual: int) -> int:
    text = request.given(name)
    if not text:
        return usual
    found = world.whole(text)
    if found is None or found > LARGEST:
        raise Refused(-1100, f"Illegal characters found in parameter '{name}'.")
    return found


def _limit(request: Request) -> int:
    return min(MOST, max(1, _number(request, "limit", USUAL)))


def _error(status: int, code: int, message: str, **headers: str) -> Reply:
    return Reply(status=status, body={"code": code, "msg": message}, headers=headers)


def _too_much() -> Reply:
    message = (
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please "
        "use WebSocket Streams for live updates to avoid polling the API."
    )
    return _error(429, -1003, message, **{"Retry-After": "5"})


SERVICE = Service(
    name="binance",
    prefix="/binance",
    latency_ms=45,
    routes=(
        Route("GET", "/api/v3/ping", lambda _: Reply(body={})),
        Route("GET", "/api/v3/time", lambda request: Reply(body={"serverTime": request.now_ms})),
        Route("GET", "/api/v3/exchangeInfo", exchange_info),
        Route("GET", "/api/v3/ticker/24hr", ticker_day),
        Route("GET", "/api/v3/ticker/price", ticker_price),
        Route("GET", "/api/v3/klines", klines),
        Route("GET", "/api/v3/aggTrades", trades),
    ),
    refuse=lambda message: _error(400, -1100, message),
    unknown=lambda: _error(404, -1000, "Not found."),
    rate_limited=_too_much,
    failed=lambda: _error(503, -1001, "Internal error; unable to process your request."),
    headers=lambda request: {"X-MBX-USED-WEIGHT-1M": str(request.count % 6000)},
)
