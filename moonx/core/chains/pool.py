"""A chain's providers as one: who is asked first, and who next when that fails."""

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import chain as chained
from typing import TypeVar

from moonx.core import abreast, logs
from moonx.core.chains.providers import Provider
from moonx.core.chains.rpc import Rpc
from moonx.core.resilience import CallClass, retrying, sparing
from moonx.core.upstream.faults import CallFailed, Fault

log = logs.get("moonx.chains")

PAUSES = frozenset({Fault.HELD_BACK, Fault.RATE_LIMITED})

A = TypeVar("A")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a read that failed at every provider may be tried, and until when a try may begin.

    Only who `waits` tries again after all were held back, or asked for a pause.
    """

    tries: int
    within_s: float
    waits: bool = False


# A look at a chain ends a little after one upstream time: others wait for it.
LOOK = Patience(tries=2, within_s=1.5)
PATIENT = Patience(tries=20, within_s=120.0, waits=True)


class _Final(Exception):
    """A failure that is not worth another try."""

    def __init__(self, failed: CallFailed) -> None:
        super().__init__()
        self.failed = failed


class Pool:
    """The providers of one chain, in the order of the settings but for those that fell behind."""

    def __init__(
        self, providers: Sequence[Provider], *, chain_id: int, patience: Patience = LOOK
    ) -> None:
        self._patience = patience
        self.rpcs = tuple(Rpc(provider, chain_id=chain_id) for provider in providers)
        self._last: frozenset[str] = frozenset()

    def prefer(self, names: Collection[str]) -> None:
        """From now on the others are asked only when all of these have failed."""
        self._last = frozenset(rpc.provider.name for rpc in self.rpcs) - frozenset(names)

    def patient(self) -> "Pool":
        """The same providers, for who has time."""
        found = copy(self)
        found._patience = PATIENT
        return found

    def ask(self, work: Callable[[Rpc], T], *, kind: CallClass = CallClass.READ) -> T:
        """What the first provider brings that can do it.

        Where every circuit is open, or rates alone opened too many, the least bad are asked all the
        same, after the others. What failed everywhere for a moment is tried again, as the patience
        and the first provider's policy allow. Raises CallFailed with every provider's reason.
        """
        if not self.rpcs:
            raise _together([])
        first, patience = self._in_turn()[0], self._patience
        again = first.provider.again
        try:
            return retrying(
                lambda: self._once(work, kind),
                target=first.target(kind),
                policy=replace(again, tries=min(again.tries, patience.tries)),
                deadline_s=patience.within_s,
            )
        except _Final as final:
            failed = final.failed
        raise failed

    def _once(self, work: Callable[[Rpc], T], kind: CallClass) -> T:
        failures: list[CallFailed] = []
        shut: list[Rpc] = []
        for rpc in chained(self._in_turn(), self._spared(shut, kind)):
            try:
                return work(rpc)
            except CallFailed as failed:
                failures.append(failed)
                if failed.fault is Fault.HELD_BACK:
                    shut.append(rpc)
        together = _together(failures)
        raise together if self._may_pass(failures) else _Final(together)

    def _may_pass(self, failures: Sequence[CallFailed]) -> bool:
        """Whether another try is worth its wait."""
        is_pause = all(each.fault in PAUSES for each in failures)
        return all(each.is_transient for each in failures) and (
            self._patience.waits or not is_pause
        )

    def _in_turn(self) -> list[Rpc]:
        return sorted(self.rpcs, key=lambda each: each.provider.name in self._last)

    def _spared(self, shut: list[Rpc], kind: CallClass) -> Iterator[Rpc]:
        """Of those that were held back, who is asked all the same; looked up once all have been."""
        if held_back := list(shut):
            spared = sparing([rpc.target(kind) for rpc in self.rpcs])
            yield from (rpc.insistent() for rpc in held_back if rpc.target(kind) in spared)

    def ask_all(self, work: Callable[[Rpc], T]) -> list[T]:
        """What each of them brings, asked side by side; `work` raises nothing."""
        return abreast.each(work, self.rpcs, most=len(self.rpcs))

    def insistent(self, kind: CallClass = CallClass.READ) -> list[Rpc]:
        """Who is asked though circuits are open, because too many of them are."""
        return list(self._spared(list(self.rpcs), kind))


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
