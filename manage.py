#!/usr/bin/env python3
"""Django's command line for MoonX."""

import os
import sys

from moonx.up.beside import use_running_stack

# What changes the schema connects as its owner; everything else as the role that may not.
OWNER_COMMANDS = {"migrate", "showmigrations", "sqlmigrate", "flush"}


def main() -> None:
    if sys.argv[1:2] == ["up"]:
        # Before any settings: it starts the stores that they name.
        from moonx.up.__main__ import main as up

        sys.exit(up(sys.argv[2:]))
    use_running_stack()
    os.environ.setdefault(
        "DJANGO_SETTINGS_MODULE", f"moonx.settings.{os.environ.get('MOONX_ENV', 'dev')}"
    )
    if OWNER_COMMANDS & set(sys.argv[1:2]):
        os.environ.setdefault("MOONX_DB_ROLE", "owner")
    from django.core.management import execute_from_command_line

    from moonx.settings.env import BadSettings

    try:
        execute_from_command_line(sys.argv)
    except BadSettings as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
