"""Facts: typed, named in the past tense, and the only way apps tell each other things."""

import re
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar

from moonx.core import money
from moonx.core.intervals import to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. It may only be emitted while the lock of its `key` is held."""

    name: ClassVar[str]

    @property
    def key(self) -> str:
        """What the event is about; events with one key are published in the order they happened."""
        raise NotImplementedError

    @property
    def topics(self) -> tuple[str, ...]:
        """The channels that carry it."""
        raise NotImplementedError

    def payload(self) -> dict[str, Any]:
        """The event as the wire carries it: camelCase, strings for amounts, ms for times."""
        return {camel(field.name): wire(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeExecuted(Event):
    """A trade stands; `price` and `quantity` carry the market's digits."""

    name: ClassVar[str] = "trade.executed"
    symbol: str
    id: int
    first_id: int
    last_id: int
    price: str
    quantity: str
    quote_quantity: str
    is_buyer_maker: bool
    source: str
    time: datetime

    @property
    def key(self) -> str:
        return f"market:{self.symbol}"

    @property
    def topics(self) -> tuple[str, ...]:
        return (f"trades:{self.symbol}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFact(Event):
    """What the two candle events carry: the whole bar."""

    symbol: str
    interval: str
    open_time: datetime
    close_time: datetime
    open: str
    high: str
    low: str
    close: str
    base_volume: str
    quote_volume: str
    taker_base_volume: str
    taker_quote_volume: str
    trade_count: int
    revision: int
    closed: bool = True

    @property
    def key(self) -> str:
        return f"market:{self.symbol}"

    @property
    def topics(self) -> tuple[str, ...]:
        return (f"candles:{self.symbol}:{self.interval}",)


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleClosed(CandleFact):
    """The bar's interval ended; the bar changes no more unless it is revised."""

    name: ClassVar[str] = "candle.closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleRevised(CandleFact):
    """A closed bar changed, because a trade in it came late or was withdrawn."""

    name: ClassVar[str] = "candle.revised"


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemAlert(Event):
    """Something that an operator must look at."""

    name: ClassVar[str] = "system.alert"
    subject: str
    message: str

    @property
    def key(self) -> str:
        return f"system:{self.subject}"

    @property
    def topics(self) -> tuple[str, ...]:
        return ("system",)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserActivity(Event):
    """A user did something; no amounts, no addresses."""

    name: ClassVar[str] = "user.activity"
    user_id: int
    action: str

    @property
    def key(self) -> str:
        return f"user:{self.user_id}"

    @property
    def topics(self) -> tuple[str, ...]:
        return ()


def camel(name: str) -> str:
    """open_time → openTime."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


def wire(value: Any) -> Any:
    """`value` as JSON carries it; floats are refused because they are not exact."""
    if isinstance(value, Enum):
        value = value.value
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return money.plain(value)
        case datetime():
            return to_ms(value)
        case dict():
            return {camel(str(key)): wire(item) for key, item in value.items()}
        case list() | tuple():
            return [wire(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no exact JSON form")
