"""Events on the wire."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from moonx.core import events
from moonx.core.events import Event, StatsBridgeLatencyUpdated, TradeExecuted

CLOSED_LIST = {
    "order.accepted",
    "order.partially_filled",
    "order.filled",
    "order.canceled",
    "order.expired",
    "order.rejected",
    "balance.locked",
    "balance.unlocked",
    "balance.credited",
    "balance.debited",
    "trade.executed",
    "trade.busted",
    "candle.closed",
    "candle.revised",
    "stats.chain_performance_updated",
    "stats.bridge_latency_updated",
    "stats.overview_updated",
    "system.alert",
    "user.activity",
}


def named(kind: type[Event]) -> set[str]:
    own = {kind.__dict__["name"]} if "name" in kind.__dict__ else set()
    return own.union(*(named(child) for child in kind.__subclasses__()))


def test_only_the_known_events_exist() -> None:
    assert named(Event) == CLOSED_LIST


def test_the_payload_is_camel_case_with_strings_and_milliseconds() -> None:
    trade = TradeExecuted(
        symbol="X",
        id=1,
        first_id=1,
        last_id=3,
        price="1.00",
        quantity="2",
        quote_quantity="2.00",
        is_buyer_maker=False,
        source="matched",
        time=datetime(2026, 11, 23, tzinfo=UTC),
    )
    assert trade.payload() == {
        "symbol": "X",
        "id": 1,
        "firstId": 1,
        "lastId": 3,
        "price": "1.00",
        "quantity": "2",
        "quoteQuantity": "2.00",
        "isBuyerMaker": False,
        "source": "matched",
        "time": 1795392000000,
    }
    assert trade.topics == ("trades:X",)


def test_what_python_keeps_for_itself_is_spelled_plainly_on_the_wire() -> None:
    told = StatsBridgeLatencyUpdated(
        seq=7,
        heartbeat=False,
        as_of=datetime(2026, 11, 23, tzinfo=UTC),
        provider="lifi",
        from_="ethereum",
        to="base",
        size="1000",
        verdict="degraded",
        reasons=({"rule": "latencyP95", "value": "3200", "limit": "3000"},),
        latency_ms={"p50": 410, "p95": 3200, "n": 12},
        success_rate="0.98",
        errors={"timeout": 1},
        sampled_at=None,
        simulated=True,
    )
    assert told.key == "bridge:lifi:ethereum:base:1000"
    assert told.topics == ("bridges",)
    payload = told.payload()
    assert payload["from"] == "ethereum"
    assert payload["latencyMs"] == {"p50": 410, "p95": 3200, "n": 12}
    assert payload["reasons"] == [{"rule": "latencyP95", "value": "3200", "limit": "3000"}]


def test_a_float_never_reaches_the_wire() -> None:
    assert events.wire({"some_amount": Decimal("1.50")}) == {"someAmount": "1.5"}
    with pytest.raises(TypeError, match="float has no exact JSON form"):
        events.wire([0.1])
