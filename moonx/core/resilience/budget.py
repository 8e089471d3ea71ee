"""How much a provider may be asked: windows, smoothing, and what a 429 does to both. Pure.

The window is the sliding counter of two aligned minutes, the smoothing the generic cell rate
algorithm: tat, the theoretical arrival time, may run ahead of now by a burst. All in integers, so
that Python here and Lua in Valkey come to the same result.
"""

from dataclasses import dataclass

WINDOW_MS = 60_000
WHOLE = 1_000  # per mille of the budget
AFTER_REFUSAL = 700
RECOVERED = 100  # per mille of the whole budget
RECOVERS_EACH_MS = 30_000

NO_WAIT = (0, "")
USUAL_PAUSE_S = 5.0  # where a 429 does not say how long
LONGEST_PAUSE_S = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be asked of a provider, in units of weight; 0 is no limit of that kind.

    `per_minute` counts over a sliding minute. `interval_us` is the time that one unit takes, of
    which `burst` may come at once.
    """

    per_minute: int = 0
    interval_us: int = 0
    burst: int = 0

    def share(self, workers: int) -> "Budget":
        """What one of so many workers may ask who cannot agree on who asks when."""
        return Budget(
            per_minute=max(1, self.per_minute // workers) if self.per_minute else 0,
            interval_us=self.interval_us * workers,
            burst=max(1, self.burst // workers),
        )


def declared(*, per_minute: int = 0, per_second: int = 0, burst: int = 0) -> Budget:
    """The budget with these limits; at once may come `burst`, by default what a second carries.

    Raises ValueError where one is negative.
    """
    if min(per_minute, per_second, burst) < 0:
        raise ValueError("a budget cannot be negative")
    return Budget(
        per_minute=per_minute,
        interval_us=-(-1_000_000 // per_second) if per_second else 0,
        burst=burst or per_second,
    )


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


@dataclass(slots=True)
class Meter:
    """What was taken of a budget so far, by whoever keeps this meter."""

    window: int = -1
    current: int = 0
    previous: int = 0
    tat_us: int = 0

    def take(
        self, budget: Budget, *, weight: int, factor: int, is_cold: bool, now_us: int
    ) -> tuple[int, str]:
        """Takes `weight` from every limit of the budget, or from none.

        Returns the ms until it can be taken, 0 where it was, and which limit is short: `minute` or
        `second`.
        """
        window, elapsed_ms = divmod(now_us // 1000, WINDOW_MS)
        self._roll(window)
        limit = limit_now(budget.per_minute, factor=factor, is_cold=is_cold)
        counted = min(weight, limit) if budget.per_minute else 0
        wait_ms = (
            window_wait_ms(
                previous=self.previous,
                current=self.current,
                elapsed_ms=elapsed_ms,
                limit=limit,
                weight=counted,
            )
            if budget.per_minute
            else 0
        )
        interval_us = -(-budget.interval_us * WHOLE // factor)
        tat_us = max(now_us, self.tat_us) + min(weight, budget.burst) * interval_us
        smoothing_ms = -(-(tat_us - now_us - budget.burst * interval_us) // 1000)
        if budget.interval_us and smoothing_ms > wait_ms:
            return smoothing_ms, "second"
        if wait_ms:
            return wait_ms, "minute"
        self.current += counted
        self.tat_us = tat_us if budget.interval_us else 0
        return NO_WAIT

    def _roll(self, window: int) -> None:
        """Begins the window of now; a clock that was set back goes on with the one there is."""
        if window > self.window:
            self.previous = self.current if window == self.window + 1 else 0
            self.window, self.current = window, 0


def pause_ms(retry_after_s: float) -> int:
    """How long all workers leave a provider alone after a 429, within bounds."""
    if not retry_after_s > 0:  # nothing, nonsense, or not a number
        return round(USUAL_PAUSE_S * 1000)
    return round(min(retry_after_s, LONGEST_PAUSE_S) * 1000)
