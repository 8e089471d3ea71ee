"""One provider's JSON-RPC: raw batches over kept connections, each reply held to its request.

web3.py is for contract calls and events only: its formatters take twenty times what reading takes,
it takes a reply with another request's id, and its exceptions carry the URL.
"""

import itertools
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

from moonx.core import logs
from moonx.core.chains import replies
from moonx.core.chains.batching import BatchSize
from moonx.core.chains.blocks import Malformed, plain
from moonx.core.chains.providers import Provider
from moonx.core.chains.replies import ErrorReply
from moonx.core.resilience import CallClass, Target, guarded
from moonx.core.upstream import http
from moonx.core.upstream.faults import CallFailed, Fault

log = logs.get("moonx.chains")

LARGEST_ANSWER = 64 * 2**20  # a hundred full blocks of the busiest chains are half of it
CHECKED_FOR_S = 3600.0  # a provider's chain id is asked again after an hour
REFUSED_FOR_S = 300.0  # and after five minutes where it was another chain's

Read = Callable[[bytes, Mapping[int, "Call"]], dict[int, Any] | None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """A method and its parameters."""

    method: str
    params: tuple[Any, ...] = ()


class RpcFailed(CallFailed):
    """The node answered one call with an error; `is_too_much` says that a smaller one may do."""

    def __init__(self, message: str, *, reply: ErrorReply) -> None:
        super().__init__(message, fault=reply.fault)
        self.code = reply.code
        self.is_too_much = reply.is_too_much


class _TooMuch(Exception):
    """The batch was more than the node takes at once."""


class Rpc:
    """A provider of one chain, as this process knows it; shared by threads.

    What it learnt, its batch sizes and whether it has a method, is a hint: a lost update costs one
    call more.
    """

    def __init__(self, provider: Provider, *, chain_id: int) -> None:
        self.provider = provider
        self.chain_id = chain_id
        self.has_block_receipts: bool | None = None
        self._sizes: dict[str, BatchSize] = {}
        # Begun anywhere, so that a reply to another process's request is told as one.
        self._ids = itertools.count(secrets.randbelow(2**30) + 1)
        self._checked_until_s = 0.0
        self._wrong_id: int | None = None
        self._insists = False

    def __repr__(self) -> str:
        return f"<Rpc {self.provider.name} of {self.provider.chain}>"

    def target(self, kind: CallClass) -> Target:
        """The circuit that calls of this kind pass."""
        return Target(provider=self.provider.name, chain=self.provider.chain, kind=kind)

    def insistent(self) -> "Rpc":
        """The same provider, asked though its circuit is open."""
        found = copy(self)
        found._insists = True
        return found

    def one(self, method: str, *params: Any, kind: CallClass = CallClass.READ) -> Any:
        """The result of one call."""
        return self.many([Call(method, params)], kind=kind)[0]

    def many(
        self,
        calls: Sequence[Call],
        *,
        kind: CallClass = CallClass.READ,
        skim: Read | None = None,
    ) -> list[Any]:
        """The results in the order of the calls, in as many batches as the node likes.

        `skim` may take them out of the raw bytes; where it cannot, they are parsed. Raises
        CallFailed where a batch fails, RpcFailed where a call does.
        """
        self.check_chain()
        found = self.try_many(calls, kind=kind, skim=skim)
        return [self.checked(result) for result in found]

    def try_many(
        self,
        calls: Sequence[Call],
        *,
        kind: CallClass = CallClass.READ,
        skim: Read | None = None,
    ) -> list[Any]:
        """As `many`, without asking for the chain first, and with an ErrorReply in the place of
        each call that failed."""
        results: list[Any] = []
        while len(results) < len(calls):
            size = self._sizes.get(calls[0].method, BatchSize())
            batch = calls[len(results) : len(results) + size.calls]
            begun_s = time.monotonic()
            try:
                found, answer_bytes = self._answered(batch, kind=kind, skim=skim)
            except _TooMuch:
                self._sizes[calls[0].method] = BatchSize(len(batch)).after_trouble()
                continue
            except CallFailed as failed:
                if failed.fault is Fault.TIMEOUT:
                    self._sizes[calls[0].method] = BatchSize(len(batch)).after_trouble()
                raise
            results += found
            if len(batch) == size.calls:
                took_s = time.monotonic() - begun_s
                self._sizes[calls[0].method] = size.after(took_s=took_s, size=answer_bytes)
        return results

    def check_chain(self) -> None:
        """Raises CallFailed (WRONG_CHAIN) where the provider serves another chain; asked at the
        first call of a process and hourly."""
        if time.monotonic() >= self._checked_until_s:
            self.identify()
        if self._wrong_id is not None:
            raise self._wrong_chain()

    def identify(self) -> None:
        """Asks now for the chain's id; raises as `check_chain`."""
        self.note_chain(self.try_many([Call("eth_chainId")])[0])

    def note_chain(self, answer: Any) -> None:
        """Takes what `eth_chainId` answered; raises as `check_chain`."""
        found = self.read(self.checked(answer), plain)
        is_wrong = found != self.chain_id
        self._wrong_id = found if is_wrong else None
        self._checked_until_s = time.monotonic() + (REFUSED_FOR_S if is_wrong else CHECKED_FOR_S)
        if is_wrong:
            failed = self._wrong_chain()
            log.error("provider is off: it serves another chain", reason=str(failed))
            raise failed

    def checked(self, result: Any) -> Any:
        """A result of `try_many`; raises RpcFailed where it is an error."""
        if isinstance(result, ErrorReply):
            raise self._failed(result)
        return result

    def nothing(self, what: str) -> CallFailed:
        """To raise where the provider has no such block or receipt, or not yet."""
        return CallFailed(f"{self.provider.name} has no {what}.", fault=Fault.NO_RESULT)

    def read(self, value: Any, reader: Callable[[Any], T]) -> T:
        """`reader(value)`; CallFailed (MALFORMED) where the node's value is not of its form."""
        return self._believed(lambda: reader(value))

    def _believed(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except Malformed as error:
            what = str(error)
        raise CallFailed(f"{self.provider.name} answers nonsense: {what}.", fault=Fault.MALFORMED)

    def _answered(
        self, calls: Sequence[Call], *, kind: CallClass, skim: Read | None
    ) -> tuple[list[Any], int]:
        """One result per call, and the size of the answer; what the node left out of it is asked
        once more, alone."""
        asked = dict(zip(self._ids, calls, strict=False))
        found, size = self._exchange(asked, kind=kind, skim=skim)
        missing = {number: call for number, call in asked.items() if number not in found}
        if missing:
            again = {next(self._ids): number for number in missing}
            second, _ = self._exchange(
                {new: asked[number] for new, number in again.items()}, kind=kind, skim=None
            )
            found |= {again[new]: result for new, result in second.items()}
        if len(found) < len(asked):
            raise CallFailed(
                f"{self.provider.name} left out {len(asked) - len(found)} of {len(asked)} answers.",
                fault=Fault.MALFORMED,
            )
        return [found[number] for number in asked], size

    def _exchange(
        self, asked: Mapping[int, Call], *, kind: CallClass, skim: Read | None
    ) -> tuple[dict[int, Any], int]:
        """One request: what came of it under the calls' ids, some may be missing, and its size."""
        with guarded(
            self.target(kind),
            timeout_s=self.provider.timeout_s,
            weight=len(asked),
            insists=self._insists,
        ):
            body = self._post(asked)
            found = skim(body, asked) if skim is not None else None
            if found is None:
                found = self._parsed(body, asked)
            return found, len(body)

    def _post(self, asked: Mapping[int, Call]) -> bytes:
        request = [
            {"jsonrpc": "2.0", "id": number, "method": call.method, "params": call.params}
            for number, call in asked.items()
        ]
        try:
            return http.post_bytes(
                self.provider.url,
                json.dumps(request, separators=(",", ":")).encode(),
                server=self.provider.name,
                timeout_s=self.provider.timeout_s,
                max_bytes=LARGEST_ANSWER,
            )
        except http.Refusal as refusal:
            failed: Exception = self._refused(refusal, size=len(asked))
        except CallFailed as error:
            is_too_much = error.fault is Fault.TOO_LARGE and len(asked) > 1
            failed = _TooMuch() if is_too_much else error
        raise failed

    def _refused(self, refusal: http.Refusal, *, size: int) -> Exception:
        """What an answer with another status than 2xx means."""
        error = replies.error_in(refusal.json())
        if size > 1 and (refusal.status == 413 or (error is not None and error.is_too_much)):
            return _TooMuch()
        if error is not None and error.fault is Fault.AUTHENTICATION:
            # Some say by 429 that the month is used up: to wait would not help.
            return self._failed(error)
        return refusal

    def _parsed(self, body: bytes, asked: Mapping[int, Call]) -> dict[int, Any]:
        answer = http.parsed(body, server=self.provider.name)
        error = replies.error_in(answer)
        if error is not None:
            if error.is_too_much and len(asked) > 1:
                raise _TooMuch
            raise self._failed(error)
        found = self._believed(lambda: replies.read(answer, wanted=asked.keys()))
        for result in found.values():
            if isinstance(result, ErrorReply) and result.fault is Fault.RATE_LIMITED:
                raise self._failed(result)
        return found

    def _failed(self, reply: ErrorReply) -> RpcFailed:
        text = self.provider.censored(reply.message)
        return RpcFailed(f"{self.provider.name} answers error {reply.code}: {text}", reply=reply)

    def _wrong_chain(self) -> CallFailed:
        chain = self.provider.chain
        return CallFailed(
            f"{self.provider.name} serves the chain with id {self._wrong_id}, not {self.chain_id} "
            f"({chain}): it is not asked until RPC_URL_{chain.upper()} is corrected.",
            fault=Fault.WRONG_CHAIN,
        )
