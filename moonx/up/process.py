"""Child processes that end with their parent, and the ending of whole process groups."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from moonx.up.accounts import Account, become

PR_SET_PDEATHSIG = 1
LINUX = sys.platform == "linux"
# Loaded once: between fork and exec nothing may be imported or allocated needlessly.
LIBC = ctypes.CDLL(None, use_errno=True)


def always_ready(_pid: int) -> bool:
    """True: for a child that is ready once it runs."""
    return True


def nothing_to_do() -> None:
    """For a child that needs no work before each of its starts."""


@dataclass(frozen=True)
class Service:
    """A long-running child: how to start it, when it is ready, how to end it."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    # Done before each start; what it gives back is said aloud.
    before: Callable[[], str | None] = nothing_to_do
    ready: Callable[[int], bool] = always_ready
    ready_timeout_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 10.0
    account: Account | None = None


def spawn(
    service: Service, *, environ: Mapping[str, str], output: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """The running child, leader of its own session, signalled if this process dies.

    Its own session keeps a terminal's Ctrl-C away from it: the parent decides the order of ending.
    """
    parent = os.getpid()

    def before_exec() -> None:
        if service.account is not None:
            become(service.account)
        if LINUX:
            # After the change of user, which clears it.
            LIBC.prctl(PR_SET_PDEATHSIG, int(service.stop_signal), 0, 0, 0)
            if os.getppid() != parent:  # the parent died before the line above
                os._exit(1)

    return subprocess.Popen(
        list(service.argv),
        env={**environ, **service.env},
        cwd=service.cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=before_exec,  # noqa: PLW1509  (the parent has one thread)
    )


def signal_group(pgid: int, number: signal.Signals) -> bool:
    """Whether the process group had a member to receive the signal."""
    try:
        os.killpg(pgid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group that holds zombies only
        return False
    return True


def end(child: subprocess.Popen[bytes], service: Service) -> None:
    """Ends the child and every process of its group: politely, and after its time limit by KILL."""
    if child.poll() is None:
        child.send_signal(service.stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(service.stop_timeout_s)
    signal_group(child.pid, signal.SIGKILL)
    child.wait()


def wait_until(condition: Callable[[], bool], *, timeout_s: float, pause_s: float = 0.01) -> bool:
    """Whether the condition came true within the time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True
