"""The supervisor, from outside: a small family in a process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from moonx.roles import ROOT
from moonx.up.process import wait_until
from moonx.up.runfile import RunFile, started_at


@contextmanager
def family(home: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "moonx.up.tests.toy", str(home)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert any("family ready" in line for line in process.stdout)
        yield process
    finally:
        process.kill()
        process.communicate()
        RunFile(home).end_orphans()


def alive(home: Path) -> list[int]:
    """Processes whose command line names the home, or that sleep for the stubborn child."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and started_at(int(entry.name)):
            words = (entry / "cmdline").read_bytes() + b" " + cwd(entry)
            if str(home).encode() in words and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def cwd(entry: Path) -> bytes:
    try:
        return os.readlink(entry / "cwd").encode()
    except OSError:
        return b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_stop_signal_ends_all_children_in_reverse_order(
    tmp_path: Path, number: signal.Signals
) -> None:
    with family(tmp_path) as process:
        process.send_signal(number)
        assert process.wait(10) == 0
        assert (tmp_path / "ended").read_text().split() == ["second", "first"]
        assert alive(tmp_path) == []
        assert not (tmp_path / "run" / "groups.json").exists()


def test_a_child_that_dies_comes_back(tmp_path: Path) -> None:
    with family(tmp_path):
        groups = RunFile(tmp_path)._read()
        os.killpg(next(g.pgid for g in groups if g.name == "first"), signal.SIGKILL)
        starts = tmp_path / "first.starts"
        assert wait_until(lambda: starts.read_text().count("up") == 2, timeout_s=5)


def test_no_child_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    with family(tmp_path) as process:
        process.kill()
        process.wait()
        polite = tmp_path / "ended"
        assert wait_until(
            lambda: polite.exists() and len(polite.read_text().split()) == 2, timeout_s=5
        )
        # The stubborn one ignores its signal: the next start finds and ends its group.
        assert RunFile(tmp_path).end_orphans() == ["stubborn"]
        assert alive(tmp_path) == []
