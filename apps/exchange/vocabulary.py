"""The words of trading, each a closed list of values; pure, so that matching may use them."""

from enum import StrEnum

# Steps and ticks of an order are counted in 64-bit integers while it is matched.
MOST_STEPS = 10**18


class MarketStatus(StrEnum):
    """What a market accepts."""

    TRADING = "TRADING"
    POST_ONLY = "POST_ONLY"
    HALT = "HALT"
    BREAK = "BREAK"


class Side(StrEnum):
    """What the owner does with the base asset."""

    BUY = "BUY"
    SELL = "SELL"


class OrderType(StrEnum):
    """How an order meets the book."""

    LIMIT = "LIMIT"
    MARKET = "MARKET"
    LIMIT_MAKER = "LIMIT_MAKER"
    STOP_LOSS_LIMIT = "STOP_LOSS_LIMIT"
    TAKE_PROFIT_LIMIT = "TAKE_PROFIT_LIMIT"


STOPS = frozenset({OrderType.STOP_LOSS_LIMIT, OrderType.TAKE_PROFIT_LIMIT})


class TimeInForce(StrEnum):
    """How long an order stays."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class SelfTrade(StrEnum):
    """Who yields where an order meets one of the same owner."""

    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"


class OrderStatus(StrEnum):
    """What became of an order."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"


class Stage(StrEnum):
    """Where an order is. It changes only under its market's lock."""

    ARRIVED = "arrived"  # committed by its placer, not matched yet
    STOPPED = "stopped"  # waits for its stop price
    BOOK = "book"
    DONE = "done"


class Reason(StrEnum):
    """Why an order ended otherwise than filled."""

    NONE = ""
    USER = "user"
    OPERATOR = "operator"
    REPLACED = "replaced"
    TIME = "time"
    UNFILLED = "unfilled"  # what IOC, FOK and MARKET leave
    SELF_TRADE = "selfTrade"
    WOULD_TAKE = "wouldTake"
    WOULD_TRIGGER = "wouldTrigger"
    MARKET_CLOSED = "marketClosed"
    FROZEN = "frozen"


def choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    """The values with a title each, as columns and forms want them."""
    return [(one.value, one.name.replace("_", " ").title()) for one in words]
