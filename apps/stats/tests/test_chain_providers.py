"""Providers' states, at each limit and just over it."""

from decimal import Decimal
from typing import Any

import pytest

from apps.stats.chains import providers
from apps.stats.chains.providers import Answer, Provider, State, View
from moonx.core.upstream.faults import OF_THE_SERVER, Fault

GOOD = Answer(latency_ms=100, fault=None)
BAD = Answer(latency_ms=9000, fault=Fault.TIMEOUT)


def view(**others: Any) -> View:
    values: dict[str, Any] = {
        "name": "alchemy",
        "fault": None,
        "lag_blocks": 0,
        "lag_ms": 0,
        "head_age_ms": 1000,
        "ahead_ms": -1000,
        "finality_lag_ms": None,
    }
    return View(**{**values, **others})


def judged(
    seen: View | None = None, answers: list[Answer] | None = None, *, bt_ms: int = 2000
) -> Provider:
    return providers.judge(seen or view(), answers or [GOOD] * 10, block_time_ms=bt_ms)


def causes(one: Provider) -> list[str]:
    return [reason.rule for reason in one.troubles]


def test_a_provider_that_answers_in_time_and_step_is_ok() -> None:
    assert (judged().state, judged().troubles) == (State.OK, ())


@pytest.mark.parametrize(
    ("bt_ms", "blocks", "lag_ms", "state"),
    [
        (2_000, 2, 4_001, State.OK),  # two blocks are tolerated
        (2_000, 3, 4_000, State.OK),  # and so are two block times
        (2_000, 3, 4_001, State.LAGGING),
        (2_000, 3, 29_999, State.LAGGING),
        (2_000, 3, 30_000, State.EXCLUDED),
        (2_000, 15, 29_999, State.LAGGING),
        (2_000, 16, 29_999, State.EXCLUDED),  # 16 blocks take 32 s
        (250, 40, 500, State.OK),  # 40 blocks of the same second
        (250, 40, 10_000, State.LAGGING),  # on a fast chain 16 blocks are nothing
        (250, 119, 29_999, State.LAGGING),
        (250, 120, 30_000, State.EXCLUDED),
        (12_000, 2, 24_000, State.OK),
        (12_000, 3, 36_000, State.EXCLUDED),
    ],
)
def test_a_lag_is_judged_by_blocks_and_time(
    bt_ms: int, blocks: int, lag_ms: int, state: State
) -> None:
    one = judged(view(lag_blocks=blocks, lag_ms=lag_ms), bt_ms=bt_ms)
    assert one.state is state
    by_time = lag_ms >= 30_000
    assert causes(one) == ([] if state is State.OK else ["lagMs" if by_time else "lagBlocks"])


def test_what_is_excluded_is_told_by_the_limit_that_it_broke() -> None:
    (by_time,) = judged(view(lag_blocks=3, lag_ms=36_000), bt_ms=12_000).troubles
    assert (by_time.value, by_time.limit) == (36_000, 30_000)
    (by_blocks,) = judged(view(lag_blocks=17, lag_ms=29_999), bt_ms=2_000).troubles
    assert (by_blocks.value, by_blocks.limit) == (17, 16)


@pytest.mark.parametrize(
    ("failed", "of", "rate", "state", "named"),
    [
        (1, 20, "0.0500", State.OK, []),
        (2, 20, "0.1000", State.OK, ["errorRate"]),
        (5, 20, "0.2500", State.OK, ["errorRate"]),
        (6, 20, "0.3000", State.FAILING, ["errorRate", "errorRate"]),
        (6, 9, None, State.OK, []),  # too few to make a rate
        (6, 10, "0.6000", State.FAILING, ["errorRate", "errorRate"]),
    ],
)
def test_errors_over_a_twentieth_are_named_and_over_a_quarter_failing(
    failed: int, of: int, rate: str | None, state: State, named: list[str]
) -> None:
    one = judged(answers=[BAD] * failed + [GOOD] * (of - failed))
    assert one.error_rate == (None if rate is None else Decimal(rate))
    assert (one.state, causes(one)) == (state, named)


@pytest.mark.parametrize(
    ("p95_ms", "state", "named"),
    [
        (1_000, State.OK, []),
        (1_001, State.OK, ["p95Ms"]),
        (3_000, State.OK, ["p95Ms"]),
        (3_001, State.FAILING, ["p95Ms", "p95Ms"]),
    ],
)
def test_slow_answers_are_named_over_a_second_and_failing_over_three(
    p95_ms: int, state: State, named: list[str]
) -> None:
    one = judged(answers=[GOOD] * 18 + [Answer(latency_ms=p95_ms, fault=None)] * 2)
    assert one.p95_ms == p95_ms
    assert (one.state, causes(one)) == (state, named)


def test_nine_answers_make_no_percentile() -> None:
    assert judged(answers=[GOOD] * 9).p95_ms is None


def test_another_chains_node_is_told_at_once() -> None:
    one = judged(view(fault=Fault.WRONG_CHAIN, head_age_ms=None), [GOOD])
    assert (one.state, causes(one)[0]) == (State.WRONG_CHAIN, "wrongChain")


@pytest.mark.parametrize("fault", sorted(OF_THE_SERVER - {Fault.WRONG_CHAIN}))
def test_a_provider_that_does_not_answer_now_is_failing(fault: Fault) -> None:
    silent = view(fault=fault, head_age_ms=None, lag_blocks=None, lag_ms=None)
    one = judged(silent, [GOOD, Answer(latency_ms=1, fault=fault)])
    assert (one.state, causes(one)[0]) == (State.FAILING, fault)
    assert not one.answers


@pytest.mark.parametrize("fault", [Fault.RATE_LIMITED, Fault.REFUSED, Fault.HELD_BACK])
def test_what_is_our_own_fault_makes_a_provider_unknown_and_no_error(fault: Fault) -> None:
    ours = Answer(latency_ms=1, fault=fault)
    one = judged(view(fault=fault, head_age_ms=None), [GOOD] * 10 + [ours] * 10)
    assert (one.state, causes(one)) == (State.UNKNOWN, [fault])
    assert one.error_rate == 0


def test_a_provider_that_failed_and_is_held_back_since_is_still_failing() -> None:
    held = Answer(latency_ms=0, fault=Fault.HELD_BACK)
    assert judged(view(fault=Fault.HELD_BACK), [BAD, held, held]).state is State.FAILING
    assert judged(view(fault=Fault.HELD_BACK), [held, held]).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("seen", "cause"),
    [(view(is_forked=True), "forked"), (view(is_dreaming=True), "dreaming")],
)
def test_what_is_not_of_the_chain_is_excluded_and_says_nothing_of_it(
    seen: View, cause: str
) -> None:
    one = judged(seen)
    assert (one.state, causes(one), one.answers) == (State.EXCLUDED, [cause], False)
