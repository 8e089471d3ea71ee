"""Facts: typed, named in the past tense, and the only way apps tell each other things."""

import re
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from string import Formatter
from typing import Any, ClassVar

from moonx.core import money
from moonx.core.intervals import to_ms

AS_THEY_ARE = frozenset({str, int, bool, type(None)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact. It may only be emitted while the lock of its `key` is held.

    `key_form` and `topic_forms` name fields in braces, as in `market:{symbol}`.
    """

    name: ClassVar[str]
    key_form: ClassVar[str]
    topic_forms: ClassVar[tuple[str, ...]] = ()

    @property
    def key(self) -> str:
        """What the event is about; events with one key are published in the order they happened."""
        return self._filled(self.key_form)

    @property
    def topics(self) -> tuple[str, ...]:
        """The channels that carry it."""
        return tuple(map(self._filled, self.topic_forms))

    def _filled(self, form: str) -> str:
        return "".join(
            text + str(getattr(self, field)) if field else text for text, field in parts(form)
        )

    def payload(self) -> dict[str, Any]:
        """The event as the wire carries it: camelCase, strings for amounts, ms for times."""
        return {
            spelled: value if type(value := getattr(self, name)) in AS_THEY_ARE else wire(value)
            for name, spelled in wire_names(type(self))  # type: ignore[arg-type]  # classes hash
        }


@cache
def parts(form: str) -> tuple[tuple[str, str], ...]:
    """A form as texts, each with the field that follows it; "" where none does."""
    return tuple((text, field or "") for text, field, _, _ in Formatter().parse(form))


@cache
def wire_names(kind: type[Event]) -> tuple[tuple[str, str], ...]:
    """Each field of an event and what the wire calls it."""
    return tuple((field.name, camel(field.name)) for field in fields(kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeExecuted(Event):
    """A trade stands; `price` and `quantity` carry the market's digits."""

    name: ClassVar[str] = "trade.executed"
    key_form: ClassVar[str] = "market:{symbol}"
    topic_forms: ClassVar[tuple[str, ...]] = ("trades:{symbol}",)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeBusted(TradeExecuted):
    """A trade does not stand as it did: the fields are what it was.

    `new_` are what it was corrected to; None where it was taken back, as if it had never been.
    """

    name: ClassVar[str] = "trade.busted"
    busted_at: datetime
    new_price: str | None
    new_quantity: str | None
    new_quote_quantity: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTrade(Event):
    """One side of a trade, for its owner alone; all are told by events of their own."""

    key_form: ClassVar[str] = "market:{symbol}"
    topic_forms: ClassVar[tuple[str, ...]] = ("trades@{user_id}",)
    user_id: int
    symbol: str
    base_asset: str
    quote_asset: str
    trade_id: int
    order_id: int
    side: str
    is_maker: bool
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    fee: Decimal
    fee_asset: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTradeExecuted(OwnTrade):
    """A fill."""

    name: ClassVar[str] = "trade.executed"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTradeBusted(OwnTrade):
    """A fill does not stand as it did, nor what it moved; `new_` as in `TradeBusted`."""

    name: ClassVar[str] = "trade.busted"
    busted_at: datetime
    new_price: Decimal | None
    new_quote_quantity: Decimal | None
    new_fee: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFact(Event):
    """What the order events carry: the whole order as it stands afterwards."""

    key_form: ClassVar[str] = "market:{symbol}"
    topic_forms: ClassVar[tuple[str, ...]] = ("orders@{user_id}",)
    user_id: int
    order_id: int
    client_order_id: str
    symbol: str
    base_asset: str
    quote_asset: str
    side: str
    type: str
    time_in_force: str
    status: str
    price: Decimal | None
    stop_price: Decimal | None
    quantity: Decimal
    quote_order_quantity: Decimal | None
    filled_quantity: Decimal
    prevented_quantity: Decimal
    filled_quote: Decimal
    fee: Decimal
    fee_asset: str
    self_trade: str
    expires_at: datetime | None
    reason: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAccepted(OrderFact):
    """The market took the order: it rests, waits for its stop price, or was filled at once."""

    name: ClassVar[str] = "order.accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPartiallyFilled(OrderFact):
    """Some of the order was filled, or cut by an order of its owner; the rest stays."""

    name: ClassVar[str] = "order.partially_filled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilled(OrderFact):
    """All of the order was filled."""

    name: ClassVar[str] = "order.filled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderCanceled(OrderFact):
    """The owner, or an operator, took the order back."""

    name: ClassVar[str] = "order.canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderExpired(OrderFact):
    """The order ended by its own terms: its time, what it would not wait for, or itself."""

    name: ClassVar[str] = "order.expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected(OrderFact):
    """The market did not take the order."""

    name: ClassVar[str] = "order.rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceFact(Event):
    """What the balance events carry: the change, and what the account has afterwards."""

    key_form: ClassVar[str] = "account:{user_id}:{asset}"
    topic_forms: ClassVar[tuple[str, ...]] = ("balances@{user_id}",)
    user_id: int
    asset: str
    amount: Decimal
    balance: Decimal
    held: Decimal
    available: Decimal
    order_id: int | None
    reason: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLocked(BalanceFact):
    """An order holds more of the balance."""

    name: ClassVar[str] = "balance.locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceUnlocked(BalanceFact):
    """An order holds less of the balance; the owner may use it again."""

    name: ClassVar[str] = "balance.unlocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceCredited(BalanceFact):
    """The balance grew."""

    name: ClassVar[str] = "balance.credited"


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceDebited(BalanceFact):
    """The balance shrank."""

    name: ClassVar[str] = "balance.debited"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFact(Event):
    """What the two candle events carry: the whole bar."""

    key_form: ClassVar[str] = "market:{symbol}"
    topic_forms: ClassVar[tuple[str, ...]] = ("candles:{symbol}:{interval}",)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleClosed(CandleFact):
    """The bar's interval ended; the bar changes no more unless it is revised."""

    name: ClassVar[str] = "candle.closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleRevised(CandleFact):
    """A closed bar changed, because a trade in it came late or was withdrawn."""

    name: ClassVar[str] = "candle.revised"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsFact(Event):
    """What the events of statistics carry beside their figures.

    They are told when a figure moved or, as a `heartbeat`, when none did for a while; `seq` counts
    what was told of one subject. Rates and ratios are decimal strings.
    """

    seq: int
    heartbeat: bool
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsChainPerformanceUpdated(StatsFact):
    """How a chain does: its verdict with the reasons, its providers, its figures."""

    name: ClassVar[str] = "stats.chain_performance_updated"
    key_form: ClassVar[str] = "chain:{chain_id}"
    topic_forms: ClassVar[tuple[str, ...]] = ("chain:{chain_id}",)
    chain: str
    chain_id: int
    verdict: str
    reasons: tuple[dict[str, Any], ...]
    providers: tuple[dict[str, Any], ...]
    block_time_ms: dict[str, int | None]
    tps: str | None
    gas_used_ratio: str | None
    base_fee_wei: str | None
    head: int | None
    head_age_ms: int | None
    finality_lag_ms: int | None
    reorgs1h: dict[str, int]
    volume24h_usd: str | None
    tvl_usd: str | None
    sampled_at: datetime | None
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsBridgeLatencyUpdated(StatsFact):
    """How fast a bridge quotes in one corridor for one size, and how often it does at all."""

    name: ClassVar[str] = "stats.bridge_latency_updated"
    key_form: ClassVar[str] = "bridge:{provider}:{from_}:{to}:{size}"
    topic_forms: ClassVar[tuple[str, ...]] = ("bridges",)
    provider: str
    from_: str
    to: str
    size: str
    verdict: str
    reasons: tuple[dict[str, Any], ...]
    latency_ms: dict[str, int | None]
    success_rate: str | None
    errors: dict[str, int]
    sampled_at: datetime | None
    simulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsOverviewUpdated(StatsFact):
    """Chains and bridges by verdict, and the totals over all chains.

    `simulated` is said of volumes and values locked, `simulated_bridges` of any bridge's quotes.
    """

    name: ClassVar[str] = "stats.overview_updated"
    key_form: ClassVar[str] = "overview"
    topic_forms: ClassVar[tuple[str, ...]] = ("overview",)
    chains: dict[str, int]
    bridges: dict[str, int]
    active24h: int | None
    volume24h: str | None
    tvl: str | None
    simulated: bool
    simulated_bridges: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemAlert(Event):
    """Something that an operator must look at."""

    name: ClassVar[str] = "system.alert"
    key_form: ClassVar[str] = "system:{subject}"
    topic_forms: ClassVar[tuple[str, ...]] = ("system",)
    subject: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserActivity(Event):
    """A user did something; no amounts, no addresses."""

    name: ClassVar[str] = "user.activity"
    key_form: ClassVar[str] = "user:{user_id}"
    user_id: int
    action: str


def camel(name: str) -> str:
    """open_time → openTime; from_ → from, which Python keeps for itself."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name.rstrip("_"))


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
