"""Whom a bearer token belongs to: one app registers how to find out, every other one asks here.

AuthError
├── AuthExpired      the token's time is over: refresh it (transient)
├── AuthRefused      the token is not valid (permanent)
└── AuthUnavailable  the external service does not answer (transient)
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from django.contrib.auth.models import User

FOREIGN = "external:"  # no form of ours accepts a colon in a user's name
LONGEST_NAME = 150


class AuthError(Exception):
    """The token was not accepted; the message is for its holder."""


class AuthExpired(AuthError):
    """The token's time is over."""


class AuthRefused(AuthError):
    """The token is not valid."""


class AuthUnavailable(AuthError):
    """Nobody could say whether it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The holder of a token. `expires_at` is in seconds since the epoch; 0 where it is unknown."""

    user_id: str
    email: str
    session: str = ""
    expires_at: int = 0
    local: bool = True


class Identify(Protocol):
    """Finds the holder of a token made for an audience; raises AuthError."""

    def __call__(self, token: str, *, audience: str) -> Identity: ...


_registered: list[Identify] = []


def register(identify: Identify) -> None:
    """Makes `identify` the way to find out; once per process, from an app's start-up."""
    _registered[:] = [identify]


def identify(token: str, *, audience: str) -> Identity:
    """The holder of `token`.

    Raises AuthExpired, AuthRefused or AuthUnavailable.
    """
    if not _registered:
        raise AuthUnavailable("Nobody here can say whose token this is.")
    return _registered[0](token, audience=audience)


def local_user_id(holder: Identity) -> int:
    """The row of `holder` among our users; who comes from an external service gets one on first
    use, without a password.

    Raises AuthRefused where an operator closed the account.
    """
    if holder.local:
        return int(holder.user_id)
    user, _ = User.objects.get_or_create(
        username=_name_of(holder.user_id), defaults={"email": holder.email[:254], "password": "!"}
    )
    if not user.is_active:
        raise AuthRefused("This account is closed.")
    return user.pk


def _name_of(foreign_id: str) -> str:
    name = FOREIGN + foreign_id
    if len(name) <= LONGEST_NAME and foreign_id.isprintable():
        return name
    return FOREIGN + "#" + hashlib.sha256(foreign_id.encode(errors="surrogatepass")).hexdigest()
