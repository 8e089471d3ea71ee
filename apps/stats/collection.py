"""A full collection: chains, bridges and volumes at the same time, then the overview of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db.models import Q

from apps.stats import overview
from apps.stats.bridges import collecting as bridge_collecting
from apps.stats.bridges import history as bridge_history
from apps.stats.chains import collecting as chain_collecting
from apps.stats.chains import history as chain_history
from apps.stats.chains import samples, volumes
from apps.stats.models import ChainWatch, Collector, Published
from moonx.core import abreast, clock, logs
from moonx.core.abreast import Done

log = logs.get("moonx.stats")

FORGOTTEN = timedelta(days=7)  # subjects of which nothing was heard for so long

Part = Callable[[datetime], object]

# None waits for another: what they ask takes the time of one upstream, not of all in a row.
PARTS: Mapping[str, Part] = {
    "chains": lambda now: chain_collecting.collect(now=now),
    "bridges": lambda now: bridge_collecting.collect(now=now),
    "volumes": lambda now: volumes.collect(now=now),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the parts of a full collection ended, by name."""

    done: tuple[str, ...]
    failed: tuple[str, ...]


def collect_all(parts: Mapping[str, Part] = PARTS) -> Outcome:
    """Runs all parts side by side, folds the hours and makes the overview anew.

    A part that fails stops no other; the reason is in the log.
    """
    ran = abreast.run({name: partial(_run, part) for name, part in parts.items()})
    last: dict[str, Callable[[], object]] = {"hours": _fold, "overview": _overview}
    ends: dict[str, Done[object]] = {**ran, **abreast.run(last)}
    for name, end in ends.items():
        if end.error:
            log.error("a part of the collection failed", part=name, exc_info=end.error)
    return Outcome(
        done=tuple(name for name, end in ends.items() if not end.error),
        failed=tuple(name for name, end in ends.items() if end.error),
    )


def _run(part: Part) -> object:
    return part(clock.db_now())


def _fold() -> int:
    return samples.fold_hours(now=clock.db_now())


def _overview() -> bool:
    return overview.update(now=clock.db_now())


def prune(*, now: datetime) -> dict[str, int]:
    """Deletes samples and hours that are no longer kept, and forgets subjects and collectors of
    which nothing was heard for a week; returns how many rows of which.

    The hours that samples make are folded before they go.
    """
    before = now - FORGOTTEN
    # The row stays with its number: a subject that comes back must not begin at 1 again, which
    # subscribers would take for something old.
    subjects = Published.objects.filter(as_of__lt=before).update(
        payload={}, told={}, digest=b"", published_at=None, as_of=None
    )
    collectors, _ = Collector.objects.filter(
        Q(last_success_at=None) | Q(last_success_at__lt=before),
        Q(last_failure_at=None) | Q(last_failure_at__lt=before),
    ).delete()
    watches, _ = ChainWatch.objects.filter(looked_at__lt=before).delete()
    return {
        "chains": chain_history.prune(now=now) + watches,
        "bridges": bridge_history.prune(now=now),
        "subjects": subjects,
        "collectors": collectors,
    }
