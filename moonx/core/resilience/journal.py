"""The truth about circuits: one row each, and one more for every change, in PostgreSQL.

A change is decided and written while the circuit's row is locked, and only if the row still has the
version that the decision was made from. So of all workers that saw the same thing one writes, and
the others take over what it wrote. Valkey holds copies; it may lose them at any time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from moonx.core import clock, logs, metrics, outbox
from moonx.core.events import SystemAlert
from moonx.core.resilience.apart import apart
from moonx.core.resilience.changes import Change, Stored
from moonx.core.resilience.circuit import CircuitState, Tally, Target, Trip
from moonx.core.resilience.models import Circuit, CircuitEvent

PATIENCE_MS = 2_000
MOST_REASON = 500  # characters

log = logs.get("moonx.circuits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How the circuit stands now, and whether it was this change that made it so."""

    stored: Stored
    is_mine: bool


def read(target: Target) -> Stored:
    """How the circuit stands; its row is made where there is none. Raises django.db.Error."""
    return apart(lambda: _read(target))


def versions(keys: Sequence[str]) -> dict[str, int]:
    """The version of each circuit that has a row. Raises django.db.Error."""
    return apart(lambda: dict(Circuit.objects.filter(key__in=keys).values_list("key", "version")))


def change(
    target: Target,
    decide: Callable[[Stored], Change | None],
    *,
    version: int | None,
    by: str = "",
    reason: str = "",
) -> Written:
    """Writes what `decide` makes of the row, with its event, in a transaction of its own.

    Nothing is written where it decides for None, or where the row has another version than
    `version`; without one any will do: an operator's word stands above what workers believe. An
    opening raises one alert: whatever follows until the circuit closes is the same outage. Raises
    django.db.Error.
    """
    return apart(lambda: _change(target, decide, version=version, by=by, reason=reason))


def extend(target: Target, *, version: int, lease_ms: int) -> bool:
    """Notes for how long the next probe of a half-open era may be under way.

    False where the era is over. Raises django.db.Error.
    """
    return apart(lambda: _extend(target, version=version, lease_ms=lease_ms))


def _extend(target: Target, *, version: int, lease_ms: int) -> bool:
    with transaction.atomic():
        _be_brief()
        rows = Circuit.objects.filter(
            key=target.key, version=version, state=CircuitState.HALF_OPEN.value
        )
        return rows.update(since=clock.db_now(), wait_ms=lease_ms) == 1


def _read(target: Target) -> Stored:
    with transaction.atomic():
        _be_brief()
        row = Circuit.objects.filter(key=target.key).first() or _made(target)
        return stored_of(row, now=clock.db_now())


def _change(
    target: Target,
    decide: Callable[[Stored], Change | None],
    *,
    version: int | None,
    by: str,
    reason: str,
) -> Written:
    with transaction.atomic():
        _be_brief()
        _made(target)
        row = Circuit.objects.select_for_update().get(key=target.key)
        now = clock.db_now()
        before = stored_of(row, now=now)
        done = decide(before) if version in (None, row.version) else None
        if done is None:
            return Written(stored=before, is_mine=False)
        _write(row, done, now=now)
        _tell(row, before, by=by, reason=reason[:MOST_REASON], now=now)
    _count(target, before, done)
    return Written(stored=stored_of(row, now=now), is_mine=True)


def _be_brief() -> None:
    """A database that hangs must not hang whoever only wants to call somebody."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('lock_timeout', %(at_most)s, true), "
            "set_config('statement_timeout', %(at_most)s, true)",
            {"at_most": f"{PATIENCE_MS}ms"},
        )


def _made(target: Target) -> Circuit:
    """The row of a circuit, closed unless it is there already; many may make it at once."""
    row = Circuit(
        key=target.key,
        provider=target.provider,
        chain=target.chain,
        kind=target.kind.value,
        state=CircuitState.CLOSED.value,
        since=clock.db_now(),
    )
    Circuit.objects.bulk_create([row], ignore_conflicts=True)
    return Circuit.objects.get(key=target.key)


def _write(row: Circuit, done: Change, *, now: datetime) -> None:
    row.version += 1
    row.state, row.since = done.to.value, now
    row.level, row.wait_ms = done.level, done.wait_ms
    row.is_held, row.is_ramped, row.trip = done.is_held, done.is_ramped, done.trip.value
    row.calls, row.failures, row.slow = done.tally.calls, done.tally.failures, done.tally.slow
    row.save()


def _tell(row: Circuit, before: Stored, *, by: str, reason: str, now: datetime) -> None:
    """The change's event and, where a closed circuit opened, the alert; under the row's lock."""
    CircuitEvent.objects.create(
        circuit=row,
        version=row.version,
        from_state=before.state.value,
        to_state=row.state,
        trip=row.trip,
        calls=row.calls,
        failures=row.failures,
        slow=row.slow,
        level=row.level,
        wait_ms=row.wait_ms,
        by=by,
        reason=reason,
        correlation_id=logs.correlation_id.get(),
        created_at=now,
    )
    if before.state is CircuitState.CLOSED and row.state == CircuitState.OPEN.value:
        sentence = _sentence(row, by=by, reason=reason)
        outbox.emit(SystemAlert(subject=f"circuit:{row.key}", message=sentence))
        log.error(sentence, circuit=row.key, trip=row.trip)
    else:
        log.warning("circuit changed", circuit=row.key, to=row.state, by=by)


def _sentence(row: Circuit, *, by: str, reason: str) -> str:
    if row.is_held:
        return f"{row}: {by} opened the circuit ({reason}); close it in the admin."
    what = {
        Trip.CONSECUTIVE.value: "calls failed one after the other",
        Trip.RATE.value: f"{row.failures} of {row.calls} calls failed",
        Trip.SLOW.value: f"{row.slow} of {row.calls} calls were slow",
    }.get(row.trip, "calls failed")
    return (
        f"{row}: {what}, so the circuit opened; a call is let through in {row.wait_ms // 1000} s. "
        "See the provider's status and, if need be, its key and address."
    )


def _count(target: Target, before: Stored, done: Change) -> None:
    labels = target.provider, target.chain, target.kind.value
    metrics.circuit_changes.labels(*labels, done.to.value).inc()
    if before.state is CircuitState.CLOSED and done.to is CircuitState.OPEN:
        metrics.circuit_openings.labels(*labels).inc()


def stored_of(row: Circuit, *, now: datetime) -> Stored:
    """The row as a value, its times as durations up to `now`."""
    return Stored(
        target=row.target,
        version=row.version,
        state=CircuitState(row.state),
        level=row.level,
        since=row.since,
        age_ms=max(0, (now - row.since) // timedelta(milliseconds=1)),
        wait_ms=row.wait_ms,
        is_held=row.is_held,
        is_ramped=row.is_ramped,
        trip=Trip(row.trip),
        tally=Tally(calls=row.calls, failures=row.failures, slow=row.slow),
    )
