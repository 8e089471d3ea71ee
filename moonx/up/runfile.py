"""Which process groups a MOONX_HOME runs: one `up` at a time, and no orphan of a killed one."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from moonx.up.errors import AlreadyRunningError
from moonx.up.process import signal_group, wait_until

LINUX = sys.platform == "linux"
# Orphans got their signal when `up` died; what has not ended by then is killed.
ORPHAN_GRACE_S = 3.0


@dataclass(frozen=True)
class Group:
    """A process group by its number and the start of its leader, which tell it from a later one."""

    name: str
    pgid: int
    started: str


@dataclass(frozen=True)
class _Stat:
    state: str
    pgrp: int
    started: int


def take_lock(home: Path) -> IO[str]:
    """The home's lock, held until the file is closed or this process dies in any way."""
    run = home / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    while True:
        file = (run / "up.lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            file.close()
            raise AlreadyRunningError(
                f"MoonX is already running in {home} (pid {pid}): stop it, or set another "
                "MOONX_HOME."
            ) from None
        if _is_the_file(file, run / "up.lock"):
            break
        file.close()  # the former holder removed it between our opening and locking it
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def release_lock(home: Path, lock: IO[str]) -> None:
    """Gives the home free and leaves no lock file."""
    (home / "run" / "up.lock").unlink(missing_ok=True)
    lock.close()


def _is_the_file(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


class RunFile:
    """The list of running groups on disk, for the `up` that comes after a `kill -9`."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / "groups.json"
        self._groups: dict[str, Group] = {}

    def add(self, name: str, pgid: int) -> None:
        """Notes a child that was just started."""
        self._groups[name] = Group(name, pgid, started_at(pgid) or "")
        self._write()

    def remove(self, name: str) -> None:
        """Forgets a child whose group has ended."""
        self._groups.pop(name, None)
        self._write()

    def clear(self) -> None:
        """Forgets all."""
        self._groups.clear()
        self._path.unlink(missing_ok=True)

    def end_orphans(self) -> list[str]:
        """Ends what a killed `up` left behind; the names of the children that were still there."""
        found = [group for group in self._read() if members(group)]
        for group in found:
            signal_group(group.pgid, signal.SIGTERM)
        wait_until(lambda: not any(map(members, found)), timeout_s=ORPHAN_GRACE_S, pause_s=0.05)
        for group in found:
            if members(group):
                signal_group(group.pgid, signal.SIGKILL)
        wait_until(lambda: not any(map(members, found)), timeout_s=ORPHAN_GRACE_S, pause_s=0.05)
        self.clear()
        return [group.name for group in found]

    def _write(self) -> None:
        unfinished = self._path.with_suffix(".new")
        groups = [asdict(group) for group in self._groups.values()]
        unfinished.write_text(json.dumps({"boot": boot_id(), "groups": groups}))
        unfinished.replace(self._path)

    def _read(self) -> list[Group]:
        try:
            noted = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return []
        if noted["boot"] != boot_id():  # the machine restarted: the numbers are others' now
            return []
        return [Group(**group) for group in noted["groups"]]


def boot_id() -> str:
    """Changes when the machine restarts, where the system tells."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def started_at(pid: int) -> str | None:
    """When the process started, in the system's own words; None if there is none."""
    if LINUX:
        stat = _stat(pid)
        return None if stat is None or stat.state in "ZX" else str(stat.started)
    asked = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or None


def members(group: Group) -> list[int]:
    """Living processes of the group; none if the number belongs to somebody else by now."""
    leader = started_at(group.pgid)
    if leader is not None:
        if leader != group.started:
            return []
        return _living(group.pgid) or [group.pgid]
    # The number of a group is not given out again while the group has members.
    return [pid for pid in _living(group.pgid) if int(started_at(pid) or 0) >= int(group.started)]


def _living(pgid: int) -> list[int]:
    if not LINUX:
        return []
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    stats = ((pid, _stat(pid)) for pid in pids)
    return [pid for pid, stat in stats if stat and stat.pgrp == pgid and stat.state not in "ZX"]


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets, which may hold anything.
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], pgrp=int(fields[2]), started=int(fields[19]))
