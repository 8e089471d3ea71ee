"""Starts real PostgreSQL and Valkey before Django reads its settings; one pair serves all workers.

Each worker gets a database of its own, copied from one that the owner migrated, and key prefixes of
its own.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from moonx.up.stores import Stores

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "moonx"
NOBODY = "http://127.0.0.1:9"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Runs before pytest-django imports the settings, in the controller and in each worker."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "moonx.settings.test"
    # No test asks an outside service: where none was started, a port that is never listened on.
    os.environ["SIMULATOR_URL"] = NOBODY
    if "MOONX_TEST_OWNER_URL" not in os.environ:
        _start_stores()
    _take_database(os.environ.get("PYTEST_XDIST_WORKER", "main"))


def _start_stores() -> None:
    home = Path(tempfile.mkdtemp(prefix="moonx-test-"))
    stores = Stores(home, durable=False)
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    stores.__enter__()
    atexit.register(stores.stop)
    os.environ.update(
        MOONX_HOME=str(home),
        MOONX_TEST_SUPER_URL=stores.postgres.url("postgres"),
        MOONX_TEST_APP_URL=stores.database_url,
        MOONX_TEST_OWNER_URL=stores.owner_url,
        BROKER_URL=stores.broker_url,
        CACHE_URL=stores.cache_url,
    )
    migrate(stores.database_url, stores.owner_url)


def migrate(app_url: str, owner_url: str) -> None:
    """Migrates the database as its owner; the run ends with the command's own words if it fails."""
    done = subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": app_url, "DATABASE_OWNER_URL": owner_url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.exit(f"The test database could not be migrated:\n{done.stderr}", returncode=3)


def _take_database(worker: str) -> None:
    name = f"{TEMPLATE}_{worker}"
    with psycopg.connect(os.environ["MOONX_TEST_SUPER_URL"], autocommit=True) as connection:
        # One worker at a time: a database that another is copying cannot be copied.
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER moonx_owner")
    os.environ.update(
        DATABASE_URL=_named(os.environ["MOONX_TEST_APP_URL"], name),
        DATABASE_OWNER_URL=_named(os.environ["MOONX_TEST_OWNER_URL"], name),
        REDIS_KEY_PREFIX=f"{name}:",
    )


def _named(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))
