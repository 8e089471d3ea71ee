"""`manage.py install_schedule`: beat's rows agree with the table; beat does this at its start."""

from typing import Any

from django.core.management.base import BaseCommand

from moonx import schedule


class Command(BaseCommand):
    help = "Creates missing beat entries and disables those gone from the code; edits are kept."

    def handle(self, *_args: Any, **_options: Any) -> None:
        done = schedule.install()
        self.stdout.write(f"created: {', '.join(done.created) or 'none'}")
        self.stdout.write(f"disabled: {', '.join(done.disabled) or 'none'}")
        for sentence in schedule.differences():
            self.stdout.write(f"kept as changed: {sentence}")
