"""Runs children: starts again what dies, shows what they say, ends all of them in order."""

import collections
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from moonx.up.childlog import ChildLog
from moonx.up.console import Console
from moonx.up.errors import StartError
from moonx.up.process import LIBC, Service, signal_group, spawn, wait_until
from moonx.up.restarts import STARTS_BEFORE_GIVING_UP, next_pause_s
from moonx.up.runfile import RunFile

PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICK_S = 0.05
ASK_EVERY_S = 0.1  # how often a child that is not ready yet is asked again
IDLE_TICK_S = 0.5
HASTENED_S = 1.0  # after a second Ctrl-C
# A terminal and `make` may both pass on one Ctrl-C: within this time it is the same one.
SAME_SIGNAL_S = 0.7


class Stopped(Exception):
    """A signal asked to stop while something was waited for."""


@dataclass
class Child:
    """A service and the process that runs it at present."""

    service: Service
    stage: int
    log: ChildLog
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    pause_s: float = 0.0
    due_s: float | None = None
    asked_s: float = 0.0
    ends_by_itself: bool = False
    is_ready: bool = False
    was_ready: bool = False
    starts: int = 0
    last_words: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=3))


class Supervisor:
    """Children in stages: later stages stand on earlier ones and are ended before them."""

    def __init__(
        self, *, console: Console, logs: Path, run_file: RunFile, environ: Mapping[str, str]
    ) -> None:
        self.environ = dict(environ)
        self._console = console
        self._logs = logs
        self._run_file = run_file
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._signalled_s = 0.0
        self._stage = 0
        self._watch: list[Callable[[], bool]] = []
        self._ticks: list[Callable[[], None]] = []
        self._at_end: list[Callable[[], None]] = []
        logs.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Within it INT, TERM and HUP ask to stop; nothing runs when it is left."""
        receive, send = os.pipe()
        os.set_blocking(receive, False)
        os.set_blocking(send, False)
        self._selector.register(receive, selectors.EVENT_READ, None)
        former_fd = signal.set_wakeup_fd(send, warn_on_full_buffer=False)
        former = {number: signal.signal(number, self._on_signal) for number in STOP_SIGNALS}
        # A death must wake the loop; without a handler of its own the signal would be dropped.
        former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        if sys.platform == "linux":
            # Grandchildren of a child that died come to us and are reaped, init or no init.
            LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        try:
            yield
        finally:
            self.stop()
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(former_fd)
            self._selector.unregister(receive)
            os.close(receive)
            os.close(send)

    def watch(self, wants_stop: Callable[[], bool]) -> None:
        """Asks this, too, twice a second, whether to stop."""
        self._watch.append(wants_stop)

    def every(self, period_s: float, action: Callable[[], None]) -> None:
        """Does this about so often while children run; it must be quick."""
        due_s = time.monotonic() + period_s

        def tick() -> None:
            nonlocal due_s
            if time.monotonic() >= due_s:
                action()
                due_s = time.monotonic() + period_s

        self._ticks.append(tick)

    def start(self, services: Sequence[Service]) -> None:
        """Starts all of them at once, as one stage."""
        self._stage += 1
        for service in services:
            log = ChildLog(self._logs / f"{service.name}.log")
            child = Child(service, self._stage, log)
            self._children.append(child)
            self._spawn(child)

    def wait_ready(self, names: Sequence[str] | None = None) -> None:
        """Returns when these (by default all) serve; StartError names the one that does not."""
        waited = [c for c in self._children if names is None or c.service.name in names]
        begun = time.monotonic()
        while late := [child for child in waited if not child.is_ready]:
            for child in late:
                if time.monotonic() - begun > child.service.ready_timeout_s:
                    raise self._not_started(child, "was not ready in time")
                if not child.was_ready and child.starts >= STARTS_BEFORE_GIVING_UP:
                    raise self._not_started(child, "ended at once")
            self._turn(TICK_S)
            self._raise_if_stopped()

    def run_to_end(self, service: Service) -> None:
        """Runs a child that ends by itself; StartError if it fails."""
        self.start([service])
        child = self._children[-1]
        process = child.process
        assert process is not None  # noqa: S101  (start has just set it)
        child.ends_by_itself = child.is_ready = True
        while process.poll() is None:
            self._turn(TICK_S)
            self._raise_if_stopped()
        self._drain(child)
        self._forget(child)
        if process.returncode != 0:
            raise self._not_started(child, f"failed with exit code {process.returncode}")

    def restart(self, names: Sequence[str], *, between: Callable[[], None] | None = None) -> None:
        """Ends the children of these names, does what is to be done between, starts them again."""
        chosen = [child for child in self._children if child.service.name in names]
        self._end(chosen)
        if between is not None:
            between()
        for child in chosen:
            child.starts, child.was_ready = 0, False
            self._spawn(child)

    def run(self) -> None:
        """Keeps all children running until a signal asks to stop."""
        while not self.is_stopping():
            self._turn(TICK_S if any(not c.is_ready for c in self._children) else IDLE_TICK_S)
            for tick in self._ticks:
                tick()

    def is_stopping(self) -> bool:
        """Whether somebody asked to stop."""
        if not self._signals and any(wants_stop() for wants_stop in self._watch):
            self._signals = 1
        return self._signals > 0

    def stop(self) -> None:
        """Ends every stage, the last one first, and reads what the children still say."""
        for stage in sorted({child.stage for child in self._children}, reverse=True):
            members = [child for child in self._children if child.stage == stage]
            self._end(members)
            for child in members:
                self._forget(child)
        self._run_file.clear()
        for action in self._at_end:
            action()

    def at_end(self, action: Callable[[], None]) -> None:
        """Does this once every child has ended."""
        self._at_end.append(action)

    def pid(self, name: str) -> int | None:
        """The process id of the child of this name while it runs."""
        running = (c.process for c in self._children if c.service.name == name)
        return next((process.pid for process in running if process), None)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._signals or now - self._signalled_s > SAME_SIGNAL_S:
            self._signals += 1
            self._signalled_s = now

    def _raise_if_stopped(self) -> None:
        if self.is_stopping():
            raise Stopped

    def _not_started(self, child: Child, what: str) -> StartError:
        words = child.last_words[-1] if child.last_words else "it said nothing"
        return StartError(
            f"{child.service.name} {what}: {words.strip()} (all of it: {child.log.path})"
        )

    def _spawn(self, child: Child) -> None:
        if note := child.service.before():
            self._console.step(note)
        process = spawn(child.service, environ=self.environ, output=subprocess.PIPE)
        assert process.stdout is not None  # noqa: S101  (a pipe was asked for)
        child.process, child.due_s, child.is_ready = process, None, False
        child.asked_s = 0.0
        child.started_s = time.monotonic()
        child.starts += 1
        self._run_file.add(child.service.name, process.pid)
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, child)

    def _turn(self, timeout_s: float, *, reap: bool = True) -> None:
        """Waits for words, deaths, signals or the time, and acts on them."""
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(key.fd, 4096)
            else:
                self._read(key.data)
        if reap:
            for child in self._children:
                self._look_after(child)
            self._reap_strangers()

    def _look_after(self, child: Child) -> None:
        process = child.process
        if process is None:
            if child.due_s is not None and time.monotonic() >= child.due_s:
                self._spawn(child)
        elif child.ends_by_itself:
            return
        elif process.poll() is not None:
            self._bury(child, process)
        elif not child.is_ready:
            self._ask(child, process)

    def _ask(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        if time.monotonic() - child.asked_s >= ASK_EVERY_S:
            child.asked_s = time.monotonic()
            child.is_ready = child.service.ready(process.pid)
            child.was_ready = child.was_ready or child.is_ready

    def _bury(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        """Ends the rest of a dead child's group and sets the time of its next start."""
        self._drain(child)
        signal_group(process.pid, signal.SIGKILL)
        ran_s = time.monotonic() - child.started_s
        child.pause_s = next_pause_s(previous_s=child.pause_s, ran_s=ran_s)
        child.process, child.is_ready = None, False
        child.due_s = time.monotonic() + child.pause_s
        self._console.step(
            f"{child.service.name} {_death(process.returncode)}; "
            f"starting it again in {child.pause_s:.1f} s"
        )

    def _reap_strangers(self) -> None:
        """Reaps orphaned grandchildren; our own children are left to their Popen."""
        own = {child.process.pid for child in self._children if child.process}
        if not hasattr(os, "waitid"):
            return
        with contextlib.suppress(ChildProcessError):
            while dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if dead.si_pid in own:
                    return  # buried at the next turn; the strangers behind it too
                os.waitpid(dead.si_pid, os.WNOHANG)

    def _read(self, child: Child) -> None:
        process = child.process
        if process is None or process.stdout is None:
            return
        try:
            data = os.read(process.stdout.fileno(), 65536)
        except BlockingIOError:
            return
        if not data:
            self._close(process)
            return
        for line in child.log.lines(data):
            child.last_words.append(line)
            self._console.child(child.service.name, line)

    def _drain(self, child: Child) -> None:
        """Reads what a dead child still had to say."""
        process = child.process
        if process is None or process.stdout is None or process.stdout.closed:
            return
        with contextlib.suppress(BlockingIOError):
            while data := os.read(process.stdout.fileno(), 65536):
                for line in child.log.lines(data):
                    child.last_words.append(line)
                    self._console.child(child.service.name, line)
        self._close(process)

    def _close(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None and not process.stdout.closed:
            self._selector.unregister(process.stdout)
            process.stdout.close()

    def _end(self, children: Sequence[Child]) -> None:
        """Ends these together: politely, and after their time or a second signal by KILL."""
        begun_s = time.monotonic()
        for child in children:
            child.due_s = None
            if child.process is not None and child.process.poll() is None:
                child.process.send_signal(child.service.stop_signal)
        while any(self._is_waited_for(child, begun_s) for child in children):
            self._turn(TICK_S, reap=False)
        for child in children:
            if child.process is not None:
                self._finish(child, child.process)

    def _is_waited_for(self, child: Child, begun_s: float) -> bool:
        if child.process is None or child.process.poll() is not None:
            return False
        limit_s = child.service.stop_timeout_s
        if self._signals > 1:
            limit_s = min(limit_s, HASTENED_S)
        return time.monotonic() - begun_s < limit_s

    def _finish(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        signal_group(process.pid, signal.SIGKILL)
        process.wait()
        self._drain(child)
        child.process = None
        wait_until(lambda: self._is_gone(process.pid), timeout_s=2)
        self._run_file.remove(child.service.name)

    def _is_gone(self, pgid: int) -> bool:
        """Whether the group has no member any more, not even one that waits to be reaped."""
        self._reap_strangers()
        return not signal_group(pgid, signal.SIGKILL)

    def _forget(self, child: Child) -> None:
        self._children.remove(child)
        self._run_file.remove(child.service.name)
        child.log.close()


def _death(code: int | None) -> str:
    """How a child ended, in words."""
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
