"""Whether a role runs on this machine: what `manage.py health` and the image's HEALTHCHECK ask."""

import http.client
import socket
from collections.abc import Callable, Mapping, Sequence

import psycopg
from django.conf import settings
from redis import RedisError

from moonx import roles
from moonx.core import presence, valkey
from moonx.core.models import Heartbeat

TIMEOUT_S = 3.0


class Unwell(Exception):
    """The role does not do its work; the message says what was seen."""


def probe(role: str) -> str:
    """A sentence on a role that runs here; raises Unwell for one that does not."""
    kind = role.partition(":")[0]
    if kind in _ANSWERING:
        return _ANSWERING[kind]()
    match kind:
        case "worker":
            return _worker(role.removeprefix("worker:").split(","))
        case "beat" | "relay" | "demo":
            return _heartbeat(role)
        case "monolith" | "background":
            return "; ".join(probe(part) for part in roles.SEVERAL[role])
    raise Unwell(f"there is no role {role!r}")


def _web() -> str:
    status = _get(settings.ENV.moonx_port, "/health/ready", host=settings.ENV.moonx_host)
    if status != 200:
        raise Unwell(f"/health/ready answers {status}")
    return "/health/ready answers 200"


def _flower() -> str:
    status = _get(settings.ENV.flower_port, "/healthcheck", host=settings.ENV.moonx_host)
    if status != 200:
        raise Unwell(f"Flower answers {status}")
    return "Flower answers 200"


def _simulator() -> str:
    try:
        port = roles.simulator_port(settings.ENV)
    except ValueError as error:
        raise Unwell(str(error)) from error
    status = _get(port, "/_health", host=roles.simulator_host(settings.ENV))
    if status != 200:
        raise Unwell(f"the simulator answers {status}")
    return "the simulator answers 200"


def _get(port: int, path: str, *, host: str) -> int:
    """The status of the answer of what listens on `host`."""
    address = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - read, not bound
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unwell(f"nothing answers on {address}:{port} ({type(error).__name__})") from error
    finally:
        connection.close()


def _heartbeat(role: str) -> str:
    for row in _living():
        if row.role == role:
            return f"{role} reported at {row.beat_at:%H:%M:%S} UTC"
    raise Unwell(f"{role} has not reported from {socket.gethostname()} for three heartbeats")


def _worker(queues: Sequence[str]) -> str:
    workers = [row.role for row in _living() if row.role.startswith("worker:")]
    served = {queue for role in workers for queue in role.removeprefix("worker:").split(",")}
    missing = [queue for queue in queues if queue not in served]
    if missing:
        raise Unwell(f"no living worker on {socket.gethostname()} serves {', '.join(missing)}")
    return f"{', '.join(queues)} served"


def _living() -> list[Heartbeat]:
    return presence.living(host=socket.gethostname())


def _stores() -> str:
    faults = [name for name, ask in _STORES.items() if not ask()]
    if faults:
        raise Unwell(f"no answer from {', '.join(faults)}")
    return f"{', '.join(_STORES)} answer"


def _database_answers() -> bool:
    try:
        with psycopg.connect(settings.ENV.database_dsn(), connect_timeout=int(TIMEOUT_S)) as server:
            server.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def _answers(url: str) -> bool:
    try:
        with valkey.connect(url) as server:
            return bool(server.ping())
    except (RedisError, OSError):
        return False


_STORES: Mapping[str, Callable[[], bool]] = {
    "database": _database_answers,
    "broker": lambda: _answers(settings.ENV.broker_dsn()),
    "cache": lambda: _answers(settings.ENV.cache_dsn()),
}
_ANSWERING: Mapping[str, Callable[[], str]] = {
    "web": _web,
    "ws": _web,
    "flower": _flower,
    "simulator": _simulator,
    "stores": _stores,
}
