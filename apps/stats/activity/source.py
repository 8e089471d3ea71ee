"""What is asked of a chain: the kernel's reader answers it, and so does a chain of a test."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

from moonx.core.chains import heads
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Last:
    """The tip of the last run, and how the providers had agreed on it."""

    agreed: heads.Tip
    tip: Tip


# What a run compares with: readers stay as long as the process, runs do not.
_last: WeakKeyDictionary[Reader, _Last] = WeakKeyDictionary()


class Providers:
    """A chain as its providers tell it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.headers = reader.headers
        self.traffic = reader.traffic

    def tip(self) -> Tip:
        """The head of the largest group of providers that agree.

        It does not go back because another provider answered, nor ahead of what the chain can have
        made since the last one. Raises CallFailed where none answers, and where as many tell one
        chain as another: nobody can say which of them is the chain.
        """
        told = self._reader.heads()
        last = _last.get(self._reader)
        agreed = self._reader.agree(
            told, before=last.agreed if last else None, now_ms=time.monotonic_ns() // 10**6
        )
        if agreed.is_split:
            raise CallFailed("half of the providers are on another fork", fault=Fault.MALFORMED)
        found = agreed.tip
        if found is None or all(head.number is None for head in told):
            raise _silence(told)
        for head in told:
            if (head.number, head.hash) == (found.number, found.hash):
                tip = self._tip(head, final=agreed.finalized)
                _last[self._reader] = _Last(agreed=found, tip=tip)
                return tip
        if last is None:
            raise _silence(told)
        return last.tip  # all of them are behind it for the moment

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


def _silence(told_by: Sequence[ProviderHead]) -> CallFailed:
    """Why no provider told a head."""
    faults = [head.fault for head in told_by if head.fault is not None]
    told = ", ".join(f"{head.provider}: {head.fault}" for head in told_by if head.fault is not None)
    return CallFailed(
        f"no provider tells its head ({told or 'there is none'})",
        fault=faults[0] if faults else Fault.HELD_BACK,
    )
