"""The demo's markets: made once, whatever of them is there already."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from apps.exchange import history, watch
from apps.exchange.demo.recorded import UNTIL
from apps.exchange.history import Plan, Record
from apps.exchange.models import Asset, Market, MarketStatus, Trade, TradeSource

RECORDED, LIVE = "XRPETH", "XRPRETH"
ASSETS = {
    "XRP": ("XRP", 6),
    "XRPR": ("XRP replayed", 6),
    "ETH": ("Ether", 18),
    "BTC": ("Bitcoin", 8),
    "USDC": ("USD Coin", 6),
}
TICK, STEP = Decimal("0.00000001"), Decimal(1)
MIN_NOTIONAL = Decimal(5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A market on which demo traders trade, around a simulated price that begins at `home`."""

    symbol: str
    base: str
    quote: str
    tick: Decimal
    step: Decimal
    home: Decimal


TRADED = (
    Pair(
        symbol="ETHUSDC",
        base="ETH",
        quote="USDC",
        tick=Decimal("0.01"),
        step=Decimal("0.0001"),
        home=Decimal(3000),
    ),
    Pair(
        symbol="BTCUSDC",
        base="BTC",
        quote="USDC",
        tick=Decimal("0.1"),
        step=Decimal("0.00001"),
        home=Decimal(90_000),
    ),
)


def prepare(day: Sequence[Record], *, now: datetime) -> Market:
    """Makes sure that both markets stand with their history; returns the live one.

    Interrupted anywhere, it finishes the next time.
    """
    recorded = _market(RECORDED, base="XRP", status=MarketStatus.BREAK, label="recorded")
    if Trade.objects.filter(market=recorded).count() < len(day):
        history.import_records(_placed(day), Plan(symbol=RECORDED, until=UNTIL))
    live = _market(
        LIVE, base="XRPR", status=MarketStatus.TRADING, label="replay of recorded trades"
    )
    if not Trade.objects.filter(market=live).exists():
        plan = Plan(symbol=LIVE, source=TradeSource.REPLAYED)
        history.import_records(_placed(laid_before(day, end=now)), plan)
        watch.push_bars([live])
    return live


def prepare_traded() -> dict[str, Market]:
    """Makes sure that the markets of TRADED stand; returns them by symbol."""
    return {pair.symbol: _traded(pair) for pair in TRADED}


def laid_before(day: Sequence[Record], *, end: datetime) -> list[Record]:
    """The day shifted so that its last trade happens at `end`, numbered from 1."""
    shift = end - day[-1].executed_at
    laid: list[Record] = []
    last_id = 0
    for seq, record in enumerate(day, start=1):
        first_id, last_id = last_id + 1, last_id + 1 + record.last_id - record.first_id
        moment = record.executed_at + shift
        laid.append(
            replace(record, seq=seq, first_id=first_id, last_id=last_id, executed_at=moment)
        )
    return laid


def _placed(records: Iterable[Record]) -> Iterable[tuple[str, Record]]:
    return ((f"record {number}", record) for number, record in enumerate(records, start=1))


def _market(symbol: str, *, base: str, status: MarketStatus, label: str) -> Market:
    market, _ = Market.objects.select_related("base", "quote").get_or_create(
        symbol=symbol,
        defaults={
            "base": asset(base),
            "quote": asset("ETH"),
            "status": status,
            "tick_size": TICK,
            "step_size": STEP,
            "label": label,
        },
    )
    return market


def _traded(pair: Pair) -> Market:
    market, _ = Market.objects.select_related("base", "quote").get_or_create(
        symbol=pair.symbol,
        defaults={
            "base": asset(pair.base),
            "quote": asset(pair.quote),
            "status": MarketStatus.TRADING,
            "tick_size": pair.tick,
            "step_size": pair.step,
            "min_notional": MIN_NOTIONAL,
            "label": "demo: simulated prices",
        },
    )
    return market


def asset(symbol: str) -> Asset:
    """One of ASSETS, made if it is missing."""
    name, decimals = ASSETS[symbol]
    found, _ = Asset.objects.get_or_create(
        symbol=symbol, defaults={"name": name, "decimals": decimals}
    )
    return found
