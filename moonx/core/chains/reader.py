"""Reading a chain: heads of all providers, headers, who sent to whom, receipts, logs."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from itertools import chain as chained
from typing import Any, TypeVar

from moonx.core import abreast, logs
from moonx.core.chains import blocks, heads, providers, ranges, skimming
from moonx.core.chains.blocks import Header, Log, Receipt, Traffic
from moonx.core.chains.heads import Agreement, ProviderHead, Tip
from moonx.core.chains.models import Chain
from moonx.core.chains.pool import LOOK, Patience, Pool
from moonx.core.chains.providers import Provider
from moonx.core.chains.replies import ErrorReply
from moonx.core.chains.rpc import Call, Rpc, RpcFailed
from moonx.core.resilience import CallClass
from moonx.core.upstream.faults import CallFailed, Fault

log = logs.get("moonx.chains")

SLICE = 100  # blocks read from one provider; the next slice may come from another
IN_FLIGHT = 3  # slices of a long range: while one is read, the node makes the next

T = TypeVar("T")
_readers: dict[tuple[str, int, tuple[Provider, ...]], "Reader"] = {}


class Reader:
    """A chain, read from whichever of its providers can; shared by the threads of a process."""

    def __init__(
        self, chain: Chain, served_by: Sequence[Provider], *, patience: Patience = LOOK
    ) -> None:
        self.chain = chain
        self._pool = Pool(served_by, chain_id=chain.chain_id, patience=patience)
        self._tip: Tip | None = None

    @classmethod
    def of(cls, chain: Chain) -> "Reader":
        """The chain's reader in this process: it keeps what it learnt of the providers."""
        served_by = providers.of_chain(chain.slug)
        key = (chain.slug, chain.chain_id, served_by)
        found = _readers.get(key)
        if found is None:
            found = _readers[key] = cls(chain, served_by)
        found.chain = chain
        return found

    def patient(self) -> "Reader":
        """The same chain for who has time: a read that failed everywhere is tried again as often
        as the providers' policies say, for two minutes."""
        found = copy(self)
        found._pool = self._pool.patient()
        return found

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Who is asked, by public names, in the order of the settings."""
        return tuple(rpc.provider.name for rpc in self._pool.rpcs)

    def check(self) -> dict[str, CallFailed | None]:
        """Whether each provider answers with the chain's id: None, or why not. Asked now, side by
        side; raises nothing."""
        found = self._pool.ask_all(_identity_fault)
        return dict(zip(self.provider_names, found, strict=True))

    def heads(self) -> list[ProviderHead]:
        """Every provider's newest block, asked side by side; a fault in the place of an answer.

        Raises nothing. Who lags or is on another fork is asked last from then on.
        """
        before = self._tip
        anchor = before.anchor if before is not None else None
        found = self._pool.ask_all(lambda rpc: self._head(rpc, anchor=anchor))
        if all(head.number is None for head in found):
            found = self._with_insistence(found, anchor=anchor)
        if before is None and len(found) > 1:
            found = self._with_anchors(found)
        agreed = self.agree(found, before=before, now_ms=time.monotonic_ns() // 10**6)
        self._tip = agreed.tip
        if agreed.agreed:
            self._pool.prefer(agreed.agreed)
        return found

    def agree(self, found: Sequence[ProviderHead], *, before: Tip | None, now_ms: int) -> Agreement:
        """What these heads come to, by this chain's block time."""
        return heads.agree(
            found, block_time_ms=self.chain.block_time_ms, before=before, now_ms=now_ms
        )

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        """The headers of these blocks, in this order.

        Raises CallFailed, NO_RESULT where no provider has one of them (yet).
        """
        return self._sliced(numbers, self._read_headers)

    def traffic(self, numbers: Sequence[int]) -> list[Traffic]:
        """Who sent to whom in these blocks, in this order; errors as `headers`."""
        return self._sliced(numbers, self._read_traffic)

    def receipts(self, number: int) -> tuple[Receipt, ...]:
        """What became of a block's transactions, in their order; errors as `headers`."""
        return self._pool.ask(lambda rpc: self._read_receipts(rpc, number))

    def logs(
        self,
        *,
        first: int,
        last: int,
        addresses: Collection[bytes],
        topics: Sequence[Collection[bytes] | None] = (),
    ) -> list[Log]:
        """What these contracts said from block `first` to `last`, in order; any contract where
        `addresses` is empty. Asked in ranges that the node can answer. Errors as `headers`."""
        return self._pool.ask(
            lambda rpc: ranges.read(
                rpc, first=first, last=last, addresses=addresses, topics=topics
            ),
            kind=CallClass.LOGS,
        )

    def _head(self, rpc: Rpc, *, anchor: int | None) -> ProviderHead:
        begun_s = time.monotonic()
        calls = [Call("eth_chainId"), _block("latest")]
        calls += [_block("finalized")] if self.chain.has_finalized_tag else []
        calls += [_block(hex(anchor))] if anchor is not None else []

        def read(answers: list[Any]) -> ProviderHead:
            latency_ms = _since_ms(begun_s)
            rpc.note_chain(answers[0])
            return self._head_in(rpc, answers, is_anchored=anchor is not None, took_ms=latency_ms)

        try:
            return rpc.at_once(calls, read)
        except CallFailed as failed:
            log.info("provider does not tell its head", provider=rpc.provider.name, why=str(failed))
            return _silent(rpc, fault=failed.fault, latency_ms=_since_ms(begun_s))

    def _head_in(
        self, rpc: Rpc, answers: Sequence[Any], *, is_anchored: bool, took_ms: int
    ) -> ProviderHead:
        newest = rpc.read(rpc.checked(answers[1]), blocks.header)
        final = self._final(rpc, answers[2]) if self.chain.has_finalized_tag else None
        depth = newest.number - self.chain.finality_depth
        return ProviderHead(
            provider=rpc.provider.name,
            number=newest.number,
            hash=newest.hash,
            time_s=newest.time_s,
            finalized=final.number if final is not None else max(0, depth),
            finalized_time_s=final.time_s if final is not None else None,
            latency_ms=took_ms,
            fault=None,
            parent_hash=newest.parent_hash,
            anchor_hash=self._hash_or_none(rpc, answers[-1]) if is_anchored else None,
        )

    def _with_insistence(
        self, found: Sequence[ProviderHead], *, anchor: int | None
    ) -> list[ProviderHead]:
        """The heads once more where open circuits kept all of them from being asked for: a provider
        that is back is seen at once, not when its circuit closes."""
        spared = self._pool.insistent()
        told = abreast.each(lambda rpc: self._head(rpc, anchor=anchor), spared, most=len(spared))
        by_name = {head.provider: head for head in told}
        return [
            by_name.get(head.provider, head) if head.fault is Fault.HELD_BACK else head
            for head in found
        ]

    def _final(self, rpc: Rpc, answer: Any) -> Header | None:
        """The finalized block; None where the node knows none, which is reckoned by depth then."""
        if answer is None or isinstance(answer, ErrorReply):
            return None
        return rpc.read(answer, blocks.header)

    def _hash_or_none(self, rpc: Rpc, answer: Any) -> bytes | None:
        if answer is None or isinstance(answer, ErrorReply):
            return None
        return rpc.read(answer, blocks.header).hash

    def _with_anchors(self, found: Sequence[ProviderHead]) -> list[ProviderHead]:
        """The heads with everyone's block below the lowest of them, for the first comparison."""
        numbers = [head.number for head in found if head.number is not None]
        if len(numbers) < 2:
            return list(found)
        call = _block(hex(max(0, min(numbers) - 1)))

        def anchored(rpc: Rpc) -> bytes | None:
            try:
                return rpc.at_once([call], lambda found: self._hash_or_none(rpc, found[0]))
            except CallFailed:
                return None  # whoever fails now has no vote

        hashes = self._pool.ask_all(anchored)
        return [
            replace(head, anchor_hash=anchor) if head.number is not None else head
            for head, anchor in zip(found, hashes, strict=True)
        ]

    def _sliced(
        self, numbers: Sequence[int], read: Callable[[Rpc, Sequence[int]], list[T]]
    ) -> list[T]:
        slices = [numbers[start : start + SLICE] for start in range(0, len(numbers), SLICE)]

        def one(some: Sequence[int]) -> list[T]:
            return self._pool.ask(lambda rpc: read(rpc, some))

        if len(slices) < 2:
            return one(numbers) if numbers else []
        return list(chained.from_iterable(abreast.each(one, slices, most=IN_FLIGHT)))

    def _read_headers(self, rpc: Rpc, numbers: Sequence[int]) -> list[Header]:
        def judge(call: Call, answer: Any) -> Header:
            return _asked_for(rpc, _number_of(call), answer, blocks.header)

        return rpc.many([_block(hex(number)) for number in numbers], judge=judge)

    def _read_traffic(self, rpc: Rpc, numbers: Sequence[int]) -> list[Traffic]:
        def judge(call: Call, answer: Any) -> Traffic:
            if isinstance(answer, Traffic):
                return answer
            return _asked_for(rpc, _number_of(call), answer, blocks.traffic)

        calls = [Call("eth_getBlockByNumber", (hex(number), True)) for number in numbers]
        return rpc.many(calls, skim=_skim, judge=judge)

    def _read_receipts(self, rpc: Rpc, number: int) -> tuple[Receipt, ...]:
        found = self._block_receipts(rpc, number)
        return self._single_receipts(rpc, number) if found is None else found

    def _block_receipts(self, rpc: Rpc, number: int) -> tuple[Receipt, ...] | None:
        """All by one call; None where the provider has no such call, which is remembered."""
        if rpc.has_block_receipts is False:
            return None

        def judge(_: Call, answer: Any) -> tuple[Receipt, ...]:
            if answer is None:
                raise rpc.nothing(f"block {number:,}")
            receipts = rpc.read(answer, blocks.receipts)
            if any(each.block_number != number for each in receipts):
                raise _other_block(rpc)
            return receipts

        try:
            found: tuple[Receipt, ...] = rpc.one("eth_getBlockReceipts", hex(number), judge=judge)
        except RpcFailed as failed:
            if not failed.lacks_method:
                raise
            rpc.has_block_receipts = False
            return None
        rpc.has_block_receipts = True
        return found

    def _single_receipts(self, rpc: Rpc, number: int) -> tuple[Receipt, ...]:
        """One by one, in batches; all of the block that named the transactions."""

        def read_block(_: Call, answer: Any) -> tuple[Header, Sequence[bytes]]:
            header = _asked_for(rpc, number, answer, blocks.header)
            return header, rpc.read(answer, blocks.transaction_hashes)

        ((header, hashes),) = rpc.many([_block(hex(number))], judge=read_block)

        places = {_hex(each): place for place, each in enumerate(hashes)}

        def judge(call: Call, answer: Any) -> Receipt:
            if answer is None:
                raise rpc.nothing(f"receipt of a transaction of block {number:,}")
            found = rpc.read(answer, blocks.receipt)
            wanted = (header.hash, number, places[call.params[0]])
            if (found.block_hash, found.block_number, found.transaction_index) != wanted:
                raise _other_block(rpc)
            return found

        calls = [Call("eth_getTransactionReceipt", (each,)) for each in places]
        return tuple(rpc.many(calls, judge=judge))


def _identity_fault(rpc: Rpc) -> CallFailed | None:
    try:
        rpc.identify()
    except CallFailed as failed:
        return failed
    return None


def _block(tag: str) -> Call:
    return Call("eth_getBlockByNumber", (tag, False))


def _number_of(call: Call) -> int:
    """The block that a call of `_block` asks for by number."""
    return int(call.params[0], 16)


def _skim(body: bytes, asked: Mapping[int, Call]) -> dict[int, Traffic] | None:
    wanted = {number: _number_of(call) for number, call in asked.items()}
    return skimming.traffic(body, wanted)


def _asked_for(rpc: Rpc, number: int, answer: Any, read: Callable[[Any], T]) -> T:
    """The block of this number; another one is a lie, none is not there yet."""
    if answer is None:
        raise rpc.nothing(f"block {number:,}")
    if rpc.read(answer, blocks.header).number != number:
        raise _other_block(rpc)
    return rpc.read(answer, read)


def _other_block(rpc: Rpc) -> CallFailed:
    return CallFailed(
        f"{rpc.provider.name} answers with another block than it was asked for.",
        fault=Fault.MALFORMED,
    )


def _silent(rpc: Rpc, *, fault: Fault, latency_ms: int) -> ProviderHead:
    return ProviderHead(
        provider=rpc.provider.name,
        number=None,
        hash=None,
        time_s=None,
        finalized=None,
        finalized_time_s=None,
        latency_ms=latency_ms,
        fault=fault,
    )


def _since_ms(begun_s: float) -> int:
    return round((time.monotonic() - begun_s) * 1000)


def _hex(value: bytes) -> str:
    return f"0x{value.hex()}"
