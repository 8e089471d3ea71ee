"""The periodic tasks of statistics: a name, limits, one call."""

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
