"""What the answers of `/api/v3` look like, for the interface document."""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
AMOUNT: Schema = {"type": "string", "description": "Decimal", "examples": ["0.00141342"]}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}


def shape(**properties: Schema) -> Schema:
    """An object with these properties."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def listed(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def _one_or_many(item: Schema) -> Schema:
    return {"oneOf": [item, listed(item)]}


NOTHING = shape()
TIME = shape(serverTime=WHOLE)
TRADES = listed(
    shape(
        id=WHOLE,
        price=AMOUNT,
        qty=AMOUNT,
        quoteQty=AMOUNT,
        time=WHOLE,
        isBuyerMaker=FLAG,
        isBestMatch=FLAG,
    )
)
AGG_TRADES = listed(shape(a=WHOLE, p=AMOUNT, q=AMOUNT, f=WHOLE, l=WHOLE, T=WHOLE, m=FLAG, M=FLAG))
KLINES = listed(
    {
        "type": "array",
        "description": "Open time, open, high, low, close, volume, close time, quote volume, "
        "number of trades, taker buy volume, taker buy quote volume, unused",
        "prefixItems": [
            WHOLE,
            *[AMOUNT] * 5,
            WHOLE,
            AMOUNT,
            WHOLE,
            *[AMOUNT] * 3,
        ],
    }
)
MINI: dict[str, Schema] = {
    "openPrice": AMOUNT,
    "highPrice": AMOUNT,
    "lowPrice": AMOUNT,
    "lastPrice": AMOUNT,
    "volume": AMOUNT,
    "quoteVolume": AMOUNT,
    "openTime": WHOLE,
    "closeTime": WHOLE,
    "firstId": WHOLE,
    "lastId": WHOLE,
    "count": WHOLE,
}
CHANGE: dict[str, Schema] = {
    "priceChange": AMOUNT,
    "priceChangePercent": AMOUNT,
    "weightedAvgPrice": AMOUNT,
}
WINDOWS = _one_or_many(shape(symbol=TEXT, **CHANGE, **MINI))
AVERAGE = shape(mins=WHOLE, price=AMOUNT, closeTime=WHOLE)
TICKERS = _one_or_many(shape(symbol=TEXT, **MINI))
PRICES = _one_or_many(shape(symbol=TEXT, price=AMOUNT))
DEPTH = shape(
    lastUpdateId=WHOLE,
    bids=listed({"type": "array", "prefixItems": [AMOUNT, AMOUNT]}),
    asks=listed({"type": "array", "prefixItems": [AMOUNT, AMOUNT]}),
)
BOOK_TICKERS = _one_or_many(
    shape(symbol=TEXT, bidPrice=AMOUNT, bidQty=AMOUNT, askPrice=AMOUNT, askQty=AMOUNT)
)
INFO = shape(
    timezone=TEXT,
    serverTime=WHOLE,
    rateLimits=listed(shape(rateLimitType=TEXT, interval=TEXT, intervalNum=WHOLE, limit=WHOLE)),
    exchangeFilters=listed({"type": "object"}),
    symbols=listed(shape(symbol=TEXT, status=TEXT, baseAsset=TEXT, quoteAsset=TEXT, label=TEXT)),
)
