"""Sets of addresses: sorted arrays of 64-bit hashes, whose union is counted exactly.

An address stands as the first 8 bytes of BLAKE2b of its 20 bytes, read as a little-endian number.
Its own bytes would not do: precompiles and ground addresses begin with zeros. No key is used: sets
of several installations stay comparable, and an auditor can make them anew. Whoever looks for two
addresses of one hash finds a pair with some 2^32 tries, and is counted once for both; to hide
behind an address of somebody else takes 2^64. By chance, n addresses have n²/2^65 pairs of one
hash: for a million of them 3 in 100 million.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

HASH = np.dtype("<u8")
ADDRESS_BYTES = 20
REMEMBERED = 1 << 16  # addresses: the busiest are in nearly each block

EMPTY: Hashes = np.empty(0, dtype=HASH)


@lru_cache(maxsize=REMEMBERED)
def hash_of(address: bytes) -> int:
    """The 64-bit hash of an address; raises ValueError unless it has 20 bytes."""
    if len(address) != ADDRESS_BYTES:
        raise ValueError(f"an address has {ADDRESS_BYTES} bytes, not {len(address)}")
    return int.from_bytes(blake2b(address, digest_size=8).digest(), "little")


def distinct(addresses: Iterable[bytes]) -> list[int]:
    """The hashes of the addresses, each once, in order."""
    return sorted({hash_of(address) for address in addresses})


def of_numbers(hashes: Sequence[int]) -> Hashes:
    """Hashes as an array, in the same order."""
    return np.array(hashes, dtype=HASH)


def union(parts: Sequence[Hashes]) -> Hashes:
    """All hashes of the parts, each once, in order; the parts need not be sorted."""
    together = _sorted(parts)
    return together[_firsts(together)]


def count(parts: Sequence[Hashes]) -> int:
    """How many distinct hashes the parts have together."""
    return int(np.count_nonzero(_firsts(_sorted(parts))))


def to_bytes(hashes: Hashes) -> bytes:
    """The array as it is stored: 8 bytes a hash, little-endian."""
    return hashes.astype(HASH, copy=False).tobytes()


def from_bytes(stored: bytes | memoryview) -> Hashes:
    """The array that `to_bytes` stored, read in place; raises ValueError for half a hash."""
    return np.frombuffer(stored, dtype=HASH)


def _sorted(parts: Sequence[Hashes]) -> Hashes:
    # Sorting everything anew takes half the time of merging sorted runs: it is done in vectors.
    together = np.concatenate([EMPTY, *parts])
    together.sort()
    return together


def _firsts(ordered: Hashes) -> NDArray[np.bool_]:
    """Where a hash differs from the one before it."""
    firsts = np.ones(len(ordered), dtype=np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=firsts[1:])
    return firsts
