"""DexScreener: pools of a token, with their prices and liquidity."""

from decimal import Decimal
from typing import Any

from moonx.core.upstream import coins
from moonx.core.upstream.coins import CHAIN_IDS, Coin
from moonx.simulator import world
from moonx.simulator.serving import BadRequest, Reply, Request, Route, Service, page

MOST_ADDRESSES = 30
SPANS = {"m5": 1, "h1": 12, "h6": 72, "h24": 288}  # in units of five minutes
WETH = {
    "ethereum": "0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",
    "optimism": "0x4200000000000000000000000000000000000006",
    "bsc": "0x2170Ed0880ac9A755fd29B2688956BD959F933F8",
    "polygon": "0x7ceB23fD6bC0adD59E62ac25578270cFf1b9f619",
    "base": "0x4200000000000000000000000000000000000006",
    "arbitrum": "0x82aF49447D8a07e3bd95BD0d56f35241523fBab1",
}
CREATED_MS = 1_696_424_985_000


def tokens(request: Request) -> Reply:
    """GET /tokens/v1/{chain}/{addresses} and /token-pairs/v1/{chain}/{address}: a bare list."""
    chain, addresses = request.args
    return Reply(body=_pools(_split(addresses), [chain], request.now_s))


def latest_tokens(request: Request) -> Reply:
    """GET /latest/dex/tokens/{addresses}: on all chains; `pairs` is null where there is none."""
    found = _pools(_split(request.args[0]), list(CHAIN_IDS), request.now_s)
    return Reply(body={"schemaVersion": "1.0.0", "pairs": found or None})


def latest_pairs(request: Request) -> Reply:
    """GET /latest/dex/pairs/{chain}/{pools}."""
    chain, wanted = request.args[0], {one.lower() for one in _split(request.args[1])}
    found = [
        _pool(coin, request.now_s)
        for coin in coins.COINS
        if coin.chain == chain and _pool_address(coin) in wanted
    ]
    pair = found[0] if found else None
    return Reply(body={"schemaVersion": "1.0.0", "pairs": found or None, "pair": pair})


def _split(text: str) -> list[str]:
    addresses = text.split(",")
    if len(addresses) > MOST_ADDRESSES:
        raise BadRequest(f"at most {MOST_ADDRESSES} addresses")
    return addresses


def _pools(addresses: list[str], chains: list[str], now_s: float) -> list[dict[str, Any]]:
    ids = [CHAIN_IDS[chain] for chain in chains if chain in CHAIN_IDS]
    found = (world.coin_at(number, one) for one in addresses if one[:2] == "0x" for number in ids)
    return [_pool(coin, now_s) for coin in found if coin is not None]


def _pool_address(coin: Coin) -> str:
    return world.code("pool", coin.chain, coin.symbol, digits=40)


def _pool(coin: Coin, now_s: float) -> dict[str, Any]:
    listed, ether = world.listed_by(symbol=coin.symbol), world.listed_by(symbol="ETH")
    assert listed is not None  # noqa: S101 - each coin of the table is listed
    assert ether is not None  # noqa: S101
    usd, native = world.usd(listed, now_s=now_s), world.usd(ether, now_s=now_s)
    swing = world.sway(f"pool {coin.chain}{coin.symbol}", now_s=now_s, share=0.1)
    deep = Decimal(4_000_000) * swing
    address = _pool_address(coin)
    return {
        "chainId": coin.chain,
        "dexId": "uniswap",
        "url": f"https://dexscreener.com/{coin.chain}/{address}",
        "pairAddress": address,
        "labels": ["v3"],
        "baseToken": {"address": coin.address, "name": coin.name, "symbol": coin.symbol},
        "quoteToken": {"address": WETH[coin.chain], "name": "Wrapped Ether", "symbol": "WETH"},
        "priceNative": f"{usd / native:.10f}",
        "priceUsd": f"{usd:.4f}",
        **_activity(swing),
        "liquidity": {
            "usd": world.number(deep),
            "base": world.number(deep / 2 / usd),
            "quote": world.number(deep / 2 / native, places=4),
        },
        "fdv": int(usd * listed.supply),
        "marketCap": int(usd * listed.supply),
        "pairCreatedAt": CREATED_MS,
        "info": {"imageUrl": f"https://dd.dexscreener.com/ds-data/tokens/{coin.symbol}.png"},
    }


def _activity(swing: Decimal) -> dict[str, Any]:
    return {
        "txns": {
            span: {"buys": int(7 * length * swing), "sells": int(8 * length * swing)}
            for span, length in SPANS.items()
        },
        "volume": {
            span: world.number(Decimal(9_000) * length * swing) for span, length in SPANS.items()
        },
        "priceChange": {span: world.number((swing - 1) * 10) for span in SPANS},
    }


SERVICE = Service(
    name="dexscreener",
    prefix="/dexscreener",
    latency_ms=85,
    routes=(
        Route("GET", "/tokens/v1/([^/]+)/([^/]+)", tokens),
        Route("GET", "/token-pairs/v1/([^/]+)/([^/]+)", tokens),
        Route("GET", "/latest/dex/tokens/([^/]+)", latest_tokens),
        Route("GET", "/latest/dex/pairs/([^/]+)/([^/]+)", latest_pairs),
    ),
    refuse=lambda message: Reply(status=400, body={"error": message}),
    unknown=lambda: Reply(status=404, body={"error": "Not found"}),
    rate_limited=lambda: page(429, "Too Many Requests"),
    failed=lambda: page(502, "Bad gateway"),
)
