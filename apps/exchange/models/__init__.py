"""The exchange's rows, one module per concept."""

from apps.exchange.models.amendments import Amendment, AmendmentKind
from apps.exchange.models.audits import Check, Finding
from apps.exchange.models.data import (
    Candle,
    CandleDigest,
    CandleWatermark,
    EmptiedCandle,
    Ticker,
    Trade,
    TradeSource,
)
from apps.exchange.models.ledger import (
    Account,
    Entry,
    House,
    Journal,
    JournalKind,
    Seal,
    SealedBalance,
)
from apps.exchange.models.markets import LARGEST, Asset, Market
from apps.exchange.models.orders import OPEN, OPEN_STATUSES, BookVersion, Fill, Order
from apps.exchange.models.traders import ApiKey, FeeTier, Trader
from apps.exchange.vocabulary import (
    MOST_STEPS,
    MarketStatus,
    OrderStatus,
    OrderType,
    Reason,
    SelfTrade,
    Side,
    Stage,
    TimeInForce,
)

__all__ = [
    "LARGEST",
    "MOST_STEPS",
    "OPEN",
    "OPEN_STATUSES",
    "Account",
    "Amendment",
    "AmendmentKind",
    "ApiKey",
    "Asset",
    "BookVersion",
    "Candle",
    "CandleDigest",
    "CandleWatermark",
    "Check",
    "EmptiedCandle",
    "Entry",
    "FeeTier",
    "Fill",
    "Finding",
    "House",
    "Journal",
    "JournalKind",
    "Market",
    "MarketStatus",
    "Order",
    "OrderStatus",
    "OrderType",
    "Reason",
    "Seal",
    "SealedBalance",
    "SelfTrade",
    "Side",
    "Stage",
    "Ticker",
    "TimeInForce",
    "Trade",
    "TradeSource",
    "Trader",
]
