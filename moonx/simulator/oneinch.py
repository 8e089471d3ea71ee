"""1inch: quotes on one chain, and across chains by an auction among resolvers."""

from fractions import Fraction
from typing import Any

from moonx.core.upstream.coins import CHAIN_IDS, Coin
from moonx.simulator import bridging, world
from moonx.simulator.bridging import NoRoute, Transfer
from moonx.simulator.serving import BadRequest, Reply, Request, Route, Service

NATIVE = "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
FACTORY = "0xa7bcb4eac8964306f9e3764f67db6a7af6ddf99a"
LOCKS = (
    "srcWithdrawal",
    "srcPublicWithdrawal",
    "srcCancellation",
    "srcPublicCancellation",
    "dstWithdrawal",
    "dstPublicWithdrawal",
    "dstCancellation",
)
PRESETS = {"fast": 180, "medium": 360, "slow": 600}  # seconds of the auction


def cross_quote(request: Request) -> Reply:
    """GET /fusion-plus/quoter/v1.0/quote/receive."""
    if not world.is_address(request.needed("walletAddress")):
        raise BadRequest("walletAddress is not an address")
    if request.needed("enableEstimate") not in {"true", "false"}:
        raise BadRequest("enableEstimate must be true or false")
    source, target = _end(request, "src"), _end(request, "dst")
    amount = bridging.amount(request.needed("amount"), field="amount")
    try:
        way = bridging.transfer(
            "1inch", source=source, target=target, amount=amount, fee_bps=8, now_s=request.now_s
        )
    except NoRoute:
        return refused("insufficient liquidity")
    has_id = request.given("enableEstimate") == "true"
    number = world.uuid("1inch", request.count) if has_id else None
    return Reply(body=_receivable(way, number))


def _end(request: Request, which: str) -> Coin:
    address = request.needed(f"{which}TokenAddress")
    return bridging.coin(request.needed(f"{which}Chain"), address, field=f"{which}TokenAddress")


def _receivable(way: Transfer, number: str | None) -> dict[str, Any]:
    usd = format(way.size, "f")
    return {
        "quoteId": number,
        "srcTokenAmount": str(way.amount),
        "dstTokenAmount": str(way.received),
        "presets": {name: _preset(way, length_s) for name, length_s in PRESETS.items()},
        "timeLocks": {name: 20 * (place + 1) for place, name in enumerate(LOCKS)},
        "srcEscrowFactory": FACTORY,
        "dstEscrowFactory": FACTORY,
        "srcSafetyDeposit": "12300000000000",
        "dstSafetyDeposit": "12300000000000",
        "whitelist": [world.code("resolver", place, digits=40) for place in range(2)],
        "pubKeys": [],
        "secretsCount": 1,
        "recommendedPreset": "fast",
        "prices": {"usd": {"srcToken": "1.0", "dstToken": "1.0"}},
        "volume": {"usd": {"srcToken": usd, "dstToken": format(way.received_size, "f")}},
        "priceImpactPercent": 0.01,
        "autoK": 0.1,
        "k": 0.2,
        "mxK": 1,
    }


def _preset(way: Transfer, length_s: int) -> dict[str, Any]:
    return {
        "bankFee": "0",
        "auctionDuration": length_s,
        "startAuctionIn": 2,
        "initialRateBump": 1000,
        "auctionStartAmount": str(way.received),
        "startAmount": str(way.received),
        "auctionEndAmount": str(way.least),
        "exclusiveResolver": None,
        "costInDstToken": str(way.fee),
        "points": [{"delay": 12, "rateBump": 455}],
        "allowPartialFills": False,
        "allowMultipleFills": False,
        "gasCost": {"gasBumpEstimate": 54, "gasPriceEstimate": "1231"},
    }


def quote(request: Request) -> Reply:
    """GET /swap/{version}/{chain}/quote."""
    chain_id = _chain_id(request)
    coins = [_coin(chain_id, request.needed(name)) for name in ("src", "dst")]
    amount = bridging.amount(request.needed("amount"), field="amount")
    worth = [_base_unit_usd(coin, now_s=request.now_s) for coin in coins]
    received = amount * worth[0] / worth[1] * Fraction(9995, 10_000)
    body: dict[str, Any] = {"dstAmount": str(int(received))}
    if request.given("includeTokensInfo") == "true":
        body |= {"srcToken": coins[0], "dstToken": coins[1]}
    if request.given("includeProtocols") == "true":
        ends = {"fromTokenAddress": coins[0]["address"], "toTokenAddress": coins[1]["address"]}
        body["protocols"] = [[[{"name": "UNISWAP_V3", "part": 100, **ends}]]]
    if request.given("includeGas") == "true":
        body["gas"] = 100_000
    return Reply(body=body)


def _chain_id(request: Request) -> int:
    """The path's chain; 0 where it is spelled like none."""
    return world.whole(request.args[0]) or 0


def _base_unit_usd(coin: dict[str, Any], *, now_s: float) -> Fraction:
    """What the smallest part of a coin is worth; where no price is known, as of a dollar."""
    listed = world.listed_by(symbol=coin["symbol"])
    usd = world.usd(listed, now_s=now_s) if listed else 1
    parts: int = 10 ** coin["decimals"]
    return Fraction(usd) / parts


def _coin(chain_id: int, address: str) -> dict[str, Any]:
    if address.lower() == NATIVE:
        chain = world.chain_by(chain_id=chain_id)
        symbol = chain.native if chain else "ETH"
        named = {"address": NATIVE, "symbol": symbol, "name": symbol, "decimals": 18}
    else:
        coin = bridging.coin(chain_id, address, field="src and dst")
        named = {
            "address": coin.address.lower(),
            "symbol": coin.symbol,
            "name": coin.name,
            "decimals": coin.decimals,
        }
    logo = f"https://tokens.1inch.io/{named['address']}.png"
    return {**named, "eip2612": False, "isFoT": False, "logoURI": logo, "tags": ["tokens"]}


def healthcheck(request: Request) -> Reply:
    """GET /swap/{version}/{chain}/healthcheck."""
    if _chain_id(request) not in CHAIN_IDS.values():
        return refused("unknown chain")
    return Reply(body={"status": "OK"})


def refused(description: str) -> Reply:
    """A 400 in 1inch's words."""
    return _error(400, "Bad Request", description)


def _error(status: int, error: str, description: str) -> Reply:
    return Reply(
        status=status,
        body={
            "error": error,
            "description": description,
            "statusCode": status,
            "requestId": world.uuid(error, description),
            "meta": [],
        },
    )


SERVICE = Service(
    name="1inch",
    prefix="/1inch",
    latency_ms=380,
    routes=(
        Route("GET", "/fusion-plus/quoter/v1[.][01]/quote/receive", cross_quote),
        Route("GET", "/swap/v6[.][01]/([0-9]+)/quote", quote),
        Route("GET", "/swap/v6[.][01]/([0-9]+)/healthcheck", healthcheck),
    ),
    refuse=refused,
    unknown=lambda: _error(404, "Not Found", "no such route"),
    rate_limited=lambda: _error(429, "Too Many Requests", "The limit of requests is exceeded"),
    failed=lambda: _error(500, "Internal Server Error", "internal error"),
)
