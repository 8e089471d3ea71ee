"""The gateway's periodic tasks: a name, limits, one call."""

from django.db import connection

from apps.realtime import signin
from apps.realtime.sequencer import AHEAD_DAYS, KEEP_DAYS
from moonx.core import clock, presence
from moonx.core.jobs import Outcome, job


@job(name="realtime.prune_events")
def prune_events() -> Outcome:
    """Daily: partitions for the coming days; those older than a week and old sign-ins go."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT core_roll_events(%s, %s)", [KEEP_DAYS, AHEAD_DAYS])
        row = cursor.fetchone()
    numbers = {
        "dropped": row[0],
        "forgotten": presence.forget_gone(),
        "sign_ins": signin.forget_expired(now=clock.db_now()),
    }
    return Outcome("Dropped {dropped} days of events ({ms} ms)", numbers)


@job(name="realtime.check_heartbeats", time_limit_s=20)
def check_heartbeats() -> Outcome:
    """Every 30 s: an alert for each process that missed three heartbeats, once."""
    silent = presence.raise_alerts()
    return Outcome("Checked heartbeats: {silent} newly silent ({ms} ms)", {"silent": silent})
