"""One provider's JSON-RPC: raw batches over kept connections, each reply held to its request.

web3.py is for contract calls and events only: its formatters take twenty times what reading takes,
it takes a reply with another request's id, and its exceptions carry the URL.
"""

import itertools
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

from moonx.core import logs
from moonx.core.chains import replies
from moonx.core.chains.batching import BatchSize, LogSpan
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

Skim = Callable[[bytes, Mapping[int, "Call"]], dict[int, Any] | None]
Judge = Callable[["Call", Any], Any]
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
        self.is_too_much = reply.is_too_much
        self.lacks_method = reply.lacks_method
        self.suggested = reply.suggested


class _TooMuch(Exception):
    """The batch was more than the node takes at once."""


class _Partial(Exception):
    """A part of a batch is missing, or failed in a way that may pass: the rest, and the size of
    the answer. The circuit learns how it ends by the second request."""

    def __init__(self, found: dict[int, Any], *, size: int, is_too_much: bool) -> None:
        super().__init__()
        self.found = found
        self.size = size
        self.is_too_much = is_too_much


def as_it_is(_: Call, value: Any) -> Any:
    """A result of which nothing is known but that it is one."""
    return value


class Rpc:
    """A provider of one chain, as this process knows it; shared by threads.

    What it learnt, its batch sizes, its range of logs and whether it has a method, is a hint: a
    lost update costs one call more.
    """

    def __init__(self, provider: Provider, *, chain_id: int) -> None:
        self.provider = provider
        self.chain_id = chain_id
        self.has_block_receipts: bool | None = None
        self.log_span = LogSpan()
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

    def one(
        self, method: str, *params: Any, kind: CallClass = CallClass.READ, judge: Judge = as_it_is
    ) -> Any:
        """The result of one call, as `many` brings it."""
        return self.many([Call(method, params)], kind=kind, judge=judge)[0]

    def many(
        self,
        calls: Sequence[Call],
        *,
        kind: CallClass = CallClass.READ,
        skim: Skim | None = None,
        judge: Judge = as_it_is,
    ) -> list[Any]:
        """The results in the order of the calls, in as many batches as the node likes.

        `skim` may take them out of the raw bytes; where it cannot, they are parsed. `judge` makes
        of a call's result what is wanted; what it raises is held against the provider by its fault.
        Raises CallFailed where a batch fails, RpcFailed where a call does.
        """
        self.check_chain()
        results: list[Any] = []
        while len(results) < len(calls):
            size = self._size_of(calls[0])
            batch = calls[len(results) : len(results) + size.calls]
            begun_s = time.monotonic()
            try:
                found, answer_bytes = self._answered(batch, kind=kind, skim=skim, judge=judge)
            except _TooMuch:
                self._sizes[calls[0].method] = BatchSize(len(batch)).after_trouble()
                continue
            except CallFailed as failed:
                if failed.fault is Fault.TIMEOUT:
                    self._sizes[calls[0].method] = BatchSize(len(batch)).after_trouble()
                raise
            results += found
            if answer_bytes is None:
                self._sizes[calls[0].method] = BatchSize(len(batch)).after_trouble()
            elif len(batch) == size.calls and self._size_of(calls[0]) == size:
                # Else another thread learnt of trouble meanwhile.
                took_s = time.monotonic() - begun_s
                self._sizes[calls[0].method] = size.after(took_s=took_s, size=answer_bytes)
        return results

    def _size_of(self, call: Call) -> BatchSize:
        return self._sizes.get(call.method, BatchSize())

    def at_once(self, calls: Sequence[Call], read: Callable[[list[Any]], T]) -> T:
        """What `read` makes of the results of one request, whose time it may take: with an
        ErrorReply in the place of each call that failed, and without asking for the chain first.

        Raises what `read` raises; a CallFailed is held against the provider by its fault. A node
        that takes no batch of that size is asked for one call after the other.
        """
        try:
            return self._at_once(calls, read)
        except _TooMuch:
            before = [self._at_once([call], lambda found: found[0]) for call in calls[:-1]]
            return self._at_once(calls[-1:], lambda last: read([*before, *last]))

    def check_chain(self) -> None:
        """Raises CallFailed (WRONG_CHAIN) where the provider serves another chain; asked at the
        first call of a process and hourly."""
        if time.monotonic() >= self._checked_until_s:
            self.identify()
        if self._wrong_id is not None:
            raise self._wrong_chain()

    def identify(self) -> None:
        """Asks now for the chain's id; raises as `check_chain`."""
        self.at_once([Call("eth_chainId")], lambda answers: self.note_chain(answers[0]))

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
        """A result of `at_once`; raises RpcFailed where it is an error."""
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

    def _at_once(self, calls: Sequence[Call], read: Callable[[list[Any]], T]) -> T:
        asked = dict(zip(self._ids, calls, strict=False))
        with self._guarded(CallClass.READ):
            found = self._parsed(self._post(asked), asked)
            if len(found) < len(asked):
                raise self._left_out(len(asked) - len(found), len(asked))
            return read([found[number] for number in asked])

    def _answered(
        self, calls: Sequence[Call], *, kind: CallClass, skim: Skim | None, judge: Judge
    ) -> tuple[list[Any], int | None]:
        """One result per call, and the size of the answer, None where a part was too much.

        What the node left out of it, and what failed in a way that may pass, is asked once more.
        """
        asked = dict(zip(self._ids, calls, strict=False))
        size: int | None
        try:
            found, size = self._exchange(asked, kind=kind, skim=skim, judge=judge)
        except _Partial as partial:
            found, size = partial.found, None if partial.is_too_much else partial.size
            again = {next(self._ids): number for number in asked if number not in found}
            rest = {new: asked[number] for new, number in again.items()}
            second, _ = self._exchange(rest, kind=kind, skim=None, judge=judge, is_last=True)
            found |= {again[new]: result for new, result in second.items()}
        return [found[number] for number in asked], size

    def _exchange(
        self,
        asked: Mapping[int, Call],
        *,
        kind: CallClass,
        skim: Skim | None,
        judge: Judge,
        is_last: bool = False,
    ) -> tuple[dict[int, Any], int]:
        """One request: what came of it under the calls' ids, and its size.

        All is judged before the circuit hears of it. Raises _Partial where a second request may
        bring the rest, unless this `is_last`.
        """
        with self._guarded(kind):
            body = self._post(asked)
            found = skim(body, asked) if skim is not None else None
            if found is None:
                found = self._parsed(body, asked)
            errors = [each for each in found.values() if isinstance(each, ErrorReply)]
            self._judge_errors(errors, of=len(asked), is_last=is_last)
            judged = {
                number: judge(asked[number], result)
                for number, result in found.items()
                if not isinstance(result, ErrorReply)
            }
            left_out = len(asked) - len(found)
            if left_out and (is_last or not judged):
                raise self._left_out(left_out, len(asked))
            if len(judged) < len(asked):
                is_too_much = any(each.is_too_much for each in errors)
                raise _Partial(judged, size=len(body), is_too_much=is_too_much)
            return judged, len(body)

    def _judge_errors(self, errors: Sequence[ErrorReply], *, of: int, is_last: bool) -> None:
        """Raises where calls failed for good: an error that does not pass, all calls, or again."""
        if of > 1 and len(errors) == of and any(each.is_too_much for each in errors):
            raise _TooMuch
        is_final = is_last or len(errors) == of
        for each in errors:
            if is_final or not each.may_pass:
                raise self._failed(each)

    def _guarded(self, kind: CallClass) -> AbstractContextManager[None]:
        # A batch weighs 1: budgets of providers count requests.
        return guarded(self.target(kind), timeout_s=self.provider.timeout_s, insists=self._insists)

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
        if error is not None and error.fault is Fault.AUTHENTICATION:
            # Some say by 429 that the month is used up: to wait would not help.
            return self._failed(error)
        if refusal.fault is Fault.RATE_LIMITED:
            return refusal
        if error is not None and error.fault is Fault.RATE_LIMITED:
            return self._failed(error)
        if size > 1 and (refusal.status == 413 or (error is not None and error.is_too_much)):
            return _TooMuch()
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

    def _left_out(self, count: int, of: int) -> CallFailed:
        return CallFailed(
            f"{self.provider.name} left out {count} of {of} answers.", fault=Fault.MALFORMED
        )

    def _wrong_chain(self) -> CallFailed:
        chain = self.provider.chain
        return CallFailed(
            f"{self.provider.name} serves the chain with id {self._wrong_id}, not {self.chain_id} "
            f"({chain}): it is not asked until RPC_URL_{chain.upper()} is corrected.",
            fault=Fault.WRONG_CHAIN,
        )
