"""Whose pages may open a socket: a pure rule."""

from collections.abc import Collection
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def is_allowed(
    origin: str | None, *, host: str, secure: bool, allowed: Collection[str] = ()
) -> bool:
    """Whether a page of `origin` may connect to a server reached as `host`.

    A missing origin is no browser, which holds no cookie that could be abused. Scheme, host and
    port count: another port on the same host is another origin.
    """
    if origin is None:
        return True
    given = _normal(origin)
    if given is None:
        return False
    own = _normal(f"{'https' if secure else 'http'}://{host}")
    return given == own or given in {_normal(one) for one in allowed}


def _normal(origin: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port is None:
        return None
    if parts.path not in {"", "/"} or parts.query or parts.username:
        return None
    return parts.scheme, parts.hostname.lower(), port
