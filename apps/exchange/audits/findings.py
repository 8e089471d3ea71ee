"""What looks have found: kept until a later look finds it right, and told to operators once."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from apps.exchange.models import Check, Finding, Market
from moonx.core import clock, locks, logs, metrics, outbox
from moonx.core.events import SystemAlert
from moonx.core.locks import Lock

log = logs.get("moonx.audit")

DAY = "24h"  # the interval of a ticker, whose window moves
# Enough to act on, whatever was damaged: findings of a look, findings that stand, alerts of a look.
MOST, MOST_STANDING, MOST_ALERTS = 1_000, 5_000, 20

Key = tuple[str, int, str, datetime | None, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A field that is not what it should be; `at` as in `Finding`."""

    check: Check
    market_id: int
    interval: str
    at: datetime
    field: str
    stored: str
    expected: str

    @property
    def key(self) -> Key:
        """What a later look knows it by: a ticker is the same one whenever its window ends."""
        at = None if self.interval == DAY else self.at
        return (self.check.value, self.market_id, self.interval, at, self.field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """What was looked at: all bars of an interval that open in [start, stop), or some tickers."""

    check: Check
    interval: str
    start: datetime | None = None
    stop: datetime | None = None
    markets: Collection[int] | None = None

    def holds(self, row: Finding) -> bool:
        """Whether the look would have found it again."""
        return (
            (row.check_name, row.interval) == (self.check, self.interval)
            and (self.start is None or row.at >= self.start)
            and (self.stop is None or row.at < self.stop)
            and (self.markets is None or row.market_id in self.markets)
        )


def record(wrong: Sequence[Wrong], covered: Iterable[Covered]) -> int:
    """Keeps what a look found, and resolves what it no longer did; returns how much is new.

    New findings are logged, and told as `system.alert`, once for each check, market and interval.
    """
    looks = list(covered) if len(wrong) <= MOST else []  # what was cut off is not right
    found = {one.key: one for one in wrong[:MOST]}
    with transaction.atomic():
        locks.hold(Lock.JOB, locks.key_of("audits.record"))
        now = clock.db_now()
        standing = {_key(row): row for row in Finding.objects.filter(resolved_at=None)}
        room = max(0, MOST_STANDING - len(standing))
        fresh = [one for key, one in found.items() if key not in standing][:room]
        _create(fresh, now=now)
        _see_again([(row, found[key]) for key, row in standing.items() if key in found], now=now)
        right = [
            row.pk
            for key, row in standing.items()
            if key not in found and any(look.holds(row) for look in looks)
        ]
        Finding.objects.filter(pk__in=right).update(resolved_at=now)
        _tell(fresh)
    _measure()
    return len(fresh)


def _key(row: Finding) -> Key:
    at = None if row.interval == DAY else row.at
    return (row.check_name, row.market_id, row.interval, at, row.field)


def _create(fresh: Sequence[Wrong], *, now: datetime) -> None:
    Finding.objects.bulk_create(
        Finding(
            check_name=one.check.value,
            market_id=one.market_id,
            interval=one.interval,
            at=one.at,
            field=one.field,
            stored=one.stored,
            expected=one.expected,
            first_seen=now,
            last_seen=now,
        )
        for one in fresh
    )


def _see_again(pairs: Sequence[tuple[Finding, Wrong]], *, now: datetime) -> None:
    for row, one in pairs:
        row.at, row.stored, row.expected = one.at, one.stored, one.expected
        row.last_seen, row.times = now, row.times + 1
    names = ["at", "stored", "expected", "last_seen", "times"]
    Finding.objects.bulk_update([row for row, _ in pairs], names)


def _tell(fresh: Sequence[Wrong]) -> None:
    symbols = dict(Market.objects.values_list("pk", "symbol")) if fresh else {}
    alike: defaultdict[tuple[Check, int, str], list[Wrong]] = defaultdict(list)
    for one in fresh:
        alike[one.check, one.market_id, one.interval].append(one)
    if len(alike) > MOST_ALERTS:
        message = f"{len(fresh)} fields of {len(symbols)} markets' data are wrong: see the admin."
        outbox.emit(SystemAlert(subject="audit:all", message=message))
    for (check, market, interval), group in list(alike.items())[:MOST_ALERTS]:
        subject = f"audit:{check}:{symbols[market]}:{interval}"
        more = f" and {len(group) - 1} more" if len(group) > 1 else ""
        message = f"{sentence(group[0], symbols[market])}{more}."
        log.error("market data is wrong", subject=subject, finding=message)
        outbox.emit(SystemAlert(subject=subject, message=message))


def sentence(one: Wrong, symbol: str) -> str:
    """A finding in words: market, interval, time and field."""
    what = "ticker, window ending" if one.interval == DAY else f"{one.interval} bar of"
    return (
        f"{symbol} {what} {one.at:%Y-%m-%d %H:%M:%S} UTC: {one.field} is {one.stored}, "
        f"not {one.expected}"
    )


def _measure() -> None:
    for check in Check:
        count = Finding.objects.filter(resolved_at=None, check_name=check.value).count()
        metrics.audit_findings.labels(check.value).set(count)
