"""Whom a bearer token belongs to: asked of our own issuer, or of an external service."""

import hashlib
import time
from typing import Any

import requests
from django.conf import settings

from apps.realtime import signin
from moonx.core import logs, tokens
from moonx.core.identity import AuthError, AuthExpired, AuthRefused, AuthUnavailable, Identity

__all__ = ["AuthError", "AuthExpired", "AuthRefused", "AuthUnavailable", "Identity", "identify"]

log = logs.get("moonx.auth")

TIMEOUT_S = 3.0
CACHE_S = 5.0  # a revoked token lives on for so long at most
LARGEST_CACHE = 10_000


def identify(token: str, *, audience: str) -> Identity:
    """The holder of `token`; asks the database, or the external service where one is set.

    Raises AuthExpired, AuthRefused or AuthUnavailable.
    """
    # JSON can spell half of a surrogate pair, which no header and no hash can carry.
    if not token.isascii():
        raise AuthRefused("The token is not valid: sign in again.")
    if settings.ENV.auth_service_url:
        return _external.identify(token)
    try:
        claims = tokens.issuer().verify(token, audience=audience)
    except tokens.TokenExpired as error:
        raise AuthExpired(str(error)) from None
    except tokens.TokenError as error:
        raise AuthRefused(str(error)) from None
    user = signin.active_user(user_id=claims.subject, session=claims.session)
    if user is None:
        raise AuthRefused("This sign-in has ended: sign in again.")
    return Identity(
        user_id=claims.subject,
        email=user.email,
        session=claims.session,
        expires_at=claims.expires_at,
    )


class ExternalService:
    """Asks another service, as its own clients do; good answers are kept for a few seconds."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, Identity]] = {}

    def identify(self, token: str) -> Identity:
        """The holder of `token`.

        Raises AuthRefused or AuthUnavailable.
        """
        key, now = hashlib.sha256(token.encode()).digest(), time.monotonic()
        found = self._known.get(key)
        if found is None or found[0] < now:
            found = (now + CACHE_S, _asked(token))
            if len(self._known) >= LARGEST_CACHE:
                self._known.clear()
            self._known[key] = found
        return found[1]


_external = ExternalService()


def _asked(token: str) -> Identity:
    url = settings.ENV.auth_service_url.rstrip("/") + settings.ENV.auth_service_verify_endpoint
    try:
        response = requests.get(
            url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
    except (requests.RequestException, UnicodeError) as error:
        log.warning("auth service does not answer", error=type(error).__name__)
        raise AuthUnavailable("The auth service does not answer: try again.") from None
    if response.status_code in {401, 403}:
        raise AuthRefused("The token is not valid: sign in again.")
    if response.status_code != 200:
        log.warning("auth service failed", status=response.status_code)
        raise AuthUnavailable("The auth service does not answer: try again.")
    try:
        return read_answer(response.json())
    except (ValueError, TypeError):
        log.warning("auth service answered something else")
        raise AuthUnavailable("The auth service does not answer: try again.") from None


def read_answer(body: Any) -> Identity:
    """The identity in a service's answer: `{user: {id, email}}`, or the same without `user`.

    `exp` in seconds, if given, ends the socket. ValueError where there is no id.
    """
    data = _inner(body, "data")
    user = _inner(data, "user")
    user_id = user.get("id") or user.get("userId") or user.get("sub")
    if user_id is None or data.get("valid") is False:
        raise ValueError("no user")
    return Identity(
        user_id=str(user_id),
        email=str(user.get("email") or ""),
        expires_at=int(data.get("exp") or 0),
        local=False,
    )


def _inner(body: Any, name: str) -> dict[str, Any]:
    """body[name] where that is an object, else the body itself."""
    if not isinstance(body, dict):
        raise ValueError("not an object")
    inner = body.get(name)
    return inner if isinstance(inner, dict) else body
