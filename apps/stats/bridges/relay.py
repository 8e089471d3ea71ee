"""Relay's quotes: POST /quote/v2, https://docs.relay.link/references/api/get-quote-v2."""

from apps.stats.bridges.quotes import LARGEST_ANSWER, WALLET, Quote, route_ms, told_as, word
from moonx.core.upstream import http
from moonx.core.upstream.corridors import Probe
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.faults import Fault
from moonx.core.upstream.http import Refusal
from moonx.core.upstream.reading import Reading

SERVER = "Relay"
# Its own codes, by what they say of whom. It sends most of them with status 400.
MEANINGS = {
    **dict.fromkeys(
        (
            "AMOUNT_TOO_LOW",
            "CHAIN_DISABLED",
            "INSUFFICIENT_LIQUIDITY",
            "NO_INTERNAL_SWAP_ROUTES_FOUND",
            "NO_QUOTES",
            "NO_SWAP_ROUTES_FOUND",
            "ROUTE_TEMPORARILY_RESTRICTED",
            "SWAP_IMPACT_TOO_HIGH",
            "UNSUPPORTED_CHAIN",
            "UNSUPPORTED_CURRENCY",
            "UNSUPPORTED_ROUTE",
        ),
        Fault.NO_RESULT,
    ),
    **dict.fromkeys(
        (
            "INSUFFICIENT_FUNDS",
            "INVALID_ADDRESS",
            "INVALID_INPUT_CURRENCY",
            "INVALID_OUTPUT_CURRENCY",
            "INVALID_SLIPPAGE_TOLERANCE",
            "USER_RECIPIENT_MISMATCH",
        ),
        Fault.REFUSED,
    ),
    **dict.fromkeys(
        (
            "DESTINATION_TX_FAILED",
            "ERC20_ROUTER_ADDRESS_NOT_FOUND",
            "PERMIT_FAILED",
            "PRICE_FETCH_FAILED",
            "REQUEST_TIMED_OUT",
            "RPC_HTTP_ERROR",
            "SERVICE_UNAVAILABLE",
            "SWAP_QUOTE_FAILED",
            "UNKNOWN_ERROR",
        ),
        Fault.SERVER,
    ),
    "UNAUTHORIZED": Fault.AUTHENTICATION,
}


def ask(endpoint: Endpoint, probe: Probe) -> Quote:
    """Relay's own way for the probe; raises CallFailed, NO_RESULT where there is none."""
    source, target = probe.corridor.source, probe.corridor.target
    try:
        body = http.post_json(
            endpoint.url("/quote/v2"),
            {
                "user": WALLET,
                "originChainId": source.chain_id,
                "destinationChainId": target.chain_id,
                "originCurrency": source.address,
                "destinationCurrency": target.address,
                "amount": str(probe.amount),
                "tradeType": "EXACT_INPUT",
            },
            server=SERVER,
            timeout_s=endpoint.timeout_s,
            headers=endpoint.headers,
            max_bytes=LARGEST_ANSWER,
        )
    except Refusal as refusal:
        raise told_as(refusal, fault_of(refusal)) from None
    details = Reading(body, server=SERVER)["details"]
    return Quote(
        received=details["currencyOut"]["amount"].amount(),
        route_ms=route_ms(details["timeEstimate"]),
    )


def fault_of(refusal: Refusal) -> Fault:
    """The class of a refusal: by Relay's code, else by the status."""
    code = word(refusal, "errorCode")
    if isinstance(code, str) and code in MEANINGS and refusal.fault is not Fault.RATE_LIMITED:
        return MEANINGS[code]
    return refusal.fault
