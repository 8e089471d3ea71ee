"""A small supervised family in a process of its own: `python -m moonx.up.tests.toy HOME`."""

import os
import sys
from pathlib import Path

from moonx.up.console import Console
from moonx.up.process import Service
from moonx.up.runfile import RunFile
from moonx.up.supervisor import Supervisor

LOOP = "while :; do sleep 0.05; done"


def shell(name: str, script: str, *, stop_timeout_s: float = 5) -> Service:
    """A child that runs a line of shell."""
    return Service(name=name, argv=["sh", "-c", script], stop_timeout_s=stop_timeout_s)


def main(home: Path) -> None:
    """Runs the family until a signal."""
    (home / "run").mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(
        console=Console(), logs=home / "log", run_file=RunFile(home), environ=os.environ
    )
    polite = f"trap 'echo $0 >> {home}/ended; exit' TERM; echo up >> {home}/$0.starts; {LOOP}"
    with supervisor.signals():
        for name in ("first", "second"):
            supervisor.start([shell(name, polite.replace("$0", name))])
        # Its grandchild keeps TERM away as well and outlives it unless the group is ended.
        supervisor.start(
            [shell("stubborn", f"trap '' TERM; sleep 1000 & {LOOP}", stop_timeout_s=0.5)]
        )
        supervisor.wait_ready()
        print("family ready", flush=True)
        supervisor.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
