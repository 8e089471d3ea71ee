"""What is told of samples, and what is not."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apps.stats import changes
from apps.stats.changes import ANYWHERE, DeadBand, Decision, Told

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
BANDS = {
    "tps": DeadBand(Decimal("0.5"), Decimal("0.1")),
    "head": ANYWHERE,
    "providers.*.lagBlocks": DeadBand(Decimal(3)),
    "blockTimeMs": DeadBand(Decimal(50)),
    "blockTimeMs.n": ANYWHERE,
}


def payload(**others: Any) -> dict[str, Any]:
    return {
        "verdict": "healthy",
        "reasons": [],
        "tps": "20.0",
        "head": 100,
        "blockTimeMs": {"p50": 2000, "n": 300},
        "providers": [{"name": "rpc.rei.network", "state": "ok", "lagBlocks": 0}],
        "seq": 1,
        "heartbeat": False,
        "asOf": 1,
        "sampledAt": 1,
        **others,
    }


def told_of(one: dict[str, Any], *, at: datetime) -> Told:
    return Told(payload=one, digest=changes.digest(one), at=at)


def decided(fresh: dict[str, Any], *, after: timedelta = timedelta(minutes=1)) -> Decision:
    told = told_of(payload(), at=NOW - after)
    return changes.decide(told, fresh, BANDS, now=NOW)


def provider(**others: Any) -> dict[str, Any]:
    return {"name": "rpc.rei.network", "state": "ok", "lagBlocks": 0, **others}


def test_the_first_sample_is_told() -> None:
    assert changes.decide(None, payload(), BANDS, now=NOW) is Decision.CHANGED


@pytest.mark.parametrize(
    "others",
    [
        {"seq": 9, "heartbeat": True, "asOf": 2, "sampledAt": 2},
        {"tps": "22.0"},  # 10 % of what was told
        {"tps": "18.0"},
        {"head": 10_000_000},
        {"head": None},
        {"blockTimeMs": {"p50": 2050, "n": 30}},
        {"providers": [provider(lagBlocks=3)]},
    ],
)
def test_what_stays_within_its_dead_band_is_not_told(others: dict[str, Any]) -> None:
    assert decided(payload(**others)) is Decision.SILENT


@pytest.mark.parametrize(
    "others",
    [
        {"verdict": "degraded"},
        {"reasons": [{"rule": "headAge", "value": 70_000, "limit": 60_000}]},
        {"tps": "22.1"},
        {"tps": "17.9"},
        {"tps": None},
        {"blockTimeMs": {"p50": 2051, "n": 300}},
        {"blockTimeMs": {"p50": None, "n": 3}},
        {"providers": [provider(lagBlocks=4)]},
        {"providers": [provider(state="lagging")]},
        {"providers": []},
        {"providers": [provider(), provider(name="alchemy")]},
        {"simulated": True},
    ],
)
def test_what_leaves_its_dead_band_or_has_none_is_told(others: dict[str, Any]) -> None:
    assert decided(payload(**others)) is Decision.CHANGED


def test_a_reason_is_the_same_one_whatever_its_value() -> None:
    def because(value: int, **others: str) -> dict[str, Any]:
        return payload(reasons=[{"rule": "headAge", "value": value, "limit": 60_000, **others}])

    assert not changes.differs(told_of(because(70_000), at=NOW), because(900_000), BANDS)
    assert changes.differs(
        told_of(because(70_000), at=NOW), because(70_000, provider="alchemy"), BANDS
    )


def test_the_order_of_providers_and_reasons_is_no_news() -> None:
    both = [provider(), provider(name="alchemy")]
    assert not changes.differs(
        told_of(payload(providers=both), at=NOW), payload(providers=both[::-1]), BANDS
    )


def test_a_slow_drift_is_told_when_it_has_left_what_was_told() -> None:
    told, count = told_of(payload(), at=NOW), 0
    for step in range(1, 101):  # each step of 0.2 is far within the dead band of 2.0
        fresh = payload(tps=str(20 + Decimal(step) / 5))
        if changes.decide(told, fresh, BANDS, now=NOW) is Decision.CHANGED:
            told, count = told_of(fresh, at=NOW), count + 1
    assert count == 6


def test_the_larger_of_the_two_bands_counts() -> None:
    assert DeadBand(Decimal("0.5"), Decimal("0.1")).holds("0.1", "0.6")
    assert not DeadBand(Decimal("0.5"), Decimal("0.1")).holds("0.1", "0.61")


@pytest.mark.parametrize(
    ("after", "decision"),
    [
        (timedelta(minutes=5) - timedelta(milliseconds=1), Decision.SILENT),
        (timedelta(minutes=5), Decision.HEARTBEAT),
    ],
)
def test_a_heartbeat_is_told_after_five_silent_minutes(
    after: timedelta, decision: Decision
) -> None:
    assert decided(payload(tps="20.1"), after=after) is decision


def test_a_digest_knows_neither_times_nor_the_order_of_fields() -> None:
    other = dict(reversed(payload(asOf=5, seq=7).items()))
    assert changes.digest(other) == changes.digest(payload())
    assert changes.digest(payload(tps="20.1")) != changes.digest(payload())
