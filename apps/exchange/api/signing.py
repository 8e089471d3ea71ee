"""Who asks: the holder of an API key who signed the request, or of an access token.

A signature covers the query string and the body as they came, byte for byte. A cookie is nobody.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import NamedTuple

from django.http import HttpRequest

from apps.exchange import keys
from apps.exchange.api import errors, params
from apps.exchange.api.errors import ApiError, Unauthorized
from apps.exchange.api.params import Param, Query, Received
from apps.exchange.keys import Found
from moonx.core import http, identity, logs, tokens
from moonx.core.intervals import from_ms

log = logs.get("moonx.signing")

KEY_HEADER = "X-MBX-APIKEY"
USUAL_WINDOW_MS, LARGEST_WINDOW_MS = Decimal(5_000), Decimal(60_000)
AHEAD = timedelta(seconds=1)
FIRST_IN_MICROSECONDS = 10**15  # as milliseconds it would lie in the year 33658
MARK = b"signature="

TIMESTAMP = Param(
    name="timestamp", legal=params.NUMBER, text="When it was sent, ms. Signed requests need it."
)
WINDOW = Param(
    name="recvWindow",
    legal=r"^[0-9]{1,20}(\.[0-9]{1,3})?$",
    text="For how long it is valid, ms: 5,000 by default, at most 60,000.",
)
SIGNATURE = Param(
    name="signature",
    legal=r"^[\x21-\x7e]{1,1024}$",
    text="HMAC-SHA256 of the query string and the body, in hex, under the key's secret.",
)
PARAMS = (WINDOW, TIMESTAMP, SIGNATURE)
SCHEMES: list[dict[str, list[str]]] = [{"Signature": []}, {"Bearer": []}]
# How an interface document says it.
SCHEME_TEXTS: dict[str, dict[str, str]] = {
    "Signature": {
        "type": "apiKey",
        "in": "header",
        "name": KEY_HEADER,
        "description": "An API key, with `timestamp` and `signature` among the parameters.",
    },
    "Bearer": {"type": "http", "scheme": "bearer", "description": "An access token."},
}

NOT_FORMED = (-2014, "API-key format invalid.")
REJECTED = (-2015, "Invalid API-key, IP, or permissions for action.")


class Needs(Enum):
    """What a path asks of its caller."""

    READ = auto()
    TRADE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose request it is. `headers` are added to the answer."""

    user_id: int
    headers: dict[str, str] = field(default_factory=dict)


class Signature(NamedTuple):
    """What was signed, and by what it was signed."""

    payload: bytes
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A request that says who sends it, not believed yet: a key's name, or a token."""

    key: str
    token: str
    query: Query
    received: Received

    def caller(self, request: HttpRequest, needs: Needs, headers: dict[str, str]) -> Caller:
        """Whose request it is, if that is true and they may do it; ApiError otherwise."""
        if self.token:
            return Caller(user_id=bearer(self.token), headers=headers)
        found = keys.find(self.key)
        address = http.request_ip(request)
        if found is None or not found.is_used_from(address):
            raise Unauthorized(*REJECTED)
        self._check_signature(found)
        self._check_time(found.now)
        if needs is Needs.TRADE and not found.may_trade:
            raise Unauthorized(*REJECTED)
        keys.note_use(found)
        return Caller(user_id=found.owner_id, headers=headers)

    def _check_signature(self, found: Found) -> None:
        payload, given = signature_of(self.received)
        try:
            wanted = hmac.new(found.secret(), payload, hashlib.sha256).hexdigest()
        except keys.SealBroken as error:
            log.error("API key cannot be used", key_id=found.id, cause=str(error))
            raise Unauthorized(*REJECTED) from None
        if not hmac.compare_digest(wanted.encode(), given.lower()):
            errors.fail(errors.BAD_SIGNATURE)

    def _check_time(self, now: datetime) -> None:
        sent = sent_at(self.query.number("timestamp") or 0)
        window = self.query.amount("recvWindow")
        if sent >= now + AHEAD:
            errors.fail(errors.TOO_EARLY)
        if now - sent > timedelta(
            milliseconds=float(USUAL_WINDOW_MS if window is None else window)
        ):
            errors.fail(errors.TOO_LATE)


def read(request: HttpRequest, takes: Sequence[Param]) -> Proof:
    """Who the request says it comes from, and its parameters; ApiError for what is malformed."""
    key, token = request.headers.get(KEY_HEADER, ""), token_of(request)
    if not token and not keys.is_formed(key):
        raise Unauthorized(*NOT_FORMED)
    received = params.received(request)
    query = params.read(received.values, [*takes, *PARAMS])
    for needed in () if token else (TIMESTAMP, SIGNATURE):
        if needed.name not in query:
            raise errors.missing(needed.name)
    if (query.amount("recvWindow") or 0) > LARGEST_WINDOW_MS:
        errors.fail(errors.BAD_WINDOW)
    return Proof(key=key, token=token, query=query, received=received)


def bearer(token: str) -> int:
    """The user of an access token for the API.

    Raises Unauthorized, or ApiError with 503 where nobody can say.
    """
    try:
        holder = identity.identify(token, audience=tokens.API)
        return identity.local_user_id(holder)
    except identity.AuthUnavailable as error:
        raise ApiError(-1001, str(error), status=503) from None
    except identity.AuthError as error:
        raise Unauthorized(-2015, str(error)) from None


def signature_of(received: Received) -> Signature:
    """What was signed: query string and body without the signature itself, wherever it stood."""
    value, rest = b"", []
    for raw in (received.query, received.body):
        kept = []
        for part in raw.split(b"&"):
            if part.startswith(MARK) and not value:
                value = part.removeprefix(MARK)
            else:
                kept.append(part)
        rest.append(b"&".join(kept))
    return Signature(payload=b"".join(rest), value=value)


def sent_at(stamp: int) -> datetime:
    """The instant of a timestamp in milliseconds or, as Binance allows, microseconds."""
    ms, rest_us = (stamp, 0) if stamp < FIRST_IN_MICROSECONDS else divmod(stamp, 1000)
    return from_ms(min(ms, params.LAST_MS)) + timedelta(microseconds=rest_us)


def token_of(request: HttpRequest) -> str:
    """The bearer token, where no API key is sent: a request that bears both must be signed."""
    if request.headers.get(KEY_HEADER):
        return ""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""
