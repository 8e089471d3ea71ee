"""What a chain's headers tell of its pace, as functions of values.

Percentiles are nearest-rank over raw values: the value of rank ceil(share × n). They are never
averaged; what is folded over hours is counted in buckets of 1 %.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from itertools import accumulate, pairwise

from moonx.core.chains.blocks import Header

BLOCKS = 300  # block times that figures are made of
FEWEST = 30  # fewer say nothing
# A pause of the chain this long, in which we did not watch either, is a stop of both.
STOP_S = 60
GROWTH = Decimal("1.02")  # of bucket to bucket: a bucket's middle is within 1 % of its values
LOG_GROWTH = math.log(1.02)

Times = Mapping[int, int]  # bucket → block times in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Of `n` values, in their unit; None where there are too few of them."""

    p50: int | None
    p95: int | None
    p99: int | None
    n: int

    def wire(self) -> dict[str, int | None]:
        """As the wire carries it."""
        return {"p50": self.p50, "p95": self.p95, "p99": self.p99, "n": self.n}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A span in which nobody looked at the chain, in seconds since 1970."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What a window of headers tells. None is unknown, never zero."""

    block_time_ms: Percentiles
    tps: Decimal | None
    gas_used_ratio: Decimal | None
    base_fee_wei: int | None


def pace(headers: Sequence[Header]) -> Pace:
    """The figures of consecutive headers in ascending order, over the last 300 blocks."""
    window = headers[-BLOCKS - 1 :]
    return Pace(
        block_time_ms=percentiles(block_times_ms(window)),
        tps=tps(window),
        gas_used_ratio=gas_used_ratio(window),
        base_fee_wei=window[-1].base_fee_wei if window else None,
    )


def block_times_ms(headers: Sequence[Header], *, is_whole: bool = False) -> list[int]:
    """Each block's time after the one before it, of consecutive headers in ascending order.

    Headers tell whole seconds. Where blocks share one, the gap is accumulated until the second
    moves and each block of it gets an equal part. A second that lies before one already seen is
    rejected. The last second is not over and never counts; the first one neither where blocks
    share seconds, unless it `is_whole`: its first block is there.
    """
    moves = list(_moves(headers))
    shares_seconds = any(gap > 1 for _, gap in moves) or len(moves) + 1 < len(headers)
    counted = moves if is_whole or not shares_seconds else moves[1:]
    return [_rounded(delta_s * 1000, gap) for delta_s, gap in counted for _ in range(gap)]


def _moves(headers: Sequence[Header]) -> Iterable[tuple[int, int]]:
    """By how many seconds time moved at once, and over how many blocks."""
    if not headers:
        return
    anchor = headers[0]
    for header in headers[1:]:
        if header.time_s > anchor.time_s:
            yield header.time_s - anchor.time_s, header.number - anchor.number
            anchor = header


def _rounded(amount: int, parts: int) -> int:
    return (2 * amount + parts) // (2 * parts)


def percentiles(values: Iterable[int], *, fewest: int = FEWEST) -> Percentiles:
    """Nearest-rank percentiles; None where there are fewer than `fewest` values."""
    ranked = sorted(values)
    count = len(ranked)
    if count < max(1, fewest):
        return Percentiles(p50=None, p95=None, p99=None, n=count)
    p50, p95, p99 = (ranked[_rank(percent, count) - 1] for percent in (50, 95, 99))
    return Percentiles(p50=p50, p95=p95, p99=p99, n=count)


def _rank(percent: int, count: int) -> int:
    return -(-percent * count // 100)


def tps(headers: Sequence[Header]) -> Decimal | None:
    """Transactions per second between the first and the last header; None where no time passed."""
    if len(headers) < 2:
        return None
    elapsed_s = headers[-1].time_s - headers[0].time_s
    return rate(sum(one.transaction_count for one in headers[1:]), elapsed_ms=elapsed_s * 1000)


def rate(count: int, *, elapsed_ms: int) -> Decimal | None:
    """Per second, to two places; None where no time passed."""
    return ratio(count * 1000, elapsed_ms, places=2)


def gas_used_ratio(headers: Sequence[Header]) -> Decimal | None:
    """The share of the gas limit that was used, to four places; None without blocks."""
    return ratio(sum(one.gas_used for one in headers), sum(one.gas_limit for one in headers))


def ratio(part: int, whole: int, *, places: int = 4) -> Decimal | None:
    """part / whole, half up; None where there is no whole."""
    if whole <= 0:
        return None
    return (Decimal(part) / whole).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def watched(headers: Sequence[Header], hole: Hole | None) -> Sequence[Header]:
    """The headers after a stop: a pause of the chain, most of which lies in a hole of our watching.

    The local node stops and starts with us, and the night in between is no block time of it. Where
    there was no such pause, all of them.
    """
    if hole is None:
        return headers
    start = 0
    for index, (before, after) in enumerate(pairwise(headers)):
        pause_s = after.time_s - before.time_s
        shared_s = min(after.time_s, hole.end_s) - max(before.time_s, hole.start_s)
        if pause_s >= STOP_S and 2 * shared_s >= pause_s:
            start = index + 1
    return headers[start:]


def fresh_times_ms(known: Sequence[Header], fresh: Sequence[Header]) -> list[int]:
    """The block times that became known with the `fresh` headers, which follow the `known` ones.

    Each block time is in exactly one such list, however the chain is cut into them.
    """
    if not known:
        return block_times_ms(fresh)
    start = len(known) - 1
    while start and known[start - 1].time_s == known[-1].time_s:
        start -= 1
    return block_times_ms([*known[start:], *fresh], is_whole=start > 0)


def counted(times_ms: Iterable[int]) -> dict[int, int]:
    """Block times by bucket: bucket b holds what lies around 1.02^b ms."""
    return dict(Counter(round(math.log(max(1, one)) / LOG_GROWTH) for one in times_ms))


def merged(many: Iterable[Times]) -> dict[int, int]:
    """The buckets of all together."""
    total: Counter[int] = Counter()
    for one in many:
        total.update(one)
    return dict(total)


def percentiles_of(times: Times, *, fewest: int = FEWEST) -> Percentiles:
    """As `percentiles`, of counted block times: within 1 % of them."""
    count = sum(times.values())
    if count < max(1, fewest):
        return Percentiles(p50=None, p95=None, p99=None, n=count)
    p50, p95, p99 = (_ranked(times, _rank(percent, count)) for percent in (50, 95, 99))
    return Percentiles(p50=p50, p95=p95, p99=p99, n=count)


def _ranked(times: Times, rank: int) -> int:
    """The middle of the bucket that holds the value of that rank."""
    buckets = sorted(times)
    below = accumulate(times[bucket] for bucket in buckets)
    return next(
        round(GROWTH**bucket) for bucket, seen in zip(buckets, below, strict=True) if seen >= rank
    )


def age_ms(moment_s: int, *, now: datetime) -> int:
    """How long ago a block's second was; 0 for one that lies ahead of us, see `ahead_ms`."""
    return max(0, -ahead_ms(moment_s, now=now))


def ahead_ms(moment_s: int, *, now: datetime) -> int:
    """How far a block's second lies ahead of our clock; negative for one that is past."""
    return moment_s * 1000 - round(now.timestamp() * 1000)
