"""The periodic tasks of statistics: a name, limits, one call."""

from apps.stats import collection, overview
from apps.stats.activity import following, retention
from apps.stats.bridges import collecting
from apps.stats.chains import collecting as chain_collecting
from apps.stats.vocabulary import Verdict
from moonx.core import clock
from moonx.core.jobs import Outcome, job


# Not single: a look at the bridges holds a lock of its own, whoever asks for it.
@job(name="stats.bridge_latency", single=False)
def bridge_latency() -> Outcome:
    """Every 2 min: a quote of every bridge on each corridor in each size, and what it tells."""
    found = collecting.collect(now=clock.db_now())
    return Outcome(
        "Asked bridges for quotes: {quotes} came, {failed} failed, {held_back} were held back, "
        "{told} subjects were news ({ms} ms)",
        found.numbers(),
    )


# Not single: it would hold rows while it waits for others. A chain is looked at by one at a time.
@job(name="stats.chain_performance", single=False, time_limit_s=50)
def chain_performance() -> Outcome:
    """Each minute: how every chain does, and the overview of them."""
    done = chain_collecting.collect(now=clock.db_now())
    overview.update(now=clock.db_now(), count=False)
    numbers = {verdict.value: done.count(verdict) for verdict in Verdict}
    return Outcome(
        "Looked at chains: {healthy} healthy, {degraded} degraded, {unhealthy} unhealthy, "
        "{unknown} unknown, {failed} failed ({ms} ms)",
        {**numbers, "failed": len(done.failed)},
    )


@job(name="stats.collect_all", single=False, time_limit_s=120)
def collect_all() -> Outcome:
    """Every 5 min: chains, bridges, volumes at the same time, then hours and the overview."""
    done = collection.collect_all()
    return Outcome(
        "Collected all statistics: {success} parts success, {failed} failed ({ms} ms)",
        {"success": len(done.done), "failed": len(done.failed)},
    )


@job(name="stats.prune")
def prune() -> Outcome:
    """Daily: samples older than a week, hours older than 90 days, subjects that are gone."""
    return Outcome(
        "Pruned statistics: {chains} rows of chains, {bridges} of bridges, {subjects} subjects, "
        "{collectors} collectors ({ms} ms)",
        collection.prune(now=clock.db_now()),
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
