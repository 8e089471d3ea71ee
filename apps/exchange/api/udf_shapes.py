"""Markets and bars in the shapes that TradingView's Universal Data Feed protocol gives them."""

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from typing import Any

from apps.exchange.api.schemas import FLAG, TEXT, WHOLE, listed, shape
from apps.exchange.bars import Bar
from apps.exchange.models import Market, MarketStatus
from moonx.core.intervals import Interval, to_ms

EXCHANGE, KIND = "MoonX", "crypto"
INTRADAY = {
    "1": Interval.M1,
    "5": Interval.M5,
    "15": Interval.M15,
    "30": Interval.M30,
    "60": Interval.H1,
    "240": Interval.H4,
}
RESOLUTIONS = {**INTRADAY, "1D": Interval.D1, "1W": Interval.W1, "1M": Interval.MONTH}
LIVE = {MarketStatus.TRADING, MarketStatus.POST_ONLY}

NUMBER = {"type": "number"}
CHOICES = listed(shape(value=TEXT, name=TEXT))
CONFIG = shape(
    supports_search=FLAG,
    supports_group_request=FLAG,
    supports_marks=FLAG,
    supports_timescale_marks=FLAG,
    supports_time=FLAG,
    supported_resolutions=listed(TEXT),
    exchanges=CHOICES,
    symbols_types=CHOICES,
)
SYMBOL = shape(
    name=TEXT,
    ticker=TEXT,
    description=TEXT,
    type=TEXT,
    session=TEXT,
    timezone=TEXT,
    minmov=WHOLE,
    pricescale=WHOLE,
    volume_precision=WHOLE,
    supported_resolutions=listed(TEXT),
)
SEARCH = listed(shape(symbol=TEXT, full_name=TEXT, description=TEXT, ticker=TEXT, type=TEXT))
HISTORY = {
    "oneOf": [
        shape(
            s={"const": "ok"},
            t=listed(WHOLE),
            o=listed(NUMBER),
            h=listed(NUMBER),
            l=listed(NUMBER),
            c=listed(NUMBER),
            v=listed(NUMBER),
        ),
        shape(s={"const": "no_data"}, nextTime=WHOLE),
    ]
}
ERROR = shape(s={"const": "error"}, errmsg=TEXT)


def described(market: Market) -> dict[str, Any]:
    """How a market is drawn; a price moves by minmov / pricescale, which is the tick."""
    scale = 10**market.price_places
    return {
        **_named(market),
        "name": market.symbol,
        "exchange": EXCHANGE,
        "listed_exchange": EXCHANGE,
        "exchange-traded": EXCHANGE,  # what older libraries read
        "exchange-listed": EXCHANGE,
        "session": "24x7",
        "timezone": "Etc/UTC",
        "format": "price",
        "minmov": int(market.tick_size * scale),
        "pricescale": scale,
        "volume_precision": market.quantity_places,
        "has_intraday": True,
        "has_daily": True,
        "has_weekly_and_monthly": True,
        "intraday_multipliers": list(INTRADAY),
        "supported_resolutions": list(RESOLUTIONS),
        "data_status": "streaming" if market.status in LIVE else "endofday",
    }


def found_symbol(market: Market) -> dict[str, str]:
    """A market as one of those that a search found."""
    return {"symbol": market.symbol, **_named(market), "exchange": EXCHANGE}


def _named(market: Market) -> dict[str, str]:
    return {
        "ticker": market.symbol,
        "full_name": f"{EXCHANGE}:{market.symbol}",
        "description": f"{market.base.name} / {market.quote.name}",
        "type": KIND,
    }


def history_json(market: Market, bars: Sequence[Bar], *, earlier: Sequence[Bar]) -> str:
    """Bars as a table of columns; without any, where the next one to the left is.

    The text is made here, because amounts are numbers in it and a float would round them.
    """
    if not bars:
        # The library takes this one time in milliseconds.
        next_time = {"nextTime": to_ms(earlier[-1].open_time)} if earlier else {}
        return json.dumps({"s": "no_data", **next_time}, separators=(",", ":"))
    price, quantity = _number(market.price_places), _number(market.quantity_places)
    columns = {
        "t": _column(str(to_ms(bar.open_time) // 1000) for bar in bars),
        "o": _column(price(bar.open) for bar in bars),
        "h": _column(price(bar.high) for bar in bars),
        "l": _column(price(bar.low) for bar in bars),
        "c": _column(price(bar.close) for bar in bars),
        "v": _column(quantity(bar.base_volume) for bar in bars),
    }
    return '{"s":"ok",' + ",".join(f'"{name}":{text}' for name, text in columns.items()) + "}"


def _number(places: int) -> Callable[[Decimal], str]:
    return cache(lambda value: format(value, f".{places}f"))


def _column(values: Iterable[str]) -> str:
    return f"[{','.join(values)}]"
