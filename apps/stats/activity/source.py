"""What is asked of a chain: the kernel's reader answers it, and so does a chain of a test."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from moonx.core.chains.blocks import Header, Traffic
from moonx.core.chains.heads import ProviderHead
from moonx.core.chains.reader import Reader
from moonx.core.upstream.faults import CallFailed, Fault


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


class Providers:
    """A chain as its providers tell it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.headers = reader.headers
        self.traffic = reader.traffic

    def tip(self) -> Tip:
        """The head of the largest group of providers that agree.

        Raises CallFailed where none answers, and where as many tell one chain as another: nobody
        can say which of them is the chain.
        """
        heads = self._reader.heads()
        agreed = self._reader.agree(heads, before=None, now_ms=time.monotonic_ns() // 10**6)
        if agreed.is_split:
            raise CallFailed("half of the providers are on another fork", fault=Fault.MALFORMED)
        for head in heads:
            found = agreed.tip
            if found and (head.number, head.hash) == (found.number, found.hash):
                return self._tip(head, final=agreed.finalized)
        raise _silence(heads)

    def _tip(self, head: ProviderHead, *, final: int | None) -> Tip:
        if head.number is None or head.hash is None or head.time_s is None:
            raise _silence([head])
        chain = self._reader.chain
        reckoned = max(0, head.number - chain.finality_depth)
        return Tip(
            number=head.number,
            hash=head.hash,
            time_s=head.time_s,
            final=reckoned if final is None else final,
        )


def _silence(heads: Sequence[ProviderHead]) -> CallFailed:
    """Why no provider told a head."""
    faults = [head.fault for head in heads if head.fault is not None]
    told = ", ".join(f"{head.provider}: {head.fault}" for head in heads if head.fault is not None)
    return CallFailed(
        f"no provider tells its head ({told or 'there is none'})",
        fault=faults[0] if faults else Fault.HELD_BACK,
    )
