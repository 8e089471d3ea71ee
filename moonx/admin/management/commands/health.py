"""`manage.py health ROLE`: exit code 0 or 1, and one line."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from moonx import probes


class Command(BaseCommand):
    help = (
        "Tells whether a role runs on this machine: web, ws, worker:<queues>, beat, relay, flower, "
        "demo, simulator, stores, background or monolith."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", nargs="?", default=settings.ENV.moonx_role)

    def handle(self, *_args: Any, role: str, **_options: Any) -> None:
        try:
            sentence = probes.probe(role)
        except probes.Unwell as error:
            raise CommandError(f"{role}: unhealthy: {error}") from error
        except Error as error:
            raise CommandError(
                f"{role}: unhealthy: no answer from the database ({type(error).__name__})"
            ) from error
        self.stdout.write(f"{role}: healthy: {sentence}")
