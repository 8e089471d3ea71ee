"""A chain's providers as one: who is asked first, and who next when that fails."""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from itertools import chain as chained
from typing import TypeVar

from django.db import connections

from moonx.core import logs
from moonx.core.chains.providers import Provider
from moonx.core.chains.rpc import Rpc
from moonx.core.resilience import CallClass, sparing
from moonx.core.upstream.faults import CallFailed, Fault

log = logs.get("moonx.chains")

A = TypeVar("A")
T = TypeVar("T")


class Pool:
    """The providers of one chain, in the order of the settings but for those that fell behind."""

    def __init__(self, providers: Sequence[Provider], *, chain_id: int) -> None:
        self.rpcs = tuple(Rpc(provider, chain_id=chain_id) for provider in providers)
        self._last: frozenset[str] = frozenset()

    def prefer(self, names: Collection[str]) -> None:
        """From now on the others are asked only when all of these have failed."""
        self._last = frozenset(rpc.provider.name for rpc in self.rpcs) - frozenset(names)

    def ask(self, work: Callable[[Rpc], T], *, kind: CallClass = CallClass.READ) -> T:
        """What the first provider brings that can do it.

        Where every circuit is open, or rates alone opened too many, the least bad are asked all the
        same, after the others. Raises CallFailed with every provider's reason where none can.
        """
        failures: list[CallFailed] = []
        shut: list[Rpc] = []
        for rpc in chained(self._in_turn(), self._spared(shut, kind)):
            try:
                return work(rpc)
            except CallFailed as failed:
                failures.append(failed)
                if failed.fault is Fault.HELD_BACK:
                    shut.append(rpc)
        raise _together(failures)

    def _in_turn(self) -> list[Rpc]:
        return sorted(self.rpcs, key=lambda each: each.provider.name in self._last)

    def _spared(self, shut: list[Rpc], kind: CallClass) -> Iterator[Rpc]:
        """Of those that were held back, who is asked all the same; looked up once all have been."""
        if held_back := list(shut):
            spared = sparing([rpc.target(kind) for rpc in self.rpcs])
            yield from (rpc.insistent() for rpc in held_back if rpc.target(kind) in spared)

    def ask_all(self, work: Callable[[Rpc], T]) -> list[T]:
        """What each of them brings, asked side by side; `work` raises nothing."""
        return side_by_side(work, self.rpcs, most=len(self.rpcs))

    def insistent(self, kind: CallClass = CallClass.READ) -> list[Rpc]:
        """Who is asked though circuits are open, because too many of them are."""
        return list(self._spared(list(self.rpcs), kind))


def side_by_side(work: Callable[[A], T], each: Sequence[A], *, most: int) -> list[T]:
    """`work` of each, at most so many at once, in their order and in the caller's context; raises
    what the first raised."""
    if len(each) < 2:
        return [work(one) for one in each]

    def in_thread(one: A) -> T:
        try:
            return work(one)
        finally:
            connections.close_all()  # the thread's own, if a circuit's row was read or written

    with ThreadPoolExecutor(min(most, len(each)), thread_name_prefix="rpc") as threads:
        begun = [threads.submit(copy_context().run, in_thread, one) for one in each]
        try:
            return [one.result() for one in begun]
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _together(failures: Sequence[CallFailed]) -> CallFailed:
    """One failure for all: of the class of the first provider that was asked at all."""
    if not failures:
        return CallFailed("No provider of this chain is configured.", fault=Fault.REFUSED)
    if len(failures) == 1:
        return failures[0]
    asked = [each for each in failures if each.fault is not Fault.HELD_BACK] or list(failures)
    waits = [each.retry_after_s for each in failures if each.is_transient]
    return CallFailed(
        " ".join(str(each) for each in failures),
        fault=asked[0].fault,
        retry_after_s=min(waits, default=0.0),
    )
