"""Heartbeats: each process says from inside that its loop still turns; silence is found by others.

A process whose loop hangs does not beat, and after three missed beats ends itself, so that whoever
supervises it starts it again. Who is alive and who fell silent is told by `presence`.
"""

import atexit
import os
import resource
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.conf import settings
from psycopg.types.json import Jsonb

from moonx.core import logs, metrics

BEAT_S = 30.0
MISSES = 3
HUNG_EXIT_CODE = 70

log = logs.get("moonx.heartbeat")

BEAT = """
INSERT INTO core_heartbeat AS h (instance, role, host, pid, started_at, beat_at, stats)
VALUES (%(instance)s, %(role)s, %(host)s, %(pid)s,
  clock_timestamp() - %(uptime_s)s * interval '1 second', clock_timestamp(), %(stats)s)
ON CONFLICT (instance) DO UPDATE SET pid = excluded.pid, started_at = excluded.started_at,
  beat_at = excluded.beat_at, stats = excluded.stats
"""

LEAVE = "DELETE FROM core_heartbeat WHERE instance = %(instance)s AND pid = %(pid)s"


@dataclass(frozen=True, slots=True)
class Beat:
    """What a process knows of itself."""

    rss_bytes: int
    cpu_s: float
    uptime_s: int

    def stats(self) -> dict[str, float]:
        """As the row and the log line carry it."""
        return {
            "rssBytes": self.rss_bytes,
            "cpuSeconds": round(self.cpu_s, 1),
            "uptimeSeconds": self.uptime_s,
        }


class Pulse:
    """Beats for one process as long as its main loop calls `alive`, from a thread of its own."""

    def __init__(
        self,
        role: str,
        *,
        every_s: float = BEAT_S,
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        self.role = role
        self.host = socket.gethostname()
        self.instance = f"{role}@{self.host}"
        self._every_s = every_s
        self._end_process = end_process
        self._started_s = self._alive_s = time.monotonic()
        self._pid = os.getpid()
        self._paused = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> "Pulse":
        """Beats at once and from then on; leaves no row behind after an orderly end."""
        metrics.process_starts.labels(self.role).inc()
        atexit.register(self.stop)
        self._thread.start()
        return self

    def alive(self) -> None:
        """Called by the loop that does the process's work, at least every few seconds."""
        self._alive_s = time.monotonic()

    def pause(self) -> None:
        """No loop turns for now, for a known reason: neither beats nor ends the process."""
        self._paused = True

    def resume(self) -> None:
        """The loop turns again; its silence counts from now."""
        # First alive: a beat between the two would take the pause for a hanging loop.
        self.alive()
        self._paused = False

    def stop(self) -> None:
        """Ends the beating and takes the row away."""
        # A forked child inherits this object, but neither its thread nor its row.
        if self._stop.is_set() or os.getpid() != self._pid:
            return
        self._stop.set()
        self._thread.join(timeout=5)
        self._write(LEAVE)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._once()
            self._stop.wait(self._every_s)

    def _once(self) -> None:
        if self._paused:
            return
        silent_s = time.monotonic() - self._alive_s
        if silent_s > self._every_s * MISSES:
            log.critical("the main loop hangs, ending the process", role=self.role)
            self._end_process(HUNG_EXIT_CODE)
        elif silent_s > self._every_s:
            log.warning("the main loop does not turn", role=self.role, silent_s=round(silent_s))
        else:
            beat = measure(since_s=self._started_s)
            self._report(beat)
            self._write(BEAT, uptime_s=beat.uptime_s, stats=Jsonb(beat.stats()))

    def _report(self, beat: Beat) -> None:
        metrics.process_memory.labels(self.role).set(beat.rss_bytes)
        metrics.process_cpu.labels(self.role).set(beat.cpu_s)
        log.info("worker stats", role=self.role, **beat.stats())

    def _write(self, sql: str, **values: object) -> None:
        own = {"instance": self.instance, "role": self.role, "host": self.host, "pid": self._pid}
        try:
            # A connection of its own, closed at once: neither a pool nor a fork can get at it.
            with psycopg.connect(settings.ENV.database_dsn(), connect_timeout=5) as database:
                database.execute(sql, {**own, **values})
        except psycopg.Error as error:
            log.warning("heartbeat not stored", role=self.role, error=type(error).__name__)


def start(role: str) -> Pulse:
    """The running heartbeat of this process; its loop must call `alive` on it."""
    return Pulse(role).start()


def measure(*, since_s: float) -> Beat:
    """Memory, processor time (with ended children) and age of this process."""
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return Beat(
        rss_bytes=_rss_bytes(own.ru_maxrss),
        cpu_s=own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        uptime_s=int(time.monotonic() - since_s),
    )


def _rss_bytes(peak_kib: int) -> int:
    """What is resident now; the peak where the system does not tell (macOS)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return peak_kib * 1024
