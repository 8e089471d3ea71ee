"""How long to wait before asking again, and how often that may be done at all. Pure."""

import math
from dataclasses import dataclass

RETRIES_PERMILLE = 100  # of the calls of the same provider and minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits that grow by `factor` from try to try; `tries` counts the first one too."""

    first_s: float = 5.0
    factor: float = 2.0
    longest_s: float = 300.0
    tries: int = 3


DEFAULT = Backoff()


def ceiling_s(policy: Backoff, *, failed: int) -> float:
    """The longest wait after so many failed tries (from 1)."""
    # The exponent is bounded, or a long row of failures would overflow before the minimum is taken.
    grown = policy.first_s * policy.factor ** min(failed - 1, 64)
    return min(policy.longest_s, grown)


def wait_s(policy: Backoff, *, failed: int, draw: float, retry_after_s: float = 0.0) -> float:
    """The wait after so many failed tries: the upper half of the ceiling, spread by `draw`.

    `draw` lies in [0, 1); what the server asked for is the least. (BullMQ's jitter of 0.5.)
    """
    ceiling = ceiling_s(policy, failed=failed)
    return max(retry_after_s, ceiling / 2 + draw * ceiling / 2)


def herd_wait_s(policy: Backoff, *, failed: int, draw: float) -> float:
    """The wait where many begin again at once: anything up to the ceiling, so that they spread."""
    return draw * ceiling_s(policy, failed=failed)


def allowed_retries(calls: int) -> int:
    """How many retries a minute with so many calls carries: a tenth, rounded up.

    So a provider that is rarely called can still be asked once more, but no retry storm feeds
    itself.
    """
    return math.ceil(calls * RETRIES_PERMILLE / 1000)
