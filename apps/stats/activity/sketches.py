"""Sketches that count distinct addresses in 16 KiB, and merge over any number of days.

HyperLogLog with 2^14 registers over the hashes of `sets`: the first 14 bits name a register, which
keeps the longest run of zeros (and one) in the other 50. Estimated as in O. Ertl, "New cardinality
estimation algorithms for HyperLogLog sketches" (2017), section 4: without tables, right from none
to billions. The standard error is 1.04/√(2^14), 0.81 %.
"""

import math
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from apps.stats.activity.sets import Hashes

Sketch = NDArray[np.uint8]

PRECISION = 14
REGISTERS = 1 << PRECISION
BITS = 64 - PRECISION
ERROR = Decimal("0.008125")  # 1.04/√16384: one standard deviation, relative
SIGMAS = 4
# Among few addresses a handful of shared registers is no sign of anything.
FEW = 5


def of(hashes: Hashes) -> Sketch:
    """The sketch of a set of hashes."""
    registers = np.zeros(REGISTERS, dtype=np.uint8)
    places = (hashes >> np.uint64(BITS)).astype(np.int64)
    np.maximum.at(registers, places, _ranks(hashes))
    return registers


def merged(sketches: Sequence[Sketch]) -> Sketch:
    """The sketch of the union of the sets."""
    together = np.zeros(REGISTERS, dtype=np.uint8)
    for sketch in sketches:
        np.maximum(together, sketch, out=together)
    return together


def estimate(sketch: Sketch) -> int:
    """About how many distinct hashes the sketch has seen."""
    counts = np.bincount(sketch, minlength=BITS + 2)
    total = REGISTERS * _tau(1 - counts[BITS + 1] / REGISTERS)
    for rank in range(BITS, 0, -1):
        total = 0.5 * (total + counts[rank])
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    return round(REGISTERS * REGISTERS / (2 * math.log(2) * total)) if total < math.inf else 0


def disagree(*, exact: int, estimated: int) -> bool:
    """Whether the two lie further apart than chance explains: one of them is wrong."""
    return abs(exact - estimated) > max(Decimal(FEW), SIGMAS * ERROR * exact)


def to_bytes(sketch: Sketch) -> bytes:
    """The sketch as it is stored: a byte a register."""
    return sketch.tobytes()


def from_bytes(stored: bytes | memoryview) -> Sketch:
    """The sketch that `to_bytes` stored; raises ValueError for one of another size."""
    sketch = np.frombuffer(stored, dtype=np.uint8)
    if len(sketch) != REGISTERS:
        raise ValueError(f"a sketch has {REGISTERS} registers, not {len(sketch)}")
    return sketch


def _ranks(hashes: Hashes) -> NDArray[np.uint8]:
    """One more than the zeros that the last 50 bits of each hash begin with."""
    rest = hashes & np.uint64((1 << BITS) - 1)
    # Doubles hold 53 bits: the exponent of these 50 is exact, and 0 for a rest of zero.
    _, used_bits = np.frexp(rest.astype(np.float64))
    ranks: NDArray[np.uint8] = (BITS + 1 - used_bits).astype(np.uint8)
    return ranks


def _sigma(share: float) -> float:
    """x + Σ x^(2^k) 2^(k-1): what the registers that saw nothing stand for."""
    if share == 1:
        return math.inf
    total, weight = share, 1.0
    while True:
        share *= share
        before = total
        total += share * weight
        weight += weight
        if total == before:
            return total


def _tau(share: float) -> float:
    """(1 − x − Σ (1 − x^(2^-k))² 2^-k)/3: what the registers that are full stand for."""
    if share in (0.0, 1.0):
        return 0.0
    weight, total = 1.0, 1 - share
    while True:
        share = math.sqrt(share)
        before = total
        weight /= 2
        total -= (1 - share) ** 2 * weight
        if total == before:
            return total / 3
