"""The logins of a home as Django users."""

import hashlib
from pathlib import Path

from django.contrib.auth.models import User
from django.db import transaction

from moonx.up.keys import write_private

STAFF = {"admin"}


def ensure_users(home: Path) -> list[str]:
    """Every login of the home's credentials as a user; the names whose password was set now.

    A password is set when the file changed, not at every start: hashing takes a third of a second,
    and one changed in the admin stays.
    """
    text = (home / "credentials").read_text()
    applied = home / "credentials.applied"
    digest = hashlib.sha256(text.encode()).hexdigest()
    is_known = applied.exists() and applied.read_text() == digest
    logins = (line.split(maxsplit=1) for line in text.splitlines())
    changed = [name for name, word in logins if _ensure(name, word, is_known=is_known)]
    write_private(applied, digest)
    return changed


def _ensure(name: str, password: str, *, is_known: bool) -> bool:
    with transaction.atomic():
        user, is_new = User.objects.get_or_create(
            username=name, defaults={"is_staff": name in STAFF, "is_superuser": name in STAFF}
        )
        if is_new or not is_known:
            user.set_password(password)
            user.save(update_fields=["password"])
            return True
    return False
