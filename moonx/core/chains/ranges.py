"""Logs of a range of blocks, asked in pieces as large as the node answers."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from moonx.core.chains import blocks
from moonx.core.chains.batching import LogSpan
from moonx.core.chains.blocks import Log
from moonx.core.chains.rpc import Call, Rpc, RpcFailed
from moonx.core.resilience import CallClass
from moonx.core.upstream.faults import CallFailed, Fault

Topics = Sequence[Collection[bytes] | None]


def read(
    rpc: Rpc, *, first: int, last: int, addresses: Collection[bytes], topics: Topics
) -> list[Log]:
    """All logs from block `first` to `last`, in order; raises CallFailed.

    A range that is more than the provider answers is halved, or cut as it suggests. A node that is
    too slow is given half once: the next provider is likely the shorter way then.
    """
    found: list[Log] = []
    start, was_slow = first, False
    while start <= last:
        end = min(last, start + rpc.log_span.blocks - 1)
        try:
            found += _ask(rpc, start, end, sorted(addresses), topics)
        except CallFailed as failed:
            is_slow = failed.fault is Fault.TIMEOUT
            if not is_slow and not _is_too_much(failed):
                raise
            rpc.log_span = LogSpan(_less(failed, start, end))
            if is_slow and (was_slow or start == end):
                raise
            was_slow = was_slow or is_slow
            if start < end:
                continue
            found += _single_block(rpc, start, sorted(addresses), topics, failed)
        start = end + 1
        rpc.log_span = rpc.log_span.after()
    return sorted(found, key=lambda log: (log.block_number, log.index))


def _less(failed: CallFailed, start: int, end: int) -> int:
    """The next span: what the node suggests, where it makes sense, else half."""
    if isinstance(failed, RpcFailed) and failed.suggested is not None:
        low, high = failed.suggested
        if low == start and start <= high < end:
            return high - low + 1
    return max(1, (end - start + 1) // 2)


def _single_block(
    rpc: Rpc, number: int, addresses: Sequence[bytes], topics: Topics, failed: CallFailed
) -> Iterator[Log]:
    """One block that is too much: by halves of the addresses, then of the first topics."""
    for part, words in _halves(addresses, topics, failed):
        try:
            yield from _ask(rpc, number, number, part, words)
        except CallFailed as again:
            if not _is_too_much(again):
                raise
            yield from _single_block(rpc, number, part, words, again)


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
    wanted = set(addresses)

    def judge(_: Call, answer: Any) -> list[Log]:
        found = list(rpc.read(answer, blocks.logs))
        if any(
            not start <= log.block_number <= end or (wanted and log.address not in wanted)
            for log in found
        ):
            raise CallFailed(
                f"{rpc.provider.name} answers with logs that it was not asked for.",
                fault=Fault.MALFORMED,
            )
        return found

    logs: list[Log] = rpc.one("eth_getLogs", query, kind=CallClass.LOGS, judge=judge)
    return logs


def _is_too_much(failed: CallFailed) -> bool:
    if isinstance(failed, RpcFailed):
        return failed.is_too_much
    return failed.fault is Fault.TOO_LARGE


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
