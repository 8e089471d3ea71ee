"""Whole stacks from start to end: what is left of processes, locks and data."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from moonx.roles import ROOT
from moonx.up.chain import LocalChain
from moonx.up.ports import find_ports
from moonx.up.process import wait_until
from moonx.up.runfile import started_at
from moonx.up.stores import Stores

# One after the other: each of them is a machine full of processes.
pytestmark = [pytest.mark.lifecycle, pytest.mark.xdist_group("lifecycle")]
STOP_S = 60
# The test run's own stores are not theirs.
NOT_THEIRS = (
    "DATABASE",
    "BROKER",
    "CACHE",
    "MOONX",
    "REDIS",
    "DJANGO",
    "PYTEST",
    "RPC_URL",
    "SIMULATOR",
    "MAKE",
)


@dataclass
class Up:
    """A running `up` and what it printed so far."""

    process: subprocess.Popen[str]
    home: Path
    port: int
    output: list[str]

    def wait_for(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if text in line:
                return
        pytest.fail(f"up ended before it said {text!r}:\n{''.join(self.output[-30:])}")

    def end(self) -> int:
        """The exit code; reads what is still said, lest a full pipe hold the children."""
        rest, _ = self.process.communicate(timeout=STOP_S)
        self.output.append(rest)
        return self.process.returncode


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One home for the module: only the first start makes a cluster."""
    path = Path(tempfile.mkdtemp(prefix="moonx-up-"))
    yield path / "home"
    shutil.rmtree(path)


def environment(home: Path, port: int) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(NOT_THEIRS)}
    return {**kept, "MOONX_HOME": str(home), "MOONX_PORT": str(port), "DEMO": "0"}


@contextmanager
def up(home: Path, *, port: int | None = None, command: tuple[str, ...] = ()) -> Iterator[Up]:
    port = port or find_ports(home.parent, ["page"])["page"]
    process = subprocess.Popen(
        list(command) or [sys.executable, "-m", "moonx.up"],
        cwd=ROOT,
        env=environment(home, port),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Up(process, home, port, [])
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=STOP_S)


def survivors(home: Path) -> dict[int, str]:
    """Living processes with the home in their command line, environment or working directory."""
    found = {}
    needle = str(home).encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            told = b"MOONX_HOME=" + needle in (entry / "environ").read_bytes()
            inside = os.readlink(entry / "cwd").startswith(str(home))
            if (told or inside or needle in words) and started_at(int(entry.name)):
                found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def assert_nothing_is_left(home: Path) -> None:
    assert survivors(home) == {}
    left = [path.name for path in (home / "run").iterdir() if path.is_file()]
    assert left == []
    assert not (home / "postgres" / "postmaster.pid").exists()
    assert not Stores(home).postgres.socket_dir.exists()


def write_row(home: Path, name: str) -> None:
    with psycopg.connect(Stores(home).database_url) as connection:
        connection.execute(
            "INSERT INTO auth_group (name) VALUES (%s) ON CONFLICT DO NOTHING", [name]
        )


def rows(home: Path) -> set[str]:
    with psycopg.connect(Stores(home).database_url) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM auth_group").fetchall()}


def stop(*stacks: Up, by: signal.Signals) -> None:
    """Each ends well by the signal, and leaves no process and no lock but the data."""
    for stack in stacks:
        write_row(stack.home, by.name)
        assert len(survivors(stack.home)) >= 12  # up, three stores, the chain, roles, helpers
        stack.process.send_signal(by)
    assert [stack.end() for stack in stacks] == [0] * len(stacks)
    for stack in stacks:
        assert_nothing_is_left(stack.home)
        with Stores(stack.home, embedded=frozenset({"postgres"})):
            assert by.name in rows(stack.home)


def test_the_end_of_its_terminal_leaves_no_process_and_no_lock_but_the_data(home: Path) -> None:
    with up(home) as stack:
        stack.wait_for("ready after")
        stop(stack, by=signal.SIGHUP)


def test_what_a_kill_leaves_is_healed_by_the_next_start_and_ctrl_c_ends_it(home: Path) -> None:
    with up(home) as stack:
        stack.wait_for("ready after")
        write_row(home, "KILLED")
        chain = LocalChain(home, find_ports(home, ["a"])["a"])
        stack.process.kill()
        stack.process.communicate()
    first_chain = chain.known_genesis()
    with up(home) as stack:
        stack.wait_for("ready after")
        assert "KILLED" in rows(home)
        assert chain.known_genesis() == first_chain
        postgres = [line for line in survivors(home).values() if "bin/postgres -D" in line]
        assert len(postgres) == 1
        stop(stack, by=signal.SIGINT)


def test_two_copies_run_side_by_side_and_a_third_names_the_first(home: Path) -> None:
    other = home.with_name("other")
    ports = find_ports(home.parent, ["one", "two"])
    with up(home, port=ports["one"]) as one, up(other, port=ports["two"]) as two:
        one.wait_for("ready after")
        two.wait_for("ready after")
        with up(home) as third:
            assert third.end() == 1
            sentence = "".join(third.output)
            assert f"already running in {home} (pid {one.process.pid})" in sentence
            assert "Traceback" not in sentence
        stop(one, two, by=signal.SIGTERM)


def test_a_taken_port_is_one_sentence_and_starts_nothing(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up(home, port=port) as stack:
            assert stack.end() == 1
            assert [line for line in stack.output if line] == [
                f"make up: Port {port} is taken: stop what listens there, or set MOONX_PORT.\n"
            ]
    assert survivors(home) == {}


def test_a_missing_tool_is_one_sentence_and_leaves_nothing(home: Path) -> None:
    clone = home.with_name("clone")
    clone.mkdir(exist_ok=True)
    for name in ("moonx", "apps", "manage.py"):
        (clone / name).symlink_to(ROOT / name)
    script = (
        "import pathlib, sys, moonx.up.chain as chain, moonx.up.__main__ as main; "
        f"chain.ROOT = pathlib.Path({str(clone)!r}); sys.exit(main.main([]))"
    )
    with up(home, command=(sys.executable, "-c", script)) as stack:
        assert stack.end() == 1
        said = "".join(stack.output)
        assert "make up: The EVM node is not installed: run `make up`" in said
        assert "Traceback" not in said
    assert survivors(home) == {}


def test_a_home_at_an_earlier_migration_is_brought_up_to_date(home: Path) -> None:
    with Stores(home, embedded=frozenset({"postgres"})) as stores:
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
        told = environment(home, 1) | stores.urls()
        subprocess.run(migrate, cwd=ROOT, env=told, check=True)
        write_row(home, "OLDER")
        subprocess.run([*migrate, "sessions", "zero"], cwd=ROOT, env=told, check=True)
    with up(home) as stack:
        stack.wait_for("Applying sessions.0001_initial... OK")
        stack.wait_for("ready after")
        assert "OLDER" in rows(home)
        stop(stack, by=signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_make_alone_during_the_start_leaves_nothing(
    home: Path, number: signal.Signals
) -> None:
    makefile = home.with_name("Makefile")
    makefile.write_text(f"up:\n\t@{sys.executable} -m moonx.up\n")
    # What starts tests in the background ignores some signals, and every child would too.
    command = ("env", "--default-signal", "make", "-f", str(makefile), "up")
    with up(home, command=command) as stack:
        stack.wait_for("bringing the database to this version")
        stack.process.send_signal(number)
        stack.end()
    assert wait_until(lambda: not survivors(home), timeout_s=STOP_S)
    assert_nothing_is_left(home)
