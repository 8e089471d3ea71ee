"""What each role runs: one command line per role, the same in `make up`, compose and the image."""

import sys
from pathlib import Path
from urllib.parse import urlsplit

from moonx.settings.env import Env

ROOT = Path(__file__).resolve().parent.parent

EXCHANGE_WORKER = "worker:tickers,candles,matching,expiry,deposits"
IO_WORKER = "worker:stats,sync"
# In the order in which `monolith` starts them.
MONOLITH = ("web", EXCHANGE_WORKER, IO_WORKER, "beat", "relay", "flower")
# Roles of several processes, under one supervisor.
SEVERAL = {
    "monolith": MONOLITH,
    "background": tuple(role for role in MONOLITH if role not in {"web", "flower"}),
}
# These wait for other servers: threads. All other queues compute and lock: processes.
THREADED_QUEUES = {"stats", "sync"}
CELERY = (sys.executable, "-m", "celery", "--app=moonx.celery:app", "--quiet")
CELERY_RUN = (sys.executable, "-m", "moonx.celery_run")
LARGEST_FRAME_BYTES = 65_536
DRAIN_S = 20  # open sockets get this long to leave when a web process ends


def command_for(role: str, env: Env) -> list[str]:
    """The command line of a role of one process; ValueError for those in SEVERAL."""
    if role in {"web", "ws"}:
        return _web(env)
    if role.startswith("worker:"):
        return [*CELERY_RUN, "worker", role.removeprefix("worker:")]
    if role == "beat":
        return [*CELERY_RUN, "beat"]
    if role == "flower":
        return _flower(env)
    if role == "simulator":
        return _simulator(env)
    if role in {"relay", "demo"}:
        return [sys.executable, str(ROOT / "manage.py"), role]
    raise ValueError(f"{role} is not one process")


def _web(env: Env) -> list[str]:
    limits = {
        "ws-max-size": LARGEST_FRAME_BYTES,
        "ws-per-message-deflate": "false",
        "ws-ping-interval": env.ws_ping_interval / 1000,
        "ws-ping-timeout": env.ws_pong_timeout / 1000,
        "backlog": 4096,
        # A backstop behind the limits on sockets, which answer with a reason.
        "limit-concurrency": env.ws_max_connections + 500,
        "timeout-graceful-shutdown": DRAIN_S,
    }
    return [
        *(sys.executable, "-m", "uvicorn", "moonx.asgi:application"),
        *("--host", env.moonx_host, "--port", str(env.moonx_port)),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "apps.realtime.transport:Protocol"),
        *("--lifespan", "off", "--no-access-log", "--no-server-header", "--log-level", "warning"),
        *(f"--{name}={value}" for name, value in limits.items()),
        *_proxies(env),
    ]


def _proxies(env: Env) -> list[str]:
    if not env.trusted_proxies:
        return ["--no-proxy-headers"]
    return ["--proxy-headers", f"--forwarded-allow-ips={','.join(env.trusted_proxies)}"]


def simulator_port(env: Env) -> int:
    """Where the simulator listens; ValueError where the environment does not say."""
    port = urlsplit(env.simulator_url).port
    if port is None:
        raise ValueError(
            "The simulator listens where SIMULATOR_URL says: set it, with a port, such as "
            "http://127.0.0.1:8100"
        )
    return port


def simulator_host(env: Env) -> str:
    """The address that a simulator of this machine listens on: that of SIMULATOR_URL where it is
    this machine's own, else that of all roles."""
    named = urlsplit(env.simulator_url).hostname or ""
    return named if named in {"127.0.0.1", "localhost", "::1"} else env.moonx_host


def _simulator(env: Env) -> list[str]:
    host, port = simulator_host(env), simulator_port(env)
    return [
        *(sys.executable, "-m", "uvicorn", "moonx.simulator.site:application"),
        *("--host", host, "--port", str(port), "--loop", "uvloop", "--http", "httptools"),
        *("--ws", "none", "--lifespan", "off", "--no-access-log", "--no-server-header"),
        # It cuts answers short on purpose, which the server would report; what fails it prints.
        *("--log-level", "critical", "--no-proxy-headers"),
    ]


def _flower(env: Env) -> list[str]:
    if not env.flower_basic_auth.get_secret_value():
        raise ValueError("Flower never runs without a login: set FLOWER_BASIC_AUTH=user:password")
    # The login stays in the environment, where Flower reads it: command lines are public.
    address = f"--address={env.moonx_host}"
    return [*CELERY, "flower", address, f"--port={env.flower_port}"]
