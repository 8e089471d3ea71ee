"""Chains of headers for tests."""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import accumulate

from moonx.core.chains.blocks import Header

START_S = 1_790_000_000


def block_hash(number: int, fork: str = "") -> bytes:
    return hashlib.blake2b(f"{fork}:{number}".encode(), digest_size=32).digest()


def header(number: int, time_s: int, *, fork: str = "", parent_fork: str | None = None) -> Header:
    """A block with 4 transactions whose gas is half used."""
    above = fork if parent_fork is None else parent_fork
    return Header(
        number=number,
        hash=block_hash(number, fork),
        parent_hash=block_hash(number - 1, above),
        time_s=time_s,
        gas_used=15_000_000,
        gas_limit=30_000_000,
        base_fee_wei=7,
        transaction_count=4,
    )


def at(times_s: Iterable[int], *, first: int = 1000) -> list[Header]:
    """Consecutive blocks at these seconds."""
    return [header(first + n, START_S + time_s) for n, time_s in enumerate(times_s)]


def steady(count: int, *, period_s: int = 2) -> list[Header]:
    """Blocks that come one after the other in whole seconds."""
    return at(range(0, count * period_s, period_s))


def after(gaps_s: Sequence[int]) -> list[Header]:
    """Blocks with these gaps between them."""
    return at(accumulate(gaps_s, initial=0))


def every_ms(count: int, period_ms: int) -> list[Header]:
    """Blocks of a chain that is faster than its headers' whole seconds."""
    return at(n * period_ms // 1000 for n in range(count))
