"""`manage.py run`: starts what MOONX_ROLE names."""

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from moonx.core import startup
from moonx.core.startup import Unsafe
from moonx.roles import SEVERAL, command_for
from moonx.up.errors import UpError
from moonx.up.monolith import run_several


class Command(BaseCommand):
    # `make check` runs them; here they would import every page at each start.
    requires_system_checks = ()
    help = "Starts the role that MOONX_ROLE (or the argument) names, in the foreground."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", nargs="?", default=settings.ENV.moonx_role)

    def handle(self, *_args: Any, role: str, **_options: Any) -> None:
        os.environ["MOONX_ROLE"] = role
        try:
            startup.require_safe(role)
            if role in SEVERAL:
                sys.exit(run_several(SEVERAL[role], settings.ENV, home=settings.HOME))
            command = command_for(role, settings.ENV)
        except (UpError, Unsafe, ValueError) as error:
            raise CommandError(str(error)) from error
        # The role takes the place of this process: signals and exit codes are its own.
        os.execv(command[0], command)  # noqa: S606
