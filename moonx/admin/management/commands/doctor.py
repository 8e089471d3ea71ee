"""`manage.py doctor`: what is amiss and what to do about it."""

import json
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from moonx import doctor
from moonx.doctor import Finding, Level


class Command(BaseCommand):
    help = "Answers an operator's questions, one line each; exit code 1 if something failed."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON array for machines")

    def handle(self, *_args: Any, **options: Any) -> None:
        findings = []
        for finding in doctor.examine():
            findings.append(finding)
            if not options["json"]:
                self._print(finding)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=2))
        if any(finding.level is Level.FAIL for finding in findings):
            sys.exit(1)

    def _print(self, finding: Finding) -> None:
        paint = {
            Level.OK: self.style.SUCCESS,
            Level.WARN: self.style.WARNING,
            Level.FAIL: self.style.ERROR,
        }[finding.level]
        advice = f" → {finding.advice}" if finding.advice else ""
        self.stdout.write(
            f"{paint(f'{finding.level:<4}')} {finding.subject}: {finding.sentence}{advice}"
        )
