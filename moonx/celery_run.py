"""A worker or beat: `python -m moonx.celery_run worker <queues>`, or `beat` alone.

Celery's own command line is passed by: it imports Flower's web server and an interactive prompt
into every role, a third of the processor time of a start.
"""

import os
import sys
from collections.abc import Sequence

from celery.utils.nodenames import default_nodename, host_format
from django.conf import settings

from moonx.celery import app
from moonx.roles import THREADED_QUEUES

# `make check` runs Django's checks; at each start they would import every page into every worker.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")


def main(arguments: Sequence[str]) -> int:
    """Runs until a signal; the exit code."""
    match list(arguments):
        case ["worker", queues]:
            return work(queues.split(","), concurrency=settings.ENV.worker_concurrency)
        case ["beat"]:
            app.Beat(scheduler_cls="moonx.beat:Scheduler", loglevel="WARNING", quiet=True).run()
            return 0
    print(__doc__, file=sys.stderr)
    return 2


def work(queues: Sequence[str], *, concurrency: int) -> int:
    """Does the tasks of these queues until a signal; the exit code."""
    worker = app.Worker(
        hostname=host_format(default_nodename(f"{'-'.join(queues)}@%h")),
        queues=queues,
        pool_cls="threads" if set(queues) <= THREADED_QUEUES else "prefork",
        concurrency=concurrency,
        # Workers need not know each other: mingling would delay every start by a second.
        without_gossip=True,
        without_mingle=True,
        loglevel="WARNING",
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
