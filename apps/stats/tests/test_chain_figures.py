"""Block times, rates and ratios of headers."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from apps.stats.chains import figures
from apps.stats.chains.figures import Hole, Percentiles
from apps.stats.tests.headers import START_S, after, at, every_ms, header, steady
from moonx.core.chains.blocks import Header


@pytest.mark.parametrize(
    ("values", "p50", "p95", "p99"),
    [
        (range(1, 101), 50, 95, 99),
        (range(1, 102), 51, 96, 100),
        (range(1, 31), 15, 29, 30),
        ([7] * 30, 7, 7, 7),
    ],
)
def test_percentiles_are_nearest_rank(values: list[int], p50: int, p95: int, p99: int) -> None:
    shuffled = random.Random(7).sample(list(values), len(values))  # noqa: S311 - repeatable
    expected = Percentiles(p50=p50, p95=p95, p99=p99, n=len(values))
    assert figures.percentiles(shuffled) == expected


@pytest.mark.parametrize("count", [0, 1, 29])
def test_fewer_than_thirty_block_times_make_no_percentile_rather_than_zero(count: int) -> None:
    nothing = Percentiles(p50=None, p95=None, p99=None, n=count)
    assert figures.pace(steady(count + 1)).block_time_ms == nothing
    assert figures.percentiles_of({400: count} if count else {}) == nothing


def test_thirty_block_times_are_enough() -> None:
    expected = Percentiles(p50=2000, p95=2000, p99=2000, n=30)
    assert figures.pace(steady(31)).block_time_ms == expected


def test_only_the_last_three_hundred_blocks_count() -> None:
    headers = after([6000] * 100 + [2] * 300)  # an average over all would be 1,501 s
    found = figures.pace(headers)
    assert found.block_time_ms == Percentiles(p50=2000, p95=2000, p99=2000, n=300)
    assert found.tps == Decimal("2.00")


@pytest.mark.parametrize(
    ("period_ms", "lowest", "highest"),
    [(250, 250, 250), (200, 200, 200), (500, 500, 500), (450, 333, 500), (100, 100, 100)],
)
def test_block_times_under_a_second_are_right(period_ms: int, lowest: int, highest: int) -> None:
    headers = every_ms(301, period_ms)
    times = figures.block_times_ms(headers)
    found = figures.percentiles(times)
    assert found.p50 is not None
    assert found.p95 is not None
    assert lowest <= found.p50 <= found.p95 <= highest
    assert abs(sum(times) / len(times) - period_ms) < 0.05 * period_ms


@pytest.mark.parametrize("offset", range(1, 5))
def test_a_window_that_begins_within_a_second_makes_no_outlier(offset: int) -> None:
    assert set(figures.block_times_ms(every_ms(301, 200)[offset:])) == {200}


def test_a_second_that_is_not_over_makes_no_block_time() -> None:
    assert figures.block_times_ms(at([0, 2, 4, 4, 4]), is_whole=True) == [2000, 2000]


def test_time_that_does_not_move_forward_is_rejected() -> None:
    times = figures.block_times_ms(at([0, 10, 5, 4, 14, 24]), is_whole=True)
    assert times == [10_000, 1333, 1333, 1333, 10_000]
    assert min(times) > 0


def test_transactions_are_counted_over_the_time_that_their_blocks_took() -> None:
    assert figures.tps(steady(31)) == Decimal("2.00")
    assert figures.tps(every_ms(301, 250)) == Decimal("16.00")


@pytest.mark.parametrize("headers", [[], steady(1), at([0, 0])])
def test_transactions_per_second_are_unknown_where_no_time_passed(headers: list[Header]) -> None:
    assert figures.tps(headers) is None


def test_the_gas_ratio_weighs_blocks_by_their_limit() -> None:
    small, large = header(1, 0), replace(header(2, 2), gas_used=0, gas_limit=90_000_000)
    assert figures.gas_used_ratio([small, large]) == Decimal("0.1250")
    assert figures.gas_used_ratio([]) is None
    assert figures.gas_used_ratio([replace(small, gas_limit=0)]) is None


def test_a_chain_without_base_fee_has_none() -> None:
    assert figures.pace([replace(header(1, 0), base_fee_wei=None)]).base_fee_wei is None
    assert figures.pace([header(1, 0)]).base_fee_wei == 7


NIGHT = after([2] * 10 + [30_000] + [2] * 40)
STOPPED_S = START_S + 20


def test_a_night_in_which_node_and_watch_stood_still_is_no_block_time() -> None:
    hole = Hole(start_s=STOPPED_S + 30, end_s=STOPPED_S + 30_005)
    seen = figures.watched(NIGHT, hole)
    assert len(seen) == 41
    assert figures.pace(seen).block_time_ms.p99 == 2000


@pytest.mark.parametrize(
    "hole",
    [
        None,
        Hole(start_s=STOPPED_S - 600, end_s=STOPPED_S),  # before the pause
        Hole(start_s=STOPPED_S + 30_000, end_s=STOPPED_S + 30_600),  # after it
    ],
)
def test_a_pause_that_we_watched_stays(hole: Hole | None) -> None:
    assert figures.watched(NIGHT, hole) == NIGHT


def test_block_times_are_known_once_however_the_chain_is_cut() -> None:
    dice = random.Random(5)  # noqa: S311 - repeatable
    headers = after([dice.choice([0, 0, 0, 1, 1, 2]) for _ in range(400)])
    whole = figures.block_times_ms(headers, is_whole=True)
    for _ in range(20):
        cuts = sorted({0, 400, *dice.sample(range(10, 400), 12)})
        pieces = [
            figures.fresh_times_ms(headers[: begin + 1], headers[begin + 1 : end + 1])
            for begin, end in pairwise(cuts)
        ]
        found = [time for piece in pieces for time in piece]
        assert found == whole[len(whole) - len(found) :]
        assert len(whole) - len(found) <= 8  # of the first second, which may have begun before


def test_counted_block_times_have_the_percentiles_of_the_raw_ones_within_one_percent() -> None:
    dice = random.Random(3)  # noqa: S311 - repeatable
    values = [round(dice.lognormvariate(7, 0.8)) + 1 for _ in range(5000)]
    halves = [figures.counted(values[:1000]), figures.counted(values[1000:])]
    folded = figures.percentiles_of(figures.merged(halves))
    exact = figures.percentiles(values)
    assert folded.n == exact.n
    for name in ("p50", "p95", "p99"):
        value = getattr(exact, name)
        assert abs(Fraction(getattr(folded, name) - value, value)) <= Fraction(11, 1000)


def test_a_head_that_lies_ahead_of_us_has_the_age_zero() -> None:
    now = datetime.fromtimestamp(START_S, UTC) + timedelta(milliseconds=500)
    assert figures.age_ms(START_S - 4, now=now) == 4500
    assert figures.age_ms(START_S + 4, now=now) == 0
    assert figures.ahead_ms(START_S + 4, now=now) == 3500
