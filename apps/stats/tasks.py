"""The periodic tasks of statistics: a name, limits, one call."""

from apps.stats.activity import following, retention
from moonx.core import clock
from moonx.core.jobs import Outcome, job


@job(name=following.TASK, time_limit_s=30)
def scan_activity() -> Outcome:
    """Every 15 s: who is active on each chain, up to its newest block."""
    return following.follow_all(now=clock.db_now())


# Not single: it would hold every chain's lock until its end. Two runs at once do no harm.
@job(name="stats.prune_activity", single=False, time_limit_s=120)
def prune_activity() -> Outcome:
    """Daily: days that are over are sealed, partitions made and dropped."""
    return retention.prune(now=clock.db_now())
