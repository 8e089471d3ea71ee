"""One look at all bridges: a quote on each way in each size, side by side, and what it tells."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial

from django.db import transaction

from apps.stats import collectors, publishing
from apps.stats.bridges import corridors, history, load, telling, verdicts, windows
from apps.stats.bridges.corridors import BRIDGES, Subject
from apps.stats.bridges.load import Past
from apps.stats.bridges.telling import Told
from apps.stats.bridges.verdicts import NONE, Window
from apps.stats.bridges.windows import NEVER, Watched
from apps.stats.collectors import Called
from apps.stats.models import BridgeSample
from apps.stats.publishing import News
from moonx.core import abreast, locks, logs
from moonx.core.locks import Lock
from moonx.core.resilience import CircuitState, guarded, state_of
from moonx.core.upstream.corridors import MOST_QUOTES, Probe
from moonx.core.upstream.endpoints import Endpoint
from moonx.core.upstream.faults import CallFailed, Fault
from moonx.core.upstream.names import Service

TASK = "stats.bridge_latency"
NOTHING = Window(counts={})
ENOUGH = len(BRIDGES) * MOST_QUOTES  # room for all, where nobody counts

log = logs.get("moonx.bridges")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A quote that is wanted: whom to ask for what, how long after the others, and how long it
    may wait for its turn then.

    One that is held back is not made.
    """

    subject: Subject
    service: Service
    endpoint: Endpoint
    probe: Probe
    delay_s: float = 0.0
    patience_s: float = 0.0
    is_held_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a request ended: `fault` is "" where a quote came."""

    fault: str
    latency_ms: int | None
    route_ms: int | None = None


HELD_BACK = Answer(fault=Fault.HELD_BACK, latency_ms=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What one look brought; zeros where another look was under way."""

    quotes: int = 0
    failed: int = 0
    held_back: int = 0
    told: int = 0

    def numbers(self) -> dict[str, int]:
        """By name, for a line in the log."""
        return asdict(self)


def collect(*, now: datetime) -> Collected:
    """Asks every bridge for its quotes, keeps what came of them, and tells what is news.

    All are asked at once, each as often as it allows; what is left out is kept as held back. One
    look at a time: a second one does nothing.
    """
    with transaction.atomic():
        if not locks.try_hold(Lock.JOB, locks.key_of("stats.bridges")):
            return Collected()
        watched = corridors.watched()
        requests = planned(watched, now=now)
        answers = _ask_all(requests)
        samples = {one.subject: _sample(one, answers[one.subject], now=now) for one in requests}
        BridgeSample.objects.bulk_create(samples.values())
        judged = judge(watched, now=now)
        for subject, sample in samples.items():
            sample.verdict = judged[subject].judged.verdict.value
        BridgeSample.objects.bulk_update(samples.values(), ["verdict"])
        history.fold(now=now)
        told = tell(judged, now=now)
        collectors.tell(TASK, _calls(answers), now=now)
    ends = [answer.fault for answer in answers.values()]
    quotes, held_back = ends.count(NONE), ends.count(Fault.HELD_BACK)
    failed = len(ends) - quotes - held_back
    return Collected(quotes=quotes, failed=failed, held_back=held_back, told=told)


def _calls(answers: Mapping[Subject, Answer]) -> Iterator[Called]:
    """The requests that were made, for the collector's own figures."""
    for subject, answer in answers.items():
        if answer.latency_ms is not None:
            fault = Fault(answer.fault) if answer.fault else None
            yield Called(provider=subject.provider, fault=fault, duration_ms=answer.latency_ms)


def planned(watched: Watched, *, now: datetime) -> list[Request]:
    """Every bridge's requests of one look, those marked for which it has no room now."""
    past = windows.pasts(watched, now=now)
    newest = windows.newest(watched, now=now)
    last = {subject: one.at for subject, one in newest.items() if one.at}
    return [
        request
        for service, endpoint in watched.items()
        for request in _of_bridge(service, endpoint, past[service], last, now=now)
    ]


def _of_bridge(
    service: Service,
    endpoint: Endpoint,
    past: Past,
    last: Mapping[Subject, datetime],
    *,
    now: datetime,
) -> Iterator[Request]:
    allowance = corridors.allowance(service, endpoint)
    wanted = {corridors.subject_of(service, probe): probe for probe in corridors.probes()}
    room = load.room(allowance, past, now=now) if allowance else ENOUGH
    chosen = load.chosen(list(wanted), last, room=room)
    spacing_s = allowance.spacing_s if allowance else 0.0
    for subject, probe in wanted.items():
        place = chosen.index(subject) if subject in chosen else None
        yield Request(
            subject=subject,
            service=service,
            endpoint=endpoint,
            probe=probe,
            delay_s=spacing_s * (place or 0),
            patience_s=2 * spacing_s,
            is_held_back=place is None,
        )


def _ask_all(requests: Sequence[Request]) -> dict[Subject, Answer]:
    for one in {request.service: request for request in requests}.values():
        corridors.declare(one.service, one.endpoint)
    made = [request for request in requests if not request.is_held_back]
    done = abreast.run({str(one.subject): partial(_ask, one) for one in made})
    answers = {one.subject: done[str(one.subject)].result() for one in made}
    return {one.subject: answers.get(one.subject, HELD_BACK) for one in requests}


def _ask(request: Request) -> Answer:
    """How the request ended. One that the shared budget holds back for a moment, for another came
    a little late, waits for its turn once."""
    time.sleep(request.delay_s)
    try:
        return _asked(request)
    except CallFailed as held_back:
        if held_back.retry_after_s > request.patience_s:
            return HELD_BACK
        time.sleep(held_back.retry_after_s)
    try:
        return _asked(request)
    except CallFailed:
        return HELD_BACK


def _asked(request: Request) -> Answer:
    """How a request ended that was made; raises CallFailed (HELD_BACK) for one that was not.

    The latency is from the call to the whole answer, or to the failure.
    """
    endpoint = request.endpoint
    begun_s = time.monotonic()
    try:
        with guarded(corridors.target_of(request.service), timeout_s=endpoint.timeout_s):
            begun_s = time.monotonic()
            quote = BRIDGES[request.service](endpoint, request.probe)
    except CallFailed as failure:
        log.debug("no quote", subject=str(request.subject), why=str(failure))
        if failure.fault is Fault.HELD_BACK:
            raise
        return Answer(fault=failure.fault, latency_ms=_ms_since(begun_s))
    return Answer(fault=NONE, latency_ms=_ms_since(begun_s), route_ms=quote.route_ms)


def _ms_since(begun_s: float) -> int:
    return round((time.monotonic() - begun_s) * 1000)


def _sample(request: Request, answer: Answer, *, now: datetime) -> BridgeSample:
    return BridgeSample(
        provider=request.subject.provider,
        source=request.subject.source,
        target=request.subject.target,
        asset=request.probe.corridor.asset,
        size=request.subject.size,
        fault=answer.fault,
        latency_ms=answer.latency_ms,
        route_ms=answer.route_ms,
        simulated=request.endpoint.is_simulated,
        sampled_at=now,
    )


def judge(watched: Watched, *, now: datetime) -> dict[Subject, Told]:
    """What is to be told of every subject, by the rows that there are."""
    hour, day = windows.windows(watched, now=now)
    newest = windows.newest(watched, now=now)
    states = state_of([corridors.target_of(service) for service in watched])
    found = {}
    for service, endpoint in watched.items():
        is_open = states[corridors.target_of(service)] is not CircuitState.CLOSED
        for probe in corridors.probes():
            subject = corridors.subject_of(service, probe)
            last, window = newest.get(subject, NEVER), hour.get(subject, NOTHING)
            found[subject] = Told(
                at=now,
                sampled_at=last.at,
                judged=verdicts.judge(window, is_open=is_open, last_fault=last.fault),
                hour=window,
                day=day.get(subject, NOTHING),
                is_simulated=endpoint.is_simulated,
            )
    return found


def tell(judged: Mapping[Subject, Told], *, now: datetime) -> int:
    """Tells what is news of the subjects, and of those that are gone; returns how many were."""
    found = [telling.news(subject, told) for subject, told in judged.items()]
    return len(publishing.publish([*found, *_gone(found, now=now)], now=now))


def _gone(watched: Sequence[News], *, now: datetime) -> list[News]:
    """What was told of subjects that nobody watches any more, once: unknown, and why."""
    known = {one.subject for one in watched}
    left = [row for name, row in publishing.newest("bridge:").items() if name not in known]
    return [telling.last_news(row, now=now) for row in left if not telling.is_told_gone(row)]
