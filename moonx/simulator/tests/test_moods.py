"""The simulator's moods: how slow it is and how it fails, by a seed and on demand."""

import statistics
from dataclasses import replace
from typing import Any

import pytest

from moonx.core.upstream import http
from moonx.core.upstream.faults import CallFailed, Fault
from moonx.simulator import binance, moods
from moonx.simulator.moods import Mood, Whim
from moonx.simulator.serving import LARGEST_BODY, Reply, Request, Route
from moonx.simulator.site import Site
from moonx.simulator.tests.server import Simulator
from moonx.simulator.tests.test_shapes import LIFI_QUOTE, ask, quick

CALLS = range(1, 2001)


def latencies(seed: int) -> list[float]:
    mood = Mood(latency_ms=200)
    facts: dict[str, Any] = {"seed": seed, "service": "lifi", "now_s": 0.0}
    return [moods.latency_s(mood, count=count, **facts) for count in CALLS]


def test_latency_is_about_as_usual_with_a_tail_to_one_side() -> None:
    found = latencies(1)
    assert statistics.median(found) == pytest.approx(0.2, rel=0.05)
    assert 0.3 < sorted(found)[-len(found) // 50] < 0.5
    assert min(found) > 0.05


def test_the_same_seed_gives_the_same_and_another_something_else() -> None:
    assert latencies(1) == latencies(1)
    assert latencies(1) != latencies(2)


def test_latency_sways_with_time() -> None:
    facts: dict[str, Any] = {"seed": 1, "service": "relay", "count": 5}
    mood = Mood(latency_ms=200)
    quarter, three = (
        moods.latency_s(mood, now_s=moods.SWAY_S * part, **facts) for part in (0.25, 0.75)
    )
    assert quarter / three == pytest.approx(1.25 / 0.75)


@pytest.mark.parametrize(
    ("name", "whim"),
    [
        ("rate_limited_share", Whim.RATE_LIMITED),
        ("error_share", Whim.FAILED),
        ("html_share", Whim.HTML),
        ("half_share", Whim.HALF),
    ],
)
def test_a_share_of_calls_fails_as_it_is_told(name: str, whim: Whim) -> None:
    mood = Mood(latency_ms=0, **{name: 0.3})
    found = [moods.whim(mood, seed=1, service="lifi", count=count) for count in CALLS]
    assert set(found) == {whim, Whim.FAIR}
    assert found.count(whim) / len(found) == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ([], "send a JSON object"),
        ({"service": "nobody"}, "'nobody' is none of lifi, relay"),
        ({"service": "lifi", "latencyMs": -1}, "latencyMs must be 0 to 60000"),
        ({"service": "lifi", "latencyMs": True}, "latencyMs must be a number"),
        ({"service": "lifi", "errorShare": 0.6, "htmlShare": 0.6}, "1 or less together"),
        ({"service": "lifi", "errorShare": -0.1}, "shares must be 0 or more"),
        ({"service": "lifi", "speed": 1}, "unknown: speed"),
        ({"seed": "x"}, "seed must be a whole number"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_and_changes_nothing(
    order: Any, sentence: str
) -> None:
    site = quick()
    _, before = ask(site, "/_control")
    status, content = ask(site, "/_control", order)
    assert status == 400
    assert sentence in http.loads(content)["error"]
    assert ask(site, "/_control")[1] == before


def test_only_this_machine_gives_orders() -> None:
    order = {"service": "lifi", "errorShare": 1}
    assert ask(quick(), "/_control", order, client="192.0.2.1")[0] == 403
    assert ask(quick(), "/_control", client="192.0.2.1")[0] == 403
    assert ask(quick(), "/_control", order, client="::1")[0] == 200


def test_a_new_seed_begins_anew() -> None:
    site = quick()
    ask(site, "/_control", {"service": "lifi", "errorShare": 1})
    ask(site, "/lifi/v1/chains")
    _, content = ask(site, "/_control", {"seed": 7})
    told = http.loads(content)
    assert (told["seed"], told["calls"]["lifi"]) == (7, 0)
    assert told["services"]["lifi"]["errorShare"] == 0


@pytest.mark.parametrize("path", ["/nobody/v1", "/lifi/v1/nothing", "/binance/api/v3/nothing"])
def test_what_there_is_not_is_not_found(path: str) -> None:
    assert ask(quick(), path)[0] == 404


@pytest.mark.parametrize(
    "path",
    [
        LIFI_QUOTE + "0",
        LIFI_QUOTE + "1e3",
        LIFI_QUOTE.replace("toChain=8453", "toChain=999") + "1000000",
        "/lifi/v1/quote",
        "/1inch/fusion-plus/quoter/v1.0/quote/receive",
        "/binance/api/v3/klines?symbol=ETHUSDT&interval=1m&limit=x",
        "/coingecko/api/v3/coins/markets",
        "/defillama-coins/prices/current/nonsense",
        "/alchemy/prices/v1/key/tokens/by-symbol",
    ],
)
def test_what_makes_no_sense_is_a_bad_request(path: str) -> None:
    assert ask(quick(), path)[0] in {400, 422}


def test_a_huge_body_is_refused() -> None:
    assert ask(quick(), "/relay/quote/v2", "x" * LARGEST_BODY)[0] == 413


def test_a_handler_that_fails_answers_as_a_failing_service(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: Request) -> Reply:
        raise KeyError("a defect")

    broken = replace(binance.SERVICE, routes=(Route("GET", "/it", fail),), latency_ms=0)
    status, _ = ask(Site([broken]), "/binance/it")
    assert status == 503
    assert "a defect" in capsys.readouterr().err


@pytest.fixture(scope="module")
def simulator() -> Any:
    with Simulator() as running:
        yield running


@pytest.mark.parametrize(
    ("share", "fault"),
    [
        ("rateLimitedShare", Fault.RATE_LIMITED),
        ("errorShare", Fault.SERVER),
        ("htmlShare", Fault.MALFORMED),
        ("halfShare", Fault.MALFORMED),
    ],
)
def test_each_way_to_fail_is_seen_as_what_it_is(
    simulator: Simulator, share: str, fault: Fault
) -> None:
    simulator.order(seed=1, service="lifi", latencyMs=0, **{share: 1})
    with pytest.raises(CallFailed) as failed:
        http.get_json(f"{simulator.url}/lifi/v1/chains", server="LI.FI", timeout_s=5)
    assert failed.value.fault is fault


def test_a_slow_service_times_out(simulator: Simulator) -> None:
    simulator.order(seed=1, service="lifi", latencyMs=2000)
    with pytest.raises(CallFailed) as failed:
        http.get_json(f"{simulator.url}/lifi/v1/chains", server="LI.FI", timeout_s=0.2)
    assert failed.value.fault is Fault.TIMEOUT
