"""The periodic tasks of statistics: a name, limits, one call."""

from apps.stats.activity import following, retention
from apps.stats.bridges import collecting
from moonx.core import clock
from moonx.core.jobs import Outcome, job


# Not single: a look at the bridges holds a lock of its own, whoever asks for it.
@job(name="stats.bridge_latency", single=False)
def bridge_latency() -> Outcome:
    """Every 2 min: a quote of every bridge on each corridor in each size, and what it tells."""
    found = collecting.collect(now=clock.db_now())
    return Outcome(
        "Asked bridges for quotes: {quotes} came, {failed} failed, {held_back} were held back, "
        "{told} verdicts told in {ms} ms",
        found.numbers(),
    )


@job(name="stats.scan_activity", time_limit_s=30)
def scan_activity() -> Outcome:
    """Every 15 s: who is active on each chain, up to its newest block."""
    return following.follow_all(now=clock.db_now())


# Not single: it would hold every chain's lock until its end. Two runs at once do no harm.
@job(name="stats.prune_activity", single=False, time_limit_s=120)
def prune_activity() -> Outcome:
    """Daily: days that are over are sealed, partitions made and dropped."""
    return retention.prune(now=clock.db_now())
