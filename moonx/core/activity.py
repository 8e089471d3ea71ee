"""What users do, told as `user.activity`: for statistics and for whoever watches an account."""

from django.contrib.auth.models import User

from moonx.core import outbox
from moonx.core.events import UserActivity


def note(user_id: int, action: str) -> None:
    """Emits that a user did `action`, under the user's row lock, in the current transaction."""
    User.objects.select_for_update(no_key=True).filter(pk=user_id).values_list("pk").first()
    outbox.emit(UserActivity(user_id=user_id, action=action))
