"""Looking at a chain through its providers: nothing here touches the database, so that all chains
are looked at side by side, in threads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from apps.stats.chains import following
from apps.stats.chains.figures import BLOCKS
from apps.stats.chains.following import Followed
from moonx.core import abreast, logs
from moonx.core.abreast import Done
from moonx.core.chains.blocks import Header
from moonx.core.chains.heads import Agreement, ProviderHead, Tip
from moonx.core.intervals import to_ms
from moonx.core.upstream.faults import CallFailed, Fault

log = logs.get("moonx.chains")

PACED = 100  # headers that tell a chain's pace
ON_THE_WAY_MS = 2_000  # a block so young may not have come to every node
CAREFUL_PERCENT = 95  # of what is due: chains are late at times, and a block too many costs a call
BEHIND_MS = 10_000  # of chain time that a look may leave to the next one


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
    """What was known of a chain before the look: its last headers, ascending, and the head that
    was agreed on."""

    headers: Sequence[Header] = ()
    tip: Tip | None = None

    def expected(self, *, now: datetime) -> range:
        """The blocks that the chain will have made by now, at the pace of its last headers, a
        little less; empty where that says nothing."""
        paced = self.headers[-PACED:]
        if len(paced) < 2 or paced[-1].time_s <= paced[0].time_s:
            return range(0)
        last = paced[-1]
        span_ms = (paced[-1].time_s - paced[0].time_s) * 1000
        since_ms = max(0, to_ms(now) - last.time_s * 1000 - ON_THE_WAY_MS)
        due = since_ms * CAREFUL_PERCENT * (len(paced) - 1) // (100 * span_ms)
        return range(last.number + 1, last.number + 1 + due) if due <= BLOCKS else range(0)


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


def look(
    reader: ChainReader, known: Known, *, block_time_ms: int, moment: Callable[[], datetime]
) -> Look:
    """Asks all providers for their heads, and one of them for the headers that are new.

    All at the same time, so that a look takes the time of one answer: the headers are those that
    the chain will have made by now. Where it has not, or made more, they are read afterwards. Heads
    are asked for twice: ten answers in five minutes make a rate. Raises nothing that a provider can
    cause.
    """
    expected = known.expected(now=moment())
    works: dict[str, Callable[[], Any]] = {
        "heads": lambda: _probe(reader, moment=moment),
        "again": lambda: _probe(reader, moment=moment),
        "ahead": lambda: reader.headers(expected) if expected else [],
    }
    done = abreast.run(works)
    probes, at = done["heads"].result(), moment()
    heads = [probe.head for probe in probes]
    agreement = _agreed(reader, heads, known, now_ms=to_ms(at))
    is_answered = any(head.number is not None for head in heads)
    followed, fault = None, None
    if is_answered and not agreement.is_split:
        ahead = _usable(done["ahead"], known, agreement.tip)
        followed, fault = _followed(reader, known, agreement.tip, ahead, bt_ms=block_time_ms)
    return Look(
        at=at,
        probes=[*probes, *done["again"].result()],
        agreement=agreement,
        followed=followed,
        fault=fault,
    )


def _agreed(
    reader: ChainReader, heads: Sequence[ProviderHead], known: Known, *, now_ms: int
) -> Agreement:
    """What the heads come to. Of two halves that disagree, the one that left what was known is on
    another fork; where both did, or nothing was known, they stay split."""
    agreement = reader.agree(heads, before=known.tip, now_ms=now_ms)
    if not agreement.is_split:
        return agreement
    seen = {header.hash for header in known.headers}
    left = [one for one in heads if one.anchor_hash is not None and one.anchor_hash not in seen]
    stayed = [head for head in heads if head not in left]
    if not any(head.anchor_hash is not None for head in stayed):
        return agreement
    found = reader.agree(stayed, before=known.tip, now_ms=now_ms)
    return replace(found, forked=found.forked | {head.provider for head in left})


def _usable(done: Done[list[Header]], known: Known, tip: Tip | None) -> list[Header]:
    """The headers that were read ahead, up to the agreed head, if they continue what was known."""
    if isinstance(done.error, CallFailed) or tip is None:
        return []  # it made fewer, or nobody answered: the heads say which
    found = [header for header in done.result() if header.number <= tip.number]
    continues = found and found[0].parent_hash == known.headers[-1].hash
    return found if continues else []


def _probe(reader: ChainReader, *, moment: Callable[[], datetime]) -> list[Probe]:
    """Each answer with its own time: a slow provider makes the others' heads no older."""
    asked_at = moment()
    return [
        Probe(head=head, at=asked_at + timedelta(milliseconds=head.latency_ms))
        for head in reader.heads()
    ]


def _followed(
    reader: ChainReader, known: Known, tip: Tip | None, ahead: list[Header], *, bt_ms: int
) -> tuple[Followed | None, Fault | None]:
    """The chain up to the agreed head, or a little less, where that was read ahead already; the
    fault in its place where nothing of it is sure."""
    if tip is None:
        return None, None
    try:
        return _follow(reader, known, tip, ahead, bt_ms=bt_ms), None
    except CallFailed as failed:
        log.info("headers not read, what was known stands", why=str(failed))
        return None, failed.fault


def _follow(
    reader: ChainReader, known: Known, tip: Tip, ahead: list[Header], *, bt_ms: int
) -> Followed:
    is_enough = bool(ahead) and tip.number - ahead[-1].number <= max(1, BEHIND_MS // bt_ms)
    head = ahead[-1].number if is_enough else tip.number
    found = {header.number: header for header in ahead} if is_enough else {}

    def read(numbers: Sequence[int]) -> Sequence[Header]:
        if all(number in found for number in numbers):
            return [found[number] for number in numbers]
        return reader.headers(numbers)

    followed = following.follow(known.headers, head=head, read=read)
    last = followed.headers[-1]
    agreed = {tip.number: tip.hash, tip.number - 1: tip.parent_hash}.get(last.number)
    if agreed is not None and last.hash != agreed:
        # Read from a provider that is on another fork, or the chain moved meanwhile.
        raise CallFailed(f"block {last.number} is not the agreed one", fault=Fault.MALFORMED)
    return followed
