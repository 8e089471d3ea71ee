"""A real server process over the test's database, for clients that speak HTTP."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import requests


@contextmanager
def serving() -> Iterator[str]:
    """Runs a server; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "moonx.asgi:application", "--lifespan=off"),
                *(f"--fd={listening.fileno()}", "--log-level=warning"),
            ],
            pass_fds=[listening.fileno()],
        )
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            # The address queues connections from the start; the answer comes once it is up.
            requests.get(f"{address}/api/v3/ping", timeout=60).raise_for_status()
            yield address
        finally:
            child.terminate()
            child.wait(timeout=20)
