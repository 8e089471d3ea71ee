"""Which block was the first at or after a time: found with few calls, many headers in each."""

from apps.stats.activity.source import Source

SPREAD = 16  # headers a call


def first_since(source: Source, time_s: int, *, high: int) -> int:
    """The number of the first block whose time is `time_s` or later.

    The block `high` must be one of them. Raises CallFailed.
    """
    low, high = _bracket(source, time_s, high)
    while high - low > 1:
        step = max(1, (high - low) // SPREAD)
        probes = list(range(low + step, high, step))[:SPREAD]
        for header in source.headers(probes):
            if header.time_s >= time_s:
                high = header.number
                break
            low = header.number
    return high


def _bracket(source: Source, time_s: int, high: int) -> tuple[int, int]:
    """A block before the time, -1 where there is none, and one that is not before it."""
    reach = 1
    while high > 0:
        probes = [high - (reach << n) for n in range(SPREAD // 2)]
        headers = source.headers([number for number in probes if number > 0] or [0])
        for header in headers:
            if header.time_s < time_s:
                return header.number, high
            high = header.number
        reach <<= SPREAD // 2
    return -1, high
