"""`manage.py prepare`: all that must stand in the database before the roles start."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from moonx.core import startup
from moonx.core.startup import Unsafe


class Command(BaseCommand):
    # `make check` runs them; here they would cost a second at each start.
    requires_system_checks = ()
    help = "Migrates the database and creates the users of MOONX_HOME: one process, at each start."

    def handle(self, *_args: Any, **_options: Any) -> None:
        try:
            startup.require_safe("monolith")
        except Unsafe as error:
            raise CommandError(str(error)) from error
        call_command("migrate", interactive=False, verbosity=1)
        call_command("ensure_users")
