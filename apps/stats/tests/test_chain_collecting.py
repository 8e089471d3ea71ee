"""Chains are looked at, judged and told, whatever their providers do."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest

from apps.stats.chains import collecting
from apps.stats.models import ChainHeader, ChainReorg, ChainSample, ProviderAnswer, Published
from apps.stats.tests.watching import NOW, Behaviour, FakeChain, fake_chain, make_chain, silent
from moonx.core.chains.blocks import Header
from moonx.core.chains.heads import ProviderHead
from moonx.core.models import OutboxEvent
from moonx.core.upstream.faults import Fault

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_valkey")]

MINUTE = timedelta(minutes=1)


def minutes(made: FakeChain, count: int, *, since: datetime = NOW, blocks: int = 30) -> datetime:
    """Watches the chain each minute while it goes on; returns when the last look was."""
    for n in range(1, count + 1):
        at = since + n * MINUTE
        if blocks:
            made.mine(blocks, until=at)
        made.watch(now=at)
    return since + count * MINUTE


def reasons(made: FakeChain) -> list[tuple[str, str]]:
    told: Any = made.told()["reasons"]
    return [(one["rule"], one.get("provider", "")) for one in told]


def states(made: FakeChain) -> dict[str, str]:
    told: Any = made.told()["providers"]
    return {one["name"]: one["state"] for one in told}


def test_a_chain_is_healthy_at_the_first_look_with_all_its_figures() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    told = made.told()
    head = made.blocks[-1]
    assert (told["verdict"], told["reasons"]) == ("healthy", [])
    assert told["blockTimeMs"] == {"p50": 2000, "p95": 2000, "p99": 2000, "n": 300}
    assert (told["tps"], told["gasUsedRatio"], told["baseFeeWei"]) == ("2.00", "0.5000", "7")
    assert (told["head"], told["finalityLagMs"]) == (head.number, 40_000)
    assert 20 <= told["headAgeMs"] < 9000  # type: ignore[operator]
    assert told["reorgs1h"] == {"count": 0, "maxDepth": 0}
    assert states(made) == {"one": "ok"}
    assert told["seq"] == 1
    assert OutboxEvent.objects.get().key == "chain:424242"


def test_a_young_chain_has_no_block_times_rather_than_wrong_ones() -> None:
    made = fake_chain()
    made.blocks.clear()
    made.mine(10, until=NOW)
    made.watch(now=NOW)
    told = made.told()
    assert told["verdict"] == "healthy"
    assert told["blockTimeMs"] == {"p50": None, "p95": None, "p99": None, "n": 9}


def test_a_chain_without_base_fee_or_finalized_tag_tells_what_it_can() -> None:
    made = fake_chain(finality_ms=9000)
    made.blocks = [replace(one, base_fee_wei=None) for one in made.blocks]
    made.finality_depth = 3
    real = made.heads
    made.heads = lambda: [replace(one, finalized_time_s=None) for one in real()]  # type: ignore[method-assign]
    made.watch(now=NOW)
    told = made.told()
    assert (told["verdict"], told["baseFeeWei"]) == ("healthy", None)
    assert told["finalityLagMs"] == 6000  # by the headers


def test_each_minute_only_new_headers_are_read_as_far_as_they_are_sure_to_be_there() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    minutes(made, 3)
    assert [len(numbers) for numbers in made.asked] == [301, 27, 30, 30]
    assert ChainHeader.objects.count() == 301
    assert made.told()["head"] == made.blocks[-1].number
    sample = ChainSample.objects.order_by("-at")[0]
    assert (sample.blocks, sample.transactions, sample.elapsed_ms) == (30, 120, 60_000)
    assert sample.block_times == {"384": 30}  # 1.02^384 is 2,005 ms


def test_a_chain_that_made_fewer_blocks_than_it_should_is_read_up_to_its_head() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    made.mine(20, until=NOW + timedelta(seconds=58))
    made.watch(now=NOW + MINUTE)
    assert [len(numbers) for numbers in made.asked] == [301, 27, 20]
    assert ChainHeader.objects.order_by("-number")[0].number == made.blocks[-1].number


def test_a_chain_that_made_many_more_is_read_up_to_its_head() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    made.mine(60, until=NOW + MINUTE)
    made.watch(now=NOW + MINUTE)
    assert [len(numbers) for numbers in made.asked] == [301, 27, 60]
    assert ChainHeader.objects.order_by("-number")[0].number == made.blocks[-1].number


def test_what_did_not_move_is_told_once_and_then_by_heartbeat() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    at = minutes(made, 4)  # from now on answers make a rate
    OutboxEvent.objects.all().delete()
    minutes(made, 6, since=at)
    told = [(one.payload["seq"], one.payload["heartbeat"]) for one in OutboxEvent.objects.all()]
    assert told == [(3, True)]
    assert Published.objects.get().payload["head"] == made.blocks[-1].number


def test_a_lagging_provider_beside_a_healthy_chain_is_the_providers_fault() -> None:
    made = fake_chain()
    made.providers = {"good": Behaviour(), "slow": Behaviour(lag=8)}
    made.watch(now=NOW)
    assert made.told()["verdict"] == "healthy"
    assert states(made) == {"good": "ok", "slow": "lagging"}
    assert reasons(made) == [("providerFault", "slow")]


def test_with_one_provider_dead_the_collection_succeeds() -> None:
    made = fake_chain()
    made.providers = {
        "dead": Behaviour(fault=Fault.TIMEOUT, latency_ms=10_000),
        "good": Behaviour(),
    }
    done = made.watch(now=NOW)
    assert (list(done.kept), done.failed) == (["testnet"], [])
    told = made.told()
    assert told["verdict"] == "healthy"
    assert told["headAgeMs"] < 9000  # type: ignore[operator]  # the other's ten seconds are not its own
    assert states(made) == {"dead": "failing", "good": "ok"}
    assert reasons(made) == [("providerFault", "dead")]


def test_five_minutes_of_answers_make_a_rate_and_a_percentile() -> None:
    made = fake_chain()
    made.providers = {"good": Behaviour(), "dead": Behaviour(fault=Fault.SERVER)}
    made.watch(now=NOW)
    minutes(made, 4)
    told: Any = {one["name"]: one for one in made.told()["providers"]}  # type: ignore[attr-defined]
    assert (told["good"]["errorRate"], told["good"]["p95Ms"]) == ("0.0000", 20)
    assert (told["dead"]["errorRate"], told["dead"]["p95Ms"]) == ("1.0000", None)
    assert ProviderAnswer.objects.count() == 20


def test_a_node_of_another_chain_is_told_apart_at_once() -> None:
    made = fake_chain()
    made.providers = {"good": Behaviour(), "other": Behaviour(fault=Fault.WRONG_CHAIN)}
    made.watch(now=NOW)
    assert (made.told()["verdict"], states(made)["other"]) == ("healthy", "wrongChain")


def test_a_provider_on_a_fork_of_its_own_is_excluded_and_makes_no_reorganisation() -> None:
    made = fake_chain()
    made.providers = {"a": Behaviour(), "b": Behaviour(), "forked": Behaviour(fork="x")}
    made.watch(now=NOW)
    minutes(made, 2)
    assert made.told()["verdict"] == "healthy"
    assert states(made) == {"a": "ok", "b": "ok", "forked": "excluded"}
    assert not ChainReorg.objects.exists()


def test_where_two_halves_disagree_what_was_known_stands() -> None:
    made = fake_chain()
    made.providers = {"a": Behaviour(), "b": Behaviour()}
    made.watch(now=NOW)
    made.providers["b"].fork = "x"
    minutes(made, 1)
    assert made.told()["verdict"] == "healthy"
    assert states(made) == {"a": "ok", "b": "excluded"}
    assert not ChainReorg.objects.exists()


def test_where_two_halves_disagree_at_once_nobody_knows_until_a_third_one_says() -> None:
    made = fake_chain()
    made.providers = {"a": Behaviour(fork="x"), "b": Behaviour()}
    made.watch(now=NOW)
    assert (made.told()["verdict"], made.told()["sampledAt"]) == ("unknown", None)
    assert reasons(made) == [("split", "")]
    at = minutes(made, 4)
    assert (made.told()["verdict"], reasons(made)) == ("unknown", [("split", "")])
    (alert,) = OutboxEvent.objects.filter(name="system.alert")
    assert alert.payload["message"] == "Testnet is unknown: split is 2, the limit 1."
    made.providers["c"] = Behaviour()
    minutes(made, 1, since=at)
    assert (made.told()["verdict"], states(made)["a"]) == ("healthy", "excluded")


def test_of_two_halves_the_one_that_left_what_was_known_is_on_a_fork() -> None:
    made = fake_chain()
    made.providers = {"a": Behaviour(), "b": Behaviour()}
    made.watch(now=NOW)
    before = ChainHeader.objects.order_by("-number")[0].number
    made.providers["a"].fork = "x"
    made.anchor = made.blocks[-5].number  # another process's reader asks by the head that it knew
    minutes(made, 1)
    assert (made.told()["verdict"], states(made)) == ("healthy", {"a": "excluded", "b": "ok"})
    assert ChainHeader.objects.order_by("-number")[0].number > before


def test_operators_are_told_of_a_chain_that_nobody_ever_saw() -> None:
    made = fake_chain()
    silent(made)
    minutes(made, 5, blocks=0)
    (alert,) = OutboxEvent.objects.filter(name="system.alert")
    assert alert.payload["message"].startswith("Testnet is unknown: noData is 0")


def test_with_every_provider_silent_the_last_figures_stand_and_grow_old() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    before = made.told()
    silent(made)
    made.watch(now=NOW + MINUTE)
    told = made.told()
    assert told["verdict"] == "unknown"
    assert reasons(made) == [("noData", ""), ("providerFault", "one")]
    assert told["sampledAt"] == before["sampledAt"]
    assert 60_000 <= told["headAgeMs"] < 70_000  # type: ignore[operator]
    assert told["asOf"] >= before["asOf"] + 59_000  # type: ignore[operator]
    same = ("blockTimeMs", "tps", "gasUsedRatio", "baseFeeWei", "head", "finalityLagMs")
    assert {name: told[name] for name in same} == {name: before[name] for name in same}


def test_a_chain_that_was_never_seen_is_unknown_without_any_zero() -> None:
    made = fake_chain()
    silent(made)
    made.watch(now=NOW)
    told = made.told()
    assert told["verdict"] == "unknown"
    nothing = ("tps", "gasUsedRatio", "baseFeeWei", "head", "headAgeMs", "finalityLagMs")
    assert {told[name] for name in (*nothing, "sampledAt", "volume24hUsd", "tvlUsd")} == {None}


def test_a_chain_that_stands_still_falls_ill_after_two_looks_and_recovers_after_three() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    shown = []
    for n in range(1, 10):
        at = NOW + n * MINUTE
        if n > 4:
            made.mine(30, until=at)
        made.watch(now=at)
        shown.append(made.told()["verdict"])
    assert shown[:4] == ["healthy", "unhealthy", "unhealthy", "unhealthy"]
    assert shown[4:] == ["unhealthy", "unhealthy", "healthy", "healthy", "healthy"]
    alerts = OutboxEvent.objects.filter(name="system.alert").order_by("id")
    assert [one.payload["subject"] for one in alerts] == ["chain:testnet"] * 2
    assert "headAge is" in alerts[0].payload["message"]
    assert alerts[1].payload["message"] == "Testnet is healthy again."


def test_operators_are_told_once_that_nobody_can_see_a_chain() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    silent(made)
    minutes(made, 5, blocks=0)
    (alert,) = OutboxEvent.objects.filter(name="system.alert")
    assert alert.payload["message"].startswith("Testnet is unknown: noData is 0")


@pytest.mark.parametrize(
    ("depth", "verdict", "rule"),
    [(1, "healthy", []), (2, "degraded", ["reorgDepth"]), (7, "unhealthy", ["reorgDepth"])],
)
def test_a_reorganisation_is_counted_for_an_hour(depth: int, verdict: str, rule: list[str]) -> None:
    made = fake_chain()
    made.watch(now=NOW)
    made.reorganise(depth, until=NOW + timedelta(seconds=20), fork="b")
    made.watch(now=NOW + timedelta(seconds=20))
    at = minutes(made, 1)
    told = made.told()
    assert told["reorgs1h"] == {"count": 1, "maxDepth": depth}
    assert (told["verdict"], [rule for rule, _ in reasons(made)]) == (verdict, rule)
    at += timedelta(hours=1)
    made.mine(1800, until=at)
    made.watch(now=at)
    assert made.told()["reorgs1h"] == {"count": 0, "maxDepth": 0}
    row = ChainReorg.objects.get()
    assert (row.depth, row.is_past_finality) == (depth, False)


def test_a_reorganisation_of_final_blocks_is_unhealthy() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    made.reorganise(21, until=NOW + timedelta(seconds=20), fork="b")
    made.watch(now=NOW + timedelta(seconds=20))
    minutes(made, 1)
    assert reasons(made) == [("reorgPastFinality", "")]
    assert made.told()["verdict"] == "unhealthy"


def test_a_node_that_was_stopped_with_us_over_night_is_healthy_at_once() -> None:
    made = fake_chain(finality_ms=40_000)
    made.watch(now=NOW)
    morning = NOW + timedelta(hours=9)
    made.mine(10, until=morning)  # twenty blocks behind, the final one is of the evening
    made.watch(now=morning)
    told = made.told()
    assert (told["verdict"], told["reasons"]) == ("healthy", [])
    assert (told["finalityLagMs"], told["tps"]) == (None, "2.00")
    minutes(made, 3, since=morning)
    told = made.told()
    assert (told["verdict"], told["finalityLagMs"]) == ("healthy", 40_000)
    assert told["blockTimeMs"] == {"p50": 2000, "p95": 2000, "p99": 2000, "n": 99}


def test_a_pause_that_we_watched_is_the_chains_own() -> None:
    made = fake_chain()
    made.watch(now=NOW)
    at = minutes(made, 10, blocks=0)
    made.mine(20, until=at + MINUTE)
    made.watch(now=at + MINUTE)
    assert Decimal(str(made.told()["tps"])) < Decimal("1.1")  # of the ten minutes, too


def test_one_chain_that_fails_stops_no_other() -> None:
    good, bad = fake_chain(), fake_chain(slug="broken", chain_id=424243)
    bad.headers = lambda _: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    readers = {"testnet": good, "broken": bad}
    done = collecting.collect(
        [good.chain, bad.chain], now=NOW, reader_of=lambda chain: readers[chain.slug]
    )
    assert (list(done.kept), done.failed) == (["testnet"], ["broken"])
    assert good.told()["verdict"] == "healthy"


def test_of_two_runs_at_once_one_looks() -> None:
    made = fake_chain()
    assert list(made.watch(now=NOW).kept) == ["testnet"]
    assert not made.watch(now=NOW + timedelta(seconds=4)).kept
    assert list(made.watch(now=NOW + timedelta(seconds=6)).kept) == ["testnet"]


@dataclass
class Meeting(FakeChain):
    """A chain each call of which waits for those of others to be under way, too."""

    barrier: Barrier | None = None

    def heads(self) -> list[ProviderHead]:
        self._meet()
        return FakeChain.heads(self)

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        self._meet()
        return FakeChain.headers(self, numbers)

    def _meet(self) -> None:
        if self.barrier:
            self.barrier.wait(timeout=60)


def test_all_calls_of_all_chains_are_under_way_at_the_same_time() -> None:
    many = {
        f"net{n}": Meeting(chain=make_chain(slug=f"net{n}", chain_id=500 + n)) for n in range(8)
    }
    chains = [one.chain for one in many.values()]

    def collect(*, now: datetime) -> None:
        for made in many.values():
            made.mine(30, until=now)
        done = collecting.collect(chains, now=now, reader_of=lambda chain: many[chain.slug])
        assert (len(done.kept), done.failed) == (8, [])

    collect(now=NOW)
    barrier = Barrier(8 * 3)  # heads twice, and headers, of each; fewer would wait in vain
    for made in many.values():
        made.barrier = barrier
    collect(now=NOW + MINUTE)
    assert all(len(made.asked) == 2 for made in many.values())
