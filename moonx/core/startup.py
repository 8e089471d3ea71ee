"""What a role refuses to start on: stores and settings that would lose or leak something."""

from collections.abc import Iterator

import psycopg
from django.conf import settings
from redis import RedisError

from moonx.core import logs, valkey

log = logs.get("moonx.startup")

SHORTEST_SECRET = 50
DURABLE = ("synchronous_commit", "fsync", "full_page_writes")
USES_DATABASE = ("web", "ws", "worker", "beat", "relay", "demo", "monolith", "background")
USES_BROKER = ("web", "ws", "worker", "beat", "flower", "monolith", "background")


class Unsafe(Exception):
    """Starting would put data or access at risk; one sentence a line says what to change."""


def require_safe(role: str) -> None:
    """Raises Unsafe with every reason why `role` must not start here."""
    reasons = list(check(role))
    if reasons:
        raise Unsafe("\n".join(reasons))


def end_if_unsafe(role: str) -> None:
    """Ends the process where `role` must not start; for signal handlers, whose errors are kept."""
    try:
        require_safe(role)
    except Unsafe as error:
        raise SystemExit(f"{role} does not start: {error}") from None


def check(role: str) -> Iterator[str]:
    """One sentence per reason why `role` must not start.

    A store that does not answer is no reason: the role waits for it like at any other time.
    """
    kind = role.partition(":")[0]
    yield from _weak_secret(kind)
    if kind in USES_DATABASE and settings.CHECK_DURABILITY:
        yield from _forgetful_database()
    if kind in USES_BROKER:
        yield from _evicting_broker()
    if kind == "flower" and not settings.ENV.flower_basic_auth.get_secret_value():
        yield "Flower never runs without a login: set FLOWER_BASIC_AUTH=user:password."
    if kind == "worker" and settings.ENV.metrics_port:
        yield from _unshared_metrics()


def _weak_secret(kind: str) -> Iterator[str]:
    is_exposed = kind in {"web", "ws", "monolith"} and not settings.IS_DEVELOPMENT
    if is_exposed and len(settings.SECRET_KEY) < SHORTEST_SECRET:
        yield (
            f"SECRET_KEY has {len(settings.SECRET_KEY)} characters, so sign-in could be forged: "
            f"set at least {SHORTEST_SECRET} random ones."
        )


def _forgetful_database() -> Iterator[str]:
    for name, value in _durability().items():
        if value == "off":
            yield (
                f"PostgreSQL runs with {name} = off: a crash would lose what was acknowledged. "
                f"Set {name} = on."
            )


def _durability() -> dict[str, str]:
    try:
        with psycopg.connect(settings.ENV.database_dsn(), connect_timeout=5) as database:
            rows = database.execute(
                "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(DURABLE)]
            )
            return dict(rows.fetchall())
    except psycopg.OperationalError as error:
        log.warning("durability not checked", error=type(error).__name__)
        return {}


def _evicting_broker() -> Iterator[str]:
    policy = eviction_policy(settings.ENV.broker_dsn())
    if policy and policy != "noeviction":
        yield (
            f"The broker's maxmemory-policy is {policy}: it would drop queued messages without a "
            "word. Set it to noeviction."
        )


def eviction_policy(url: str) -> str:
    """The server's maxmemory-policy; empty where it cannot be asked."""
    try:
        with valkey.connect(url) as server:
            found = server.config_get("maxmemory-policy")
    except (RedisError, OSError) as error:
        log.warning("eviction policy not checked", error=type(error).__name__)
        return ""
    return next((_text(value) for value in found.values()), "")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _unshared_metrics() -> Iterator[str]:
    if settings.ENV.prometheus_multiproc_dir is None:
        yield (
            "METRICS_PORT is set but PROMETHEUS_MULTIPROC_DIR is not: the pool's processes would "
            "count where nobody looks. Set it to an empty directory."
        )
