"""The overview: verdicts are counted, totals are of what is known."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from apps.stats import overview, publishing
from apps.stats.activity import scanning
from apps.stats.chains import volumes
from apps.stats.changes import Bands
from apps.stats.llama import Figures, Said
from apps.stats.models import ActivityCursor, ChainVolume, Published
from apps.stats.publishing import News
from apps.stats.tests.made_chain import NOON, NOON_S, MadeChain
from apps.stats.tests.watching import NOW, fake_chain
from moonx.core.chains.models import Chain
from moonx.core.events import StatsBridgeLatencyUpdated
from moonx.core.models import OutboxEvent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

BANDS: Bands = {}


def told() -> dict[str, Any]:
    payload: dict[str, Any] = Published.objects.get(subject="overview").payload
    return payload


def bridge(name: str, verdict: str, *, simulated: bool, rule: str = "") -> None:
    event = StatsBridgeLatencyUpdated(
        seq=0,
        heartbeat=False,
        as_of=NOW,
        provider=name,
        from_="base",
        to="bsc",
        size="100",
        verdict=verdict,
        reasons=({"rule": rule, "value": 1, "limit": 0},) if rule else (),
        latency_ms={"p50": 1},
        success_rate="1",
        errors={},
        sampled_at=NOW,
        simulated=simulated,
    )
    publishing.publish([News(subject=event.key, event=event, bands=BANDS)], now=NOW)


def figures(volume: str | None, locked: str | None, *, simulated: bool = False) -> Figures:
    return Figures(
        volume24h_usd=volume and Decimal(volume),  # type: ignore[arg-type]
        tvl_usd=locked and Decimal(locked),  # type: ignore[arg-type]
        simulated=simulated,
    )


def collect(told_by_llama: dict[str, Figures], *, after: timedelta = timedelta(0)) -> None:
    volumes.collect(now=NOW + after, ask=lambda _: Said(figures=told_by_llama))


def test_before_anything_is_known_nothing_is_zero() -> None:
    overview.update(now=NOW)
    assert told()["chains"] == {"healthy": 0, "degraded": 0, "unhealthy": 0, "unknown": 0}
    assert {told()[name] for name in ("active24h", "volume24h", "tvl")} == {None}
    assert not told()["simulated"]


def test_chains_that_are_on_are_counted_by_their_verdict(settings: Any) -> None:
    urls = {"rpc_url_base": SecretStr("http://127.0.0.1:1"), "rpc_url_rei": SecretStr("http://b")}
    settings.ENV = settings.ENV.model_copy(update=urls)
    made = fake_chain(slug="base", chain_id=8453)
    made.watch(now=NOW)
    overview.update(now=NOW)
    assert told()["chains"] == {"healthy": 1, "degraded": 0, "unhealthy": 0, "unknown": 1}


def test_bridges_are_counted_by_their_verdict_and_those_that_are_gone_are_not() -> None:
    bridge("lifi", "healthy", simulated=False)
    bridge("relay", "degraded", simulated=True)
    bridge("1inch", "unknown", simulated=False, rule="notWatched")
    overview.update(now=NOW)
    assert told()["bridges"] == {"healthy": 1, "degraded": 1, "unhealthy": 0, "unknown": 0}
    assert (told()["simulated"], told()["simulatedBridges"]) == (False, True)


def test_what_nobody_looked_at_for_a_while_is_counted_as_unknown(settings: Any) -> None:
    url = SecretStr("http://127.0.0.1:1")
    settings.ENV = settings.ENV.model_copy(update={"rpc_url_base": url})
    fake_chain(slug="base", chain_id=8453).watch(now=NOW)
    bridge("lifi", "healthy", simulated=False)
    bridge("relay", "unhealthy", simulated=False)
    overview.update(now=NOW + timedelta(minutes=7))
    assert told()["chains"] == {"healthy": 0, "degraded": 0, "unhealthy": 0, "unknown": 1}
    assert told()["bridges"] == {"healthy": 0, "degraded": 0, "unhealthy": 1, "unknown": 1}


def test_totals_are_of_the_chains_that_are_known() -> None:
    collect({"base": figures("10.50", None), "bsc": figures("5.25", "100", simulated=True)})
    overview.update(now=NOW)
    assert (told()["volume24h"], told()["tvl"]) == ("15.75", "100.00")
    assert (told()["simulated"], told()["simulatedBridges"]) == (True, False)


def test_a_figure_that_is_not_told_stays_for_a_day() -> None:
    collect({"base": figures("10", "20")})
    collect({"base": figures(None, "30")}, after=timedelta(hours=1))
    row = ChainVolume.objects.get()
    assert (row.volume24h_usd, row.tvl_usd) == (10, 30)
    assert volumes.known(["base"], now=NOW + timedelta(hours=24)) == {"base": row}
    assert volumes.known(["base"], now=NOW + timedelta(hours=26)) == {}


def test_a_simulated_figure_does_not_stay_beside_a_real_one() -> None:
    collect({"base": figures("10", "20", simulated=True)})
    collect({"base": figures(None, "30")}, after=timedelta(minutes=5))
    row = ChainVolume.objects.get()
    assert (row.volume24h_usd, row.tvl_usd, row.simulated) == (None, 30, False)


def test_llama_is_asked_for_the_chains_that_it_knows_and_operators_want() -> None:
    asked: list[str] = []

    def ask(chains: Iterable[Chain]) -> Said:
        asked.extend(chain.slug for chain in chains)
        return Said(figures={})

    Chain.objects.filter(slug="bsc").update(is_enabled=False)
    assert volumes.collect(now=NOW, ask=ask) == 0
    assert sorted(asked) == ["arbitrum", "base", "ethereum", "optimism", "polygon", "rei"]


def test_a_chains_volume_and_whether_it_is_simulated_are_told_with_it() -> None:
    collect({"base": figures("10.50", "100", simulated=True)})
    made = fake_chain(slug="base", chain_id=8453)
    made.watch(now=NOW)
    shown = made.told()
    assert (shown["volume24hUsd"], shown["tvlUsd"]) == ("10.50", "100.00")
    assert shown["simulated"]


def test_the_overview_is_told_when_a_verdict_changes_and_not_when_a_total_trembles() -> None:
    collect({"base": figures("1000", "1000")})
    overview.update(now=NOW)
    collect({"base": figures("1009", "1000")}, after=timedelta(minutes=1))
    assert not overview.update(now=NOW + timedelta(minutes=1))
    bridge("lifi", "healthy", simulated=False)
    assert overview.update(now=NOW + timedelta(minutes=2))
    events = OutboxEvent.objects.filter(name="stats.overview_updated").order_by("id")
    assert [event.payload["seq"] for event in events] == [1, 2]


def test_who_is_active_on_two_chains_counts_once_and_many_are_counted_less_often() -> None:
    first, second = MadeChain(), MadeChain()
    for chain, pairs in ((first, [(1, 2), (3, 4)]), (second, [(1, 2), (5, 6)])):
        chain.mine(NOON_S + 10, pairs)
    now = NOON + timedelta(minutes=1)
    scanning.scan("first", first, now=now)
    scanning.scan("second", second, now=now)
    overview.update(now=now)
    assert told()["active24h"] == 3
    second.mine(NOON_S + 70, [(7, 8)])
    later = now + timedelta(minutes=1)
    scanning.scan("second", second, now=later)
    many = ActivityCursor.objects.filter(pk="second")
    many.update(figures={"senders": overview.FEW + 1})
    overview.update(now=later, count=False)
    assert told()["active24h"] == 3
    many.update(figures={"senders": 3})
    overview.update(now=later + timedelta(seconds=1), count=False)
    assert told()["active24h"] == 4


def test_of_a_day_that_nobody_scanned_it_is_not_known_who_was_active() -> None:
    chain = MadeChain()
    chain.mine(NOON_S + 10, [(1, 2)])
    scanning.scan("first", chain, now=NOON + timedelta(minutes=1))
    overview.update(now=NOON + timedelta(minutes=1))
    assert told()["active24h"] == 1
    ActivityCursor.objects.update(figures={"senders": None})
    overview.update(now=NOON + timedelta(hours=25))
    assert told()["active24h"] is None


def test_of_a_chain_that_was_watched_and_made_no_block_nobody_was_active() -> None:
    chain = MadeChain()
    chain.mine(NOON_S + 10, [(1, 2)])
    scanning.scan("first", chain, now=NOON + timedelta(minutes=1))
    scanning.scan("first", chain, now=NOON + timedelta(hours=25))
    overview.update(now=NOON + timedelta(hours=25))
    assert told()["active24h"] == 0
