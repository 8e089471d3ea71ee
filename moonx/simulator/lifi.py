"""LI.FI: quotes over whatever bridge is best, statuses, chains and tools."""

from typing import Any

from moonx.core.upstream import coins
from moonx.core.upstream.coins import CHAIN_IDS, Coin
from moonx.simulator import bridging, world
from moonx.simulator.bridging import NoRoute, TooLittle, Transfer
from moonx.simulator.serving import BadRequest, Reply, Request, Route, Service

WINDOW_S, LIMIT = 7200, 12_000
TOOL = "across"
ICONS = "https://raw.githubusercontent.com/lifinance/types/main/src/assets/icons"
KEYS = {1: "eth", 10: "opt", 56: "bsc", 137: "pol", 8453: "bas", 42161: "arb"}
SPENDER = "0x1231deb6f5749ef6ce6943a275a1d3e7486f4eae"
VALIDATION, NOT_FOUND, RATE_LIMIT, SERVER = 1011, 1003, 1005, 1006


def quote(request: Request) -> Reply:
    """GET /quote."""
    sender = request.needed("fromAddress")
    if not world.is_address(sender):
        raise BadRequest("fromAddress is not an address")
    source, target = _end(request, "from"), _end(request, "to")
    amount = bridging.amount(request.needed("fromAmount"), field="fromAmount")
    try:
        way = bridging.transfer(
            "lifi", source=source, target=target, amount=amount, fee_bps=5, now_s=request.now_s
        )
    except NoRoute as error:
        return _no_quote(source, target, amount, is_little=isinstance(error, TooLittle))
    return Reply(body=_step(way, sender, request))


def _end(request: Request, which: str) -> Coin:
    chain_id = _chain_id(request.needed(f"{which}Chain"))
    return bridging.coin(chain_id, request.needed(f"{which}Token"), field=f"{which}Token")


def _chain_id(text: str) -> int:
    """The chain of that id or key; 0 where there is none."""
    by_key = {key: number for number, key in KEYS.items()}
    return by_key.get(text.lower()) or world.whole(text) or 0


def _step(way: Transfer, sender: str, request: Request) -> dict[str, Any]:
    number = world.uuid("lifi", request.count)
    step = {
        "type": "lifi",
        "id": number,
        "tool": TOOL,
        "toolDetails": {"key": TOOL, "name": "Across", "logoURI": f"{ICONS}/bridges/across.svg"},
        "action": {
            "fromChainId": way.source.chain_id,
            "toChainId": way.target.chain_id,
            "fromToken": _token(way.source),
            "toToken": _token(way.target),
            "fromAmount": str(way.amount),
            "slippage": 0.005,
            "fromAddress": sender,
            "toAddress": sender,
        },
        "estimate": _estimate(way),
    }
    return {
        **step,
        "includedSteps": [{**step, "type": "cross"}],
        "integrator": "moonx",
        "transactionRequest": {
            "from": sender,
            "to": SPENDER,
            "chainId": way.source.chain_id,
            "data": world.code("lifi", request.count),
            "value": "0x0",
            "gasPrice": "0x5f5e100",
            "gasLimit": "0x4d03b",
        },
    }


def _token(coin: Coin) -> dict[str, Any]:
    return {
        "address": coin.address,
        "symbol": coin.symbol,
        "decimals": coin.decimals,
        "chainId": coin.chain_id,
        "name": coin.name,
        "coinKey": coin.symbol,
        "priceUSD": "1",
        "logoURI": f"{ICONS}/tokens/{coin.symbol.lower()}.svg",
    }


def _native(chain_id: int) -> dict[str, Any]:
    chain = world.chain_by(chain_id=chain_id)
    symbol = chain.native if chain else "ETH"
    listed = world.listed_by(symbol=symbol)
    return {
        "address": world.NATIVE,
        "symbol": symbol,
        "decimals": 18,
        "chainId": chain_id,
        "name": symbol,
        "coinKey": symbol,
        "priceUSD": str(listed.usd if listed else 1),
        "logoURI": f"{ICONS}/chains/{symbol.lower()}.svg",
    }


def _estimate(way: Transfer) -> dict[str, Any]:
    gas = _native(way.source.chain_id)
    return {
        "tool": TOOL,
        "fromAmount": str(way.amount),
        "fromAmountUSD": format(way.size, "f"),
        "toAmount": str(way.received),
        "toAmountMin": str(way.least),
        "toAmountUSD": format(way.received_size, "f"),
        "approvalAddress": SPENDER,
        "feeCosts": [],
        "gasCosts": [
            {
                "type": "SEND",
                "price": "100000000",
                "estimate": "252364",
                "limit": "315455",
                "amount": str(way.gas),
                "amountUSD": format(way.gas_usd, "f"),
                "token": gas,
            }
        ],
        "executionDuration": way.seconds,
    }


def _no_quote(source: Coin, target: Coin, amount: int, *, is_little: bool) -> Reply:
    path = f"{source.chain_id}:{source.symbol}-{TOOL}-{target.chain_id}:{target.symbol}"
    message = "The amount is too low." if is_little else "The tool's liquidity is insufficient."
    failure = {
        "errorType": "NO_QUOTE",
        "code": "AMOUNT_TOO_LOW" if is_little else "INSUFFICIENT_LIQUIDITY",
        "action": {
            "fromChainId": source.chain_id,
            "toChainId": target.chain_id,
            "fromAmount": str(amount),
        },
        "tool": TOOL,
        "message": message,
    }
    return Reply(
        status=404,
        body={
            "message": "Unable to find a quote for the requested transfer",
            "errors": {
                "filteredOut": [],
                "failed": [{"overallPath": path, "subpaths": {path: [failure]}}],
            },
        },
    )


def chains(_: Request) -> Reply:
    """GET /chains."""
    return Reply(body={"chains": [_chain(chain_id) for chain_id in KEYS]})


def _chain(chain_id: int) -> dict[str, Any]:
    chain = world.chain_by(chain_id=chain_id)
    assert chain is not None  # noqa: S101 - both tables are of this package
    native = _native(chain_id)
    return {
        "key": KEYS[chain_id],
        "name": chain.name,
        "chainType": "EVM",
        "coin": chain.native,
        "id": chain_id,
        "mainnet": True,
        "logoURI": f"{ICONS}/chains/{chain.slug}.svg",
        "multicallAddress": "0xcA11bde05977b3631167028862bE2a173976CA11",
        "metamask": {
            "chainId": hex(chain_id),
            "blockExplorerUrls": [f"https://{chain.slug}.example/"],
            "chainName": chain.name,
            "nativeCurrency": {"name": chain.native, "symbol": chain.native, "decimals": 18},
            "rpcUrls": [f"https://rpc.{chain.slug}.example/"],
        },
        "nativeToken": native,
    }


def tools(_: Request) -> Reply:
    """GET /tools."""
    pairs = [
        {"fromChainId": one, "toChainId": other} for one in KEYS for other in KEYS if one != other
    ]
    bridge = {"key": TOOL, "name": "Across", "logoURI": f"{ICONS}/bridges/across.svg"}
    exchange = {"key": "1inch", "name": "1inch", "logoURI": f"{ICONS}/exchanges/oneinch.svg"}
    return Reply(
        body={
            "exchanges": [{**exchange, "supportedChains": list(KEYS)}],
            "bridges": [{**bridge, "supportedChains": pairs}],
        }
    )


def connections(request: Request) -> Reply:
    """GET /connections."""
    ends = [_chain_id(request.needed(name)) for name in ("fromChain", "toChain")]
    if not set(ends) <= set(CHAIN_IDS.values()):
        raise BadRequest("unknown chain")
    tokens = [
        [
            {"address": coin.address.lower(), "chainId": coin.chain_id}
            for coin in coins.COINS
            if coin.chain_id == end
        ]
        for end in ends
    ]
    found = {
        "fromChainId": ends[0],
        "toChainId": ends[1],
        "fromTokens": tokens[0],
        "toTokens": tokens[1],
    }
    return Reply(body={"connections": [found]})


def status(request: Request) -> Reply:
    """GET /status: every transfer is under way."""
    transaction = request.needed("txHash")
    return Reply(
        body={
            "sending": {
                "txHash": transaction,
                "chainId": 42161,
                "txLink": f"https://arbiscan.io/tx/{transaction}",
            },
            "receiving": {"chainId": 8453},
            "tool": TOOL,
            "status": "PENDING",
            "substatus": "WAIT_DESTINATION_TRANSACTION",
            "substatusMessage": "Waiting for the transaction to appear on the destination chain.",
        }
    )


def _allowance(request: Request) -> dict[str, str]:
    """What every answer carries: the two hours' limit, what is left of it, seconds to its end."""
    return {
        "ratelimit-limit": str(LIMIT),
        "ratelimit-remaining": str(max(0, LIMIT - request.count % LIMIT)),
        "ratelimit-reset": str(WINDOW_S - int(request.now_s) % WINDOW_S),
    }


def _error(status: int, message: str, code: int) -> Reply:
    return Reply(status=status, body={"message": message, "code": code})


SERVICE = Service(
    name="lifi",
    prefix="/lifi",
    latency_ms=620,
    routes=(
        Route("GET", "/v1/quote", quote),
        Route("GET", "/v1/chains", chains),
        Route("GET", "/v1/tools", tools),
        Route("GET", "/v1/connections", connections),
        Route("GET", "/v1/status", status),
    ),
    refuse=lambda message: _error(400, message, VALIDATION),
    unknown=lambda: _error(404, "Not found", NOT_FOUND),
    rate_limited=lambda: _error(429, "Rate limit exceeded, retry in 2 hours", RATE_LIMIT),
    failed=lambda: _error(500, "Internal server error", SERVER),
    headers=_allowance,
)
