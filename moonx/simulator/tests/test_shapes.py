"""Every answer of the simulator is built as the service's own example."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from moonx.core.upstream import http
from moonx.simulator.site import Site
from moonx.simulator.tests import examples
from moonx.simulator.tests.shapes import differences

WALLET = "0x552008c0f6870c2f77e5cC1d2eb9bdff03e30Ea0"
USDC = {
    1: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
    56: "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d",
    8453: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
}
LIFI_QUOTE = (
    f"/lifi/v1/quote?fromChain=1&toChain=8453&fromToken={USDC[1]}&toToken={USDC[8453]}"
    f"&fromAddress={WALLET}&fromAmount="
)
FUSION = (
    f"/1inch/fusion-plus/quoter/v1.0/quote/receive?srcChain=56&dstChain=8453&srcTokenAddress="
    f"{USDC[56]}&dstTokenAddress={USDC[8453]}&walletAddress={WALLET}&amount={10**21}"
)
RELAY_QUOTE = {
    "user": WALLET,
    "originChainId": 8453,
    "destinationChainId": 1,
    "originCurrency": USDC[8453],
    "destinationCurrency": USDC[1],
    "amount": "100000000",
    "tradeType": "EXACT_INPUT",
}
# The old example is of one chain; a tool's own data has no form, and the duration came later.
STEP = {
    "optional": ("estimate.data", "includedSteps[].estimate.data"),
    "extra": tuple(
        f"{step}{name}"
        for step in ("", "includedSteps[].")
        for name in (
            "estimate.tool",
            "estimate.fromAmountUSD",
            "estimate.toAmountUSD",
            "estimate.executionDuration",
            "action.toToken.priceUSD",
        )
    ),
}
PRESETS = {"extra": ("presets.medium", "presets.slow")}  # the example shows one of them
NULLABLE = tuple(f"[].{name}" for name in ("gecko_id", "tokenSymbol", "cmcId", "chainId"))
ALL_FLAGS = (
    "vs_currencies=usd&include_market_cap=true&include_24hr_vol=true&include_24hr_change=true"
    "&include_last_updated_at=true"
)
MARKETS = "sparkline=true&price_change_percentage=1h,24h,7d,14d,30d,200d,1y"

ANSWERS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("lifi__quote", LIFI_QUOTE + "1000000000", None, STEP),
    ("lifi__error_404_quote", LIFI_QUOTE + f"{10**13}", None, {
        "keyed": ("errors.failed[].subpaths",),
    }),
    ("lifi__chains", "/lifi/v1/chains", None, {
        "optional": ("chains[].tokenlistUrl", "chains[].faucetUrls", "chains[].diamondAddress"),
    }),
    ("lifi__tools", "/lifi/v1/tools", None, {}),
    ("lifi__connections", "/lifi/v1/connections?fromChain=1&toChain=10", None, {}),
    ("lifi__status.pending", "/lifi/v1/status?txHash=0xe1", None, {}),
    ("relay__quote_v2", "/relay/quote/v2", RELAY_QUOTE, {}),
    ("relay__error_400", "/relay/quote/v2", {**RELAY_QUOTE, "amount": f"{10**13}"}, {}),
    ("relay__chains", "/relay/chains", None, {}),
    ("relay__intents_status_v3", "/relay/intents/status/v3?requestId=0x1", None, {}),
    ("1inch__fusionplus_quote_receive", FUSION + "&enableEstimate=true", None, PRESETS),
    ("1inch__error_400", FUSION + "&enableEstimate=maybe", None, {}),
    ("1inch__quote.minimal", f"/1inch/swap/v6.0/1/quote?src={USDC[1]}&dst=USDT&amount=5", None, {}),
    ("1inch__quote", f"/1inch/swap/v6.0/1/quote?src={USDC[1]}&dst=USDT&amount=5"
     "&includeTokensInfo=true&includeProtocols=true&includeGas=true", None, {}),
    ("defillama__v2_chains", "/defillama/v2/chains", None, {"nullable": NULLABLE}),
    ("defillama__v2_historicalChainTvl", "/defillama/v2/historicalChainTvl/base", None, {}),
    ("defillama__overview_dexs_chain", "/defillama/overview/dexs/OP%20Mainnet", None, {}),
    ("defillama__coins_prices_current", "/defillama-coins/prices/current/coingecko:ethereum,"
     f"bsc:{USDC[56]}", None, {"keyed": ("coins",)}),
    ("defillama__coins_prices_current.unknown_token",
     "/defillama-coins/prices/current/base:0x1", None, {}),
    ("alchemy__alchemy_getTokenBalances", "/alchemy/v2/key",
     examples.body("alchemy__alchemy_getTokenBalances.request"), {}),
    ("alchemy__alchemy_getTokenMetadata", "/alchemy/v2/key",
     {"id": 1, "method": "alchemy_getTokenMetadata", "params": [USDC[1]]}, {}),
    ("alchemy__assets_tokens_by-address", "/alchemy/data/v1/key/assets/tokens/by-address",
     examples.body("alchemy__assets_tokens_by-address.request"), {}),
    ("alchemy__prices_tokens_by-address", "/alchemy/prices/v1/key/tokens/by-address",
     examples.body("alchemy__prices_tokens_by-address.request"), {}),
    ("alchemy__prices_tokens_by-symbol",
     "/alchemy/prices/v1/key/tokens/by-symbol?symbols=ETH&symbols=NOSUCH", None, {}),
    ("binance__ping", "/binance/api/v3/ping", None, {}),
    ("binance__time", "/binance/api/v3/time", None, {}),
    ("binance__exchangeInfo", "/binance/api/v3/exchangeInfo?symbol=ETHUSDT", None, {}),
    ("binance__ticker_24hr", "/binance/api/v3/ticker/24hr?symbol=ETHUSDT", None, {}),
    ("binance__ticker_24hr.mini", "/binance/api/v3/ticker/24hr?symbol=ETHUSDT&type=MINI", None, {}),
    ("binance__ticker_price", "/binance/api/v3/ticker/price?symbol=ETHUSDT", None, {}),
    ("binance__ticker_price.all", "/binance/api/v3/ticker/price", None, {}),
    ("binance__klines", "/binance/api/v3/klines?symbol=ETHUSDT&interval=1m&limit=5", None, {}),
    ("binance__aggTrades", "/binance/api/v3/aggTrades?symbol=ETHUSDT&limit=5", None, {}),
    ("binance__error_400_symbol", "/binance/api/v3/ticker/price?symbol=NOSUCH", None, {}),
    ("binance__error_400_interval",
     "/binance/api/v3/klines?symbol=ETHUSDT&interval=7m", None, {}),
    ("binance__error_400_missing", "/binance/api/v3/klines", None, {}),
    ("coingecko__ping", "/coingecko/api/v3/ping", None, {}),
    ("coingecko__simple_price", f"/coingecko/api/v3/simple/price?ids=bitcoin&{ALL_FLAGS}", None,
     {"keyed": ("",)}),
    ("coingecko__simple_token_price", "/coingecko/api/v3/simple/token_price/base?"
     f"contract_addresses={USDC[8453]}&{ALL_FLAGS}", None, {"keyed": ("",)}),
    ("coingecko__coins_markets",
     f"/coingecko/api/v3/coins/markets?vs_currency=usd&{MARKETS}", None, {}),
    ("coingecko__coins_list_include_platform",
     "/coingecko/api/v3/coins/list?include_platform=true", None, {"keyed": ("[].platforms",)}),
    ("coingecko__asset_platforms", "/coingecko/api/v3/asset_platforms", None, {}),
    ("coingecko__error_404", "/coingecko/api/v3/simple/token_price/nowhere", None, {}),
    ("dexscreener__tokens_v1", f"/dexscreener/tokens/v1/base/{USDC[8453]}", None, {}),
    ("dexscreener__tokens_v1.unknown", "/dexscreener/tokens/v1/base/0x1", None, {}),
    ("dexscreener__latest_dex_tokens", f"/dexscreener/latest/dex/tokens/{USDC[1]}", None, {}),
    ("dexscreener__latest_dex_tokens.unknown", "/dexscreener/latest/dex/tokens/0x1", None, {}),
]  # fmt: skip


# How each service says that it is asked too often, where it is known.
LIMITS = {
    "lifi": "lifi__error_429",
    "alchemy": "alchemy__error_429",
    "binance": "binance__error_429",
    "coingecko": "coingecko__error_429",
}


HERE = {"host": "127.0.0.1:8100"}


def ask(
    site: Site,
    path: str,
    body: Any = None,
    *,
    client: str = "127.0.0.1",
    headers: Mapping[str, str] = HERE,
) -> tuple[int, bytes]:
    """Status and body of the site's answer; bytes are sent as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    parts, sent = urlsplit(path), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"" if body is None else content}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET" if body is None else "POST",
        "path": parts.path.replace("%20", " "),
        "query_string": parts.query.encode(),
        "client": (client, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(site(scope, receive, send))
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent)


def quick() -> Site:
    """A site without latency whose clock stands."""
    site = Site(clock=lambda: 1_795_000_000.0)
    ask(site, "/_control", {"service": "*", "latencyMs": 0})
    return site


@pytest.mark.parametrize(
    ("name", "path", "body", "marks"), ANSWERS, ids=[name for name, *_ in ANSWERS]
)
def test_an_answer_is_built_as_the_example(
    name: str, path: str, body: Any, marks: dict[str, Any]
) -> None:
    status, content = ask(quick(), path, body)
    found, example = http.loads(content), examples.body(name)
    assert list(differences(example, found, **marks)) == []
    assert (status >= 400) == ("error" in name)
    if example:
        assert found  # an empty answer is built like any


def test_pairs_are_found_by_the_address_that_a_token_s_pools_tell() -> None:
    site = quick()
    _, content = ask(site, f"/dexscreener/tokens/v1/base/{USDC[8453]}")
    pool = http.loads(content)[0]["pairAddress"]
    _, content = ask(site, f"/dexscreener/latest/dex/pairs/base/{pool}")
    example = examples.body("dexscreener__latest_dex_pairs")
    assert list(differences(example, http.loads(content))) == []
    _, content = ask(site, "/dexscreener/latest/dex/pairs/base/0x1")
    assert http.loads(content) == {"schemaVersion": "1.0.0", "pairs": None, "pair": None}


@pytest.mark.parametrize(("service", "name"), LIMITS.items())
def test_a_service_says_in_its_own_words_that_it_is_asked_too_often(
    service: str, name: str
) -> None:
    site = quick()
    ask(site, "/_control", {"service": service, "rateLimitedShare": 1})
    status, content = ask(site, f"/{service}/v1/anything")
    assert status == 429
    assert list(differences(examples.body(name), http.loads(content))) == []


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"a": {"b": 1}}, "a.c is missing"),
        ({"a": {"b": 1, "c": [], "d": 2}}, "a.d is not in the example"),
        ({"a": {"b": "1", "c": []}}, "a.b: str in place of number"),
        ({"a": {"b": 1, "c": [{"e": None}]}}, "a.c[].e: null in place of boolean"),
        ({"a": None}, "a: null in place of dict"),
    ],
)
def test_what_is_built_otherwise_is_told(found: Any, sentence: str) -> None:
    example = {"a": {"b": 1.5, "c": [{"e": True}]}}
    assert list(differences(example, found)) == [sentence]
