"""THE beat table: what runs when, and on which queue."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from django.conf import settings
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from moonx.core import locks
from moonx.core.locks import Lock
from moonx.core.paces import CRON_FIELDS, next_moment, period_of
from moonx.settings import cron

SHORTEST_MONTH = timedelta(days=28)
# Beat notes what it sent every ten seconds; only what is missing for longer is late.
GRACE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Every:
    """A fixed pace, counted from the last run."""

    seconds: int

    @property
    def period(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def row(self) -> dict[str, IntervalSchedule]:
        """The row of beat's table that says so."""
        wanted = {"every": self.seconds, "period": IntervalSchedule.SECONDS}
        found = IntervalSchedule.objects.filter(**wanted).first()
        return {"interval": found or IntervalSchedule.objects.create(**wanted)}

    def __str__(self) -> str:
        return f"every {self.seconds} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class At:
    """Moments of the UTC calendar, as five cron fields; `period` is the shortest gap."""

    minute: str
    hour: str = "*"
    day_of_month: str = "*"
    month_of_year: str = "*"
    day_of_week: str = "*"
    period: timedelta

    @property
    def fields(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in CRON_FIELDS}

    def row(self) -> dict[str, CrontabSchedule]:
        """The row of beat's table that says so."""
        wanted = {**self.fields, "timezone": "UTC"}
        found = CrontabSchedule.objects.filter(**wanted).first()
        return {"crontab": found or CrontabSchedule.objects.create(**wanted)}

    def __str__(self) -> str:
        return f"at {' '.join(self.fields.values())} UTC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One periodic task. A message that waited a whole period is dropped: the next one does it."""

    task: str
    when: Every | At
    queue: str
    # Where nobody minds, as in the demo: figures then stand, and heads move, within seconds.
    when_simulated: Every | None = None

    @property
    def expires_s(self) -> int:
        return int(self.when.period.total_seconds())


def _minutes(count: int) -> At:
    return At(minute="*" if count == 1 else f"*/{count}", period=timedelta(minutes=count))


SCHEDULE: tuple[Entry, ...] = (
    Entry(task="exchange.update_tickers", when=Every(5), queue="tickers"),
    Entry(task="exchange.close_candles_1m", when=_minutes(1), queue="candles"),
    Entry(task="exchange.close_candles_5m", when=_minutes(5), queue="candles"),
    Entry(task="exchange.close_candles_15m", when=_minutes(15), queue="candles"),
    Entry(task="exchange.close_candles_30m", when=_minutes(30), queue="candles"),
    Entry(
        task="exchange.close_candles_1h",
        when=At(minute="0", period=timedelta(hours=1)),
        queue="candles",
    ),
    Entry(
        task="exchange.close_candles_4h",
        when=At(minute="0", hour="*/4", period=timedelta(hours=4)),
        queue="candles",
    ),
    Entry(
        task="exchange.close_candles_1d",
        when=At(minute="0", hour="0", period=timedelta(days=1)),
        queue="candles",
    ),
    Entry(
        task="exchange.close_candles_1w",
        when=At(minute="0", hour="0", day_of_week="1", period=timedelta(weeks=1)),
        queue="candles",
    ),
    Entry(
        task="exchange.close_candles_1M",
        when=At(minute="0", hour="0", day_of_month="1", period=SHORTEST_MONTH),
        queue="candles",
    ),
    Entry(task="exchange.sweep_matching", when=Every(1), queue="matching"),
    Entry(task="exchange.expire_orders", when=Every(10), queue="expiry"),
    Entry(task="exchange.reconcile", when=Every(60), queue="expiry"),
    Entry(
        task="exchange.reconcile_all",
        when=At(minute="20", hour="0", period=timedelta(days=1)),
        queue="expiry",
    ),
    # In another worker than what makes bars and tickers, which it must not delay.
    Entry(task="exchange.audit_market_data", when=Every(30), queue="stats"),
    Entry(task="stats.scan_activity", when=Every(15), queue="stats"),
    Entry(
        task="stats.prune_activity",
        when=At(minute="40", hour="0", period=timedelta(days=1)),
        queue="stats",
    ),
    # In another worker than the exchange's, so that a dead one is noticed.
    Entry(task="realtime.check_heartbeats", when=Every(30), queue="stats"),
    Entry(
        task="realtime.prune_events",
        when=At(minute="10", hour="0", period=timedelta(days=1)),
        queue="stats",
    ),
    Entry(
        task="stats.chain_performance", when=_minutes(1), queue="stats", when_simulated=Every(10)
    ),
    Entry(task="stats.collect_all", when=_minutes(5), queue="stats"),
    Entry(
        task="stats.prune",
        when=At(minute="40", hour="0", period=timedelta(days=1)),
        queue="stats",
    ),
    Entry(task="stats.bridge_latency", when=_minutes(2), queue="stats", when_simulated=Every(20)),
)


# Variables of the environment that say when an entry runs at first.
VARIABLES: dict[str, Callable[[], str]] = {
    "stats.collect_all": lambda: settings.ENV.stats_collection_interval,
    "stats.chain_performance": lambda: settings.ENV.chain_performance_interval,
    "stats.bridge_latency": lambda: settings.ENV.bridge_latency_interval,
}
# As many gaps show the shortest one of a calendar whose days follow a pattern.
GAPS_LOOKED_AT = 100


def find(task: str) -> Entry:
    """The entry of that name, as the environment has it; KeyError where the table has none."""
    return at_first({entry.task: entry for entry in SCHEDULE}[task])


def at_first(entry: Entry) -> Entry:
    """The entry as it is installed: at the moments that the environment names, if it does, and
    more often where the simulator answers.

    A row that is there already keeps its own: what operators set is never overwritten.
    """
    variable = VARIABLES.get(entry.task)
    if variable and (calendar := variable()):
        return replace(entry, when=_calendar(calendar))
    if entry.when_simulated and settings.ENV.simulator_url:
        return replace(entry, when=entry.when_simulated)
    return entry


def _calendar(text: str) -> At:
    fields = cron.named(text)
    moments = [next_moment(fields, datetime.now(UTC))]
    while len(moments) <= GAPS_LOOKED_AT:
        moments.append(next_moment(fields, moments[-1]))
    gaps = [after - before for before, after in pairwise(moments)]
    return At(**fields, period=min(gaps))


def known_tasks() -> list[str]:
    """What beat may send, by name."""
    return sorted(entry.task for entry in SCHEDULE)


@dataclass(frozen=True, slots=True)
class Installed:
    """What `install` changed."""

    created: list[str]
    disabled: list[str]


def install() -> Installed:
    """Makes beat's rows agree with the table without touching what operators changed.

    Missing entries are created, entries whose task is gone from the table are disabled. Two that
    install at once do it one after the other.
    """
    with transaction.atomic():
        locks.hold(Lock.JOB, locks.key_of("schedule.install"), wait_ms=30_000)
        present = set(PeriodicTask.objects.values_list("name", flat=True))
        missing = [at_first(entry) for entry in SCHEDULE if entry.task not in present]
        for entry in missing:
            _create(entry)
        return Installed(created=[entry.task for entry in missing], disabled=_disable_unknown())


def _create(entry: Entry) -> None:
    PeriodicTask.objects.create(
        name=entry.task,
        task=entry.task,
        queue=entry.queue,
        expire_seconds=entry.expires_s,
        description=f"Default: {entry.when}, queue {entry.queue}.",
        **entry.when.row(),
    )


def _disable_unknown() -> list[str]:
    unknown = PeriodicTask.objects.filter(enabled=True).exclude(task__in=known_tasks())
    names = []
    for row in unknown.select_for_update():
        row.enabled = False
        row.save()  # unlike update(), this tells a running beat
        names.append(row.name)
    return names


def overdue() -> list[PeriodicTask]:
    """The enabled entries that beat should have sent a while ago."""
    rows = PeriodicTask.objects.filter(enabled=True).select_related("interval", "crontab")
    return [row for row in rows.order_by("name") if is_overdue(row)]


def is_overdue(row: PeriodicTask) -> bool:
    """Whether beat should have sent the enabled entry's message over half a minute ago."""
    last = row.last_run_at or row.date_changed
    return bool(row.schedule.remaining_estimate(last) < -GRACE)


def describe(row: PeriodicTask) -> str:
    """When a row runs, in the words of the table."""
    if row.interval is not None:
        return f"every {period_of(row).total_seconds():g} s"
    if row.crontab is not None:
        fields = " ".join(getattr(row.crontab, name) for name in CRON_FIELDS)
        return f"at {fields} {row.crontab.timezone}"
    return "never"


def differences() -> Iterator[str]:
    """A sentence for each entry that operators run differently from the table."""
    rows = {row.name: row for row in PeriodicTask.objects.select_related("interval", "crontab")}
    for entry in map(at_first, SCHEDULE):
        row = rows.get(entry.task)
        if row is None:
            yield f"{entry.task} is missing"
        elif not row.enabled:
            yield f"{entry.task} is disabled"
        elif not _agrees(row, entry):
            yield (
                f"{entry.task} runs {describe(row)} on {row.queue}, "
                f"by default {entry.when} on {entry.queue}"
            )


def _agrees(row: PeriodicTask, entry: Entry) -> bool:
    if row.queue != entry.queue:
        return False
    if isinstance(entry.when, Every):
        return row.interval is not None and row.schedule.run_every == entry.when.period
    fields = entry.when.fields
    return row.crontab is not None and all(
        getattr(row.crontab, name) == value for name, value in fields.items()
    )
