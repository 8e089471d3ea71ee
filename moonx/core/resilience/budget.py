"""How much a provider may be asked: windows, smoothing, and what a 429 does to both. Pure.

All in integers, so that Python here and Lua in Valkey come to the same result.
"""

from dataclasses import dataclass

WINDOW_MS = 60_000
WHOLE = 1_000  # per mille of the budget
AFTER_REFUSAL = 700
RECOVERED = 100  # per mille of the whole budget
RECOVERS_EACH_MS = 30_000

USUAL_PAUSE_S = 5.0  # where a 429 does not say how long
LONGEST_PAUSE_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be asked of a provider by all workers together, in units of weight.

    `per_minute` counts over a sliding minute, `per_second` smooths; 0 is no limit of that kind.
    `burst` is what may come at once, by default what a second may carry.
    """

    per_minute: int = 0
    per_second: int = 0
    burst: int = 0

    def __post_init__(self) -> None:
        if min(self.per_minute, self.per_second, self.burst) < 0:
            raise ValueError(f"a budget cannot be negative: {self}")

    @property
    def interval_us(self) -> int:
        """The time that one unit takes; 0 without smoothing."""
        return -(-1_000_000 // self.per_second) if self.per_second else 0

    @property
    def at_once(self) -> int:
        """The units that may come at once."""
        return self.burst or self.per_second


def limit_now(limit: int, *, factor: int, is_cold: bool) -> int:
    """What is left of a limit: `factor` per mille, half of it while Valkey knows no past.

    At least 1, or nobody would ever find out that the provider takes calls again.
    """
    return max(1, limit * factor // WHOLE // (2 if is_cold else 1))


def factor_now(factor: int, *, since_ms: int) -> int:
    """The factor after it has recovered for so long."""
    return min(WHOLE, factor + RECOVERED * (max(0, since_ms) // RECOVERS_EACH_MS))


def factor_refused(factor: int) -> int:
    """The factor after a 429."""
    return max(1, factor * AFTER_REFUSAL // WHOLE)


def estimate(*, previous: int, current: int, elapsed_ms: int, window_ms: int = WINDOW_MS) -> int:
    """What the sliding window holds: the part of the last window that it still covers, and this."""
    return previous * (window_ms - elapsed_ms) // window_ms + current


def window_wait_ms(
    *,
    previous: int,
    current: int,
    elapsed_ms: int,
    limit: int,
    weight: int,
    window_ms: int = WINDOW_MS,
) -> int:
    """0 where a call of `weight` fits under `limit` now, else the first ms at which it will.

    Windows are aligned; `elapsed_ms` of the current one have passed. A call heavier than the whole
    limit is taken for one that needs all of it.
    """
    weight = min(weight, limit)
    if current + weight <= limit:
        return _until_room(previous, limit - current - weight, elapsed_ms, window_ms)
    # This window is full by itself: as the last one it fades during the next.
    rest_ms = window_ms - elapsed_ms
    return rest_ms + _until_room(current, limit - weight, 0, window_ms)


def _until_room(fading: int, room: int, elapsed_ms: int, window_ms: int) -> int:
    """When floor(fading × (W − e) / W) ≤ room: at the first e above W − (room + 1) × W / fading."""
    if fading <= room:
        return 0
    first = window_ms - -(-(room + 1) * window_ms // fading) + 1
    return max(0, first - elapsed_ms)


def smoothing_wait_us(
    *, tat_us: int, now_us: int, interval_us: int, burst: int, weight: int
) -> int:
    """0 where a call may go now by the generic cell rate algorithm, else the wait.

    `tat_us` is the theoretical arrival time so far; see `arrival_us` for the next. A call heavier
    than the burst is taken for one that needs all of it.
    """
    tat_us = arrival_us(
        tat_us=tat_us, now_us=now_us, interval_us=interval_us, burst=burst, weight=weight
    )
    return max(0, tat_us - now_us - burst * interval_us)


def arrival_us(*, tat_us: int, now_us: int, interval_us: int, burst: int, weight: int) -> int:
    """The theoretical arrival time once a call of `weight` went."""
    return max(now_us, tat_us) + min(weight, burst) * interval_us


def slowed_us(interval_us: int, *, factor: int) -> int:
    """The time that one unit takes at `factor` per mille of the rate."""
    return -(-interval_us * WHOLE // factor)


def pause_ms(retry_after_s: float) -> int:
    """How long all workers leave a provider alone after a 429, within bounds."""
    if not retry_after_s > 0:  # nothing, nonsense, or not a number
        return round(USUAL_PAUSE_S * 1000)
    return round(min(retry_after_s, LONGEST_PAUSE_S) * 1000)
