"""`up`: stores, chain, schema, roles and demo, each step said while it is done."""

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moonx.core.upstream import endpoints
from moonx.roles import MONOLITH, ROOT
from moonx.settings import env as environment
from moonx.up.beside import running_environment
from moonx.up.chain import LocalChain
from moonx.up.console import Console
from moonx.up.keys import write_private
from moonx.up.logins import load_logins
from moonx.up.monolith import child_name, role_service, start_roles
from moonx.up.ports import find_ports
from moonx.up.process import Service
from moonx.up.stores import Stores
from moonx.up.supervisor import Supervisor

CHAIN_COPY_EVERY_S = 30.0
DEMO_LOGINS = ("alice", "bob")


@dataclass
class Stack:
    """One `up` in one home."""

    home: Path
    env: environment.Env
    console: Console
    supervisor: Supervisor
    keys: dict[str, str]
    begun_s: float

    def __post_init__(self) -> None:
        # Asked before `up` publishes an address of its own.
        self._simulates = not self.env.simulator_url and bool(endpoints.unset(self.env))

    def start(self) -> None:
        """Brings everything up and prints where it is; StartError or Stopped otherwise."""
        ports = find_ports(self.home, ["broker", "cache", "chain", "flower", "simulator"])
        stores = Stores(self.home, embedded=embedded_stores(os.environ))
        has_node = bool(self.env.rpc_url_local.get_secret_value())
        chain = None if has_node else LocalChain(self.home, ports["chain"])
        self.supervisor.at_end(stores.postgres.tidy)
        self._start_stores(stores, chain)
        logins = self._logins()
        self._publish_environment(stores, chain, ports)
        self._start_simulator()
        self._prepare()
        if chain is not None:
            self._check_genesis(chain)
            self.supervisor.every(CHAIN_COPY_EVERY_S, chain.keep_copy)
            if self.env.demo:
                self.supervisor.start([_traffic(chain)])
        self.console.step(f"starting {', '.join(self._roles())}")
        start_roles(self.supervisor, self._roles(), self.env)
        self._announce(logins)

    def reload(self, changed: list[str]) -> None:
        """Starts the roles again with the changed sources."""
        self.console.step(f"{', '.join(changed)} changed: starting the roles again")
        simulator = ["simulator"] if self._simulates else []
        self.supervisor.restart([*simulator, *(child_name(role) for role in self._roles())])

    def _start_stores(self, stores: Stores, chain: LocalChain | None) -> None:
        self.console.step(
            f"starting {', '.join([*sorted(stores.embedded), *(['chain'] * bool(chain))])}"
        )
        first = [chain.service()] if chain is not None else []
        self.supervisor.start(first + stores.valkey_services())
        if not stores.postgres.data.exists() and "postgres" in stores.embedded:
            self.console.step(f"making a PostgreSQL cluster in {stores.postgres.data}")
        self.supervisor.start(stores.postgres_services())
        self.supervisor.wait_ready()
        stores.finish()

    def _logins(self) -> dict[str, str]:
        names = ("admin", *DEMO_LOGINS) if self.env.demo else ("admin",)
        return load_logins(self.home, names, fixed=self.env.demo_password.get_secret_value())

    def _publish_environment(
        self, stores: Stores, chain: LocalChain | None, ports: Mapping[str, int]
    ) -> None:
        """What the children get; also kept in a private file for `manage.py` beside this `up`."""
        metrics = self.home / "run" / "metrics"
        shutil.rmtree(metrics, ignore_errors=True)
        metrics.mkdir(parents=True)
        found = {
            "MOONX_HOME": str(self.home),
            "SECRET_KEY": self.keys["secret_key"],
            "FLOWER_PORT": str(ports["flower"]),
            "FLOWER_BASIC_AUTH": f"admin:{self.keys['flower']}",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            **stores.urls(),
        }
        if self.env.demo:
            found["ANONYMOUS_READ"] = "true"
            found["DEFAULT_CHAIN"] = "local"
        if chain is not None:
            found["RPC_URL_LOCAL"] = chain.url
        if self._simulates:
            found["SIMULATOR_URL"] = f"http://127.0.0.1:{ports['simulator']}"
        kept = {name: os.environ.get(name) or value for name, value in found.items()}
        kept["MOONX_HOME"] = str(self.home)
        os.environ.update(kept)
        self.env = environment.load()
        self.supervisor.environ = dict(os.environ)
        write_private(running_environment(self.home), json.dumps(kept))

    def _start_simulator(self) -> None:
        """In a stage of its own: it ends after those who ask it."""
        if self._simulates:
            self.supervisor.start([role_service("simulator", self.env)])

    def _prepare(self) -> None:
        self.console.step("bringing the database to this version")
        # Only this child gets to be the owner of the schema.
        owner = {"MOONX_DB_ROLE": "owner", "PYTHONUNBUFFERED": "1"}
        self.supervisor.run_to_end(
            Service(
                name="prepare",
                argv=[sys.executable, str(ROOT / "manage.py"), "prepare"],
                env=owner,
                cwd=ROOT,
            )
        )
        self.supervisor.environ.pop("DATABASE_OWNER_URL", None)

    def _check_genesis(self, chain: LocalChain) -> None:
        """Rows of another chain than the one that runs mean nothing: both start anew, aloud."""
        known, found = chain.known_genesis(), chain.genesis()
        if known is not None and known != found:
            self.console.step("The chain's file is not the chain of this home: both start anew.")
            self.supervisor.restart(["anvil"], between=chain.forget)
            self.supervisor.wait_ready()
            found = chain.genesis()
        if found is not None and known != found:
            chain.remember(found)

    def _roles(self) -> list[str]:
        return [*MONOLITH, *(["demo"] if self.env.demo else [])]

    def _announce(self, logins: dict[str, str]) -> None:
        page = f"http://{self.env.moonx_host}:{self.env.moonx_port}"
        flower = self.env.flower_basic_auth.get_secret_value().replace(":", " / ", 1)
        self.console.block(
            [
                ("page", f"{page}/"),
                ("admin", f"{page}/admin/"),
                ("docs", f"{page}/docs"),
                ("Flower", f"http://127.0.0.1:{self.env.flower_port}/   {flower}"),
                *([("simulator", self.env.simulator_url)] if self._simulates else []),
                *((f"login {name}", word) for name, word in logins.items()),
                (
                    "ready after",
                    f"{time.monotonic() - self.begun_s:.1f} s; Ctrl-C stops everything",
                ),
            ]
        )


def _traffic(chain: LocalChain) -> Service:
    """Demo traffic on the embedded node as a child; a node of one's own is left alone."""
    return Service(
        name="traffic", argv=[sys.executable, "-m", "moonx.up.traffic", chain.url], cwd=ROOT
    )


def embedded_stores(given: Mapping[str, str]) -> frozenset[str]:
    """The stores for which the environment names no server."""
    urls = {
        "postgres": ("DATABASE_URL", "DB_HOST"),
        "broker": ("BROKER_URL", "REDIS_URL", "REDIS_HOST"),
        "cache": ("CACHE_URL", "REDIS_URL", "REDIS_HOST"),
    }
    return frozenset(
        store for store, names in urls.items() if not any(given.get(name) for name in names)
    )
