"""Alchemy: balances and descriptions of tokens by JSON-RPC, wallets and prices by its data API."""

from typing import Any

from moonx.core.upstream import coins
from moonx.core.upstream.coins import Coin
from moonx.simulator import moods, world
from moonx.simulator.serving import BadRequest, Reply, Request, Route, Service

NETWORKS = {
    "eth-mainnet": 1,
    "polygon-mainnet": 137,
    "matic-mainnet": 137,
    "opt-mainnet": 10,
    "arb-mainnet": 42161,
    "base-mainnet": 8453,
    "bnb-mainnet": 56,
}
MOST_PAIRS, MOST_NETWORKS, MOST_PRICES = 2, 5, 25
LARGEST_HOLDING = 20_000  # of a coin, by a wallet that has any
INVALID, UNSUPPORTED = -32602, -32601
THROTTLED = (
    "Your app has exceeded its compute units per second capacity. If you have retries enabled, you "
    "can safely ignore this message. If not, check out https://docs.alchemy.com/reference/throughput"
)


def rpc(request: Request) -> Reply:
    """POST /v2/{key}, and with the network in front of it: one call or a batch."""
    body = request.json()
    network = request.args[0] or "eth-mainnet"
    chain_id = NETWORKS[network]
    if isinstance(body, list):
        return Reply(body=[_called(call, chain_id) for call in body])
    answer = _called(body, chain_id)
    return Reply(status=400 if "error" in answer else 200, body=answer)


def _called(call: Any, chain_id: int) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise BadRequest("a call must be an object")
    method = _METHODS.get(str(call.get("method")))
    told = {"jsonrpc": "2.0", "id": call.get("id")}
    if method is None:
        error = {"code": UNSUPPORTED, "message": f"Unsupported method: {call.get('method')}"}
        return {**told, "error": error}
    try:
        return {**told, "result": method(_params(call), chain_id)}
    except BadRequest as error:
        return {**told, "error": {"code": INVALID, "message": str(error)}}


def _params(call: dict[str, Any]) -> list[Any]:
    params = call.get("params", [])
    if not isinstance(params, list):
        raise BadRequest("params must be a list")
    return params


def _balances(params: list[Any], chain_id: int) -> dict[str, Any]:
    wallet = _wallet(params)
    wanted = params[1] if len(params) > 1 else "erc20"
    known = [coin.address.lower() for coin in coins.COINS if coin.chain_id == chain_id]
    addresses = wanted if isinstance(wanted, list) else known
    if not _are_strings(addresses):
        raise BadRequest("params[1] must be addresses")
    return {
        "address": wallet,
        "tokenBalances": [
            {"contractAddress": one, "tokenBalance": _padded(_held(wallet, chain_id, one))}
            for one in addresses
        ],
    }


def _metadata(params: list[Any], chain_id: int) -> dict[str, Any]:
    coin = world.coin_at(chain_id, _wallet(params))
    if coin is None:
        return {"name": None, "symbol": None, "decimals": None, "logo": None}
    logo = f"https://static.alchemyapi.io/images/assets/{coin.symbol}.png"
    return {"name": coin.name, "symbol": coin.symbol, "decimals": coin.decimals, "logo": logo}


_METHODS = {"alchemy_getTokenBalances": _balances, "alchemy_getTokenMetadata": _metadata}


def _are_strings(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _wallet(params: list[Any]) -> str:
    if not params or not world.is_address(str(params[0])):
        raise BadRequest("params[0] must be an address")
    return str(params[0])


def _held(wallet: str, chain_id: int, address: str) -> int:
    """What the wallet has of the token: the same at any time, nothing for about half of them."""
    coin = world.coin_at(chain_id, address)
    share = moods.chance("held", wallet.lower(), chain_id, str(address).lower())
    if coin is None or share < 0.5:
        return 0
    coins_held = int((share - 0.5) * LARGEST_HOLDING)
    return coins_held * int(10**coin.decimals)


def _padded(amount: int) -> str:
    return f"0x{amount:064x}"


def wallets(request: Request) -> Reply:
    """POST /data/v1/{key}/assets/tokens/by-address."""
    body = request.json_object()
    pairs = body.get("addresses")
    if not isinstance(pairs, list) or not 0 < len(pairs) <= MOST_PAIRS:
        raise BadRequest(f"addresses must be 1 to {MOST_PAIRS} objects")
    if not all(isinstance(pair, dict) for pair in pairs):
        raise BadRequest("each of addresses must be an object")
    rows = [row for pair in pairs for row in _of_wallet(pair, body, request.now_s)]
    return Reply(body={"data": {"tokens": rows, "pageKey": None}})


def _of_wallet(pair: dict[str, Any], body: dict[str, Any], now_s: float) -> list[dict[str, Any]]:
    wallet, networks = str(pair.get("address")), pair.get("networks")
    if not world.is_address(wallet) or not isinstance(networks, list):
        raise BadRequest("each of addresses needs an address and networks")
    are_known = _are_strings(networks) and set(networks) <= NETWORKS.keys()
    if len(networks) > MOST_NETWORKS or not are_known:
        raise BadRequest(f"networks must be up to {MOST_NETWORKS} of {', '.join(NETWORKS)}")
    rows = []
    for network in networks:
        chain_id = NETWORKS[network]
        if body.get("includeNativeTokens", True):
            rows.append(_native(wallet, network, now_s))
        held = [coin for coin in coins.COINS if coin.chain_id == chain_id]
        rows += [_row(wallet, network, coin, now_s) for coin in held]
    return rows


def _native(wallet: str, network: str, now_s: float) -> dict[str, Any]:
    chain = world.chain_by(chain_id=NETWORKS[network])
    amount = int(moods.chance("native", wallet.lower(), network) * 3000) * 10**15
    return {
        "address": wallet.lower(),
        "network": network,
        "tokenAddress": None,
        "tokenBalance": _padded(amount),
        "tokenMetadata": dict.fromkeys(("symbol", "decimals", "name", "logo")),
        "tokenPrices": _prices(chain.native if chain else "", now_s),
        "error": None,
    }


def _row(wallet: str, network: str, coin: Coin, now_s: float) -> dict[str, Any]:
    return {
        "address": wallet.lower(),
        "network": network,
        "tokenAddress": coin.address.lower(),
        "tokenBalance": _padded(_held(wallet, coin.chain_id, coin.address)),
        "tokenMetadata": {
            "symbol": coin.symbol,
            "decimals": coin.decimals,
            "name": coin.name,
            "logo": None,
        },
        "tokenPrices": _prices(coin.symbol, now_s),
        "error": None,
    }


def _prices(symbol: str, now_s: float) -> list[dict[str, Any]]:
    listed = world.listed_by(symbol=symbol)
    if listed is None:
        return []
    value = format(round(world.usd(listed, now_s=now_s), 6), "f")
    return [{"currency": "usd", "value": value, "lastUpdatedAt": world.iso(now_s)}]


def prices_by_symbol(request: Request) -> Reply:
    """GET /prices/v1/{key}/tokens/by-symbol."""
    symbols = list(request.query.get("symbols", []))
    if not 0 < len(symbols) <= MOST_PRICES:
        raise BadRequest(f"name 1 to {MOST_PRICES} symbols")
    return Reply(body={"data": [_symbol(symbol, request.now_s) for symbol in symbols]})


def _symbol(symbol: str, now_s: float) -> dict[str, Any]:
    found = _prices(symbol, now_s)
    error = None if found else {"message": f"Token not found: {symbol}"}
    return {"symbol": symbol, "prices": found, "error": error}


def prices_by_address(request: Request) -> Reply:
    """POST /prices/v1/{key}/tokens/by-address."""
    pairs = request.json_object().get("addresses")
    if not isinstance(pairs, list) or not 0 < len(pairs) <= MOST_PRICES:
        raise BadRequest(f"addresses must be 1 to {MOST_PRICES} objects")
    if not all(isinstance(pair, dict) for pair in pairs):
        raise BadRequest("each of addresses must be an object")
    return Reply(body={"data": [_address(pair, request.now_s) for pair in pairs]})


def _address(pair: dict[str, Any], now_s: float) -> dict[str, Any]:
    network, address = str(pair.get("network")), str(pair.get("address"))
    coin = world.coin_at(NETWORKS.get(network, 0), address)
    found = _prices(coin.symbol, now_s) if coin else []
    error = None if found else {"message": f"Token not found: {address}"}
    return {"network": network, "address": address, "prices": found, "error": error}


def _error(status: int, message: str) -> Reply:
    return Reply(status=status, body={"error": {"message": message}})


def _rpc_error(status: int, code: int, message: str) -> Reply:
    error = {"code": code, "message": message}
    return Reply(status=status, body={"jsonrpc": "2.0", "id": 1, "error": error})


SERVICE = Service(
    name="alchemy",
    prefix="/alchemy",
    latency_ms=70,
    routes=(
        Route("POST", f"/?({'|'.join(NETWORKS)}|)/v2/[^/]+", rpc),
        Route("POST", "/data/v1/[^/]+/assets/tokens/by-address", wallets),
        Route("GET", "/prices/v1/[^/]+/tokens/by-symbol", prices_by_symbol),
        Route("POST", "/prices/v1/[^/]+/tokens/by-address", prices_by_address),
    ),
    refuse=lambda message: _error(400, message),
    unknown=lambda: _error(404, "Not found"),
    rate_limited=lambda: _rpc_error(429, 429, THROTTLED),
    failed=lambda: _rpc_error(503, -32000, "Unable to complete request at this time."),
)
