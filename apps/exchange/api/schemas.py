"""What the answers of `/api/v3` look like, for the interface document."""

from typing import Any

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
AMOUNT: Schema = {"type": "string", "description": "Decimal", "examples": ["0.00141342"]}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _one_or_many(item: Schema) -> Schema:
    return {"oneOf": [item, _list(item)]}


NOTHING = _object()
TIME = _object(serverTime=WHOLE)
TRADES = _list(
    _object(
        id=WHOLE,
        price=AMOUNT,
        qty=AMOUNT,
        quoteQty=AMOUNT,
        time=WHOLE,
        isBuyerMaker=FLAG,
        isBestMatch=FLAG,
    )
)
AGG_TRADES = _list(_object(a=WHOLE, p=AMOUNT, q=AMOUNT, f=WHOLE, l=WHOLE, T=WHOLE, m=FLAG, M=FLAG))
KLINES = _list(
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
TICKERS = _one_or_many(_object(symbol=TEXT, **MINI))
PRICES = _one_or_many(_object(symbol=TEXT, price=AMOUNT))
INFO = _object(
    timezone=TEXT,
    serverTime=WHOLE,
    rateLimits=_list(_object(rateLimitType=TEXT, interval=TEXT, intervalNum=WHOLE, limit=WHOLE)),
    exchangeFilters=_list({"type": "object"}),
    symbols=_list(_object(symbol=TEXT, status=TEXT, baseAsset=TEXT, quoteAsset=TEXT, label=TEXT)),
)
