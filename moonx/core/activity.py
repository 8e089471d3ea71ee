"""What users do, told as `user.activity`: for statistics and for whoever watches an account."""

import time

from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from moonx.core import logs, outbox
from moonx.core.events import UserActivity

log = logs.get("moonx.activity")

REPEATED_EVERY_S = 60.0
MOST_REMEMBERED = 10_000

_noted: dict[tuple[int, str], float] = {}


def note(user_id: int, action: str) -> None:
    """Emits that a user did `action`, under the user's row lock, in the current transaction."""
    User.objects.select_for_update(no_key=True).filter(pk=user_id).values_list("pk").first()
    outbox.emit(UserActivity(user_id=user_id, action=action))


def note_frequent(user_id: int, action: str) -> None:
    """As `note`, in a transaction of its own, for what a program does many times a second: it is
    told once a minute. What it was about stands already, so a failure is logged and no more."""
    now, which = time.monotonic(), (user_id, action)
    if now - _noted.get(which, -REPEATED_EVERY_S) < REPEATED_EVERY_S:
        return
    if len(_noted) >= MOST_REMEMBERED:
        _noted.clear()
    _noted[which] = now
    try:
        with transaction.atomic():
            note(user_id, action)
    except DatabaseError as error:
        log.warning("activity not told", action=action, error=type(error).__name__)
