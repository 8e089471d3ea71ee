"""Free ports on loopback, the same ones at every start where possible."""

import socket
import zlib
from pathlib import Path

# Below the range from which Linux and macOS take the ports of outgoing connections: a server that
# restarts finds its port still free.
FIRST, LAST = 20_000, 32_000


def is_free(port: int, *, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections of a server that just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find_ports(home: Path, names: list[str]) -> dict[str, int]:
    """A free port for each name, starting from a place of the home's own."""
    start = zlib.crc32(str(home.resolve()).encode())
    span = LAST - FIRST
    candidates = (FIRST + (start + step) % span for step in range(span))
    free = (port for port in candidates if is_free(port))
    return {name: next(free) for name in names}


def free_port() -> int:
    """Any port that is free at this moment; for what is started at once and thrown away."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
