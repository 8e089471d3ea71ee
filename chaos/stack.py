"""The real thing in a home of its own: started as anybody would, struck, and stopped."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import redis

from chaos.plan import Blow, Fault
from chaos.verdict import say
from moonx.up.beside import ROOT, STORES, running_environment
from moonx.up.postgres import Passwords, Postgres
from moonx.up.probe import answers
from moonx.up.process import Service, spawn, wait_until
from moonx.up.runfile import started_at

START_TIMEOUT_S = 240
STOP_TIMEOUT_S = 90
ADDRESSES = {"valkey-broker": "BROKER_URL", "valkey-cache": "CACHE_URL"}


class Stack:
    """One running `up`."""

    def __init__(self, home: Path, port: int, up: "subprocess.Popen[bytes]") -> None:
        self.home, self.port, self.up = home, port, up
        self._seen: dict[int, str] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What the stack's processes are told."""
        found: dict[str, str] = json.loads(running_environment(self.home).read_text())
        return found

    def groups(self) -> dict[str, int]:
        """The process group of each child that runs now; all that ever ran are remembered."""
        path = self.home / "run" / "groups.json"
        try:
            noted = json.loads(path.read_text())["groups"]
        except (FileNotFoundError, ValueError):
            return {}
        self._seen |= {group["pgid"]: group["started"] for group in noted}
        return {group["name"]: group["pgid"] for group in noted}

    def strike(self, fault: Fault, rng: random.Random) -> bool:
        """Does it; False where the target does not run right now."""
        if fault.blow is Blow.FLUSH:
            return self._flush(ADDRESSES[fault.target])
        pid = self.groups().get(fault.target)
        if pid is not None and fault.blow is Blow.KILL_CHILD:
            children = [other for other in _members(pid) if other != pid]
            pid = rng.choice(children) if children else None
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if fault.blow is Blow.RESTART else signal.SIGKILL)
            return True
        return False

    def freeze(self, name: str) -> None:
        """Stops a child from doing anything, without ending it."""
        os.killpg(self.groups()[name], signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Lets a frozen child go on."""
        with contextlib.suppress(KeyError, ProcessLookupError):
            os.killpg(self.groups()[name], signal.SIGCONT)

    def survivors(self) -> list[int]:
        """Processes that the stack started and that still run."""
        return [
            pid
            for pgid, started in self._seen.items()
            for pid in _members(pgid)
            if pid != pgid or started_at(pid) == started
        ]

    def _flush(self, variable: str) -> bool:
        try:
            client = redis.Redis.from_url(self.environment[variable], socket_timeout=2)
            client.flushall()
        except (redis.RedisError, OSError):
            return False
        client.close()
        return True


@contextmanager
def running(home: Path, port: int, settings: Mapping[str, str]) -> Iterator[Stack]:
    """`python -m moonx.up` in `home`, ready; stopped by TERM at the end."""
    environ = {k: v for k, v in os.environ.items() if k not in {*STORES, "DATABASE_OWNER_URL"}}
    environ |= {"MOONX_HOME": str(home), "MOONX_PORT": str(port), **settings}
    environ.pop("DJANGO_SETTINGS_MODULE", None)
    home.mkdir(parents=True, exist_ok=True)
    say(f"starting the stack on port {port}")
    # Told to stop should this process die; it then stops everything that it runs.
    service = Service(name="up", argv=[sys.executable, "-m", "moonx.up"], cwd=ROOT)
    with (home / "up.log").open("wb") as log:
        up = spawn(service, environ=environ, output=log)
    stack = Stack(home, port, up)
    try:
        _wait_ready(stack)
        yield stack
    finally:
        stack.groups()
        _end(stack)


def _wait_ready(stack: Stack) -> None:
    ready = wait_until(
        lambda: stack.up.poll() is not None or "ready after" in _log(stack),
        timeout_s=START_TIMEOUT_S,
        pause_s=0.2,
    )
    if not ready or not answers(stack.port, "/health/live"):
        raise RuntimeError(f"the stack did not start:\n{_log(stack)[-3000:]}")


def _log(stack: Stack) -> str:
    return (stack.home / "up.log").read_text(errors="replace")


def _end(stack: Stack) -> None:
    if stack.up.poll() is None:
        stack.up.terminate()
    try:
        stack.up.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        stack.up.kill()
        stack.up.wait()
    time.sleep(0.2)
    nobodys = Passwords(superuser="", owner="", app="")
    shutil.rmtree(Postgres(stack.home, nobodys).socket_dir, ignore_errors=True)


def _members(pgid: int) -> list[int]:
    """The living processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == pgid and fields[0] not in "ZX":
                    found.append(int(entry.name))
    return found
