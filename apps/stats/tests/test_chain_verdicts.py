"""Chains' verdicts, at each limit and just over it."""

from decimal import Decimal
from typing import Any

import pytest

from apps.stats.chains import providers, verdicts
from apps.stats.chains.providers import Answer, Provider, View
from apps.stats.chains.verdicts import Measured, Opinion, Reorgs, Usual
from apps.stats.vocabulary import Verdict
from moonx.core.upstream.faults import Fault

HEALTHY, DEGRADED, UNHEALTHY = Verdict.HEALTHY, Verdict.DEGRADED, Verdict.UNHEALTHY


def usual(**others: Any) -> Usual:
    values: dict[str, Any] = {
        "block_time_ms": 2000,
        "has_steady_blocks": True,
        "finality_ms": 60_000,
        "tps": Decimal(100),
    }
    return Usual(**{**values, **others})


def measured(**others: Any) -> Measured:
    values: dict[str, Any] = {
        "block_time_p95_ms": 2000,
        "tps": Decimal(100),
        "gas_used_ratio": Decimal("0.5"),
        "reorgs": Reorgs(),
    }
    return Measured(**{**values, **others})


def provider(name: str = "alchemy", **others: Any) -> Provider:
    values: dict[str, Any] = {
        "fault": None,
        "lag_blocks": 0,
        "lag_ms": 0,
        "head_age_ms": 2000,
        "ahead_ms": -2000,
        "finality_lag_ms": 60_000,
    }
    view = View(name=name, **{**values, **others})
    answer = Answer(latency_ms=100, fault=view.fault)
    return providers.judge(view, [answer] * 10, block_time_ms=2000)


def dead(name: str) -> Provider:
    return provider(name, fault=Fault.CONNECTION, head_age_ms=None, lag_blocks=None)


def judge(*those: Provider, told: Measured | None = None, is_usual: Usual | None = None) -> Opinion:
    return verdicts.judge(told or measured(), those or (provider(),), is_usual or usual())


def rules(opinion: Opinion) -> list[str]:
    return [reason.rule for reason in opinion.reasons]


def blamed(opinion: Opinion) -> list[tuple[str, str]]:
    return [(one.provider, one.cause) for one in opinion.reasons if one.rule == "providerFault"]


@pytest.mark.parametrize(
    ("bt_ms", "age_ms", "verdict"),
    [
        (2_000, 10_000, HEALTHY),  # 4 block times would be 8 s
        (2_000, 10_001, DEGRADED),
        (2_000, 60_000, DEGRADED),
        (2_000, 60_001, UNHEALTHY),
        (12_000, 48_000, HEALTHY),  # 4 block times
        (12_000, 48_001, DEGRADED),
        (12_000, 144_000, DEGRADED),  # 12 block times
        (12_000, 144_001, UNHEALTHY),
        (250, 10_000, HEALTHY),
        (250, 60_001, UNHEALTHY),
    ],
)
def test_the_age_of_the_head(bt_ms: int, age_ms: int, verdict: Verdict) -> None:
    found = judge(
        provider(head_age_ms=age_ms),
        told=measured(block_time_p95_ms=None),
        is_usual=usual(block_time_ms=bt_ms),
    )
    assert found.verdict is verdict
    assert rules(found) == ([] if verdict is HEALTHY else ["headAge"])


@pytest.mark.parametrize(
    ("is_steady", "p95_ms", "verdict"),
    [
        (True, 3_000, HEALTHY),
        (True, 3_001, DEGRADED),
        (True, 6_000, DEGRADED),
        (True, 6_001, UNHEALTHY),
        (False, 8_000, HEALTHY),
        (False, 8_001, DEGRADED),
        (False, 16_000, DEGRADED),
        (False, 16_001, UNHEALTHY),
    ],
)
def test_the_95th_percentile_of_block_times(is_steady: bool, p95_ms: int, verdict: Verdict) -> None:
    told, is_usual = measured(block_time_p95_ms=p95_ms), usual(has_steady_blocks=is_steady)
    found = judge(told=told, is_usual=is_usual)
    assert found.verdict is verdict
    assert rules(found) == ([] if verdict is HEALTHY else ["blockTimeP95"])


@pytest.mark.parametrize(
    ("tps", "usually", "gas", "verdict"),
    [
        ("20", "100", "0.5", HEALTHY),
        ("19.99", "100", "0.5", DEGRADED),
        ("0", "100", "0", DEGRADED),
        ("19.99", "100", "0.9", HEALTHY),  # blocks are full: heavy transactions, not few
        ("19.99", "100", "0.8999", DEGRADED),
        ("0", "0.99", "0", HEALTHY),  # hardly any traffic is usual
        ("0", "1", "0", DEGRADED),
        ("0", None, "0", HEALTHY),  # nothing to compare with
        (None, "100", None, HEALTHY),
    ],
)
def test_transactions_against_what_is_usual_at_this_hour(
    tps: str | None, usually: str | None, gas: str | None, verdict: Verdict
) -> None:
    told = measured(tps=tps and Decimal(tps), gas_used_ratio=gas and Decimal(gas))
    found = judge(told=told, is_usual=usual(tps=usually and Decimal(usually)))
    assert found.verdict is verdict
    assert rules(found) == ([] if verdict is HEALTHY else ["tps"])


@pytest.mark.parametrize(
    ("depth", "is_past_finality", "verdict", "rule"),
    [
        (1, False, HEALTHY, None),
        (2, False, DEGRADED, "reorgDepth"),
        (6, False, DEGRADED, "reorgDepth"),
        (7, False, UNHEALTHY, "reorgDepth"),
        (1, True, UNHEALTHY, "reorgPastFinality"),
    ],
)
def test_reorganisations_of_the_last_hour(
    depth: int, is_past_finality: bool, verdict: Verdict, rule: str | None
) -> None:
    reorgs = Reorgs(count=1, max_depth=depth, is_past_finality=is_past_finality)
    found = judge(told=measured(reorgs=reorgs))
    assert (found.verdict, rules(found)) == (verdict, [rule] if rule else [])


@pytest.mark.parametrize(
    ("lag_ms", "verdict"),
    [
        (None, HEALTHY),
        (120_000, HEALTHY),
        (120_001, DEGRADED),
        (240_000, DEGRADED),
        (240_001, UNHEALTHY),
    ],
)
def test_the_lag_of_finality(lag_ms: int | None, verdict: Verdict) -> None:
    found = judge(provider(finality_lag_ms=lag_ms))
    assert found.verdict is verdict
    assert rules(found) == ([] if verdict is HEALTHY else ["finalityLag"])


@pytest.mark.parametrize(("ahead_ms", "verdict"), [(10_000, HEALTHY), (10_001, DEGRADED)])
def test_a_head_far_ahead_of_our_clock(ahead_ms: int, verdict: Verdict) -> None:
    found = judge(provider(head_age_ms=0, ahead_ms=ahead_ms))
    assert found.verdict is verdict
    assert rules(found) == ([] if verdict is HEALTHY else ["clockSkew"])


def test_the_reason_has_what_was_measured_and_the_limit_that_it_broke() -> None:
    (reason,) = judge(provider(head_age_ms=60_001)).reasons
    assert reason.wire() == {"rule": "headAge", "value": 60_001, "limit": 60_000}


def test_the_worst_rule_makes_the_verdict_and_all_are_told() -> None:
    found = judge(provider(head_age_ms=10_001), told=measured(block_time_p95_ms=6001))
    assert found.verdict is UNHEALTHY
    assert rules(found) == ["headAge", "blockTimeP95"]


OLD = {"head_age_ms": 60_001}
LAGS = {**OLD, "lag_blocks": 40, "lag_ms": 80_000}


@pytest.mark.parametrize(
    ("those", "verdict", "faults"),
    [
        ([provider("a"), provider("b", **LAGS)], HEALTHY, [("b", "lagMs")]),
        ([provider("a"), provider("b", **OLD)], HEALTHY, [("b", "headAge")]),
        ([provider("a"), provider("b"), provider("c", **OLD)], HEALTHY, [("c", "headAge")]),
        ([provider("a"), provider("b", **OLD), provider("c", **OLD)], UNHEALTHY, []),
        ([provider("a", **OLD), provider("b", **OLD)], UNHEALTHY, []),
        ([provider("a"), dead("b")], HEALTHY, [("b", "errorRate")]),
        ([provider("a", **OLD), dead("b")], UNHEALTHY, [("b", "errorRate")]),
        ([provider("a", **OLD)], UNHEALTHY, []),
        (
            [provider("a", head_age_ms=10_001), provider("b", **OLD)],
            DEGRADED,
            [("b", "headAge")],
        ),
    ],
)
def test_a_fault_is_the_chains_only_where_two_providers_see_it(
    those: list[Provider], verdict: Verdict, faults: list[tuple[str, str]]
) -> None:
    found = judge(*those)
    assert (found.verdict, blamed(found)) == (verdict, faults)


def test_a_provider_is_blamed_once_for_what_is_worst() -> None:
    slow = provider("b", lag_blocks=40, lag_ms=80_000, head_age_ms=90_000, finality_lag_ms=10**9)
    assert blamed(judge(provider("a"), slow)) == [("b", "lagMs")]


def test_without_an_answer_the_verdict_is_unknown_with_its_reasons() -> None:
    found = judge(dead("a"), dead("b"))
    assert found.verdict is Verdict.UNKNOWN
    assert rules(found) == ["noData", "providerFault", "providerFault"]


def test_without_providers_the_verdict_is_unknown() -> None:
    found = verdicts.judge(measured(), [], usual())
    assert (found.verdict, rules(found)) == (Verdict.UNKNOWN, ["noData"])
