"""Reconciling: the invariants are looked at, and whatever breaks one is stopped and told.

Each minute what was written since the last clean look, nightly and on demand everything since a
seal that is a day old. Who is named by a finding is frozen, which markets are halted: money that
does not add up must not move until somebody has looked.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction

from apps.exchange import markets
from apps.exchange.ledger import invariants, queries, seals
from apps.exchange.ledger.invariants import Checked, Finding, Invariant, Scope
from apps.exchange.markets import MarketUnchanged
from apps.exchange.models import Market, Seal
from moonx.core import locks, logs, metrics, outbox
from moonx.core.events import SystemAlert
from moonx.core.locks import Lock, LockBusy

log = logs.get("moonx.ledger")

CURSOR = "reconcile"
BY = "reconcile"
A_DAY = timedelta(days=1)
# Trades carry the time at which their transaction began to write them.
LONGEST_TRANSACTION = timedelta(minutes=1)
LOGGED = 20  # findings per invariant; the others are counted

NOW = """
SELECT clock_timestamp(), pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
  coalesce(c.position, 0), c.updated_at
FROM (SELECT) one LEFT JOIN core_cursor c ON c.name = %s
"""

# Materialized, or the planner may walk all journals from the first one on.
FLOOR = """
WITH fresh AS MATERIALIZED (SELECT id FROM exchange_journal WHERE xid >= %s::text::xid8)
SELECT coalesce((SELECT min(id) FROM fresh), (SELECT max(id) + 1 FROM exchange_journal), 0)
"""

MOVE = """
INSERT INTO core_cursor (name, position, updated_at) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET position = excluded.position, updated_at = excluded.updated_at
WHERE core_cursor.position <= excluded.position
"""

FREEZE = """
INSERT INTO exchange_trader AS t (user_id, frozen_at, freeze_reason)
SELECT u.id, clock_timestamp(), o.reason
FROM unnest(%s::int[], %s::text[]) AS o(id, reason) JOIN auth_user u ON u.id = o.id
ON CONFLICT (user_id) DO UPDATE
SET frozen_at = excluded.frozen_at, freeze_reason = excluded.freeze_reason
WHERE t.frozen_at IS NULL
RETURNING t.user_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a check looks: everything below the transaction `complete` has ended. `position` and
    `position_at` are those of the last clean look."""

    now: datetime
    complete: int
    position: int
    position_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a check found, and what was done about it."""

    is_whole: bool
    moment: Moment
    checked: Sequence[Checked]
    ms: float
    frozen: Sequence[int] = ()
    halted: Sequence[str] = ()

    @property
    def broken(self) -> list[Checked]:
        """The invariants that do not hold."""
        return [one for one in self.checked if one.rows]

    @property
    def rows(self) -> int:
        """How much was found in all."""
        return sum(one.rows for one in self.checked)


Progress = Callable[[Invariant], None]


def check_new(*, acts: bool = True, on_progress: Progress = lambda _: None) -> Report:
    """Looks at what was written since the last clean look; at everything if there was none.

    Two at once do no harm: they look at the same, and the position only moves on.
    """
    return _check(scope_of_new, acts=acts, on_progress=on_progress)


def check_all(
    *, from_genesis: bool = False, acts: bool = True, on_progress: Progress = lambda _: None
) -> Report:
    """Looks at all accounts and open orders, and at all that was written since a seal that is a
    day old; `from_genesis` at everything that ever was. Seals the rest where all is well."""

    def scope(moment: Moment) -> Scope:
        return _genesis() if from_genesis else _whole(moment)

    return _check(scope, acts=acts, on_progress=on_progress)


def _check(scope_of: Callable[[Moment], Scope], *, acts: bool, on_progress: Progress) -> Report:
    started = time.monotonic()
    with invariants.snapshot():
        moment = moment_now()
        scope = scope_of(moment)
        checked = invariants.check(scope, on_progress=on_progress)
    report = Report(
        is_whole=scope.is_whole,
        moment=moment,
        checked=checked,
        ms=(time.monotonic() - started) * 1000,
    )
    return act(report) if acts else report


def act(report: Report) -> Report:
    """Does what follows from a report: measures it, and seals what it found in order, or halts."""
    _measure(report)
    if report.broken:
        return _respond(report)
    _move(report.moment)
    # What was looked at and found in order is sealed, a whole span at a time.
    seals.seal_all(before=report.moment.complete, at_least=1 if report.is_whole else seals.SPAN)
    return report


# What is looked at


def moment_now() -> Moment:
    """Now, up to which transaction everything is there, and how far the last look went."""
    with connection.cursor() as cursor:
        cursor.execute(NOW, [CURSOR])
        now, complete, position, position_at = cursor.fetchone()
    return Moment(now=now, complete=complete, position=position, position_at=position_at)


def scope_of_new(moment: Moment) -> Scope:
    """What came since the last look. It is found once, then looked at by every invariant."""
    if moment.position_at is None:
        return _genesis()
    seal = Seal.objects.order_by("-id").first()
    sealed = seal.to_xid if seal else 0
    new: dict[str, Any] = {"since": moment.position, "moment": _back(moment.position_at)}
    accounts = _rows(queries.TOUCHED_ACCOUNTS, new)
    starts = _rows(queries.STARTS, new)
    new["accounts"] = [account for (account,) in accounts]
    new["markets"], new["starts"] = [m for m, _ in starts], [seq for _, seq in starts]
    return Scope(
        is_whole=False,
        sealed=sealed,
        seal=seal.pk if seal else 0,
        floor=_floor(sealed),
        seals=_turn(moment.now),
        orders=[order for (order,) in _rows(queries.TOUCHED_ORDERS, new)],
        **new,
    )


def _rows(statement: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _whole(moment: Moment) -> Scope:
    seal = Seal.objects.filter(sealed_at__lte=moment.now - A_DAY).order_by("-id").first()
    if seal is None:
        return _genesis()
    return Scope(
        is_whole=True,
        since=seal.to_xid,
        moment=_back(seal.sealed_at),
        sealed=seal.to_xid,
        seal=seal.pk,
        floor=_floor(seal.to_xid),
        seals=list(Seal.objects.filter(pk__gte=seal.pk).values_list("pk", flat=True)),
    )


def _genesis() -> Scope:
    return Scope(is_whole=True, seals=list(Seal.objects.values_list("pk", flat=True)))


def _turn(now: datetime) -> list[int]:
    """The seal whose turn it is to be computed again: each minute the next one."""
    ids = Seal.objects.order_by("id").values_list("pk", flat=True)
    count = ids.count()
    turn = int(now.timestamp()) // 60 % count if count else 0
    return list(ids[turn : turn + 1])


def _floor(sealed: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(FLOOR, [sealed])
        return int(cursor.fetchone()[0])


def _back(moment: datetime) -> datetime:
    return moment - LONGEST_TRANSACTION


# What follows


def _move(moment: Moment) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MOVE, [CURSOR, moment.complete, moment.now])


def _measure(report: Report) -> None:
    scope = "all" if report.is_whole else "new"
    for one in report.checked:
        metrics.invariant_rows.labels(one.invariant.name, scope).set(one.rows)


def _respond(report: Report) -> Report:
    for one in report.broken:
        _log(one)
    with transaction.atomic():
        locks.hold(Lock.JOB, locks.key_of("ledger.respond"))
        frozen = _freeze(report.broken)
        outbox.emit_all(_alert(one) for one in report.broken)
    halted = _halt(report.broken)
    values: dict[str, Any] = {"frozen": frozen, "halted": halted}
    log.error("the ledger does not reconcile", rows=report.rows, **values)
    return Report(
        is_whole=report.is_whole,
        moment=report.moment,
        checked=report.checked,
        ms=report.ms,
        **values,
    )


def _log(one: Checked) -> None:
    for finding in one.findings[:LOGGED]:
        log.error(
            "invariant broken",
            invariant=one.invariant.name,
            subject=finding.subject,
            owner=finding.owner_id,
            market=finding.market_id,
        )
    if one.rows > LOGGED:
        log.error("invariant broken", invariant=one.invariant.name, more=one.rows - LOGGED)


def _alert(one: Checked) -> SystemAlert:
    more = f" and {one.rows - 1} more" if one.rows > 1 else ""
    return SystemAlert(
        subject=f"reconcile:{one.invariant.name}",
        message=f"“{one.invariant.sentence}” does not hold: {one.findings[0].subject}{more}.",
    )


def _freeze(broken: Sequence[Checked]) -> list[int]:
    """Freezes the owners that are named and are not frozen; returns whom."""
    reasons = {
        finding.owner_id: f"{BY}: {sentence}: {finding.subject}"
        for sentence, finding in _findings(broken)
        if finding.owner_id is not None
    }
    if not reasons:
        return []
    with connection.cursor() as cursor:
        cursor.execute(FREEZE, [list(reasons), list(reasons.values())])
        return sorted(owner for (owner,) in cursor.fetchall())


def _halt(broken: Sequence[Checked]) -> list[str]:
    """Halts the markets that are named and trade; returns which. One that is held by others for
    too long is halted by the next run."""
    reasons = {
        finding.market_id: f"{sentence}: {finding.subject}"
        for sentence, finding in _findings(broken)
        if finding.market_id is not None
    }
    halted = []
    for market in Market.objects.filter(pk__in=reasons).order_by("pk"):
        try:
            markets.halt(market, reason=reasons[market.pk], by=BY)
        except (MarketUnchanged, LockBusy) as cause:
            log.warning("market not halted", market=market.symbol, cause=str(cause))
        else:
            halted.append(market.symbol)
    return halted


def _findings(broken: Sequence[Checked]) -> list[tuple[str, Finding]]:
    return [(one.invariant.sentence, finding) for one in broken for finding in one.findings]
