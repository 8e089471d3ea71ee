"""What operators do to circuits, each with a reason that the journal keeps."""

from collections.abc import Callable

from moonx.core.resilience import changes, circuits, journal
from moonx.core.resilience.changes import Change, Stored
from moonx.core.resilience.circuit import Target


def hold_open(target: Target, *, by: str, reason: str) -> bool:
    """Keeps all calls away until somebody closes the circuit; whether that changed anything.

    A probe under way says nothing any more. Raises django.db.Error, as the others do.
    """
    return _operate(target, changes.held_open, by=by, reason=reason)


def close(target: Target, *, by: str, reason: str) -> bool:
    """Lets calls come back, step by step; whether the circuit was not closed already."""
    return _operate(target, changes.closed_by_hand, by=by, reason=reason)


def reset(target: Target, *, by: str, reason: str) -> bool:
    """Lets all calls come back at once and forgets past openings and failures."""
    return _operate(target, changes.reset, by=by, reason=reason)


def _operate(
    target: Target, decide: Callable[[Stored], Change | None], *, by: str, reason: str
) -> bool:
    written = journal.change(target, decide, version=None, by=by, reason=reason)
    if written.is_mine:
        circuits.of(target).take(written.stored)
    return written.is_mine
