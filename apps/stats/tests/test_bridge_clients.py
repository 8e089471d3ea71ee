"""Clients of LI.FI, Relay and 1inch against the bodies of their documentation."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.stats.bridges import lifi, oneinch, relay
from apps.stats.bridges.quotes import WALLET, Ask, Quote
from apps.stats.tests.answering import Answering
from moonx.core.upstream import corridors
from moonx.core.upstream.faults import CallFailed, Fault
from moonx.core.upstream.names import Service
from moonx.simulator.tests import examples

(PROBE,) = corridors.probes(["USDC:bsc>base"], ["100"])
AMOUNT = str(100 * 10**18)  # on BNB Smart Chain
SOURCE = "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d"
TARGET = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
ASK: dict[Service, Ask] = {
    Service.LIFI: lifi.ask,
    Service.RELAY: relay.ask,
    Service.ONEINCH: oneinch.ask,
}
EXAMPLE = {
    Service.LIFI: "lifi__quote",
    Service.RELAY: "relay__quote_v2",
    Service.ONEINCH: "1inch__fusionplus_quote_receive",
}
each = pytest.mark.parametrize("service", list(ASK), ids=str)


@pytest.fixture(scope="module")
def running() -> Iterator[Answering]:
    with Answering() as server:
        yield server


@pytest.fixture
def server(running: Answering) -> Answering:
    """One that was asked nothing yet."""
    running.asked.clear()
    running.paths.clear()
    return running


def ask(
    server: Answering,
    service: Service,
    body: Any,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Quote:
    """What the client makes of that answer; `body` is bytes, an example's name, or JSON."""
    if isinstance(body, str):
        body = examples.raw(body)
    server.says.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    server.says.status, server.says.headers = status, headers or {}
    return ASK[service](server.endpoint(service, Authorization="Bearer k"), PROBE)


def fails(server: Answering, service: Service, body: Any, **reply: Any) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        ask(server, service, body, **reply)
    return failed.value


def changed(service: Service, path: str, value: Any) -> Any:
    """The service's example with another value at the path; `...` takes it out."""
    body = json.loads(examples.raw(EXAMPLE[service]))
    *way, last = path.split(".")
    place = body
    for name in way:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


@pytest.mark.parametrize(
    ("service", "quote"),
    [
        # Of the old example, which has no duration.
        (Service.LIFI, Quote(received=21922914496086353975, route_ms=None)),
        (Service.RELAY, Quote(received=100000000000000000, route_ms=4_000)),
        (Service.ONEINCH, Quote(received=250418225, route_ms=100_000)),
    ],
    ids=str,
)
def test_the_documented_answer_is_read(server: Answering, service: Service, quote: Quote) -> None:
    assert ask(server, service, EXAMPLE[service]) == quote


def test_lifi_is_asked_as_documented(server: Answering) -> None:
    ask(server, Service.LIFI, "lifi__quote")
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/quote")
    assert asked.query == {
        "fromChain": "56",
        "toChain": "8453",
        "fromToken": SOURCE,
        "toToken": TARGET,
        "fromAddress": WALLET,
        "fromAmount": AMOUNT,
        "skipSimulation": "true",
    }


def test_relay_is_asked_as_documented(server: Answering) -> None:
    ask(server, Service.RELAY, "relay__quote_v2")
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("POST", "/quote/v2")
    assert asked.body == {
        "user": WALLET,
        "originChainId": 56,
        "destinationChainId": 8453,
        "originCurrency": SOURCE,
        "destinationCurrency": TARGET,
        "amount": AMOUNT,
        "tradeType": "EXACT_INPUT",
    }
    assert asked.body.keys() == examples.body("relay__quote_v2.request").keys()


def test_oneinch_is_asked_as_documented(server: Answering) -> None:
    ask(server, Service.ONEINCH, "1inch__fusionplus_quote_receive")
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", "/fusion-plus/quoter/v1.0/quote/receive")
    assert asked.query == {
        "srcChain": "56",
        "dstChain": "8453",
        "srcTokenAddress": SOURCE,
        "dstTokenAddress": TARGET,
        "amount": AMOUNT,
        "walletAddress": WALLET,
        "enableEstimate": "false",
    }


@each
def test_the_key_is_sent(server: Answering, service: Service) -> None:
    ask(server, service, EXAMPLE[service])
    assert server.asked[0].headers["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    ("path", "value", "route_ms"),
    [
        ("estimate.executionDuration", 45, 45_000),
        ("estimate.executionDuration", 0.5, 500),
        ("estimate.executionDuration", None, None),
    ],
)
def test_lifi_s_duration_is_in_seconds_and_may_be_missing(
    server: Answering, path: str, value: Any, route_ms: int | None
) -> None:
    assert ask(server, Service.LIFI, changed(Service.LIFI, path, value)).route_ms == route_ms


def test_oneinch_s_duration_is_that_of_the_preset_it_recommends(server: Answering) -> None:
    body = changed(Service.ONEINCH, "presets.slow", {"auctionDuration": 600})
    assert ask(server, Service.ONEINCH, {**body, "recommendedPreset": "slow"}).route_ms == 600_000
    assert ask(server, Service.ONEINCH, {**body, "recommendedPreset": "custom"}).route_ms is None


@pytest.mark.parametrize(
    ("service", "path", "value"),
    [
        (Service.LIFI, "estimate", []),
        (Service.LIFI, "estimate.toAmount", ...),
        (Service.LIFI, "estimate.toAmount", 5),
        (Service.LIFI, "estimate.toAmount", "-5"),
        (Service.LIFI, "estimate.toAmount", "1e18"),
        (Service.LIFI, "estimate.toAmount", "0"),
        (Service.LIFI, "estimate.toAmount", "9" * 81),
        (Service.LIFI, "estimate.executionDuration", "45"),
        (Service.LIFI, "estimate.executionDuration", True),
        (Service.LIFI, "estimate.executionDuration", -1),
        (Service.LIFI, "estimate.executionDuration", 10**9),
        (Service.RELAY, "details", ...),
        (Service.RELAY, "details.currencyOut", "ETH"),
        (Service.RELAY, "details.currencyOut.amount", None),
        (Service.RELAY, "details.timeEstimate", [4]),
        (Service.ONEINCH, "recommendedPreset", None),
        (Service.ONEINCH, "presets", None),
        (Service.ONEINCH, "presets.fast", 100),
        (Service.ONEINCH, "presets.fast.auctionDuration", {}),
        (Service.ONEINCH, "dstTokenAmount", 250418225),
    ],
    ids=str,
)
def test_what_is_of_a_wrong_type_is_malformed_and_not_repeated(
    server: Answering, service: Service, path: str, value: Any
) -> None:
    failure = fails(server, service, changed(service, path, value))
    assert failure.fault is Fault.MALFORMED
    assert len(str(failure)) < 100


@each
@pytest.mark.parametrize(
    "body", [b"", b"<html>Just a moment</html>", b'{"estimate": {', b"[]", b"null", b'"ok"', b"{}"]
)
def test_an_answer_that_is_none_is_malformed(
    server: Answering, service: Service, body: bytes
) -> None:
    assert fails(server, service, body).fault is Fault.MALFORMED


@each
@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (301, Fault.REDIRECTED),
        (401, Fault.AUTHENTICATION),
        (403, Fault.AUTHENTICATION),
        (429, Fault.RATE_LIMITED),
        (500, Fault.SERVER),
        (502, Fault.SERVER),
        (503, Fault.SERVER),
    ],
)
def test_a_status_has_its_class_whatever_the_body(
    server: Answering, service: Service, status: int, fault: Fault
) -> None:
    failure = fails(server, service, b"<html></html>", status=status)
    assert failure.fault is fault


@pytest.mark.parametrize(
    ("service", "body", "status", "fault"),
    [
        (Service.LIFI, "lifi__error_404_quote", 404, Fault.NO_RESULT),
        (Service.LIFI, "lifi__error_429", 429, Fault.RATE_LIMITED),
        (Service.LIFI, "lifi__error_429", 400, Fault.RATE_LIMITED),
        (Service.LIFI, {"message": "no", "code": 1002}, 400, Fault.NO_RESULT),
        (Service.LIFI, {"message": "no", "code": 1003}, 400, Fault.NO_RESULT),
        (Service.LIFI, {"message": "no", "code": 1008}, 424, Fault.SERVER),
        (Service.LIFI, {"message": "no", "code": 1010}, 400, Fault.AUTHENTICATION),
        (Service.LIFI, {"message": "no", "code": 1011}, 400, Fault.REFUSED),
        (Service.LIFI, {"message": "no", "code": 9999}, 400, Fault.REFUSED),
        (Service.LIFI, {"message": "no", "code": []}, 400, Fault.REFUSED),
        (Service.LIFI, [1], 404, Fault.NO_RESULT),
        (Service.RELAY, "relay__error_400", 400, Fault.NO_RESULT),
        (Service.RELAY, {"errorCode": "AMOUNT_TOO_LOW"}, 400, Fault.NO_RESULT),
        (Service.RELAY, {"errorCode": "UNSUPPORTED_ROUTE"}, 400, Fault.NO_RESULT),
        (Service.RELAY, {"errorCode": "INVALID_ADDRESS"}, 400, Fault.REFUSED),
        (Service.RELAY, {"errorCode": "RPC_HTTP_ERROR"}, 400, Fault.SERVER),
        (Service.RELAY, {"errorCode": "REQUEST_TIMED_OUT"}, 400, Fault.SERVER),
        (Service.RELAY, {"errorCode": "PRICE_FETCH_FAILED"}, 503, Fault.SERVER),
        (Service.RELAY, {"errorCode": "UNAUTHORIZED"}, 400, Fault.AUTHENTICATION),
        (Service.RELAY, {"errorCode": "NEW_AND_UNKNOWN"}, 400, Fault.REFUSED),
        (Service.RELAY, {"errorCode": {"a": 1}}, 400, Fault.REFUSED),
        (Service.RELAY, {"message": "Too many requests"}, 429, Fault.RATE_LIMITED),
        (Service.ONEINCH, "1inch__error_400", 400, Fault.NO_RESULT),
        (Service.ONEINCH, {"description": "Insufficient liquidity"}, 400, Fault.NO_RESULT),
        (Service.ONEINCH, {"description": "Input data is invalid"}, 400, Fault.REFUSED),
        (Service.ONEINCH, {"description": None}, 400, Fault.REFUSED),
    ],
    ids=str,
)
def test_a_refusal_has_the_class_that_the_bridge_s_own_words_give_it(
    server: Answering, service: Service, body: Any, status: int, fault: Fault
) -> None:
    assert fails(server, service, body, status=status).fault is fault


@each
@pytest.mark.parametrize("header", ["Retry-After", "ratelimit-reset"])
def test_a_bridge_says_how_long_to_leave_it_alone(
    server: Answering, service: Service, header: str
) -> None:
    body = {"message": "Rate limit exceeded", "code": 1005}
    failure = fails(server, service, body, status=429, headers={header: "77"})
    assert (failure.fault, failure.retry_after_s) == (Fault.RATE_LIMITED, 77)


@each
def test_no_failure_tells_the_address(server: Answering, service: Service) -> None:
    failures = [
        fails(server, service, b"{}", status=500),
        fails(server, service, b"{}"),
        fails(server, service, b"<"),
    ]
    assert not [one for one in failures if server.url.removeprefix("http://") in str(one)]
