"""The services of docker-compose.yml as processes of this machine, in a copy of the image."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from moonx.up.process import wait_until
from moonx.up.stores import Stores
from tests import compose

ROOT = Path(__file__).resolve().parent.parent
READY_S = 90  # eight processes start at once, on two cores
BARE = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/nonexistent"}


def made_variables() -> dict[str, str]:
    """What deploy/make-env writes into .env."""
    made = subprocess.run(
        [ROOT / "deploy" / "make-env"], capture_output=True, text=True, check=True, env=BARE
    )
    return dict(line.split("=", 1) for line in made.stdout.splitlines())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _copies(text: str) -> list[tuple[str, str]]:
    """What the COPYs take from the project, each with where it goes."""
    lines = re.findall(r"^COPY (?!--from)(.*) (\S+)$", text, re.MULTILINE)
    return [(name, target) for names, target in lines for name in names.split()]


class Image:
    """What deploy/Dockerfile puts into its image, read from it."""

    def __init__(self) -> None:
        self.text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
        self.ignored = (ROOT / ".dockerignore").read_text().splitlines()

    @property
    def last(self) -> str:
        """The stage that becomes the image."""
        return self.text.rpartition("\nFROM ")[2]

    @property
    def copied(self) -> list[tuple[str, str]]:
        """What comes from the project into the last stage, each with where it goes."""
        return _copies(self.last)

    @property
    def needed(self) -> set[str]:
        """What the build takes from the project, in whatever stage."""
        return {name for name, _ in _copies(self.text)}

    @property
    def fetched(self) -> dict[str, str]:
        """What comes from npm: from its place below node_modules to its place in the image."""
        return dict(
            re.findall(r"^COPY --from=charts /charts/(\S+) (\S+)$", self.last, re.MULTILINE)
        )

    @property
    def variables(self) -> dict[str, str]:
        """The image's own environment, but for its paths."""
        pairs = re.search(r"^ENV (PATH=.*)$", self.last, re.MULTILINE)
        assert pairs is not None
        found = dict(pair.split("=", 1) for pair in pairs[1].split())
        return {name: value for name, value in found.items() if name not in {"PATH", "MOONX_HOME"}}

    def lay_out(self, app: Path) -> None:
        """Copies and prepares the tree as the image's build does."""
        app.mkdir()
        left_out = shutil.ignore_patterns("__pycache__", "tests", "vendor")
        for source, target in [*self.copied, *self.fetched.items()]:
            (app / target).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, app / target, ignore=left_out)
            else:
                shutil.copy(ROOT / source, app / target)
        collect = re.search(r"RUN (SECRET_KEY=.* collectstatic --no-input)", self.text)
        assert collect is not None
        env = {**BARE, **self.variables}
        subprocess.run(["sh", "-c", collect[1]], cwd=app, env=env, check=True, capture_output=True)


@dataclass
class Deployment:
    """The services of our own image as processes of this machine, run in the image's tree."""

    home: Path
    image: Image
    stores: Stores
    services: Mapping[str, compose.Service]
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """The service's own variables; only addresses and ports are this machine's."""
        service = self.services[name]
        port = self.ports.setdefault(name, free_port())
        metrics = self.home / f"metrics-{name}"
        metrics.mkdir(exist_ok=True)
        here = {
            "DATABASE_URL": self.stores.database_url,
            "DATABASE_OWNER_URL": self.stores.owner_url,
            "BROKER_URL": self.stores.broker_url,
            "CACHE_URL": self.stores.cache_url,
            "MOONX_HOST": "127.0.0.1",
            "MOONX_PORT": str(port),
            "FLOWER_PORT": str(port),
            "METRICS_PORT": str(port),
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        }
        own = {**self.image.variables, **service.environment}
        moved = {key: here[key] for key in here.keys() & own.keys()}
        return {**BARE, "MOONX_HOME": str(self.home / "moonx"), **own, **moved}

    @property
    def app(self) -> Path:
        """Where the image's tree lies."""
        return self.home / "app"

    def files(self) -> set[Path]:
        return set(self.app.rglob("*"))

    def run(self, name: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        """A command of the service, in its environment, to its end."""
        return subprocess.run(
            argv(command),
            cwd=self.app,
            env=self.environment(name),
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_S,
        )

    def start(self, name: str) -> None:
        log = (self.home / f"{name}.log").open("ab")
        with log:
            self.processes[name] = subprocess.Popen(
                argv(self.services[name].command),
                cwd=self.app,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def settle(self) -> None:
        """Waits until every role reported and every port is open: cheaper than probes."""
        ports = [self.ports[name] for name in ("web", "ws", "flower")]

        def has_settled() -> bool:
            with psycopg.connect(self.stores.database_url) as database:
                found = database.execute("SELECT count(*) FROM core_heartbeat").fetchone()
            return found is not None and found[0] >= 4 and all(map(is_open, ports))

        wait_until(has_settled, timeout_s=READY_S, pause_s=0.3)

    def becomes_healthy(self, name: str) -> bool:
        """Whether the service's own probe exits 0 before long, as compose would ask it."""
        probe = self.services[name].probe
        assert probe[0] == "CMD"
        process = self.processes[name]

        def is_well() -> bool:
            return self.run(name, probe[1:]).returncode == 0

        def is_decided() -> bool:
            return process.poll() is not None or is_well()

        return wait_until(is_decided, timeout_s=READY_S, pause_s=0.5) and process.poll() is None

    def log(self, name: str) -> str:
        return (self.home / f"{name}.log").read_text()[-2000:]

    def get(self, name: str, path: str) -> bytes:
        """The body of a GET at the service's port; HTTPError unless it is 200."""
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        with urllib.request.urlopen(url, timeout=10) as response:
            found: bytes = response.read()
        return found

    def stop(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def is_open(port: int) -> bool:
    """Whether something listens on this port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def argv(command: list[str]) -> list[str]:
    """The image's `python` is this one."""
    return [sys.executable if part == "python" else part for part in command]
