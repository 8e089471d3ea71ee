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

POSTGRES, BROKER_STORE, CACHE_STORE = "postgres", "broker", "cache"
ALL = frozenset({POSTGRES, BROKER_STORE, CACHE_STORE})


class Stores:
    """The stores of one home; as a context manager it runs them, plainly and unsupervised.

    `embedded` names those that are wanted: the others are somebody's real servers.
    """

    def __init__(self, home: Path, *, durable: bool = True, embedded: frozenset[str] = ALL) -> None:
        self.home = home
        self.embedded = embedded
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

    def urls(self) -> dict[str, str]:
        """The addresses of the wanted stores, by the names of their variables."""
        found: dict[str, str] = {}
        if POSTGRES in self.embedded:
            found |= {"DATABASE_URL": self.database_url, "DATABASE_OWNER_URL": self.owner_url}
        if BROKER_STORE in self.embedded:
            found["BROKER_URL"] = self.broker_url
        if CACHE_STORE in self.embedded:
            found["CACHE_URL"] = self.cache_url
        return found

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
        self.postgres.tidy()

    def pid(self, name: str) -> int:
        """The process id of a running store: `postgres`, `valkey-broker`, `valkey-cache`."""
        return next(child.pid for child, service in self._running if service.name == name)

    def restart(self, name: str) -> None:
        """Kills a running store, as the system would, and starts it anew on what it left."""
        at = next(i for i, (_, service) in enumerate(self._running) if service.name == name)
        child, service = self._running.pop(at)
        child.kill()
        end(child, service)
        self._spawn(service)
        self._wait(*self._running[-1])

    def valkey_services(self) -> list[Service]:
        """The wanted Valkeys, ready to be started."""
        servers = {BROKER_STORE: self.broker, CACHE_STORE: self.cache}
        wanted = [server for name, server in servers.items() if name in self.embedded]
        for server in wanted:
            server.prepare()
        return [server.service() for server in wanted]

    def postgres_services(self) -> list[Service]:
        """PostgreSQL, if it is wanted, its cluster made: ready to be started."""
        if POSTGRES not in self.embedded:
            return []
        self.postgres.prepare()
        return [self.postgres.service()]

    def finish(self) -> None:
        """What must be done once they serve: PostgreSQL's roles and database."""
        if POSTGRES in self.embedded:
            self.postgres.ensure_roles()

    def _start(self) -> None:
        for service in self.valkey_services():
            self._spawn(service)
        for service in self.postgres_services():
            self._spawn(service)
        for child, service in self._running:
            self._wait(child, service)
        self.finish()

    def _spawn(self, service: Service) -> None:
        service.before()
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
