"""`make` as the parent: it passes TERM on, but neither INT nor HUP, nor its own death."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

WATCHED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


def parent_gave_up() -> Callable[[], bool]:
    """A question: did the `make` that started us die, or get a signal that it only waits after?

    On a deadly signal make restores that signal's default and waits for its commands to end; the
    signals that it catches are read from the system. Always False without make, or off Linux.
    """
    parent = os.getppid()
    status = Path(f"/proc/{parent}/status")
    if "MAKELEVEL" not in os.environ or _name(parent) not in {"make", "gmake"}:
        return lambda: False
    caught = _caught(status)
    return lambda: os.getppid() != parent or caught & ~_caught(status) != 0


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _caught(status: Path) -> int:
    """The watched signals that the process has a handler for, as bits; none if it is gone."""
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return 0
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:"))
    return mask & sum(1 << (number - 1) for number in WATCHED)
