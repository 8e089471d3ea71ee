"""The embedded stores as one thing: PostgreSQL and two Valkeys below a home.

with Stores(home, durable=False) as stores:
    stores.database_url, stores.owner_url, stores.broker_url, stores.cache_url
"""

import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from moonx.up.errors import StartError
from moonx.up.keys import load_keys
from moonx.up.ports import find_ports
from moonx.up.postgres import APP_ROLE, OWNER_ROLE, Passwords, Postgres
from moonx.up.process import Service, end, spawn, wait_until
from moonx.up.valkey import BROKER, CACHE, Valkey


class Stores:
    """The stores of one home; as a context manager it runs them, plainly and unsupervised."""

    def __init__(self, home: Path, *, durable: bool = True) -> None:
        self.home = home
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = load_keys(home)
        ports = find_ports(home, ["broker", "cache"])
        passwords = Passwords(
            superuser=keys["postgres_superuser"],
            owner=keys["postgres_owner"],
            app=keys["postgres_app"],
        )
        self.postgres = Postgres(home, passwords, durable)
        self.broker = Valkey("broker", home, ports["broker"], keys["valkey_broker"], BROKER)
        self.cache = Valkey("cache", home, ports["cache"], keys["valkey_cache"], CACHE)
        self._running: list[tuple[subprocess.Popen[bytes], Service]] = []

    @property
    def database_url(self) -> str:
        """As the role that runs: no DDL."""
        return self.postgres.url(APP_ROLE)

    @property
    def owner_url(self) -> str:
        """As the role that migrates."""
        return self.postgres.url(OWNER_ROLE)

    @property
    def broker_url(self) -> str:
        return self.broker.url

    @property
    def cache_url(self) -> str:
        return self.cache.url

    def __enter__(self) -> Self:
        """Starts all three and waits until they serve; StartError names the one that does not."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends what runs, last started first."""
        while self._running:
            end(*self._running.pop())

    def pid(self, name: str) -> int:
        """The process id of a running store: `postgres`, `valkey-broker`, `valkey-cache`."""
        return next(child.pid for child, service in self._running if service.name == name)

    def _start(self) -> None:
        self._spawn_valkeys()
        self.postgres.prepare()
        self._spawn(self.postgres.service())
        for child, service in self._running:
            self._wait(child, service)
        self.postgres.ensure_roles()

    def _spawn_valkeys(self) -> None:
        for valkey in (self.broker, self.cache):
            valkey.prepare()
            self._spawn(valkey.service())

    def _spawn(self, service: Service) -> None:
        logs = self.home / "log"
        logs.mkdir(exist_ok=True)
        with (logs / f"{service.name}.log").open("ab") as log:
            self._running.append((spawn(service, environ=os.environ, output=log), service))

    def _wait(self, child: subprocess.Popen[bytes], service: Service) -> None:
        wait_until(
            lambda: child.poll() is not None or service.ready(child.pid),
            timeout_s=service.ready_timeout_s,
        )
        if child.poll() is not None or not service.ready(child.pid):
            log = self.home / "log" / f"{service.name}.log"
            last = (log.read_text(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            raise StartError(f"{service.name} did not start: {last} (all of it: {log})")
