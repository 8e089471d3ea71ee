"""Metrics of several processes, read as one."""

import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHILD = """
import sys, time
from moonx.core import metrics
metrics.task_runs.labels("test.shared", "success").inc(int(sys.argv[1]))
metrics.process_memory.labels("worker").set(1000)
print("counted", flush=True)
time.sleep(float(sys.argv[2]))
"""
READER = """
from moonx.core import metrics
metrics.serve(int(__import__("sys").argv[1]))
print("serving", flush=True)
__import__("time").sleep(30)
"""


@pytest.fixture
def shared(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}


@contextmanager
def child(code: str, *arguments: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A process that has said its first word; killed in the end."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


def test_what_killed_processes_counted_stays_and_what_they_held_goes(
    shared: dict[str, str], unused_port: int
) -> None:
    with child(CHILD, "3", "0", env=shared) as ended:
        ended.wait(10)
    with child(CHILD, "4", "60", env=shared) as killed:
        killed.kill()
    with (
        child(CHILD, "5", "60", env=shared) as living,
        child(READER, str(unused_port), env=shared),
    ):
        text = read(unused_port)
        held = Path(shared["PROMETHEUS_MULTIPROC_DIR"]).glob("gauge_live*")
        assert [path.name for path in held] == [f"gauge_livemostrecent_{living.pid}.db"]
    assert 'moonx_task_runs_total{result="success",task="test.shared"} 12.0' in text


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
