"""Signing in and staying signed in: refresh tokens are used once, and reuse ends the sign-in.

SignInError
├── WrongCredentials   unknown name or wrong password (permanent)
├── TooManyAttempts    the pair of name and address is locked for a while (transient)
└── BadRefresh         the refresh token is unknown, used, expired or revoked (permanent)
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from redis import RedisError

from apps.realtime import measures
from apps.realtime.models import RefreshToken, SignIn
from moonx.core import activity, clock, logs, tokens, valkey

log = logs.get("moonx.auth")


class SignInError(Exception):
    """Nobody was signed in; the message is for the user."""


class WrongCredentials(SignInError):
    """Unknown name or wrong password; which of them is not said."""


class TooManyAttempts(SignInError):
    """Locked for a while after too many wrong passwords."""


class BadRefresh(SignInError):
    """The refresh token cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What a client gets: a short-lived access token and the refresh token for the next one."""

    access: str
    refresh: str
    expires_in_s: int


def sign_in(request: HttpRequest, *, username: str, password: str) -> Pair:
    """Checks a password and opens a sign-in.

    Raises WrongCredentials or TooManyAttempts; attempts are counted per name and address.
    """
    user = authenticate(request, username=username, password=password)
    if not isinstance(user, User):
        locked = _take_lock_note(request)
        measures.sign_ins.labels("locked" if locked else "refused").inc()
        if locked:
            raise TooManyAttempts("Too many wrong passwords: try again in 15 minutes.")
        raise WrongCredentials("Name and password do not match.")
    with transaction.atomic():
        activity.note(user.pk, "login")
        family = SignIn.objects.create(user=user, created_at=clock.db_now())
        pair = _next_pair(family)
    measures.sign_ins.labels("accepted").inc()
    return pair


def refresh(token: str) -> Pair:
    """The next pair for a refresh token, which is used up by this.

    A token that is shown twice was stolen from one of its holders: the whole sign-in ends, for
    both. Raises BadRefresh.
    """
    with transaction.atomic():
        row = (
            RefreshToken.objects.select_for_update(of=("self", "sign_in"))
            .select_related("sign_in__user")
            .filter(digest=_digest(token))
            .first()
        )
        if row is None:
            raise BadRefresh("This refresh token is unknown: sign in again.")
        now = clock.db_now()
        fault = _fault(row, now=now)
        if not fault:
            row.used_at = now
            row.save(update_fields=["used_at"])
            return _next_pair(row.sign_in)
        # The revocation must survive the refusal, so the transaction ends well first.
        if row.used_at is not None:
            _revoke(row.sign_in, because="reuse", now=now)
    raise BadRefresh(fault)


def sign_out(token: str) -> bool:
    """Ends the sign-in that a refresh token belongs to, on every device; says whether one ended."""
    with transaction.atomic():
        rows = SignIn.objects.select_for_update(of=("self",))
        family = rows.filter(tokens__digest=_digest(token)).first()
        if family is None or family.revoked_at is not None:
            return False
        _revoke(family, because="logout", now=clock.db_now())
    return True


def active_user(*, user_id: str, session: str) -> User | None:
    """The user of a token whose account and sign-in still stand."""
    user = User.objects.filter(pk=user_id, is_active=True).first() if user_id.isdecimal() else None
    if user is None:
        return None
    if session and not SignIn.objects.filter(pk=session, revoked_at=None).exists():
        return None
    return user


def note_socket(*, user_id: str) -> None:
    """Records that a user opened a socket."""
    with transaction.atomic():
        activity.note(int(user_id), "socket_connect")


def forget_expired(*, now: datetime) -> int:
    """Deletes sign-ins whose refresh tokens have all been over for a day; returns how many."""
    limit = now - timedelta(days=1)
    stale = SignIn.objects.exclude(tokens__expires_at__gte=limit)
    return stale.filter(created_at__lt=limit).delete()[1].get("realtime.SignIn", 0)


def _take_lock_note(request: HttpRequest) -> bool:
    """Whether the attempt met the lock; left on the request, it would replace our answer."""
    return bool(request.__dict__.pop("axes_locked_out", False))


def _fault(row: RefreshToken, *, now: datetime) -> str:
    if row.used_at is not None:
        return "This refresh token was used before; the sign-in has ended: sign in again."
    if row.sign_in.revoked_at is not None:
        return "This sign-in has ended: sign in again."
    if row.expires_at <= now:
        return "This refresh token has expired: sign in again."
    if not row.sign_in.user.is_active:
        return "This account is closed."
    return ""


def _next_pair(family: SignIn) -> Pair:
    refresh_token = secrets.token_urlsafe(32)
    ttl_s = settings.ENV.access_token_ttl_s
    RefreshToken.objects.create(
        sign_in=family,
        digest=_digest(refresh_token),
        expires_at=clock.db_now() + timedelta(seconds=settings.ENV.refresh_token_ttl_s),
    )
    access = tokens.issuer().issue(subject=str(family.user_id), session=str(family.pk), ttl_s=ttl_s)
    return Pair(access=access, refresh=refresh_token, expires_in_s=ttl_s)


def _revoke(family: SignIn, *, because: str, now: datetime) -> None:
    if family.revoked_at is None:
        family.revoked_at, family.revoked_because = now, because
        family.save(update_fields=["revoked_at", "revoked_because"])
    log.info("sign-in ended", because=because, user_id=family.user_id)
    transaction.on_commit(lambda: _close_sockets(str(family.pk)))


def _close_sockets(session: str) -> None:
    """Tells every gateway process; a socket that does not hear of it ends with its token."""
    try:
        valkey.client().publish(valkey.key("control"), json.dumps({"revoke": session}))
    except (RedisError, OSError) as error:
        log.warning("sockets not told of an ended sign-in", error=type(error).__name__)


def _digest(token: str) -> bytes:
    # A plain hash suffices: the token has 256 random bits, there is nothing to guess.
    return hashlib.sha256(token.encode()).digest()
