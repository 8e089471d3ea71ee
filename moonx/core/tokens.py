"""Access tokens: signed by keys of this installation, verified against them alone.

TokenError
├── TokenExpired   its time is over: refresh it (transient)
└── TokenInvalid   it never was, or is no longer, one of ours (permanent)
"""

import base64
import os
import re
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.conf import settings

ALGORITHM = "EdDSA"
ISSUER = "moonx"
API, SOCKET = "moonx-api", "moonx-ws"
LEEWAY_S = 5
LONGEST_TOKEN = 4096
LONGEST_LIFE_S = 86_400  # nothing that lives longer was issued here
REQUIRED = ["exp", "iat", "sub", "aud", "iss", "jti"]
TYPE = "at+jwt"
KEY_FILES = "[0-9]*.pem"
KEY_ID = re.compile(r"[0-9]{14}-[0-9a-f]{8}", re.ASCII)
REREAD_S = 5.0  # how often an unknown key id may make us look for new keys


class TokenError(Exception):
    """A token that cannot be used; the message never holds the token."""


class TokenExpired(TokenError):
    """The token's time is over."""


class TokenInvalid(TokenError):
    """The token is not one of ours, or not for this purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says. `session` names the sign-in that it came from."""

    subject: str
    session: str
    token_id: str
    issued_at: int
    expires_at: int


class Issuer:
    """Issues and verifies tokens with the Ed25519 keys of a directory.

    Files are `<key id>.pem`; the newest id signs, all verify, so that keys are rotated by adding
    one and removing the old one when its last token has expired.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._keys: dict[str, Ed25519PrivateKey] = {}
        self._read_at = 0.0

    def issue(self, *, subject: str, session: str, ttl_s: int) -> str:
        """A token for API and WebSocket that lives for `ttl_s`."""
        key_id = max(self._loaded())
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "sub": subject,
            "aud": [API, SOCKET],
            "iat": now,
            "exp": now + ttl_s,
            "jti": uuid4().hex,
            "sid": session,
        }
        headers = {"kid": key_id, "typ": TYPE}
        return jwt.encode(payload, self._keys[key_id], algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str, *, audience: str) -> Claims:
        """The claims of a token made for `audience`.

        Raises TokenExpired or TokenInvalid. Nothing in the token's header is believed but the id
        of the key, which must be one of ours.
        """
        if len(token) > LONGEST_TOKEN:
            raise TokenInvalid("The token is too long.")
        try:
            payload = jwt.decode(
                token,
                self._key_of(token).public_key(),
                algorithms=[ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                leeway=LEEWAY_S,
                options={"require": REQUIRED},
            )
        except jwt.ExpiredSignatureError:
            raise TokenExpired("The token has expired: refresh it.") from None
        except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError):
            raise TokenInvalid("The token is not valid here: sign in again.") from None
        return _claims(payload)

    def public_keys(self) -> list[dict[str, str]]:
        """The verifying keys as a JWK set's `keys`."""
        return [
            {"kty": "OKP", "crv": "Ed25519", "alg": ALGORITHM, "use": "sig", "kid": key_id}
            | {"x": _base64(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))}
            for key_id, key in sorted(self._loaded().items())
        ]

    def _key_of(self, token: str) -> Ed25519PrivateKey:
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        if header.get("typ") != TYPE or not isinstance(key_id, str) or not KEY_ID.fullmatch(key_id):
            raise jwt.InvalidTokenError
        keys = self._loaded()
        if key_id not in keys and time.monotonic() - self._read_at > REREAD_S:
            keys = self._read()
        if key_id not in keys:
            raise jwt.InvalidTokenError
        return keys[key_id]

    def _loaded(self) -> dict[str, Ed25519PrivateKey]:
        return self._keys or self._read()

    def _read(self) -> dict[str, Ed25519PrivateKey]:
        with self._lock:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not any(self._directory.glob(KEY_FILES)):
                _create_key(self._directory)
            self._keys = {path.stem: _load(path) for path in self._directory.glob(KEY_FILES)}
            self._read_at = time.monotonic()
            return self._keys


@cache
def issuer() -> Issuer:
    """This installation's issuer; its keys are made on first use."""
    return Issuer(Path(settings.HOME) / "jwt")


def _claims(payload: dict[str, Any]) -> Claims:
    """Raises TokenInvalid where a claim has another type than we ever issue."""
    issued, expires = payload["iat"], payload["exp"]
    texts = [payload["sub"], payload["jti"], payload.get("sid", "")]
    whole = type(issued) is int and type(expires) is int and expires - issued <= LONGEST_LIFE_S
    if not whole or not all(isinstance(value, str) for value in texts):
        raise TokenInvalid("The token is not valid here: sign in again.")
    return Claims(
        subject=texts[0],
        token_id=texts[1],
        session=texts[2],
        issued_at=issued,
        expires_at=expires,
    )


def _create_key(directory: Path) -> None:
    """Writes a new key. Two processes may both do it at the first start: both keys are good."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    name = f"{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(4)}.pem"
    draft = directory / f".{name}.draft"  # no reader takes it for a key before it is whole
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
    draft.rename(directory / name)


def _load(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(f"{path} holds no Ed25519 key: remove it, or put one in its place")
    return key


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
