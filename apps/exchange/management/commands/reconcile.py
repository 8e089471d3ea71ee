"""manage.py reconcile: does every amount add up?"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from apps.exchange.ledger import reconcile
from apps.exchange.ledger.invariants import INVARIANTS, Checked, Invariant
from apps.exchange.ledger.reconcile import Report

BROKEN, TRY_AGAIN, INTERRUPTED = 1, 75, 130
SHOWN = 10


class Command(BaseCommand):
    help = (
        "Looks whether balances, holds, orders, trades and journals agree, in one snapshot. Owners "
        "and markets that a finding names are frozen and halted. Exit codes: 0 all agrees, "
        "1 something does not, 2 wrong arguments, 75 interrupted: run it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        scope = parser.add_mutually_exclusive_group()
        scope.add_argument(
            "--all",
            action="store_true",
            help="All accounts and open orders, and what was written since a seal that is a day "
            "old (the default).",
        )
        scope.add_argument(
            "--new", action="store_true", help="What was written since the last clean look."
        )
        scope.add_argument(
            "--from-genesis", action="store_true", help="Everything that was ever written."
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Looks only: nobody is frozen, nothing sealed."
        )

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            report = _check(options)
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The database stopped answering: {error}. Run the same command again.",
                returncode=TRY_AGAIN,
            ) from None
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted; nothing was changed.", returncode=INTERRUPTED
            ) from None
        for one in report.checked:
            self.stdout.write(_line(one))
            for finding in one.findings[:SHOWN]:
                self.stdout.write(f"      {finding.subject}")
        if report.broken:
            raise CommandError(_verdict(report, is_dry=options["dry_run"]), returncode=BROKEN)
        self.stdout.write(f"All {len(report.checked)} invariants hold ({report.ms:.0f} ms).")


def _check(options: dict[str, Any]) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("Looking", total=len(INVARIANTS))

        def show(invariant: Invariant) -> None:
            bars.update(bar, advance=1, description=invariant.sentence)

        acts = not options["dry_run"]
        if options["new"]:
            return reconcile.check_new(acts=acts, on_progress=show)
        is_genesis = options["from_genesis"]
        return reconcile.check_all(from_genesis=is_genesis, acts=acts, on_progress=show)


def _line(one: Checked) -> str:
    mark = "ok  " if not one.rows else "FAIL"
    return f"{mark}  {one.invariant.sentence:<38} {one.rows:>6} rows {one.ms:>8.1f} ms"


def _verdict(report: Report, *, is_dry: bool) -> str:
    names = "; ".join(one.invariant.sentence.lower() for one in report.broken)
    parts = [f"{report.rows} findings, against: {names}."]
    if is_dry:
        parts.append("A dry run: nobody was frozen, nothing halted.")
    if report.frozen:
        parts.append(f"Frozen: users {', '.join(map(str, report.frozen))}.")
    if report.halted:
        parts.append(f"Halted: {', '.join(report.halted)}.")
    return " ".join(parts)
