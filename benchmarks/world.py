"""Stores of the benchmarks' own, durable as in production, and Django standing on them."""

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import psycopg

from moonx.up.postgres import Postgres
from moonx.up.process import Service
from moonx.up.stores import Stores

ROOT = Path(__file__).resolve().parent.parent

# What a server of this size would be given; `up` asks for less, as it shares its machine.
ROOM = {
    "shared_buffers": "2GB",
    "work_mem": "128MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "8GB",
    "effective_cache_size": "8GB",
}


class RoomyPostgres(Postgres):
    """The embedded cluster with the memory of a database server, peers and ours alike."""

    def service(self) -> Service:
        """The server, its memory settings last."""
        service = super().service()
        flags = [part for key, value in ROOM.items() for part in ("-c", f"{key}={value}")]
        return dataclasses.replace(service, argv=[*service.argv, *flags])


@contextmanager
def own_world(*, durable: bool = True) -> Iterator[Stores]:
    """Stores in a temporary home, migrated, with Django on them; all gone afterwards.

    They are durable unless nothing that is claimed depends on it.
    """
    home = Path(tempfile.mkdtemp(prefix="moonx-bench-"))
    stores = Stores(home, durable=durable)
    stores.postgres = RoomyPostgres(home, stores.postgres.passwords, durable=durable)
    try:
        with stores:
            _enter(home, stores)
            yield stores
    finally:
        shutil.rmtree(stores.postgres.socket_dir, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def _enter(home: Path, stores: Stores) -> None:
    os.environ.update(stores.urls())
    os.environ.update(
        MOONX_HOME=str(home), MOONX_ENV="dev", DJANGO_SETTINGS_MODULE="moonx.settings.dev"
    )
    subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity=0", "--skip-checks"],
        cwd=ROOT,
        env={**os.environ, "MOONX_DB_ROLE": "owner"},
        check=True,
    )
    django.setup()


def as_owner() -> "psycopg.Connection[tuple[object, ...]]":
    """An autocommitting connection of the role that owns the tables, to lay out data."""
    return psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True)
