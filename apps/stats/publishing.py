"""Telling samples: each subject's newest one is kept, and told when it is news.

What was told, its number and the event are one transaction, under the lock of the subject's row:
no change is lost, none is told twice, and no older sample replaces a newer one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction

from apps.stats import changes
from apps.stats.changes import Bands, Decision, Told
from apps.stats.models import Published
from apps.stats.vocabulary import Verdict
from moonx.core import metrics, outbox
from moonx.core.events import StatsFact

KEPT = ["seq", "digest", "told", "payload", "published_at", "as_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """A sample of a subject as the event that would tell it; its seq and heartbeat are filled in.

    `bands` says how far its figures may drift before they are told.
    """

    subject: str
    event: StatsFact
    bands: Bands


def publish(news: Sequence[News], *, now: datetime) -> list[StatsFact]:
    """Keeps each subject's sample and returns the events that were told, by subject.

    A sample that is no newer than the one that is kept is left out: another run was faster.
    Commits, or fails, as a whole; within the caller's transaction, if there is one.
    """
    by_subject = {one.subject: one for one in news}
    with transaction.atomic():
        rows = _locked(sorted(by_subject))
        newer = [row for row in rows if _is_newer(by_subject[row.subject].event, row)]
        told = [event for row in newer if (event := _take(row, by_subject[row.subject], now=now))]
        Published.objects.bulk_update(newer, KEPT)
        outbox.emit_all(told)
    for row in newer:
        _measure(row)
    return told


def _measure(row: Published) -> None:
    if verdict := row.payload.get("verdict"):
        metrics.verdicts.labels(row.subject).set(list(Verdict).index(Verdict(verdict)))


def _locked(subjects: Sequence[str]) -> list[Published]:
    """The subjects' rows, made where missing, locked in their order."""
    rows = Published.objects.filter(pk__in=subjects).order_by("subject").select_for_update()
    if len(found := list(rows)) == len(subjects):
        return found
    known = {row.subject for row in found}
    missing = [Published(subject=one) for one in subjects if one not in known]
    # Who makes a row at the same moment waits here for the other, and then finds its row.
    Published.objects.bulk_create(missing, ignore_conflicts=True)
    return list(rows.all())


def _is_newer(event: StatsFact, row: Published) -> bool:
    return row.as_of is None or event.as_of > row.as_of


def _take(row: Published, one: News, *, now: datetime) -> StatsFact | None:
    """Puts a sample into its row; returns the event where it is to be told."""
    decision = changes.decide(_told(row), one.event.payload(), one.bands, now=now)
    is_told = decision is not Decision.SILENT
    event = replace(one.event, seq=row.seq + is_told, heartbeat=decision is Decision.HEARTBEAT)
    row.payload, row.as_of = event.payload(), event.as_of
    if not is_told:
        return None
    row.seq, row.told, row.published_at = event.seq, row.payload, now
    row.digest = changes.digest(row.payload)
    return event


def _told(row: Published) -> Told | None:
    if row.published_at is None:
        return None
    return Told(payload=row.told, digest=bytes(row.digest), at=row.published_at)


def newest(prefix: str) -> Mapping[str, Published]:
    """The rows of all subjects that begin so, by subject."""
    rows = Published.objects.filter(subject__startswith=prefix, as_of__isnull=False)
    return {row.subject: row for row in rows}
