"""What is asked of a chain; the kernel's reader answers it, and so does a chain made up by a test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """temporary"""

    number: int
    hash: bytes
    parent_hash: bytes
    time_s: int
    gas_used: int
    gas_limit: int
    base_fee_wei: int | None
    transaction_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """temporary"""

    header: Header
    senders: tuple[bytes, ...]
    recipients: tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The newest block that the providers agree on, and the newest that is final."""

    number: int
    hash: bytes
    time_s: int
    final: int


class Source(Protocol):
    """Blocks of one chain. Each call raises CallFailed where it brings nothing."""

    def tip(self) -> Tip:
        """The head by consensus."""
        ...

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        """The headers of these blocks, in order."""
        ...

    def traffic(self, numbers: Sequence[int]) -> list[Traffic]:
        """Who sent to whom in these blocks, in order."""
        ...
