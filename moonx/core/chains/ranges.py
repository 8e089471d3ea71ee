"""Logs of a range of blocks, asked in pieces as large as the node answers."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from moonx.core.chains import blocks
from moonx.core.chains.blocks import Log
from moonx.core.chains.rpc import Rpc, RpcFailed
from moonx.core.resilience import CallClass
from moonx.core.upstream.faults import CallFailed, Fault

FIRST_SPAN = 1_000  # blocks
LARGEST_SPAN = 10_000
CLEAN_IN_A_ROW = 5
# "Try with this block range [0x1, 0x2]", as Alchemy and Infura say.
SUGGESTED = re.compile(r"\[\s*0x([0-9a-f]{1,15})\s*,\s*0x([0-9a-f]{1,15})\s*\]", re.IGNORECASE)

Topics = Sequence[Collection[bytes] | None]


class LogReader:
    """How large a range a chain's nodes answer, as learnt: halved where they refuse, grown by half
    after five that they did not."""

    def __init__(self) -> None:
        self.span = FIRST_SPAN
        self._clean = 0

    def read(
        self, rpc: Rpc, *, first: int, last: int, addresses: Collection[bytes], topics: Topics
    ) -> list[Log]:
        """All logs from block `first` to `last`, in order; raises CallFailed."""
        found: list[Log] = []
        start = first
        while start <= last:
            end = min(last, start + self.span - 1)
            try:
                found += _ask(rpc, start, end, sorted(addresses), topics)
            except CallFailed as failed:
                if not _is_too_much(failed):
                    raise
                self.span, self._clean = self._less(failed, start, end), 0
                if start < end:
                    continue
                found += self._single_block(rpc, start, sorted(addresses), topics, failed)
            start = end + 1
            self._grow()
        return sorted(found, key=lambda log: (log.block_number, log.index))

    def _less(self, failed: CallFailed, start: int, end: int) -> int:
        """The next span: what the node suggests, where it makes sense, else half."""
        half = max(1, (end - start + 1) // 2)
        suggested = SUGGESTED.search(str(failed))
        if suggested:
            low, high = int(suggested[1], 16), int(suggested[2], 16)
            if low == start and start <= high < end:
                return high - low + 1
        return half

    def _single_block(
        self,
        rpc: Rpc,
        number: int,
        addresses: Sequence[bytes],
        topics: Topics,
        failed: CallFailed,
    ) -> Iterator[Log]:
        """One block that is too much: by halves of the addresses, then of the first topics."""
        for part, words in _halves(addresses, topics, failed):
            try:
                yield from _ask(rpc, number, number, part, words)
            except CallFailed as again:
                if not _is_too_much(again):
                    raise
                yield from self._single_block(rpc, number, part, words, again)

    def _grow(self) -> None:
        self._clean += 1
        if self._clean >= CLEAN_IN_A_ROW:
            self.span, self._clean = min(LARGEST_SPAN, self.span * 3 // 2 + 1), 0


def _ask(rpc: Rpc, start: int, end: int, addresses: Sequence[bytes], topics: Topics) -> list[Log]:
    # REI's node takes address and topics as lists only.
    query: dict[str, Any] = {"fromBlock": hex(start), "toBlock": hex(end)}
    if addresses:
        query["address"] = [f"0x{each.hex()}" for each in addresses]
    if topics:
        query["topics"] = [
            None if words is None else [f"0x{word.hex()}" for word in sorted(words)]
            for words in topics
        ]
    found = list(rpc.read(rpc.one("eth_getLogs", query, kind=CallClass.LOGS), blocks.logs))
    wanted = set(addresses)
    if any(
        not start <= log.block_number <= end or (wanted and log.address not in wanted)
        for log in found
    ):
        raise CallFailed(
            f"{rpc.provider.name} answers with logs that it was not asked for.",
            fault=Fault.MALFORMED,
        )
    return found


def _is_too_much(failed: CallFailed) -> bool:
    if isinstance(failed, RpcFailed):
        return failed.is_too_much
    return failed.fault in {Fault.TOO_LARGE, Fault.TIMEOUT}


def _halves(
    addresses: Sequence[bytes], topics: Topics, failed: CallFailed
) -> Iterator[tuple[Sequence[bytes], Topics]]:
    if len(addresses) > 1:
        middle = len(addresses) // 2
        yield from ((part, topics) for part in (addresses[:middle], addresses[middle:]))
        return
    first = sorted(topics[0] or ()) if topics else []
    if len(first) < 2:
        raise failed
    middle = len(first) // 2
    yield from ((addresses, [part, *topics[1:]]) for part in (first[:middle], first[middle:]))
