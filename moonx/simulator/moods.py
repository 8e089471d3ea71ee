"""How a simulated service behaves: how slow it is and how often it fails; pure, by a seed."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

SLOWEST_MS = 60_000
LARGEST = 10**9  # number that is looked at at all
SWAY = 0.25  # of the latency, over half an hour
SWAY_S = 1800
SPREAD = 0.3  # of the logarithm of one latency, so that the tail is long to one side


class Whim(StrEnum):
    """What becomes of one call."""

    FAIR = "fair"
    RATE_LIMITED = "rateLimited"
    FAILED = "failed"
    HTML = "html"  # with status 200
    HALF = "half"  # of the body that was announced


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The usual latency and the shares of calls that fail in each way, 0 to 1."""

    latency_ms: int
    rate_limited_share: float = 0.0
    error_share: float = 0.0
    html_share: float = 0.0
    half_share: float = 0.0

    def __post_init__(self) -> None:
        shares = [getattr(self, name) for name in SHARES]
        if not 0 <= self.latency_ms <= SLOWEST_MS:
            raise ValueError(f"latencyMs must be 0 to {SLOWEST_MS}, not {self.latency_ms}")
        if min(shares) < 0 or sum(shares) > 1:
            raise ValueError("shares must be 0 or more, and 1 or less together")


SHARES = {
    "rate_limited_share": Whim.RATE_LIMITED,
    "error_share": Whim.FAILED,
    "html_share": Whim.HTML,
    "half_share": Whim.HALF,
}
SPELLED = {
    "latency_ms": "latencyMs",
    "rate_limited_share": "rateLimitedShare",
    "error_share": "errorShare",
    "html_share": "htmlShare",
    "half_share": "halfShare",
}


def chance(*parts: object) -> float:
    """A number from 0 to 1, the same for the same parts, evenly spread over different ones."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def whim(mood: Mood, *, seed: int, service: str, count: int) -> Whim:
    """What becomes of the service's call of that number."""
    roll = chance(seed, service, "whim", count)
    for name, found in SHARES.items():
        roll -= getattr(mood, name)
        if roll < 0:
            return found
    return Whim.FAIR


def latency_s(mood: Mood, *, seed: int, service: str, count: int, now_s: float) -> float:
    """How long the service's call of that number takes: about as usual, seldom much longer."""
    first, second = (chance(seed, service, name, count) for name in ("one", "two"))
    # Box and Muller's way from two even numbers to one of the normal distribution.
    normal = math.sqrt(-2 * math.log(1 - first)) * math.cos(2 * math.pi * second)
    sway = 1 + SWAY * math.sin(2 * math.pi * now_s / SWAY_S)
    return min(mood.latency_ms * sway * math.exp(SPREAD * normal), SLOWEST_MS) / 1000


def changed(mood: Mood, wanted: Mapping[str, Any]) -> Mood:
    """The mood with what `wanted` says, in the wire's words; ValueError for what cannot be."""
    known = {spelled: name for name, spelled in SPELLED.items()}
    if unknown := wanted.keys() - known.keys():
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    for name, value in wanted.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # Compared so that what is not a number fails it too.
        if not (is_number and abs(value) <= LARGEST):
            raise ValueError(f"{name} must be a number")
    return replace(mood, **{known[name]: value for name, value in wanted.items()})


def described(mood: Mood) -> dict[str, Any]:
    """The mood in the wire's words."""
    return {SPELLED[field.name]: getattr(mood, field.name) for field in fields(mood)}
