"""From a look at a chain to what is told of it, as functions of values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median_low

from apps.stats.chains import figures, providers
from apps.stats.chains.figures import Hole
from apps.stats.chains.looking import Look, Probe
from apps.stats.chains.providers import Answer, Provider, View
from moonx.core.chains.blocks import Header
from moonx.core.chains.heads import ProviderHead


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The chain's last headers without what came before a stop of node and watch; `fresh` are those
    that the look brought."""

    headers: Sequence[Header]
    fresh: Sequence[Header]
    is_cut: bool

    @property
    def before(self) -> Sequence[Header]:
        """The headers that were known already."""
        return self.headers[: len(self.headers) - len(self.fresh)]


def window(headers: Sequence[Header], fresh: Sequence[Header], hole: Hole | None) -> Window:
    """The window of `headers`, whose last ones are `fresh`."""
    seen = figures.watched(headers, hole)
    return Window(
        headers=seen,
        fresh=fresh[-len(seen) :] if seen else (),
        is_cut=len(seen) < len(headers),
    )


def judged(
    look: Look, seen: Window, answers: Mapping[str, Sequence[Answer]], *, block_time_ms: int
) -> list[Provider]:
    """Each provider, by the first of its probes that brought something, and by the answers of the
    last five minutes, this look's left out."""
    by_name: dict[str, list[Probe]] = {}
    for probe in look.probes:
        by_name.setdefault(probe.head.provider, []).append(probe)
    return [
        providers.judge(
            _view(look, _best(probes), seen, block_time_ms=block_time_ms),
            [*answers.get(name, ()), *(_answer(probe.head) for probe in probes)],
            block_time_ms=block_time_ms,
        )
        for name, probes in by_name.items()
    ]


def _best(probes: Sequence[Probe]) -> Probe:
    return next((probe for probe in probes if probe.head.number is not None), probes[0])


def _answer(head: ProviderHead) -> Answer:
    return Answer(latency_ms=head.latency_ms, fault=head.fault)


def _view(look: Look, probe: Probe, seen: Window, *, block_time_ms: int) -> View:
    head, agreement = probe.head, look.agreement
    lag = _lag(look, head, seen, block_time_ms=block_time_ms)
    age = None if head.time_s is None else figures.age_ms(head.time_s, now=probe.at)
    ahead = None if head.time_s is None else figures.ahead_ms(head.time_s, now=probe.at)
    return View(
        name=head.provider,
        fault=head.fault,
        lag_blocks=lag[0] if lag else None,
        lag_ms=lag[1] if lag else None,
        head_age_ms=age,
        ahead_ms=ahead,
        finality_lag_ms=_finality_lag_ms(head, seen),
        is_forked=head.provider in agreement.forked,
        is_dreaming=head.provider in agreement.dreaming,
    )


def _lag(
    look: Look, head: ProviderHead, seen: Window, *, block_time_ms: int
) -> tuple[int, int] | None:
    """Blocks and milliseconds behind the agreed head; None where either head is unknown."""
    tip = look.agreement.tip
    if tip is None or head.number is None:
        return None
    blocks = max(0, tip.number - head.number)
    moment_s = _time_s(look, tip.number, seen)
    if moment_s is None or head.time_s is None:
        return blocks, blocks * block_time_ms
    return blocks, max(0, moment_s - head.time_s) * 1000


def _time_s(look: Look, number: int, seen: Window) -> int | None:
    told = [probe.head.time_s for probe in look.probes if probe.head.number == number]
    read = [header.time_s for header in seen.headers if header.number == number]
    return next((time_s for time_s in (*read, *told) if time_s is not None), None)


def _finality_lag_ms(head: ProviderHead, seen: Window) -> int | None:
    """From the newest final block to the head, in the chain's own time; None where no node tells
    it, and where the final block is from before a stop."""
    final_s = head.finalized_time_s
    if final_s is None:
        read = (one.time_s for one in seen.headers if one.number == head.finalized)
        final_s = next(read, None)
    if final_s is None or head.time_s is None:
        return None
    if seen.is_cut and seen.headers and final_s < seen.headers[0].time_s:
        return None
    return max(0, head.time_s - final_s) * 1000


def forks(look: Look) -> int:
    """How many chains the providers tell of, where nobody can say which is ours; else 1."""
    if not look.agreement.is_split:
        return 1
    # The first call of each: by the second one the chain may have moved.
    first = {probe.head.provider: probe.head for probe in reversed(look.probes)}
    return len({head.anchor_hash for head in first.values()} - {None})


def middle(values: Sequence[int | None]) -> int | None:
    """The median of those that are known, the lower of two; None where none is."""
    known = [value for value in values if value is not None]
    return median_low(known) if known else None


def head_age_ms(judged: Sequence[Provider], head: Header | None, *, now: datetime) -> int | None:
    """The age of the head as most see it; without an answer it grows from the last one seen."""
    told = middle([one.head_age_ms for one in judged if one.answers])
    if told is not None or head is None:
        return told
    return figures.age_ms(head.time_s, now=now)
