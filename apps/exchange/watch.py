"""What subscribers of market data see: states pushed from rows, and snapshots for newcomers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from apps.exchange import candles
from apps.exchange.bars import Bar
from apps.exchange.later import Later, Waiting
from apps.exchange.models import Amendment, Market, MarketStatus, Ticker, Trade
from moonx.core import events, logs, money, push, topics
from moonx.core.intervals import Interval
from moonx.core.push import State
from moonx.core.topics import Namespace, UnknownTopic

log = logs.get("moonx.watch")

Check = Callable[[Sequence[str]], None]
CheckMany = Callable[[Sequence[Sequence[str]]], None]
Shot = Callable[[Sequence[str]], topics.Snapshot]

# A market's bars in progress change with each trade and each amendment of one.
VERSIONS = """
SELECT m.id, coalesce(greatest(t.seq, a.seq), 0) + a.count
FROM exchange_market m
LEFT JOIN LATERAL (
  SELECT seq, executed_at FROM exchange_trade WHERE market_id = m.id ORDER BY seq DESC LIMIT 1
) t ON true
CROSS JOIN LATERAL (
  SELECT count(*), max(seq) AS seq, max(created_at) AS last FROM exchange_amendment
  WHERE market_id = m.id
) a
WHERE {which}
"""

BARS_S = 0.1
TAPE = 50  # trades a new subscriber of a tape is shown
HUNDRED = 100


def push_bars(markets: Iterable[Market]) -> int:
    """Pushes the bars in progress of some markets; returns how many were news.

    Versions are read before the bars, so that a later reader always wins.
    """
    wanted = list(markets)
    versions = _versions("m.id = ANY(%s)", [market.pk for market in wanted])
    closed = candles.watermarks()
    now = candles.present()
    states = [
        _bar_state(market, interval, bar, version=versions[market.pk], now=now)
        for market in wanted
        for interval, bar in _in_progress(market, now=now, closed=closed).items()
    ]
    return push.publish_states(states, now=now)


def _in_progress(
    market: Market, *, now: datetime, closed: Mapping[Interval, datetime]
) -> dict[Interval, Bar]:
    """The bars under way; flat where nothing trades, or no longer does: a trade may be busted."""
    found = candles.in_progress(market, now=now, closed=closed)
    quiet = [interval for interval in Interval if interval not in found]
    if quiet and market.status != MarketStatus.TRADING:
        quiet = _emptied(market, quiet, now=now)
    return found | candles.flat_now(market, quiet, now=now) if quiet else found


def _emptied(market: Market, quiet: Iterable[Interval], *, now: datetime) -> list[Interval]:
    """Of a market that stands still, only what an amendment emptied is told: it has no others."""
    last = Amendment.objects.filter(market=market).order_by("-id").first()
    if last is None:
        return []
    return [one for one in quiet if one.floor(last.executed_at) == one.floor(now)]


def push_bars_soon(market: Market) -> None:
    """Pushes the market's bars in progress within a tenth of a second, once for all trades of it.

    Never fails for want of the push server: the sweep repeats what did not arrive.
    """
    _later.add([Waiting(market, BARS_S)])


def _push_due(markets: Sequence[Market]) -> Sequence[Waiting]:
    push_bars(markets)
    return ()


_later = Later("bars", _push_due)


def push_missed_bars(*, now: datetime) -> int:
    """Sends again the bars in progress whose newest version never reached the push server."""
    since = Interval.MONTH.floor(now)
    newest = _versions("t.executed_at >= %s OR a.last >= %s", since, since)
    markets = Market.objects.in_bulk(list(newest))
    topic = {pk: f"candles:{market.symbol}:1M" for pk, market in markets.items()}
    pushed = push.pushed_versions(list(topic.values()))
    behind = [markets[pk] for pk, version in newest.items() if pushed.get(topic[pk], -1) < version]
    return push_bars(behind) if behind else 0


def _versions(which: str, *params: Any) -> dict[int, int]:
    """How often the bars of each market have changed, of those markets that fulfil `which`."""
    with connection.cursor() as cursor:
        cursor.execute(VERSIONS.format(which=which), params)
        return dict(cursor.fetchall())


def push_tickers(tickers: Iterable[Ticker], *, now: datetime) -> int:
    """Pushes the tickers that are newer than what subscribers have; returns how many were."""
    rows = list(tickers)
    pushed = push.pushed_versions([f"ticker:{row.market.symbol}" for row in rows])
    news = [row for row in rows if pushed.get(f"ticker:{row.market.symbol}", -1) < row.version]
    states = [state for row in news for state in (_ticker_state(row), _price_state(row))]
    push.publish_states(states, now=now)
    for row in news if logs.is_debug() else ():
        log.debug("updated a ticker", market=row.market.symbol, last=row.last, version=row.version)
    return len(news)


def _bar_state(
    market: Market, interval: Interval, bar: Bar, *, version: int, now: datetime
) -> State:
    return State(
        topic=f"candles:{market.symbol}:{interval}",
        name="candle.updated",
        version=version,
        data=_bar_data(market, interval, bar),
        source_time=now,
    )


def _bar_data(market: Market, interval: Interval, bar: Bar) -> dict[str, Any]:
    described = candles.described(market, interval, bar)
    data: dict[str, Any] = events.wire(
        {"symbol": market.symbol, "interval": interval.value, **described, "closed": False}
    )
    return data


def _ticker_state(row: Ticker) -> State:
    return State(
        topic=f"ticker:{row.market.symbol}",
        name="ticker.updated",
        version=row.version,
        data=ticker_data(row),
        source_time=row.as_of,
    )


def _price_state(row: Ticker) -> State:
    """The alias `prices`: one topic over all tickers, in the former services' shape."""
    market = row.market
    return State(
        topic="prices",
        key=f"prices:{market.symbol}",
        channel=f"ticker:{market.symbol}",
        name="price_update",
        version=row.version,
        data=price_data(row),
        source_time=row.as_of,
    )


def ticker_data(row: Ticker) -> dict[str, Any]:
    """The ticker as the wire carries it; prices are null where the market never traded."""
    market = row.market
    change, percent = changes(row)
    places = market.price_places
    data: dict[str, Any] = events.wire(
        {
            "symbol": market.symbol,
            "status": market.status,
            "label": market.label,
            "last": money.shown(row.last, places=places),
            "last_quantity": money.shown(row.last_quantity, places=market.quantity_places),
            "open": money.shown(row.open, places=places),
            "high": money.shown(row.high, places=places),
            "low": money.shown(row.low, places=places),
            "previous_close": money.shown(row.previous_close, places=places),
            "change": change,
            "change_percent": percent,
            "weighted_average": weighted_average(row),
            "base_volume": money.shown(row.base_volume, places=market.quantity_places),
            "quote_volume": money.shown(row.quote_volume, places=places + market.quantity_places),
            "trade_count": row.trade_count,
            "first_id": row.first_id,
            "last_id": row.last_id,
            "open_time": row.open_time,
            "close_time": row.close_time,
            "as_of": row.as_of,
        }
    )
    return data


def changes(row: Ticker) -> tuple[str | None, str | None]:
    """last − open, and that in percent of open to three places, half up; null without trades."""
    if row.last is None or row.open is None:
        return None, None
    change = row.last - row.open
    percent = money.divide(change * HUNDRED, row.open, places=3)
    return money.signed(change, places=row.market.price_places), format(percent, "f")


def weighted_average(row: Ticker) -> str | None:
    """Σ price × quantity / Σ quantity, half up to the tick; null without volume."""
    if not row.base_volume:
        return None
    return format(
        money.divide(row.quote_volume, row.base_volume, places=row.market.price_places), "f"
    )


def price_data(row: Ticker) -> dict[str, Any]:
    """The former services' fields, and ours beside them."""
    _, percent = changes(row)
    return {
        **ticker_data(row),
        "token": row.market.base.symbol,
        "chainId": None,
        "price": money.shown(row.last, places=row.market.price_places),
        "priceUsd": None,
        "change24h": percent,
        "volume24h": money.shown(row.base_volume, places=row.market.quantity_places),
        "timestamp": events.wire(row.as_of),
    }


def register() -> None:
    """Makes the market data channels known to the gateway."""
    families: list[tuple[str, int, CheckMany, Shot]] = [
        ("ticker", 1, check_markets, _ticker_snapshot),
        ("prices", 0, _check_nothing, _prices_snapshot),
        ("trades", 1, check_markets, _tape_snapshot),
        ("candles", 2, _check_candles, _candle_snapshot),
    ]
    for name, arity, check_many, snapshot in families:
        topics.register(
            Namespace(
                name=name,
                public=True,
                arity=arity,
                check=_one_by(check_many),
                check_many=check_many,
                snapshot=snapshot,
                canonical=_ticker_channel if name == "prices" else None,
            )
        )


def _ticker_channel(data: dict[str, Any]) -> str:
    return f"ticker:{data['symbol']}"


def market_of(symbol: str) -> Market:
    """The market of that name; raises UnknownTopic where there is none."""
    market = Market.objects.select_related("base", "quote").filter(symbol=symbol).first()
    if market is None:
        raise UnknownTopic(_no_market(symbol))
    return market


def _no_market(symbol: str) -> str:
    return f"There is no market {symbol[:20]!r}."


def _one_by(check_many: CheckMany) -> Check:
    return lambda args: check_many([args])


def check_markets(many: Sequence[Sequence[str]]) -> None:
    """Raises UnknownTopic unless the first argument of each channel names a market."""
    symbols = [args[0] for args in many]
    known = set(Market.objects.filter(symbol__in=symbols).values_list("symbol", flat=True))
    for symbol in symbols:
        if symbol not in known:
            raise UnknownTopic(_no_market(symbol))


def _check_nothing(many: Sequence[Sequence[str]]) -> None:
    """`prices` names all markets."""


def _check_candles(many: Sequence[Sequence[str]]) -> None:
    check_markets(many)
    for _, interval in many:
        if interval not in list(Interval):
            raise UnknownTopic(
                f"There is no interval {interval[:10]!r}: use one of {', '.join(Interval)}."
            )


def _ticker_snapshot(args: Sequence[str]) -> topics.Snapshot:
    rows = Ticker.objects.select_related("market").filter(market__symbol=args[0])
    return [("ticker.updated", ticker_data(row)) for row in rows]


def _prices_snapshot(_: Sequence[str]) -> topics.Snapshot:
    rows = Ticker.objects.select_related("market__base").order_by("market__symbol")
    return [("price_update", price_data(row)) for row in rows]


def _tape_snapshot(args: Sequence[str]) -> topics.Snapshot:
    market = market_of(args[0])
    latest = Trade.objects.filter(market=market).order_by("-seq")[:TAPE]
    return [("trade.executed", tape_data(market, trade)) for trade in reversed(latest)]


def tape_data(market: Market, trade: Trade) -> dict[str, Any]:
    """A stored trade as `trade.executed` carried it."""
    places = market.price_places + market.quantity_places
    data: dict[str, Any] = events.wire(
        {
            "symbol": market.symbol,
            "id": trade.seq,
            "first_id": trade.first_id,
            "last_id": trade.last_id,
            "price": money.plain(trade.price, places=market.price_places),
            "quantity": money.plain(trade.quantity, places=market.quantity_places),
            "quote_quantity": money.plain(trade.quote_quantity, places=places),
            "is_buyer_maker": trade.is_buyer_maker,
            "source": trade.source,
            "time": trade.executed_at,
        }
    )
    return data


def _candle_snapshot(args: Sequence[str]) -> topics.Snapshot:
    market, interval = market_of(args[0]), Interval(args[1])
    now = candles.present()
    start = interval.floor(now)
    found = candles.between(market, interval, start=start, end=interval.shift(start, 1))
    return [("candle.updated", _bar_data(market, interval, bar)) for bar in found]
