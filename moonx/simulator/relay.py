"""Relay: quotes by its own solvers, intents, chains."""

from typing import Any

from moonx.core.upstream.coins import CHAIN_IDS, Coin
from moonx.simulator import bridging, world
from moonx.simulator.bridging import NoRoute, TooLittle, Transfer
from moonx.simulator.serving import BadRequest, Reply, Request, Route, Service

DEPOSITORY = "0x4cd00e387622c35bddb9b4c962c136462338bc31"
SOLVER = "0xf70da97812cb96acdf810712aa562db8dfa3dbef"
TRADES = ("EXACT_INPUT", "EXACT_OUTPUT", "EXPECTED_OUTPUT")
# A solver pays out of its own purse as soon as it sees the deposit.
SOONEST_S = 3
ICONS = "https://assets.relay.link/icons"


def quote(request: Request) -> Reply:
    """POST /quote/v2."""
    body = request.json_object()
    if not world.is_address(str(body.get("user"))):
        raise BadRequest("user must be an address")
    if body.get("tradeType") not in TRADES:
        raise BadRequest(f"tradeType must be one of {', '.join(TRADES)}")
    source, target = _end(body, "origin"), _end(body, "destination")
    amount = bridging.amount(body.get("amount"), field="amount")
    try:
        way = bridging.transfer(
            "relay", source=source, target=target, amount=amount, fee_bps=3, now_s=request.now_s
        )
    except TooLittle:
        return _error(400, "Amount is too low", "AMOUNT_TOO_LOW")
    except NoRoute:
        return _error(400, "No routes found", "NO_SWAP_ROUTES_FOUND")
    return Reply(body=_quoted(way, str(body["user"]), request))


def _end(body: dict[str, Any], which: str) -> Coin:
    chain = body.get(f"{which}ChainId")
    if not isinstance(chain, int):
        raise BadRequest(f"{which}ChainId must be a number")
    return bridging.coin(chain, body.get(f"{which}Currency"), field=f"{which}Currency")


def _quoted(way: Transfer, user: str, request: Request) -> dict[str, Any]:
    number = world.code("relay", request.count)
    return {
        "steps": [_deposit(way, user, number)],
        "fees": _fees(way),
        "details": _details(way, user),
        "protocol": {"v2": _order(way, user, number, int(request.now_s) + 3600)},
    }


def _deposit(way: Transfer, user: str, number: str) -> dict[str, Any]:
    return {
        "id": "deposit",
        "action": "Confirm transaction in your wallet",
        "description": f"Depositing funds to the relayer to execute the swap for "
        f"{way.target.symbol}",
        "kind": "transaction",
        "items": [
            {
                "status": "incomplete",
                "data": {
                    "from": user,
                    "to": DEPOSITORY,
                    "data": number,
                    "value": "0",
                    "chainId": way.source.chain_id,
                    "gas": "62713",
                    "maxFeePerGas": "386206132",
                    "maxPriorityFeePerGas": "246844318",
                },
                "check": {"endpoint": f"/intents/status/v3?requestId={number}", "method": "GET"},
            }
        ],
        "requestId": number,
        "depositAddress": "",
    }


def _currency(coin: Coin) -> dict[str, Any]:
    return {
        "chainId": coin.chain_id,
        "address": coin.address.lower(),
        "symbol": coin.symbol,
        "name": coin.name,
        "decimals": coin.decimals,
        "metadata": {"logoURI": f"{ICONS}/{coin.symbol.lower()}.png", "verified": True},
    }


def _money(coin: Coin, amount: int) -> dict[str, Any]:
    shown = world.formatted(amount, coin.decimals)
    return {
        "currency": _currency(coin),
        "amount": str(amount),
        "amountFormatted": shown,
        "amountUsd": shown,
        "minimumAmount": str(amount),
    }


def _fees(way: Transfer) -> dict[str, Any]:
    gas = way.fee // 10
    shares = {
        "gas": gas,
        "relayer": way.fee,
        "relayerGas": gas,
        "relayerService": way.fee - gas,
        "app": 0,
        "subsidized": 0,
    }
    return {name: _money(way.source, amount) for name, amount in shares.items()}


def _details(way: Transfer, user: str) -> dict[str, Any]:
    paid, received = _money(way.source, way.amount), _money(way.target, way.received)
    lost = f"-{way.fee_usd}"
    none = {"usd": "0.000000", "value": "0", "percent": "0.00"}
    return {
        "operation": "swap",
        "sender": user,
        "recipient": user,
        "currencyIn": paid,
        "currencyOut": received,
        "refundCurrency": paid,
        "totalImpact": {"usd": lost, "percent": "-0.01"},
        "swapImpact": {"usd": "0.000000", "percent": "0.00"},
        "expandedPriceImpact": {
            "swap": {"usd": "0.000000"},
            "execution": {"usd": lost},
            "relay": {"usd": "-0.005"},
            "app": {"usd": "0"},
        },
        "rate": format(way.received_size / way.size, "f")[:18],
        "slippageTolerance": {"origin": none, "destination": none},
        "timeEstimate": max(SOONEST_S, way.seconds // 20),
        "userBalance": "0",
        "isFixedRate": True,
        "route": {
            "origin": {"inputCurrency": paid, "outputCurrency": paid, "router": "relay"},
            "destination": {
                "inputCurrency": received,
                "outputCurrency": received,
                "router": "relay",
            },
        },
    }


def _order(way: Transfer, user: str, number: str, deadline: int) -> dict[str, Any]:
    refunds = [
        {
            "chainId": coin.chain,
            "recipient": user,
            "currency": coin.address.lower(),
            "minimumAmount": "0",
            "deadline": deadline,
            "extraData": "0x",
        }
        for coin in (way.source, way.target)
    ]
    payment = {
        "chainId": way.source.chain,
        "currency": way.source.address.lower(),
        "amount": str(way.amount),
    }
    return {
        "orderId": number,
        "orderData": {
            "version": "v1",
            "solverChainId": "base",
            "solver": SOLVER,
            "salt": world.code("salt", number),
            "inputs": [{"payment": {**payment, "weight": "1"}, "refunds": refunds}],
            "output": _output(way, user, deadline),
            "fees": [],
        },
        "paymentDetails": {**payment, "depository": DEPOSITORY},
    }


def _output(way: Transfer, user: str, deadline: int) -> dict[str, Any]:
    return {
        "chainId": way.target.chain,
        "payments": [
            {
                "recipient": user,
                "currency": way.target.address.lower(),
                "minimumAmount": str(way.least),
                "expectedAmount": str(way.received),
            }
        ],
        "calls": [],
        "deadline": deadline,
        "extraData": "0x",
    }


def status(request: Request) -> Reply:
    """GET /intents/status/v3: every intent is filled."""
    number = request.needed("requestId")
    return Reply(
        body={
            "status": "success",
            "inTxHashes": [world.code("in", number)],
            "txHashes": [world.code("out", number)],
            "updatedAt": request.now_ms,
            "originChainId": CHAIN_IDS["base"],
            "destinationChainId": CHAIN_IDS["bsc"],
        }
    )


def chains(_: Request) -> Reply:
    """GET /chains."""
    known = [chain for chain in world.CHAINS if chain.slug in CHAIN_IDS]
    return Reply(body={"chains": [_chain(chain) for chain in known]})


def _chain(chain: world.Chain) -> dict[str, Any]:
    native = {
        "id": chain.native.lower(),
        "symbol": chain.native,
        "name": chain.native_name,
        "address": world.NATIVE,
        "decimals": 18,
    }
    return {
        "id": chain.chain_id,
        "name": chain.slug,
        "displayName": chain.name,
        "httpRpcUrl": f"https://rpc.{chain.slug}.example",
        "wsRpcUrl": f"wss://rpc.{chain.slug}.example",
        "explorerUrl": f"https://{chain.slug}.example",
        "explorerName": f"{chain.name} explorer",
        "depositEnabled": True,
        "tokenSupport": "All",
        "disabled": False,
        "partialDisableLimit": 0,
        "blockProductionLagging": False,
        "currency": {**native, "supportsBridging": True},
        "withdrawalFee": 1,
        "depositFee": 0,
        "surgeEnabled": False,
        "featuredTokens": [],
        "erc20Currencies": [],
        "solverCurrencies": [native],
        "iconUrl": f"{ICONS}/{chain.chain_id}/light.png",
        "contracts": _contracts(),
        "vmType": "evm",
        "baseChainId": 1,
        "solverAddresses": [SOLVER],
        "tags": [],
        "protocol": {"v2": {"chainId": chain.slug, "depository": DEPOSITORY}},
    }


def _contracts() -> dict[str, Any]:
    names = ("multicaller", "onlyOwnerMulticaller", "relayReceiver", "erc20Router", "approvalProxy")
    found: dict[str, Any] = {name: world.code(name, digits=40) for name in names}
    found["multicall3"] = "0xca11bde05977b3631167028862be2a173976ca11"
    found["v3"] = {name: world.code("v3", name, digits=40) for name in names[-2:]}
    return found


def _error(status: int, message: str, code: str) -> Reply:
    return Reply(status=status, body={"message": message, "errorCode": code})


SERVICE = Service(
    name="relay",
    prefix="/relay",
    latency_ms=240,
    routes=(
        Route("POST", "/quote(?:/v2)?", quote),
        Route("GET", "/intents/status/v3", status),
        Route("GET", "/chains", chains),
    ),
    refuse=lambda message: _error(400, message, "INVALID_INPUT_CURRENCY"),
    unknown=lambda: Reply(status=404, body={"message": "Route not found"}),
    rate_limited=lambda: Reply(status=429, body={"message": "Too many requests"}),
    failed=lambda: _error(503, "Service unavailable", "SERVICE_UNAVAILABLE"),
)
