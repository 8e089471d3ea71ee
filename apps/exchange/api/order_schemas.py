"""What the answers of `/api/v3` about orders and accounts look like, for the interface document."""

from apps.exchange.api.schemas import (
    AMOUNT,
    FLAG,
    NOTHING,
    TEXT,
    WHOLE,
    Schema,
    listed,
    shape,
)

_ID: dict[str, Schema] = {
    "symbol": TEXT,
    "orderId": WHOLE,
    "orderListId": WHOLE,
    "clientOrderId": TEXT,
}
_STATE: dict[str, Schema] = {
    "price": AMOUNT,
    "origQty": AMOUNT,
    "executedQty": AMOUNT,
    "origQuoteOrderQty": AMOUNT,
    "cummulativeQuoteQty": AMOUNT,
    "status": TEXT,
    "timeInForce": TEXT,
    "type": TEXT,
    "side": TEXT,
    "selfTradePreventionMode": TEXT,
}
_RATES = shape(maker=AMOUNT, taker=AMOUNT, buyer=AMOUNT, seller=AMOUNT)
_FILL = shape(price=AMOUNT, qty=AMOUNT, commission=AMOUNT, commissionAsset=TEXT, tradeId=WHOLE)

ACK = shape(**_ID, transactTime=WHOLE)
RESULT = shape(**_ID, transactTime=WHOLE, **_STATE, workingTime=WHOLE)
FULL = shape(**_ID, transactTime=WHOLE, **_STATE, workingTime=WHOLE, fills=listed(_FILL))
PLACED: Schema = {"oneOf": [FULL, RESULT, ACK]}
CANCELED = shape(**_ID, origClientOrderId=TEXT, transactTime=WHOLE, **_STATE)
CANCELED_ORDERS = listed(CANCELED)
REPLACED = shape(
    cancelResult=TEXT, newOrderResult=TEXT, cancelResponse=CANCELED, newOrderResponse=FULL
)
TESTED: Schema = {
    "oneOf": [
        NOTHING,
        shape(standardCommissionForOrder=shape(maker=AMOUNT, taker=AMOUNT)),
    ]
}
ORDER = shape(
    **_ID,
    **_STATE,
    stopPrice=AMOUNT,
    icebergQty=AMOUNT,
    time=WHOLE,
    updateTime=WHOLE,
    isWorking=FLAG,
    workingTime=WHOLE,
)
ORDERS = listed(ORDER)
OWN_TRADES = listed(
    shape(
        symbol=TEXT,
        id=WHOLE,
        orderId=WHOLE,
        orderListId=WHOLE,
        price=AMOUNT,
        qty=AMOUNT,
        quoteQty=AMOUNT,
        commission=AMOUNT,
        commissionAsset=TEXT,
        time=WHOLE,
        isBuyer=FLAG,
        isMaker=FLAG,
        isBestMatch=FLAG,
    )
)
ACCOUNT = shape(
    makerCommission=WHOLE,
    takerCommission=WHOLE,
    commissionRates=_RATES,
    canTrade=FLAG,
    updateTime=WHOLE,
    accountType=TEXT,
    balances=listed(shape(asset=TEXT, free=AMOUNT, locked=AMOUNT)),
    permissions=listed(TEXT),
    uid=WHOLE,
)
COMMISSION = shape(symbol=TEXT, standardCommission=_RATES)
COUNTS = listed(
    shape(rateLimitType=TEXT, interval=TEXT, intervalNum=WHOLE, limit=WHOLE, count=WHOLE)
)
