"""`manage.py ensure_users`: the logins of MOONX_HOME/credentials as users."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from moonx.up.users import ensure_users


class Command(BaseCommand):
    help = "Creates the users of MOONX_HOME/credentials and sets their passwords if they changed."

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            changed = ensure_users(settings.HOME)
        except FileNotFoundError as error:
            raise CommandError(
                f"{error.filename} is missing: it holds one `name password` a line."
            ) from error
        self.stdout.write(f"passwords set: {', '.join(changed) or 'none'}")
