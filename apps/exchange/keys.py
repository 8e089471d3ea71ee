"""API keys: they sign requests in their owner's name. Secrets are sealed at rest, shown once."""

import base64
import json
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address, ip_network

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from apps.exchange.models import ApiKey
from moonx.core import activity, clock, logs

log = logs.get("moonx.keys")

LETTERS = string.ascii_letters + string.digits
LENGTH = 64  # characters of 62: 381 random bits
MOST_KEYS = 30  # of one owner, revoked ones not counted
PURPOSE = b"moonx api key secrets"
USE_NOTED_EVERY = timedelta(minutes=1)

# One query for a signed request: the key and, by the same clock as everything, what time it is.
FIND = """
SELECT k.id, k.owner_id, k.sealed_secret, k.may_trade, k.addresses, k.last_used_at,
  clock_timestamp()
FROM exchange_apikey k JOIN auth_user u ON u.id = k.owner_id
WHERE k.key = %s AND k.revoked_at IS NULL AND u.is_active
"""


class TooManyKeys(Exception):
    """The owner has as many keys as anybody may have."""


class SealBroken(Exception):
    """No current or former SECRET_KEY opens a stored secret: its owner must make a new key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new key, and its secret for the only time."""

    row: ApiKey
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A key that stands, as a signed request names it; `now` is the database's time."""

    id: int
    owner_id: int
    sealed_secret: bytes
    may_trade: bool
    addresses: tuple[str, ...]
    last_used_at: datetime | None
    now: datetime

    def secret(self) -> bytes:
        """What its holder signs with; raises SealBroken."""
        return unseal(self.sealed_secret)

    def is_used_from(self, address: str) -> bool:
        """Whether the key may be used from `address`; a key without networks from anywhere."""
        if not self.addresses:
            return True
        try:
            given = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(given, "ipv4_mapped", None)
        return any((mapped or given) in ip_network(net) for net in self.addresses)


def issue(owner_id: int, *, label: str, may_trade: bool, addresses: Iterable[str]) -> Issued:
    """A new key of an owner; `addresses` are networks.

    Raises TooManyKeys.
    """
    secret = _random()
    with transaction.atomic():
        activity.note(
            owner_id, "key_created"
        )  # and holds the owner's row: keys are counted in turn
        if standing(owner_id).count() >= MOST_KEYS:
            raise TooManyKeys(f"Nobody has more than {MOST_KEYS} keys: revoke one.")
        row = ApiKey.objects.create(
            owner_id=owner_id,
            label=label,
            key=_random(),
            sealed_secret=seal(secret),
            may_trade=may_trade,
            addresses=list(addresses),
            created_at=clock.db_now(),
        )
    log.info("API key made", key_id=row.pk, user_id=owner_id)
    return Issued(row=row, secret=secret)


def standing(owner_id: int) -> "QuerySet[ApiKey]":
    """The owner's keys that are not revoked, newest first."""
    return ApiKey.objects.filter(owner_id=owner_id, revoked_at=None)


def revoke(owner_id: int, key: str) -> bool:
    """Ends a key of that owner at once; whether there was one to end."""
    if not is_formed(key):
        return False
    with transaction.atomic():
        changed = standing(owner_id).filter(key=key).update(revoked_at=clock.db_now())
        if changed:
            activity.note(owner_id, "key_revoked")
    if changed:
        log.info("API key revoked", user_id=owner_id)
    return bool(changed)


def is_formed(key: str) -> bool:
    """Whether it is spelled as keys are."""
    return len(key) == LENGTH and key.isascii() and key.isalnum()


def find(key: str) -> Found | None:
    """The key of a request, if it stands and its owner's account is open.

    Nothing is kept between requests: a revoked key is refused from the next one on, everywhere.
    """
    with connection.cursor() as cursor:
        cursor.execute(FIND, [key])
        row = cursor.fetchone()
    if row is None:
        return None
    key_id, owner_id, sealed, may_trade, addresses, last_used_at, now = row
    return Found(
        id=key_id,
        owner_id=owner_id,
        sealed_secret=bytes(sealed),
        may_trade=may_trade,
        addresses=tuple(json.loads(addresses)),
        last_used_at=last_used_at,
        now=now,
    )


def note_use(found: Found) -> None:
    """Remembers that the key is in use, by at most one write a minute."""
    if found.last_used_at is None or found.now - found.last_used_at >= USE_NOTED_EVERY:
        due = ApiKey.objects.filter(pk=found.id).exclude(
            last_used_at__gt=found.now - USE_NOTED_EVERY
        )
        due.update(last_used_at=found.now)


def seal(secret: str) -> bytes:
    """The secret as it is stored: readable only with a SECRET_KEY."""
    return _box().encrypt(secret.encode())


def unseal(sealed: bytes) -> bytes:
    """The secret that was sealed under the current SECRET_KEY or one of its fallbacks.

    Raises SealBroken.
    """
    try:
        return _box().decrypt(sealed)
    except InvalidToken:
        raise SealBroken("an API key was sealed under a SECRET_KEY that is gone") from None


def _box() -> MultiFernet:
    return _box_of((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _box_of(secret_keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(key)) for key in secret_keys])


def _derived(secret_key: str) -> bytes:
    """A key for this purpose alone."""
    raw = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(secret_key.encode())
    return base64.urlsafe_b64encode(raw)


def _random() -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(LENGTH))
