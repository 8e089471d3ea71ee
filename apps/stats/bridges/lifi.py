"""LI.FI's quotes: GET /quote, https://docs.li.fi/api-reference/get-a-quote-for-a-token-transfer."""

from apps.stats.bridges.quotes import LARGEST_ANSWER, WALLET, Quote, route_ms, told_as, word
from moonx.core.upstream import http
from moonx.core.upstream.corridors import Probe
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.faults import Fault
from moonx.core.upstream.http import Refusal
from moonx.core.upstream.reading import Reading

SERVER = "LI.FI"
# Its own codes, which say more than the HTTP status.
MEANINGS = {
    1001: Fault.SERVER,  # failed to build the transaction
    1002: Fault.NO_RESULT,  # no quote
    1003: Fault.NO_RESULT,  # not found
    1004: Fault.NO_RESULT,  # not processable
    1005: Fault.RATE_LIMITED,
    1006: Fault.SERVER,
    1007: Fault.NO_RESULT,  # slippage
    1008: Fault.SERVER,  # a third party
    1009: Fault.SERVER,  # a third party's time
    1010: Fault.AUTHENTICATION,
    1011: Fault.REFUSED,
    1012: Fault.SERVER,  # an RPC node
    1013: Fault.SERVER,  # its own answer
}


def ask(endpoint: Endpoint, probe: Probe) -> Quote:
    """The best way for the probe; raises CallFailed, NO_RESULT where there is none."""
    source, target = probe.corridor.source, probe.corridor.target
    try:
        body = http.get_json(
            endpoint.url("/quote"),
            server=SERVER,
            timeout_s=endpoint.timeout_s,
            headers=endpoint.headers,
            max_bytes=LARGEST_ANSWER,
            params={
                "fromChain": source.chain_id,
                "toChain": target.chain_id,
                "fromToken": source.address,
                "toToken": target.address,
                "fromAddress": WALLET,
                "fromAmount": str(probe.amount),
                "skipSimulation": "true",  # the wallet has nothing that could be sent
            },
        )
    except Refusal as refusal:
        raise told_as(refusal, fault_of(refusal)) from None
    estimate = Reading(body, server=SERVER)["estimate"]
    return Quote(
        received=estimate["toAmount"].amount(),
        # Required by its schema, and missing in its own example.
        route_ms=route_ms(estimate["executionDuration"]),
    )


def fault_of(refusal: Refusal) -> Fault:
    """The class of a refusal: by LI.FI's code, else 404 for no quote, else by the status."""
    code = word(refusal, "code")
    if isinstance(code, int) and code in MEANINGS and refusal.fault is not Fault.RATE_LIMITED:
        return MEANINGS[code]
    return Fault.NO_RESULT if refusal.status == 404 else refusal.fault
