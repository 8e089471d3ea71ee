"""Chains over time: samples as they were, hours that add up, and what is no longer kept."""

from datetime import datetime, timedelta

import pytest

from apps.stats.chains import history, rows, samples
from apps.stats.models import ChainHour, ChainReorg, ChainSample, ProviderAnswer
from apps.stats.tests.watching import NOW, FakeChain, fake_chain, silent
from moonx.core.intervals import to_ms

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def watch(made: FakeChain, moments: list[datetime], *, blocks: int = 30) -> None:
    for at in moments:
        if blocks:
            made.mine(blocks, until=at)
        made.watch(now=at)


def sample(at: datetime, **others: object) -> ChainSample:
    values: dict[str, object] = {
        "chain": "testnet",
        "verdict": "healthy",
        "samples": 1,
        "healthy": 1,
        "blocks": 30,
        "block_times": {"384": 30},
        "elapsed_ms": 60_000,
        "transactions": 600,
        "gas_used": 30,
        "gas_limit": 60,
        "base_fee_wei": 7,
        "head": 100,
        "head_age_ms": 1000,
        "finality_lag_ms": 2000,
        "latency_ms": 30,
        "reorgs": 0,
        "reorg_depth": 0,
        "volume24h_usd": None,
        "tvl_usd": None,
        "simulated": False,
        "p50_ms": 2000,
        "p95_ms": 2000,
        "p99_ms": 2000,
        "n": 300,
        "tps": "10.00",
        "gas_used_ratio": "0.5000",
        "reorgs1h": 0,
        "reorgs1h_depth": 0,
    }
    return ChainSample.objects.create(at=at, **{**values, **others})


def test_raw_points_are_what_was_told_in_the_order_of_time() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    watch(made, [NOW + MINUTE, NOW + 2 * MINUTE])
    points = history.raw("testnet", start=NOW, end=NOW + HOUR)
    told = made.told()
    assert [point["head"] for point in points] == [399, 429, 459]
    same = ("blockTimeMs", "tps", "gasUsedRatio", "baseFeeWei", "head", "verdict", "reorgs1h")
    assert {name: points[-1][name] for name in same} == {name: told[name] for name in same}
    assert points[-1]["time"] == told["asOf"]


def test_a_window_holds_its_start_and_not_its_end() -> None:
    for n in range(3):
        sample(NOW + n * MINUTE)
    points = history.raw("testnet", start=NOW, end=NOW + 2 * MINUTE)
    assert [point["time"] for point in points] == [to_ms(NOW), to_ms(NOW + MINUTE)]
    assert history.raw("another", start=NOW, end=NOW + HOUR) == []


def test_an_hour_adds_up_its_samples_and_does_not_average_percentiles() -> None:
    for n in range(58):
        sample(NOW + n * MINUTE)
    # One slow block of 1,799 is no percentile, although it was one of its sample.
    sample(NOW + 58 * MINUTE, block_times={"384": 28, "500": 1}, p95_ms=20_000, head_age_ms=9000)
    sample(NOW + 59 * MINUTE, verdict="degraded", healthy=0, head=None, transactions=0)
    samples.fold_hours(now=NOW + 59 * MINUTE)
    (point,) = history.hourly("testnet", start=NOW, end=NOW + HOUR)
    assert point["blockTimeMs"] == {"p50": 2007, "p95": 2007, "p99": 2007, "n": 1799}
    assert (point["tps"], point["gasUsedRatio"]) == ("9.83", "0.5000")
    assert (point["verdict"], point["samples"], point["healthy"]) == ("degraded", 60, 59)
    assert (point["head"], point["headAgeMs"]) == (100, 9000)


def test_folding_again_changes_nothing() -> None:
    for n in range(90):
        sample(NOW + n * MINUTE)
    for n in (30, 60, 89, 89):
        samples.fold_hours(now=NOW + n * MINUTE)
    found = list(ChainHour.objects.order_by("hour").values_list("hour", "samples", "blocks"))
    assert found == [(NOW, 60, 1800), (NOW + HOUR, 30, 900)]


def test_the_hour_under_way_is_as_it_is_so_far_folded_or_not() -> None:
    sample(NOW)
    samples.fold_hours(now=NOW)
    sample(NOW + MINUTE)
    sample(NOW + HOUR)
    points = history.hourly("testnet", start=NOW, end=NOW + 2 * HOUR)
    assert [point["samples"] for point in points] == [2, 1]


def test_an_hour_in_which_nobody_answered_is_unknown_and_not_zero() -> None:
    made = fake_chain()
    silent(made)
    watch(made, [NOW, NOW + MINUTE], blocks=0)
    (point,) = history.hourly("testnet", start=NOW, end=NOW + HOUR)
    assert (point["verdict"], point["samples"], point["healthy"]) == ("unknown", 2, 0)
    assert {point[name] for name in ("tps", "gasUsedRatio", "head", "baseFeeWei")} == {None}


@pytest.mark.parametrize(
    ("known", "of", "verdict", "shown"),
    [
        (1, 60, "healthy", "unknown"),
        (29, 60, "healthy", "unknown"),
        (30, 60, "healthy", "healthy"),
        (1, 60, "degraded", "degraded"),  # what was seen to be bad was bad
    ],
)
def test_an_hour_of_which_most_is_not_known_is_not_healthy(
    known: int, of: int, verdict: str, shown: str
) -> None:
    for n in range(of):
        sample(NOW + n * MINUTE, verdict=verdict if n < known else "unknown")
    (point,) = history.hourly("testnet", start=NOW, end=NOW + HOUR)
    assert point["verdict"] == shown


def test_an_hour_stays_whole_while_its_samples_grow_too_old() -> None:
    for n in range(60):
        sample(NOW + n * MINUTE)
    samples.fold_hours(now=NOW + HOUR)
    history.prune(now=NOW + timedelta(days=7, minutes=30))
    (point,) = history.hourly("testnet", start=NOW, end=NOW + HOUR)
    assert point["samples"] == 60
    history.prune(now=NOW + timedelta(days=7, hours=1))
    (point,) = history.hourly("testnet", start=NOW, end=NOW + HOUR)
    assert (point["samples"], ChainSample.objects.exists()) == (60, False)


def test_blocks_are_counted_once_and_those_of_before_the_first_look_never() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    watch(made, [NOW + n * MINUTE for n in range(1, 6)])
    (point,) = history.hourly("testnet", start=NOW, end=NOW + HOUR)
    # The newest three may not have come to every node yet: they are of the next look.
    assert point["blockTimeMs"]["n"] == 147
    assert point["tps"] == "2.00"


def test_what_is_usual_at_this_hour_is_the_median_of_the_days_before() -> None:
    for day, transactions in enumerate((60, 600, 6000), start=1):
        sample(NOW - timedelta(days=day), transactions=transactions)
        samples.fold_hours(now=NOW - timedelta(days=day))
    assert ChainHour.objects.count() == 3
    assert rows.usual_tps(["testnet"], now=NOW + 59 * MINUTE) == {"testnet": 10}
    assert rows.usual_tps(["testnet"], now=NOW + HOUR) == {}


def test_two_days_are_no_custom() -> None:
    for day in (1, 2):
        sample(NOW - timedelta(days=day))
    samples.fold_hours(now=NOW - timedelta(days=1))
    assert rows.usual_tps(["testnet"], now=NOW) == {}


def test_few_transactions_against_the_days_before_are_degraded() -> None:
    for day in (1, 2, 3):
        sample(NOW - timedelta(days=day), transactions=6000)
        samples.fold_hours(now=NOW - timedelta(days=day))
    made = fake_chain()
    made.watch(now=NOW)
    assert made.told()["verdict"] == "degraded"
    assert made.told()["reasons"] == [{"rule": "tps", "value": "2.00", "limit": "20.00"}]


def test_what_is_pruned_was_folded_and_is_kept_by_the_hour_for_ninety_days() -> None:
    old, older = NOW - timedelta(days=7, minutes=1), NOW - timedelta(days=91)
    sample(old)
    sample(NOW)
    ChainHour.objects.bulk_create(samples.hours([sample(older)]))
    ChainReorg.objects.create(
        chain="testnet",
        seen_at=older,
        depth=1,
        first_number=1,
        replaced_hash=b"",
        is_past_finality=False,
    )
    for at in (NOW, NOW - timedelta(days=2)):
        ProviderAnswer.objects.create(chain="testnet", provider="one", at=at, latency_ms=1)
    history.prune(now=NOW)
    assert list(ChainSample.objects.values_list("at", flat=True)) == [NOW]
    assert not ChainReorg.objects.exists()
    assert ProviderAnswer.objects.get().at == NOW
    assert set(ChainHour.objects.values_list("hour", flat=True)) == {
        old.replace(minute=0),
        NOW,
    }
