"""What is kept how long: sets for seven days by partitions, sealed days for ever."""

from datetime import UTC, datetime

from django.db import connection

from apps.stats.activity import records, sealing, windows
from apps.stats.models import ActivityCursor
from moonx.core import logs
from moonx.core.jobs import Outcome
from moonx.core.locks import LockBusy

log = logs.get("moonx.activity_days")

AHEAD_DAYS = 3
LONGEST_KEPT_DAYS = 366  # also of days that could not be sealed: what the owner's function allows
IS_READY = "SELECT to_regclass('public.stats_activity_leaf_' || to_char(%s::date + 1, 'YYYYMMDD'))"


def prune(*, now: datetime) -> Outcome:
    """Seals the days that are over, makes partitions for the coming ones, drops the old.

    Sealed first: a day's sets never go before its totals and sketches are kept.
    """
    chains = ActivityCursor.objects.values_list("chain", flat=True)
    sealed = sum(_sealed(chain, now=now) for chain in chains)
    numbers = {
        "sealed": sealed,
        "dropped": roll_days(now=now),
        "records": records.prune(before=windows.oldest(now)),
    }
    return Outcome("Sealed {sealed} days, dropped {dropped} partitions ({ms} ms)", numbers)


def _sealed(chain: str, *, now: datetime) -> int:
    try:
        return sealing.seal_days(chain, now=now)
    except LockBusy as error:  # a long backfill: tomorrow's run seals the day, which stays
        log.warning("days not sealed", chain=chain, why=str(error))
        return 0


def is_ready(*, now: datetime) -> bool:
    """Whether there is a partition for tomorrow."""
    with connection.cursor() as cursor:
        cursor.execute(IS_READY, [now.astimezone(UTC).date()])
        row = cursor.fetchone()
    return row[0] is not None


def roll_days(*, now: datetime) -> int:
    """Makes the partitions of the kept and the coming days; returns how many old ones went.

    Days that are not sealed stay, with all after them: nobody sealed them while we were away, or
    their chain was busy. The next daily run does.
    """
    unsealed = sealing.oldest_open(now=now)
    keep_days = windows.KEEP_DAYS if unsealed is None else (now - unsealed).days + 1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stats_roll_activity(%s, %s)", [min(keep_days, LONGEST_KEPT_DAYS), AHEAD_DAYS]
        )
        row = cursor.fetchone()
    return int(row[0])
