"""DefiLlama: value locked and volume by chain, and prices of coins."""

from decimal import Decimal
from typing import Any

from moonx.simulator import world
from moonx.simulator.serving import BadRequest, Reply, Request, Route, Service
from moonx.simulator.world import DAY_S, Chain

SPANS = {  # the days that each total is over
    "total24h": 1,
    "total48hto24h": 1,
    "total7d": 7,
    "total14dto7d": 7,
    "total30d": 30,
    "total60dto30d": 30,
}
CHANGES = ("change_1d", "change_7d", "change_1m", "change_7dover7d", "change_30dover30d")


def chains(request: Request) -> Reply:
    """GET /v2/chains."""
    return Reply(body=[_chain(chain, request.now_s) for chain in world.CHAINS])


def _chain(chain: Chain, now_s: float) -> dict[str, Any]:
    return {
        "gecko_id": chain.gecko or None,
        "tvl": world.number(_locked(chain, now_s)),
        "tokenSymbol": chain.native if chain.gecko else None,
        "cmcId": str(1000 + chain.chain_id % 9000) if chain.gecko else None,
        "name": chain.llama,
        # As the real one: some chains come without their id.
        "chainId": None if chain.slug == "rei" else chain.chain_id,
    }


def _locked(chain: Chain, now_s: float) -> Decimal:
    # The real figure moves about once an hour.
    hour_s = now_s - now_s % 3600
    return chain.tvl * world.sway(f"tvl {chain.slug}", now_s=hour_s, share=0.03, period_s=DAY_S)


def history(request: Request) -> Reply:
    """GET /v2/historicalChainTvl/{chain}: thirty days."""
    chain = _named(request.args[0])
    if chain is None:
        return _missing()
    today = int(request.now_s) // DAY_S * DAY_S
    days = [today - DAY_S * back for back in reversed(range(30))]
    return Reply(
        body=[{"date": day, "tvl": world.number(_locked(chain, float(day)))} for day in days]
    )


def volumes(request: Request) -> Reply:
    """GET /overview/dexs/{chain}."""
    chain = _named(request.args[0])
    if chain is None:
        return _missing()
    hour_s = request.now_s - request.now_s % 3600
    swing = world.sway(f"volume {chain.slug}", now_s=hour_s, share=0.15, period_s=DAY_S)
    totals = _totals(chain.volume24h * swing)
    empty: dict[str, Any] = {"breakdown24h": None, "breakdown30d": None}
    ago = dict.fromkeys(("total7DaysAgo", "total30DaysAgo"), totals["total24h"])
    return Reply(
        body={
            "protocols": [{**_protocol(chain), **empty, **totals}],
            "totalDataChart": [],
            "totalDataChartBreakdown": [],
            **empty,
            "chain": chain.llama,
            "allChains": [one.llama for one in world.CHAINS],
            **totals,
            **ago,
            "total1y": None,
            "totalAllTime": None,
        }
    )


def _totals(day: Decimal) -> dict[str, Any]:
    totals = {name: world.number(day * days, places=0) for name, days in SPANS.items()}
    return totals | dict.fromkeys(CHANGES, 1.2)


def _protocol(chain: Chain) -> dict[str, Any]:
    return {
        "defillamaId": "2198",
        "name": "Uniswap V3",
        "displayName": "Uniswap V3",
        "module": "uniswap",
        "category": "Dexs",
        "logo": "https://icons.llamao.fi/icons/protocols/uniswap-v3",
        "chains": [chain.llama],
        "protocolType": "protocol",
        "methodologyURL": "",
        "methodology": None,
        "total1y": None,
        "totalAllTime": None,
        "parentProtocol": "parent#uniswap",
        "slug": "uniswap-v3",
    }


def _named(name: str) -> Chain | None:
    return world.chain_by(llama=name)


def prices(request: Request) -> Reply:
    """GET /prices/current/{coins}: what is unknown is left out, keys come back as written."""
    found = {}
    for key in request.args[0].split(","):
        if (price := _price(key, request.now_s)) is not None:
            found[key] = price
    return Reply(body={"coins": found})


def _price(key: str, now_s: float) -> dict[str, Any] | None:
    where, colon, name = key.partition(":")
    if not colon:
        raise BadRequest(f"{key[:40]!r} is not chain:address")
    told: dict[str, Any] = {}
    if where == "coingecko":
        listed = world.listed_by(gecko=name)
    else:
        chain = world.chain_by(slug=where)
        coin = world.coin_at(chain.chain_id, name) if chain else None
        listed = world.listed_by(symbol=coin.symbol) if coin else None
        told = {"decimals": coin.decimals} if coin else {}
    if listed is None:
        return None
    return {
        **told,
        "price": world.number(world.usd(listed, now_s=now_s), places=6),
        "symbol": listed.symbol,
        "timestamp": int(now_s) - 40,
        "confidence": 0.99,
    }


def _missing() -> Reply:
    return Reply(status=404, text="Chain not found")


def _service(name: str, routes: tuple[Route, ...], *, latency_ms: int) -> Service:
    return Service(
        name=name,
        prefix=f"/{name}",
        latency_ms=latency_ms,
        routes=routes,
        refuse=lambda message: Reply(status=400, text=message),
        unknown=lambda: Reply(status=404, text="Not found"),
        rate_limited=lambda: Reply(
            status=429, text="Too many requests", headers={"retry-after": "30"}
        ),
        failed=lambda: Reply(status=502, text="Internal error"),
    )


SERVICE = _service(
    "defillama",
    (
        Route("GET", "/v2/chains", chains),
        Route("GET", "/v2/historicalChainTvl/([^/]+)", history),
        Route("GET", "/overview/dexs/([^/]+)", volumes),
    ),
    latency_ms=110,
)
COINS = _service("defillama-coins", (Route("GET", "/prices/current/(.+)", prices),), latency_ms=90)
