"""1inch's quotes across chains, by its Fusion+ quoter:
https://portal.1inch.dev/documentation/apis/swap/fusion-plus."""

from apps.stats.bridges.quotes import LARGEST_ANSWER, WALLET, Quote, route_ms, told_as, word
from moonx.core.upstream import http
from moonx.core.upstream.corridors import Probe
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.faults import Fault
from moonx.core.upstream.http import Refusal
from moonx.core.upstream.reading import Reading

SERVER = "1inch"
# What it says of a request that is fine, but that nobody fills.
UNFILLED = ("cannot estimate", "insufficient liquidity", "insufficient amount", "no route")


def ask(endpoint: Endpoint, probe: Probe) -> Quote:
    """What resolvers bid for the probe; raises CallFailed, NO_RESULT where none does."""
    source, target = probe.corridor.source, probe.corridor.target
    try:
        body = http.get_json(
            endpoint.url("/fusion-plus/quoter/v1.0/quote/receive"),
            server=SERVER,
            timeout_s=endpoint.timeout_s,
            headers=endpoint.headers,
            max_bytes=LARGEST_ANSWER,
            params={
                "srcChain": source.chain_id,
                "dstChain": target.chain_id,
                "srcTokenAddress": source.address,
                "dstTokenAddress": target.address,
                "amount": str(probe.amount),
                "walletAddress": WALLET,
                "enableEstimate": "false",  # else it would look for the coins in the wallet
            },
        )
    except Refusal as refusal:
        raise told_as(refusal, fault_of(refusal)) from None
    answer = Reading(body, server=SERVER)
    preset = answer["presets"][answer["recommendedPreset"].text()]
    return Quote(
        received=answer["dstTokenAmount"].amount(),
        # It tells no time: the auction ends by then, and usually long before.
        route_ms=None if preset.is_missing else route_ms(preset["auctionDuration"]),
    )


def fault_of(refusal: Refusal) -> Fault:
    """The class of a refusal: its description where the status is 400, else by the status."""
    description = word(refusal, "description")
    if refusal.status == 400 and isinstance(description, str):
        is_unfilled = any(words in description.lower() for words in UNFILLED)
        return Fault.NO_RESULT if is_unfilled else refusal.fault
    return refusal.fault
