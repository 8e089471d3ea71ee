"""`manage.py run_task NAME`: one beat entry, now, in the foreground."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from moonx import schedule
from moonx.celery import app


class Command(BaseCommand):
    help = "Runs one beat entry in the foreground and prints its line; fails where it is skipped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="e.g. exchange.update_tickers")

    def handle(self, *_args: Any, name: str, **_options: Any) -> None:
        if name not in schedule.known_tasks():
            known = "\n  ".join(schedule.known_tasks())
            raise CommandError(f"There is no task {name!r}. There are:\n  {known}")
        app.loader.import_default_modules()
        sentence = app.tasks[name].apply(throw=True).result
        if sentence is None:
            raise CommandError(f"{name} did not run: another run of it is under way.")
        self.stdout.write(f"{name}: {sentence}")
