"""What a bridge answers to a request for a quote, and what a refusal of it means."""

from collections.abc import Callable
from dataclasses import dataclass

from moonx.core.upstream.corridors import Probe
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.faults import CallFailed, Fault
from moonx.core.upstream.http import Refusal
from moonx.core.upstream.reading import Reading

# Quotes are asked for somebody: the wallet of LI.FI's own examples. Nothing is ever sent.
WALLET = "0x552008c0f6870c2f77e5cC1d2eb9bdff03e30Ea0"
LARGEST_ANSWER = 2**20
LONGEST_ROUTE_S = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A way that a bridge offers: what arrives, in the coin's smallest unit, and how long the
    transfer takes; None where the bridge does not say."""

    received: int
    route_ms: int | None


Ask = Callable[[Endpoint, Probe], Quote]


def route_ms(seconds: Reading) -> int | None:
    """A duration in seconds, as bridges write it, in ms; None where it is missing.

    Raises CallFailed (MALFORMED) for what cannot be the duration of a transfer.
    """
    if seconds.is_missing:
        return None
    found = seconds.number()
    if found > LONGEST_ROUTE_S:
        raise CallFailed("A route would take longer than a week.", fault=Fault.MALFORMED)
    return int(found * 1000)


def told_as(refusal: Refusal, fault: Fault) -> CallFailed:
    """The refusal under the class that the bridge's own words give it."""
    if fault is refusal.fault:
        return refusal
    return CallFailed(str(refusal), fault=fault, retry_after_s=refusal.retry_after_s)


def word(refusal: Refusal, name: str) -> str | int | None:
    """The string or number of that name in the refusal's body; None where there is none."""
    body = refusal.json()
    value = body.get(name) if isinstance(body, dict) else None
    return value if isinstance(value, str | int) else None
