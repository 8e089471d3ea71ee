"""Looking at a chain through its providers: nothing here touches the database, so that all chains
are looked at side by side, in threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from apps.stats import abreast
from apps.stats.abreast import Done
from apps.stats.chains import following
from apps.stats.chains.following import Followed
from moonx.core import logs
from moonx.core.chains.blocks import Header
from moonx.core.chains.heads import Agreement, ProviderHead, Tip
from moonx.core.intervals import to_ms
from moonx.core.upstream.faults import CallFailed, Fault

log = logs.get("moonx.chains")


class ChainReader(Protocol):
    """What is asked of a chain: see `moonx.core.chains.reader.Reader`."""

    def heads(self) -> list[ProviderHead]:
        """Every provider's newest block, or its fault."""

    def agree(self, found: Sequence[ProviderHead], *, before: Tip | None, now_ms: int) -> Agreement:
        """What the heads come to."""

    def headers(self, numbers: Sequence[int]) -> list[Header]:
        """Headers in this order; raises CallFailed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was known of a chain before the look: its last headers, ascending, and when its head was
    first seen."""

    headers: Sequence[Header] = ()
    head_seen_at: datetime | None = None

    @property
    def tip(self) -> Tip | None:
        """The head as the rules of agreement know it."""
        if not self.headers or self.head_seen_at is None:
            return None
        last = self.headers[-1]
        return Tip(
            number=last.number,
            hash=last.hash,
            parent_hash=last.parent_hash,
            seen_ms=to_ms(self.head_seen_at),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One answer, or none, of a provider; `at` is when it came."""

    head: ProviderHead
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look brought. `probes` are all calls for heads, two to each provider.

    `followed` is None where no header could be read, or where it is not sure that they are the
    chain's; then what was known stands.
    """

    at: datetime
    probes: Sequence[Probe]
    agreement: Agreement
    followed: Followed | None
    fault: Fault | None = None

    @property
    def is_answered(self) -> bool:
        """Whether any provider said where the chain stands."""
        return any(probe.head.number is not None for probe in self.probes)


def look(reader: ChainReader, known: Known, *, moment: Callable[[], datetime]) -> Look:
    """Asks all providers for their heads, and one of them for the headers that are new.

    Heads are asked for once more while headers are read: ten answers in five minutes make a rate.
    Raises nothing that a provider can cause.
    """
    probes = _probe(reader, moment=moment)
    at = moment()
    heads = [probe.head for probe in probes]
    agreement = reader.agree(heads, before=known.tip, now_ms=to_ms(at))
    works: dict[str, Callable[[], Any]] = {
        "headers": lambda: _follow(reader, known, agreement, heads),
        "again": lambda: _probe(reader, moment=moment),
    }
    done = abreast.run(works)
    followed, fault = _read(done["headers"])
    return Look(
        at=at,
        probes=[*probes, *done["again"].result()],
        agreement=agreement,
        followed=followed,
        fault=fault,
    )


def _probe(reader: ChainReader, *, moment: Callable[[], datetime]) -> list[Probe]:
    """Each answer with its own time: a slow provider makes the others' heads no older."""
    asked_at = moment()
    return [
        Probe(head=head, at=asked_at + timedelta(milliseconds=head.latency_ms))
        for head in reader.heads()
    ]


def _follow(
    reader: ChainReader, known: Known, agreement: Agreement, heads: Sequence[ProviderHead]
) -> Followed | None:
    """The chain up to the agreed head; None where nobody answers or two halves disagree."""
    tip = agreement.tip
    if tip is None or agreement.is_split or not any(head.number is not None for head in heads):
        return None
    followed = following.follow(known.headers, head=tip.number, read=reader.headers)
    last = followed.headers[-1]
    if tip.hash is not None and last.number == tip.number and last.hash != tip.hash:
        # Read from a provider that is on another fork, or the chain moved meanwhile.
        raise CallFailed(f"block {tip.number} is not the agreed one", fault=Fault.MALFORMED)
    return followed


def _read(done: Done[Followed | None]) -> tuple[Followed | None, Fault | None]:
    try:
        return done.result(), None
    except CallFailed as failed:
        log.info("headers not read, what was known stands", why=str(failed))
        return None, failed.fault
